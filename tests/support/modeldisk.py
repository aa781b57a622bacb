"""A model of the disk under the daemon: what was done to it in which order, what of that was synced, and what a power cut may leave.

`ModelDisk.watch` follows every call by which `dropbox_import.disk` changes something (on the real disk it happens too). From that log:
`now()` is the tree as a killed process leaves it, `durable(...)` one of the trees that a power cut may leave. Two kinds of file system:

- JOURNALING: changes of names last in their order; a sync, of whatever file, makes all that came before it last (ext4, XFS).
- BARE: only what POSIX says. A name lasts when its folder was synced; of the names that were not, any may be lost, in any
  order. What is done to one file lasts in order, and a rename happens whole or not at all, as on every file system in use.

In both, bytes last when their file was synced; of others any part of the end may be missing, or be zeros.
Owners and modes are not modelled.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any
from unittest import mock

from dropbox_import.disk import files, observe
from tests.support.sites import Site, site_of

Tree = dict[str, tuple[bytes, int] | None]  # path below the root: content and time of a file, None for a folder
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
class Synced:
    node: int
    folder: bool
    site: Site


@dataclass
class Choice:
    """What becomes of what was not synced. `keep(n)`: whether the n-th change of names is kept; `tear(old, new)`: a file's content."""

    keep: Callable[[int], bool]
    tear: Callable[[bytes, bytes], bytes]


@dataclass
class Loss:
    """What a power cut at one place left: the tree, and which changes of names are gone."""

    tree: Tree
    lost: tuple[int, ...]
    torn: int = 0


