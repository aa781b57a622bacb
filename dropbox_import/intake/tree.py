"""One look at everything below a user's drop folder."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from dropbox_import.disk.facts import facts_of
from dropbox_import.disk.paths import for_system
from dropbox_import.intake.ignored import is_never_taken
from dropbox_import.model import FileFacts

MAX_DEPTH = 32
_REPARSE_POINT = 0x400


class Kind(Enum):
    FILE = "file"
    FOLDER = "folder"
    LINK = "a link"
    OTHER = "a pipe, socket or device"
    TOO_DEEP = "a folder too deep"  # not looked into


@dataclass(frozen=True, slots=True)
class Entry:
    """One name as a fresh stat saw it; `path` is below the user's folder and '/'-separated."""

    path: str
    kind: Kind = Kind.FILE
    size: int = 0
    mtime_ns: int = 0
    ctime_ns: int = 0
    file_id: str = ""
    device: int = 0
    uid: int = 0
    links: int = 1

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def folder(self) -> str:
        return self.path.rpartition("/")[0]

    def facts(self, folder: str) -> FileFacts:
        """As the claim knows it: the path counted from `folder`."""
        return FileFacts(below(folder, self.path), self.size, self.mtime_ns, self.file_id)

    def print(self, *, stable_ids: bool) -> tuple[object, ...]:
        """What changes when the file does. On shares change time and identity may move by themselves."""
        return (self.size, self.mtime_ns, self.ctime_ns, self.file_id) if stable_ids else (self.size, self.mtime_ns)


@dataclass(frozen=True, slots=True)
class Listing:
    """All of a tree, sorted by path, with its folders' contents; and what could not be looked at, in words."""

    entries: dict[str, Entry]
    children: dict[str, tuple[str, ...]] = field(default_factory=dict)
    troubles: dict[str, OSError] = field(default_factory=dict)

    def below(self, folder: str) -> Iterable[Entry]:
        """Every entry below `folder` ("" = all), folders before what is in them."""
        for path in self.children.get(folder, ()):
            entry = self.entries[path]
            yield entry
            if entry.kind is Kind.FOLDER:
                yield from self.below(path)


def below(folder: str, path: str) -> str:
    """`path` counted from `folder`, which lies above it."""
    return path[len(folder) + 1 :] if folder else path


def listing_of(entries: Iterable[Entry], troubles: dict[str, OSError] | None = None) -> Listing:
    """The listing with these entries."""
    found = {entry.path: entry for entry in sorted(entries, key=lambda entry: entry.path.split("/"))}
    children: dict[str, list[str]] = {}
    for entry in found.values():
        children.setdefault(entry.folder, []).append(entry.path)
    return Listing(found, {folder: tuple(paths) for folder, paths in children.items()}, troubles or {})


def look(base: Path, *, stable_ids: bool, max_depth: int = MAX_DEPTH) -> Listing:
    """The tree below `base`. Only `base` itself may raise OSError; a folder below that cannot be read is a trouble of the listing."""
    entries: list[Entry] = []
    troubles: dict[str, OSError] = {}

    def enter(folder: Path, path: str, depth: int) -> None:
        with os.scandir(for_system(folder)) as found:
            names = [item.name for item in found]
        for name in names:
            below = f"{path}/{name}" if path else name
            try:
                # A fresh stat: what a Windows listing says of a file that is being written is old.
                entry = entry_of(below, os.lstat(for_system(folder / name)), stable_ids=stable_ids)
            except FileNotFoundError:
                continue
            except OSError as error:
                troubles[below] = error
                continue
            if entry.kind is not Kind.FOLDER or is_never_taken(below):
                entries.append(entry)
            elif depth >= max_depth:
                entries.append(Entry(below, Kind.TOO_DEEP))
            else:
                entries.append(entry)
                try:
                    enter(folder / name, below, depth + 1)
                except OSError as error:
                    troubles[below] = error

    enter(base, "", 1)
    return listing_of(entries, troubles)


def entry_of(path: str, seen: os.stat_result, *, stable_ids: bool) -> Entry:
    """The entry out of a stat that did not follow links."""
    facts = facts_of(path, seen, stable_ids=stable_ids)
    return Entry(
        path,
        _kind(seen),
        facts.size,
        facts.mtime_ns,
        seen.st_ctime_ns,
        facts.file_id,
        seen.st_dev,
        seen.st_uid,
        seen.st_nlink,
    )


def _kind(seen: os.stat_result) -> Kind:
    if stat.S_ISLNK(seen.st_mode) or getattr(seen, "st_file_attributes", 0) & _REPARSE_POINT:
        return Kind.LINK
    if stat.S_ISDIR(seen.st_mode):
        return Kind.FOLDER
    return Kind.FILE if stat.S_ISREG(seen.st_mode) else Kind.OTHER
