"""Closing a claimed tree to users, and giving the old owner and modes back when it is filed.

Windows keeps access lists, which a rename carries along; there both do nothing.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from dropbox_import.disk.files import sync_dir, sync_open, sync_volume
from dropbox_import.disk.observe import effect


@dataclass(frozen=True, slots=True)
class OldMode:
    """One file or folder of the tree before it was sealed. `path` is relative and '/'-separated; the tree itself is "."."""

    path: str
    mode: int
    uid: int
    gid: int


if sys.platform == "win32":

    def look(tree: Path) -> tuple[OldMode, ...]:  # noqa: ARG001
        """Owner and mode of every regular file and folder, the tree itself first. Empty on Windows."""
        return ()

    def close(tree: Path) -> tuple[OldMode, ...]:  # noqa: ARG001
        """Close the folder itself to users (nothing on Windows)."""
        return ()

    def seal(tree: Path) -> None:
        """Close the tree to users (nothing on Windows)."""

    def restore(tree: Path, old: tuple[OldMode, ...]) -> None:
        """Give back what `look` saw (nothing on Windows)."""

else:
    _Found = TypeVar("_Found")
    _SYNCED_ONE_BY_ONE = 100  # files and folders; of more the volume is synced, so that a drop of ten thousand costs one sync
    _FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

    def look(tree: Path) -> tuple[OldMode, ...]:
        """Owner and mode of every regular file and folder, the tree itself first. Links and devices are left out."""
        found: list[OldMode] = []

        def enter(folder: int, path: str) -> None:
            found.append(_old(path, os.fstat(folder)))
            for name, seen in _entries(folder):
                below = name if path == "." else f"{path}/{name}"
                if stat.S_ISDIR(seen.st_mode):
                    _inside(folder, name, partial(enter, path=below))
                else:
                    found.append(_old(below, seen))

        _inside(None, os.fspath(tree), partial(enter, path="."))
        return tuple(found)

    def close(tree: Path) -> tuple[OldMode, ...]:
        """As `seal`, but only the folder itself, so that nobody adds to it or takes from it; returns what it was, for `restore`.

        Not synced: no process that stands in it outlives a power cut, and who goes on after one closes it anew.
        """

        def one(folder: int) -> tuple[OldMode, ...]:
            seen = os.fstat(folder)
            _close(folder, None, seen, 0o700)
            return (_old(".", seen),)

        with effect("seal", tree):
            return _inside(None, os.fspath(tree), one)

    def seal(tree: Path) -> None:
        """Folders 0700, files readable by us alone, owned by us where we may; then synced. Safe to repeat.

        From the top down on open folders: once one is closed, nobody can swap what lies in it. What the account may not
        change stays as it is; the closed folder above the claim still keeps users out.
        """
        with effect("seal", tree):
            _inside(None, os.fspath(tree), _seal_folder)
        sync_dir(tree)

    def restore(tree: Path, old: tuple[OldMode, ...]) -> None:
        """Give each file and folder that is still there the mode and owner of `old`; others stay. Then synced. Safe to repeat.

        From the bottom up: a folder opens to users only when nothing in it is left to do.
        """
        known = {item.path: item for item in old}

        def enter(folder: int, path: str) -> None:
            for name, seen in _entries(folder):
                below = name if path == "." else f"{path}/{name}"
                if stat.S_ISDIR(seen.st_mode):
                    _inside(folder, name, partial(enter, path=below))
                elif below in known:
                    _set(folder, name, seen, known[below])
            if path in known:
                _set(folder, None, os.fstat(folder), known[path])

        with effect("restore", tree):
            _inside(None, os.fspath(tree), partial(enter, path="."))
        # A mode lasts for sure when its own file was synced, and nobody looks into a filed folder again. Only after the last change:
        # a journaling file system writes all of them down with the first sync. Of a large drop the whole volume is synced once.
        with effect("sync", tree):
            many = len(known) > _SYNCED_ONE_BY_ONE and _inside(None, os.fspath(tree), sync_volume)
            if not many:
                _inside(None, os.fspath(tree), partial(_sync_known, path=".", known=frozenset(known)))
        sync_dir(tree)

    def _sync_known(folder: int, path: str, known: frozenset[str]) -> None:
        for name, seen in _entries(folder):
            below = name if path == "." else f"{path}/{name}"
            with contextlib.suppress(PermissionError):  # what its user has closed to us
                if stat.S_ISDIR(seen.st_mode):
                    _inside(folder, name, partial(_sync_known, path=below, known=known))
                elif below in known:
                    _inside(folder, name, sync_open, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        if path in known:
            sync_open(folder)

    def _inside(above: int | None, name: str, visit: Callable[[int], _Found], flags: int = _FOLDER) -> _Found:
        opened = os.open(name, flags, dir_fd=above)
        try:
            return visit(opened)
        finally:
            os.close(opened)

    def _entries(folder: int) -> list[tuple[str, os.stat_result]]:
        """Names and fresh stats of the files and folders in it, sorted; links, pipes and devices are left out."""
        seen = ((name, os.stat(name, dir_fd=folder, follow_symlinks=False)) for name in sorted(os.listdir(folder)))
        return [(name, what) for name, what in seen if stat.S_ISDIR(what.st_mode) or stat.S_ISREG(what.st_mode)]

    def _old(path: str, seen: os.stat_result) -> OldMode:
        return OldMode(path, stat.S_IMODE(seen.st_mode), seen.st_uid, seen.st_gid)

    def _seal_folder(folder: int) -> None:
        _close(folder, None, os.fstat(folder), 0o700)
        for name, seen in _entries(folder):
            if stat.S_ISDIR(seen.st_mode):
                _inside(folder, name, _seal_folder)
            else:
                _close(folder, name, seen, 0o600 | (stat.S_IMODE(seen.st_mode) & 0o100))

    def _close(folder: int, name: str | None, seen: os.stat_result, mode: int) -> None:
        with contextlib.suppress(PermissionError):
            if seen.st_uid != os.geteuid():
                _chown(folder, name, os.geteuid(), os.getegid())
            if stat.S_IMODE(seen.st_mode) != mode:
                _chmod(folder, name, mode)

    def _set(folder: int, name: str | None, seen: os.stat_result, wanted: OldMode) -> None:
        # The mode first: without special rights it can no longer be set on what is not ours any more.
        if stat.S_IMODE(seen.st_mode) != wanted.mode:
            _chmod(folder, name, wanted.mode)
        if (seen.st_uid, seen.st_gid) != (wanted.uid, wanted.gid):
            _chown(folder, name, wanted.uid, wanted.gid)

    def _chmod(folder: int, name: str | None, mode: int) -> None:
        if name is None:
            os.fchmod(folder, mode)
        else:
            os.chmod(name, mode, dir_fd=folder)

    def _chown(folder: int, name: str | None, uid: int, gid: int) -> None:
        if name is None:
            os.fchown(folder, uid, gid)
        else:
            os.chown(name, uid, gid, dir_fd=folder, follow_symlinks=False)
