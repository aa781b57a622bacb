"""One look at everything below a user's drop folder, and what of it is as it was at the look before."""

from __future__ import annotations

import os
import re
import stat
import sys
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from functools import cached_property
from itertools import compress
from pathlib import Path
from typing import NamedTuple

from dropbox_import.disk.names import nfc, same_key
from dropbox_import.disk.paths import without_limit
from dropbox_import.intake.globs import fitting, last_part, literal_start
from dropbox_import.intake.ignored import UNUSUAL, folder_is_never_taken, is_never_taken, is_transfer
from dropbox_import.intake.tracker import NEVER, Moment
from dropbox_import.model import FileFacts

MAX_DEPTH = 32
_PATTERNS_KEPT = 50  # of one folder
_TEXTS = re.compile(r"\.(?:yaml|yml|json|txt)/")
_REPARSE_POINTS = sys.platform == "win32"
_REPARSE_POINT = 0x400
_KIND_OF_FILE, _REGULAR = 0o170000, 0o100000


class Kind(Enum):
    FILE = "file"
    FOLDER = "folder"
    LINK = "a link"
    OTHER = "a pipe, socket or device"
    TOO_DEEP = "a folder too deep"  # not looked into


class Entry(NamedTuple):
    """One name as a fresh stat saw it; `path` is below the user's folder and '/'-separated.

    `since`: the look that saw it first as it is now; `first`: the look that saw its name first. On shares, where change time
    and identity may move by themselves, `ctime_ns` and `inode` are 0. An entry that has not changed is the same object at the
    next look.
    """

    path: str
    kind: Kind = Kind.FILE
    size: int = 0
    mtime_ns: int = 0
    ctime_ns: int = 0
    inode: int = 0
    device: int = 0
    uid: int = 0
    links: int = 1
    since: Moment = NEVER
    first: Moment = NEVER

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def folder(self) -> str:
        return self.path.rpartition("/")[0]

    @property
    def print(self) -> tuple[object, ...]:
        """What changes when the file does."""
        return self[2:6]

    def facts(self, folder: str) -> FileFacts:
        """As the claim knows it: the path counted from `folder`."""
        return FileFacts(below(folder, self.path), self.size, self.mtime_ns, f"{self.device}:{self.inode}" if self.inode else "")


