"""A model of the disk under the daemon: what was done to it in which order, what of that was synced, and what a power cut may leave.

tests/support/diskwatch.py follows every call by which `dropbox_import.disk` changes something, and writes the log. From that:
`now()` is the tree as a killed process leaves it, `durable(...)` one of the trees that a power cut may leave. Two kinds of file system:

- JOURNALING: changes of names, modes and owners last in their order; a sync, of whatever file, makes all that came before it last
  (ext4, XFS).
- BARE: only what POSIX says. A name lasts when its folder was synced, a mode or owner when its own file or folder was; of the others
  any may be lost, in any order. The names of one file last in order, and its modes, and a rename happens whole or not at all, as on
  every file system in use.

In both, bytes last when their file was synced; of others any part of the end may be missing, or be zeros. After a sync that failed, no
later sync of that file makes last what was written before: the system may count those bytes as written, though they are not.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from tests.support.sites import Site
from tests.support.trees import Mode, Modes, Tree, mode_of

__all__ = ["Choice", "Kind", "Loss", "ModelDisk", "Tree", "by_chance", "nothing_kept", "only_lost"]

ROOT = 0


class Kind(Enum):
    JOURNALING = "journaling"
    BARE = "bare POSIX"


@dataclass(frozen=True, slots=True)
class Named:
    """A change of names, whole or not at all: `node` gets the name `add` (folder, name), or loses `remove`, or both."""

    node: int
    add: tuple[int, str] | None = None
    remove: tuple[int, str] | None = None


@dataclass(frozen=True, slots=True)
class Written:
    node: int
    content: bytes


@dataclass(frozen=True, slots=True)
class Changed:
    """Owner and mode from now on."""

    node: int
    mode: Mode


@dataclass(frozen=True, slots=True)
class Synced:
    node: int
    folder: bool
    site: Site


@dataclass(frozen=True, slots=True)
class Failed:
    """A sync that was refused."""

    node: int


Entry = Named | Written | Changed | Synced | Failed


@dataclass
class Choice:
    """What becomes of what was not synced. `keep(n)`: is the n-th entry, of a name or a mode, kept; `tear(old, new)`: a file's content."""

    keep: Callable[[int], bool]
    tear: Callable[[bytes, bytes], bytes]


@dataclass
class Loss:
    """What a power cut at one place left, and which entries of the log are gone."""

    tree: Tree
    modes: Modes
    lost: tuple[int, ...]
    torn: int = 0