@dataclass
class ModelDisk:
    """Begins with a tree that is safely on the disk."""

    root: Path
    log: list[Named | Written | Synced] = field(default_factory=list)
    nodes: dict[int, bytes | None] = field(default_factory=lambda: {ROOT: None})
    names: dict[int, dict[str, int]] = field(default_factory=lambda: {ROOT: {}})
    times: dict[int, int] = field(default_factory=dict)
    opened: dict[int, int] = field(default_factory=dict)
    _safe: dict[int, bytes] = field(default_factory=dict)
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
            if entry.is_dir():
                below = self._new(None)
                self._read(Path(entry.path), below)
            else:
                below = self._new(Path(entry.path).read_bytes())
                self.times[below] = entry.stat().st_mtime_ns
            self.names[number][entry.name] = below

    def _new(self, content: bytes | None) -> int:
        number = len(self.nodes)
        self.nodes[number] = content
        if content is None:
            self.names[number] = {}
        return number

    def now(self) -> Tree:
        """As it is: what a process leaves that is killed here."""
        return self._tree(self.nodes, self.names)

    def _tree(self, nodes: dict[int, bytes | None], names: dict[int, dict[str, int]]) -> Tree:
        found: Tree = {}
        seen = set()  # a folder that has two names after a cut is one folder

        def enter(number: int, path: str) -> None:
            for name, below in sorted(names[number].items()):
                where = f"{path}{name}"
                content = nodes[below]
                if content is not None:
                    found[where] = (content, self.times.get(below, 0))
                elif below not in seen:
                    seen.add(below)
                    found[where] = None
                    enter(below, f"{where}/")

        enter(ROOT, "")
        return found

    def synced(self) -> dict[str, bytes]:
        """The content of each file as of its last sync, by its path now; those that were never synced are left out."""
        paths = {number: path for path, number in self._paths(ROOT, "")}
        return {paths[number]: content for number, content in self._safe.items() if number in paths}

    def _paths(self, folder: int, above: str) -> Iterator[tuple[str, int]]:
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
        lost: list[int] = []
        behind: set[int] = set()  # nodes of which an earlier change is gone
        last: dict[int, bytes] = {}
        for place, entry in enumerate(log):
            if isinstance(entry, Written):
                last[entry.node] = entry.content
            if not isinstance(entry, Named):
                continue
            gone = place not in forced and ((kind is Kind.JOURNALING and bool(lost)) or entry.node in behind or not choice.keep(place))
            if gone:
                lost.append(place)
                behind.add(entry.node)
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
        return Loss(self._tree(nodes, names), tuple(lost), torn)

    def _forced(
        self, kind: Kind, log: list[Named | Written | Synced], without: Callable[[Site], bool]
    ) -> tuple[set[int], dict[int, bytes]]:
        """The changes of names that last, and the content of each file at its last sync."""
        forced: set[int] = set()
        pending: list[int] = []
        current: dict[int, bytes] = {}
        safe: dict[int, bytes] = {}
        for place, entry in enumerate(log):
            if isinstance(entry, Named):
                pending.append(place)
            elif isinstance(entry, Written):
                current[entry.node] = entry.content
            elif not without(entry.site):
                if not entry.folder and entry.node in current:
                    safe[entry.node] = current[entry.node]
                now = pending if kind is Kind.JOURNALING else self._of(log, pending, entry) if entry.folder else []
                forced.update(now)
                pending = [one for one in pending if one not in forced]
        return forced, safe

    @staticmethod
    def _of(log: list[Named | Written | Synced], pending: list[int], sync: Synced) -> list[int]:
        """The changes in that folder, and what was done to the same files before."""
        found: set[int] = set()
        nodes: set[int] = set()
        for place in reversed(pending):
            entry = log[place]
            assert isinstance(entry, Named)
            here = sync.node in [where[0] for where in (entry.add, entry.remove) if where is not None]
            if here or entry.node in nodes:
                found.add(place)
                nodes.add(entry.node)
        return sorted(found)

    # --- following ------------------------------------------------------------------------

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Follow what the code under test does until the end of the block."""
        with ExitStack() as stack:
            for name in _CALLS:
                stack.enter_context(mock.patch.object(os, name, self._around(name, getattr(os, name))))
            stack.enter_context(mock.patch.object(files, "_rename", self._renamer(files._rename)))
            stack.enter_context(mock.patch.object(Path, "write_bytes", _as_the_importer_writes))
            yield

    def _around(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        follow = getattr(self, f"_{name}")

        def call(*args: Any, **more: Any) -> Any:
            done = None if name == "fsync" else real(*args, **more)  # the machine stays up: nothing needs to be forced
            follow(done, *args, **more)
            return done

        return call

    def _renamer(self, real: Callable[[files.Reached, files.Reached], None]) -> Callable[[files.Reached, files.Reached], None]:
        def rename(old: files.Reached, new: files.Reached) -> None:
            source, target = _whole(*old), _whole(*new)
            real(old, new)
            self._move(source, target)

        return rename

    def place(self, path: Any) -> tuple[int, str] | None:
        """The folder and the name in it; None for what does not lie in here."""
        try:
            parts = Path(os.fsdecode(path)).relative_to(self.root).parts
        except ValueError:
            return None
        folder = ROOT
        for part in parts[:-1]:
            folder = self.names[folder][part]
        return (folder, parts[-1]) if parts else None

    def _move(self, source: Any, target: Any) -> None:
        old, new = self.place(source), self.place(target)
        if old is None or new is None:
            return
        number = self.names[old[0]].pop(old[1])
        self.names[new[0]][new[1]] = number
        self.log.append(Named(number, new, old))

    def _mkdir(self, done: Any, path: Any, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        if (where := self.place(_whole(path, dir_fd))) is not None:
            self._add(where, None)

    def _add(self, where: tuple[int, str], content: bytes | None) -> int:
        number = self._new(content)
        self.names[where[0]][where[1]] = number
        self.log.append(Named(number, where))
        return number

    def _rmdir(self, done: Any, path: Any, *, dir_fd: int | None = None) -> None:
        if (where := self.place(_whole(path, dir_fd))) is not None:
            self.log.append(Named(self.names[where[0]].pop(where[1]), None, where))

    _unlink = _rmdir

    def _replace(self, done: Any, source: Any, target: Any, **_: Any) -> None:
        self._move(source, target)

    def _open(self, done: int, path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        self.opened.pop(done, None)
        if dir_fd is not None:
            return  # only reading is done so
        if Path(os.fsdecode(path)) == self.root:
            self.opened[done] = ROOT
            return
        where = self.place(path)
        if where is None:
            return
        if flags & os.O_CREAT and where[1] not in self.names[where[0]]:
            self.opened[done] = self._add(where, b"")
        else:
            self.opened[done] = self.names[where[0]][where[1]]

    def _write(self, done: int, fd: int, data: Any) -> None:
        """Ours are written from their beginning or grown at their end."""
        if (number := self.opened.get(fd)) is not None:
            self._now_holds(number, (self.nodes[number] or b"") + bytes(data)[:done])

    def _ftruncate(self, done: Any, fd: int, size: int) -> None:
        if (number := self.opened.get(fd)) is not None:
            self._now_holds(number, (self.nodes[number] or b"")[:size])

    def _now_holds(self, number: int, content: bytes) -> None:
        self.nodes[number] = content
        self.log.append(Written(number, content))

    def _fsync(self, done: Any, fd: int) -> None:
        if (number := self.opened.get(fd)) is not None:
            content = self.nodes[number]
            self.log.append(Synced(number, content is None, site_of(self.path_of(number))))
            if content is not None:
                self._safe[number] = content

    def path_of(self, number: int) -> str:
        for folder, entries in self.names.items():
            for name, below in entries.items():
                if below == number:
                    above = self.path_of(folder) if folder != ROOT else ""
                    return f"{above}/{name}" if above else name
        return ""


def _whole(name: Any, folder: int | None) -> Path:
    """The path of what is named from an open folder, or by itself."""
    path = Path(os.fsdecode(name))
    return path if folder is None else Path(os.readlink(f"/proc/self/fd/{folder}")) / path


def _as_the_importer_writes(path: Path, data: bytes) -> None:
    """The scripted importer's record of a session; the real one replaces the file, and the daemon sees nothing of it."""
    with mock.patch.object(observe, "observer", None):
        files.replace(path, data, 0o600)