class Folder:
    """The entries of one folder by name. An unchanged one is the same object at the next look, with what was worked out of it."""

    def __init__(self, path: str, entries: dict[str, Entry]) -> None:
        self.path, self.entries = path, entries
        self._matching: dict[tuple[str, str], tuple[Entry, ...]] = {}

    @cached_property
    def _text(self) -> str:
        """All names in one text, "/a.tif/b.tif/": what few of a thousand have is found by one search in it, not by a thousand questions."""
        return f"/{'/'.join(self.entries)}/"

    def _with(self, *marks: re.Pattern[str]) -> tuple[Entry, ...]:
        """Those in whose name one of the marks is found, sorted; all, where there are letters beyond ASCII, which have cases of their own.

        A mark is sought in the names in lower case; it begins with the "/" before a name, or with a letter of it.
        """
        if not self._ascii:
            return self.sorted
        text = self._lower_text
        places = [hit.start() + 1 for mark in marks for hit in mark.finditer(text)]
        names = {self._text[text.rindex("/", 0, at) + 1 : text.index("/", at)] for at in places}
        return tuple(map(self.entries.__getitem__, sorted(names)))

    @cached_property
    def _unusual(self) -> tuple[Entry, ...]:
        """All that is never taken because of its own name is among these."""
        return self._with(*UNUSUAL)

    @cached_property
    def sorted(self) -> tuple[Entry, ...]:
        return tuple(map(self.entries.__getitem__, sorted(self.entries)))

    @cached_property
    def odd(self) -> tuple[Entry, ...]:
        """What is neither a file nor a folder that was looked into."""
        return tuple(entry for entry in self._no_files if entry.kind is not Kind.FOLDER)

    @cached_property
    def texts(self) -> tuple[Entry, ...]:
        """All that has the ending of a sidecar, or one that an editor may have given it, is among these."""
        return self._with(_TEXTS)

    @cached_property
    def inner(self) -> tuple[Entry, ...]:
        return tuple(entry for entry in self._no_files if entry.kind is Kind.FOLDER)

    @cached_property
    def _no_files(self) -> list[Entry]:
        file = Kind.FILE
        return sorted(entry for entry in self.entries.values() if entry.kind is not file)

    @cached_property
    def transfers(self) -> tuple[Entry, ...]:
        """Unfinished copies and downloads."""
        return tuple(entry for entry in self._unusual if is_transfer(entry.name))

    @cached_property
    def takable(self) -> tuple[Entry, ...]:
        """What may be a member by its name; of folders only those that are taken as one thing. Sorted by composed name."""
        if folder_is_never_taken(self.path):
            return ()
        return tuple(map(self.entries.__getitem__, self._takable_names))

    @cached_property
    def _takable_names(self) -> list[str]:
        never = {entry.name for entry in self._unusual if is_never_taken(entry.path)}
        never.update(entry.name for entry in self.inner if not entry.name.lower().endswith(".zarr"))
        return sorted(self.entries.keys() - never if never else self.entries, key=None if self._ascii else nfc)

    @cached_property
    def _composed(self) -> list[str]:
        return self._takable_names if self._ascii else list(map(nfc, self._takable_names))

    @cached_property
    def files(self) -> dict[str, Entry]:
        """By path, what is a member where the folder is one from top to bottom."""
        folder = Kind.FOLDER
        return {entry.path: entry for entry in self.takable if entry.kind is not folder}

    @cached_property
    def others(self) -> tuple[Entry, ...]:
        """What is not in `files`."""
        return tuple(entry for entry in self.sorted if entry.path not in self.files) if len(self.files) < len(self.entries) else ()

    def matching(self, pattern: str, seen_from: str) -> tuple[Entry, ...]:
        """What of `takable` the pattern matches, paths counted from the folder `seen_from`."""
        known = self._matching.get((pattern, seen_from))
        if known is None:
            known = self._fitting(last_part(pattern, below(seen_from, self.path)))
            if len(self._matching) < _PATTERNS_KEPT:
                self._matching[pattern, seen_from] = known
        return known

    def _fitting(self, part: str | None) -> tuple[Entry, ...]:
        if part is None:
            return ()
        # Thousands of sidecars may each have a pattern for a few of thousands of files: those that begin so stand together.
        names, start = self._composed, literal_start(part)
        first = bisect_left(names, start)
        end = bisect_right(names, start, first, key=lambda name: name[: len(start)])
        return tuple(compress(self.takable[first:end], fitting(part, names[first:end])))

    @cached_property
    def _ascii(self) -> bool:
        return self._text.isascii()

    def named(self, name: str) -> Iterable[Entry]:
        """What has this composed name, however its letters are composed here."""
        if self._ascii:
            return (self.entries[name],) if name in self.entries else ()
        return self._by_nfc.get(name, ())

    def named_like(self, key: str) -> Iterable[Entry]:
        """What has this name by `same_key`, where upper and lower case are one."""
        return self._by_key.get(key, ()) if not self._ascii or key in self._lower else ()

    @cached_property
    def _lower(self) -> frozenset[str]:
        return frozenset(self._lower_text.split("/"))

    @cached_property
    def _lower_text(self) -> str:
        return self._text.lower()

    @cached_property
    def _by_nfc(self) -> dict[str, list[Entry]]:
        return _grouped(self.entries, nfc)

    @cached_property
    def _by_key(self) -> dict[str, list[Entry]]:
        return _grouped(self.entries, same_key)

    @cached_property
    def by_stem(self) -> dict[str, list[Entry]]:
        """By each stem under which a sidecar may mean it."""
        found: dict[str, list[Entry]] = {}
        for name in sorted(self.entries):
            for stem in stems(nfc(name)):
                found.setdefault(stem, []).append(self.entries[name])
        return found


def _grouped(entries: dict[str, Entry], key: Callable[[str], str]) -> dict[str, list[Entry]]:
    found: dict[str, list[Entry]] = {}
    for name in sorted(entries):
        found.setdefault(key(name), []).append(entries[name])
    return found


def stems(name: str) -> Iterator[str]:
    """The name and each part of it before a dot. run7.5.tif is a file of "run7.5", not a companion of "run7"."""
    yield name
    if "." not in name:
        return
    parts = name.split(".")
    for count in range(1, len(parts)):
        if parts[0] and not (parts[count].isdigit() and count < len(parts) - 1):
            yield ".".join(parts[:count])


class Listing:
    """All of a tree by folder ("" = the topmost); and what could not be looked at, as the system's error."""

    def __init__(self, folders: dict[str, Folder], troubles: dict[str, OSError] | None = None) -> None:
        self.folders, self.troubles = folders, troubles or {}

    def get(self, path: str) -> Entry | None:
        """The entry of exactly that path."""
        folder, _, name = path.rpartition("/")
        found = self.folders.get(folder)
        return None if found is None else found.entries.get(name)

    def children(self, folder: str) -> Iterable[Entry]:
        """What lies directly in `folder`, sorted by name."""
        found = self.folders.get(folder)
        return found.sorted if found is not None else ()

    def below(self, folder: str) -> Iterator[Entry]:
        """Every entry below `folder` ("" = all), folders before what is in them."""
        for entry in self.children(folder):
            yield entry
            if entry.kind is Kind.FOLDER:
                yield from self.below(entry.path)

    def folders_below(self, folder: str) -> Iterator[Folder]:
        """`folder` itself and every one below it that was looked into."""
        here = self.folders.get(folder)
        if here is not None:
            yield here
            for entry in here.inner:
                yield from self.folders_below(entry.path)

    def is_like(self, other: Listing | None) -> bool:
        """Whether nothing has changed since the other look, and all could be looked at both times."""
        if other is None or self.troubles or other.troubles or len(self.folders) != len(other.folders):
            return False
        return all(other.folders.get(path) is folder for path, folder in self.folders.items())