@dataclass
class ModelDisk:
    """Begins with a tree that is safely on the disk."""

    root: Path
    log: list[Entry] = field(default_factory=list)
    nodes: dict[int, bytes | None] = field(default_factory=lambda: {ROOT: None})
    names: dict[int, dict[str, int]] = field(default_factory=lambda: {ROOT: {}})
    times: dict[int, int] = field(default_factory=dict)
    modes: dict[int, Mode] = field(default_factory=dict)
    safe: dict[int, bytes] = field(default_factory=dict)
    born: dict[int, Mode] = field(default_factory=dict)  # as each was at first
    spoilt: set[int] = field(default_factory=set)  # files of which a sync failed
    _first: tuple[dict[int, bytes | None], dict[int, dict[str, int]]] = field(default_factory=lambda: ({}, {}))

    # --- from and to the real disk --------------------------------------------------------

    @classmethod
    def of(cls, root: Path) -> ModelDisk:
        disk = cls(root)
        disk._read(root, ROOT)
        disk._first = (dict(disk.nodes), {number: dict(entries) for number, entries in disk.names.items()})
        return disk

    def _read(self, folder: Path, number: int) -> None:
        for entry in sorted(os.scandir(folder), key=lambda one: one.name):
            seen = entry.stat()
            if entry.is_dir():
                below = self.new(None)
                self._read(Path(entry.path), below)
            else:
                below = self.new(Path(entry.path).read_bytes())
                self.times[below] = seen.st_mtime_ns
            self.modes[below] = self.born[below] = mode_of(seen)
            self.names[number][entry.name] = below

    def new(self, content: bytes | None) -> int:
        number = len(self.nodes)
        self.nodes[number] = content
        if content is None:
            self.names[number] = {}
        return number

    def unsynced(self, path: str) -> None:
        """The content of this file, which was there before, is not on the disk yet: whoever wrote it did not sync it."""
        number = next(node for where, node in self._paths(ROOT) if where == path)
        content = self.nodes[number]
        assert content is not None
        self._first[0][number] = b""
        self.log.append(Written(number, content))

    def now(self) -> Tree:
        """As it is: what a process leaves that is killed here."""
        return self._tree(self.nodes, self.names, {})[0]

    def modes_now(self) -> Modes:
        return self._tree(self.nodes, self.names, self.modes)[1]

    def _tree(self, nodes: dict[int, bytes | None], names: dict[int, dict[str, int]], modes: dict[int, Mode]) -> tuple[Tree, Modes]:
        found: Tree = {}
        told: Modes = {}
        seen = set()  # a folder that has two names after a cut is one folder

        def enter(number: int, path: str) -> None:
            for name, below in sorted(names[number].items()):
                where = f"{path}{name}"
                content = nodes[below]
                if below in modes:
                    told[where] = modes[below]
                if content is not None:
                    found[where] = (content, self.times.get(below, 0))
                elif below not in seen:
                    seen.add(below)
                    found[where] = None
                    enter(below, f"{where}/")

        enter(ROOT, "")
        return found, told

    def paths(self) -> list[str]:
        return [path for path, _ in self._paths(ROOT)]

    def synced(self) -> dict[str, bytes]:
        """The content of each file as of its last sync, by its path now; not of those of which it, or the name, was never synced."""
        paths = {number: path for path, number in self._paths(ROOT)}
        forced = self._forced(Kind.BARE, self.log, lambda _: False)[0]
        nameless = {entry.node for place, entry in enumerate(self.log) if isinstance(entry, Named) and place not in forced}
        return {paths[number]: content for number, content in self.safe.items() if number in paths and number not in nameless}

    def _paths(self, folder: int, above: str = "") -> Iterator[tuple[str, int]]:
        for name, below in self.names[folder].items():
            yield f"{above}{name}", below
            if self.nodes[below] is None:
                yield from self._paths(below, f"{above}{name}/")

    # --- what a cut leaves ----------------------------------------------------------------

    def durable(self, kind: Kind, upto: int, choice: Choice, without: Callable[[Site], bool] = lambda _: False) -> Loss:
        """The tree after a power cut behind the first `upto` entries of the log. Syncs of which `without` is true count as not made."""
        log = self.log[:upto]
        forced, safe = self._forced(kind, log, without)
        nodes, names = dict(self._first[0]), {number: dict(entries) for number, entries in self._first[1].items()}
        modes = dict(self.born)
        lost: list[int] = []
        behind: set[tuple[type[Entry], int]] = set()  # of what an earlier change is gone
        last: dict[int, bytes] = {}
        for place, entry in enumerate(log):
            if isinstance(entry, Written):
                last[entry.node] = entry.content
            if not isinstance(entry, Named | Changed):
                continue
            gone = place not in forced and (
                (kind is Kind.JOURNALING and bool(lost)) or (type(entry), entry.node) in behind or not choice.keep(place)
            )
            if gone:
                lost.append(place)
                behind.add((type(entry), entry.node))
                continue
            if isinstance(entry, Changed):
                modes[entry.node] = entry.mode
                continue
            if entry.remove is not None and names[entry.remove[0]].get(entry.remove[1]) == entry.node:
                del names[entry.remove[0]][entry.remove[1]]
            if entry.add is not None:
                names.setdefault(entry.add[0], {})[entry.add[1]] = entry.node
            names.setdefault(entry.node, {})
            nodes.setdefault(entry.node, None if self.nodes[entry.node] is None else b"")
        torn = 0
        for number, content in last.items():
            old = safe.get(number, self._first[0].get(number) or b"")
            nodes[number] = choice.tear(old, content) if old != content else content
            torn += nodes[number] != content
        return Loss(*self._tree(nodes, names, modes), tuple(lost), torn)

    def _forced(self, kind: Kind, log: list[Entry], without: Callable[[Site], bool]) -> tuple[set[int], dict[int, bytes]]:
        """The changes of names and modes that last, and the content of each file at its last sync."""
        forced: set[int] = set()
        pending: list[int] = []
        current: dict[int, bytes] = {}
        safe: dict[int, bytes] = {}
        spoilt: set[int] = set()
        for place, entry in enumerate(log):
            if isinstance(entry, Named | Changed):
                pending.append(place)
            elif isinstance(entry, Written):
                current[entry.node] = entry.content
            elif isinstance(entry, Failed):
                spoilt.add(entry.node)
            elif not without(entry.site):
                if not entry.folder and entry.node in current and entry.node not in spoilt:
                    safe[entry.node] = current[entry.node]
                now = pending if kind is Kind.JOURNALING else self._of(log, pending, entry)
                forced.update(now)
                pending = [one for one in pending if one not in forced]
        return forced, safe

    @staticmethod
    def _of(log: list[Entry], pending: list[int], sync: Synced) -> list[int]:
        """The changes of names in that folder, with what was done to the same files' names before; and of its own mode, or that file's."""
        found: set[int] = set()
        nodes: set[int] = set()
        for place in reversed(pending):
            entry = log[place]
            assert isinstance(entry, Named | Changed)
            if isinstance(entry, Changed):
                found |= {place} if entry.node == sync.node else set()
            elif entry.node in nodes or (sync.folder and sync.node in [where[0] for where in (entry.add, entry.remove) if where]):
                found.add(place)
                nodes.add(entry.node)
        return sorted(found)

    def path_of(self, number: int) -> str:
        for folder, entries in self.names.items():
            for name, below in entries.items():
                if below == number:
                    above = self.path_of(folder) if folder != ROOT else ""
                    return f"{above}/{name}" if above else name
        return ""


# --- ways to lose ------------------------------------------------------------------------


def nothing_kept() -> Choice:
    """All that was not synced is gone."""
    return Choice(lambda _: False, lambda old, new: old)


def only_lost(places: frozenset[int]) -> Choice:
    """These entries are gone, and what was not synced of contents; all else is kept."""
    return Choice(lambda place: place not in places, lambda old, new: old)


def by_chance(rng: random.Random) -> Choice:
    share = rng.choice((0.1, 0.5, 0.9))

    def tear(old: bytes, new: bytes) -> bytes:
        if not new.startswith(old):
            return rng.choice((old, new))
        cut = rng.randint(len(old), len(new))
        grown = rng.random() < 0.3  # the size is on the disk, the bytes are not
        return new[:cut] + bytes(len(new) - cut) * grown

    return Choice(lambda _: rng.random() < share, tear)