_CALLS = ("open", "mkdir", "rmdir", "unlink", "replace", "write", "ftruncate", "fsync")


# --- ways to lose ------------------------------------------------------------------------


def nothing_kept() -> Choice:
    """All that was not synced is gone."""
    return Choice(lambda _: False, lambda old, new: old)


def only_lost(places: frozenset[int]) -> Choice:
    """These changes of names are gone, and what was not synced of contents; all else is kept."""
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


# --- the same and not the same -------------------------------------------------------------

_ID = re.compile(rb"\d{8}-\d{6}-[a-z2-7]{10}")
_TIMES = re.compile(
    rb'"c":"[0-9a-f]{8}"|"mac": ?"[0-9a-f]+"|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[.\d]*(?:Z|\+00:00)?|\d{4}-\d\d-\d\d \d\d:\d\d(?::\d\d)?'
)


def likeness(tree: Tree, more: str = "") -> bytes:
    """Two trees with the same likeness differ in times, check sums and the chance in ids only (and heartbeats, which say nothing here)."""
    rows = []
    for path, content in tree.items():
        if ".heartbeat" not in path:
            text = _TIMES.sub(b"T", content[0]) if content is not None else b"/"
            rows.append((_ID.sub(b"ID", path.encode()), path.encode() + b"\0" + text))
    whole = b"\1".join(row for _, row in sorted(rows)) + more.encode()
    known: dict[bytes, bytes] = {}
    return _ID.sub(lambda match: known.setdefault(match[0], b"ID%d" % len(known)), whole)


def make_real(root: Path, tree: Tree) -> None:
    """Make `root`, which is empty, hold this tree."""
    for path, content in tree.items():
        target = root / path
        if content is None:
            target.mkdir()
        else:
            target.write_bytes(content[0])
            if content[1]:
                os.utime(target, ns=(content[1], content[1]))