def below(folder: str, path: str) -> str:
    """`path` counted from `folder`, which lies above it."""
    return path[len(folder) + 1 :] if folder else path


def join(folder: str, path: str) -> str:
    return f"{folder}/{path}" if folder else path


def look(base: Path, *, stable_ids: bool, moment: Moment = NEVER, last: Listing | None = None, max_depth: int = MAX_DEPTH) -> Listing:
    """The tree below `base`. What is as it was in `last` is taken over from there, so that a look costs little more than its stats.

    Only `base` itself may raise OSError; a folder below that cannot be read is a trouble of the listing.
    """
    walk = _Walk(stable_ids, moment, last.folders if last is not None else {}, max_depth)
    walk.enter(without_limit(base), "", 1)
    return Listing(walk.folders, walk.troubles)


class _Walk:
    def __init__(self, stable_ids: bool, moment: Moment, last: dict[str, Folder], max_depth: int) -> None:
        self.stable_ids, self.moment, self.last, self.max_depth = stable_ids, moment, last, max_depth
        self.folders: dict[str, Folder] = {}
        self.troubles: dict[str, OSError] = {}

    def enter(self, place: str, path: str, depth: int) -> None:
        """The time of this loop is the time of a scan: it does no more for a file that has not changed than to compare."""
        before = self.last.get(path)
        known = before.entries if before is not None else {}
        entries: dict[str, Entry] = {}
        kept, folders = 0, []
        stable, moment, lstat, file, new = self.stable_ids, self.moment, os.lstat, Kind.FILE, tuple.__new__
        with os.scandir(place) as found:
            for item in found:
                name = item.name
                try:
                    # A fresh stat: what a Windows listing says of a file that is being written is old.
                    seen = lstat(item.path)
                except FileNotFoundError:
                    continue
                except OSError as error:
                    self.troubles[join(path, name)] = error
                    continue
                old = known.get(name)
                if seen.st_mode & _KIND_OF_FILE != _REGULAR or (_REPARSE_POINTS and _kind(seen) is not Kind.FILE):
                    entry = self._other(join(path, name), seen, old, depth)
                    if entry.kind is Kind.FOLDER and not is_never_taken(entry.path):
                        folders.append((name, item.path, entry.path))
                    kept += entry is old
                    entries[name] = entry
                    continue
                size, mtime = seen.st_size, seen.st_mtime_ns
                ctime, inode = (seen.st_ctime_ns, seen.st_ino) if stable else (0, 0)
                device, uid, links = seen.st_dev, seen.st_uid, seen.st_nlink
                if old is None:
                    full = f"{path}/{name}" if path else name
                    # Thousands of files may be new at once, and Entry(...) would take half as long again.
                    entries[name] = new(Entry, (full, file, size, mtime, ctime, inode, device, uid, links, moment, moment))
                    continue
                _, kind, old_size, old_mtime, old_ctime, old_inode, old_device, old_uid, old_links, since, first = old
                if old_mtime != mtime or old_size != size or old_ctime != ctime or old_inode != inode:
                    since = moment
                elif old_uid == uid and old_links == links and old_device == device and kind is file:
                    entries[name] = old
                    kept += 1
                    continue
                entries[name] = Entry(old.path, file, size, mtime, ctime, inode, device, uid, links, since, first)
        same = before is not None and kept == len(entries) == len(known)
        self.folders[path] = before if same and before is not None else Folder(path, entries)
        for _, inner, below in sorted(folders):
            try:
                self.enter(inner, below, depth + 1)
            except OSError as error:
                self.troubles[below] = error

    def _other(self, path: str, seen: os.stat_result, old: Entry | None, depth: int) -> Entry:
        """A folder, a link and the like. What changes in a folder shows in its entries."""
        if _kind(seen) is Kind.FOLDER:
            deep = depth >= self.max_depth and not is_never_taken(path)
            entry = Entry(path, Kind.TOO_DEEP if deep else Kind.FOLDER, device=seen.st_dev, uid=seen.st_uid)
        else:
            entry = entry_of(path, seen, stable_ids=self.stable_ids)
        return old if old is not None and old[:-2] == entry[:-2] else entry._replace(since=self.moment, first=self.moment)


def entry_of(path: str, seen: os.stat_result, *, stable_ids: bool) -> Entry:
    """The entry out of a stat that did not follow links."""
    change, inode = (seen.st_ctime_ns, seen.st_ino) if stable_ids else (0, 0)
    return Entry(path, _kind(seen), seen.st_size, seen.st_mtime_ns, change, inode, seen.st_dev, seen.st_uid, seen.st_nlink)


def _kind(seen: os.stat_result) -> Kind:
    if sys.platform == "win32" and seen.st_file_attributes & _REPARSE_POINT:
        return Kind.LINK
    mode = seen.st_mode
    if stat.S_ISREG(mode):
        return Kind.FILE
    if stat.S_ISLNK(mode):
        return Kind.LINK
    return Kind.FOLDER if stat.S_ISDIR(mode) else Kind.OTHER
