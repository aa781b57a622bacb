"""Follows the calls by which the code under test changes the disk, which really happen, and writes them into the log of a `ModelDisk`."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

from dropbox_import.disk import files, observe
from dropbox_import.importer import records
from dropbox_import.importer.records import SessionRecord
from tests.support.modeldisk import ROOT, Changed, Failed, ModelDisk, Named, Synced, Written
from tests.support.sites import site_of
from tests.support.trees import mode_of

_CALLS = ("open", "mkdir", "rmdir", "unlink", "replace", "write", "ftruncate", "fsync", "chmod", "chown", "fchmod", "fchown")


@contextmanager
def watched(disk: ModelDisk, breaks: str = "") -> Iterator[None]:
    """Until the end of the block. `breaks`: the first sync of that name (tests/support/sites.py) is refused with EIO."""
    watch = _Watch(disk, breaks)
    with ExitStack() as stack:
        for name in _CALLS:
            stack.enter_context(mock.patch.object(os, name, watch.around(name, getattr(os, name))))
        stack.enter_context(mock.patch.object(files, "_rename", watch.renamer(files._rename)))
        stack.enter_context(mock.patch.object(Path, "write_bytes", _as_the_importer_writes))
        yield
    assert not watch.breaks, f"there was no sync of {watch.breaks}"


class _Watch:
    def __init__(self, disk: ModelDisk, breaks: str) -> None:
        self.disk = disk
        self.breaks = breaks
        self.opened: dict[int, int] = {}

    def around(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        follow = getattr(self, f"_{name}")

        def call(*args: Any, **more: Any) -> Any:
            done = None if name == "fsync" else real(*args, **more)  # the machine stays up: nothing needs to be forced
            follow(done, *args, **more)
            return done

        return call

    def renamer(self, real: Callable[[files.Reached, files.Reached], None]) -> Callable[[files.Reached, files.Reached], None]:
        def rename(old: files.Reached, new: files.Reached) -> None:
            source, target = _whole(*old), _whole(*new)
            real(old, new)
            self._replace(None, source, target)

        return rename

    # --- where it is ----------------------------------------------------------------------

    def _place(self, path: Any) -> tuple[int, str] | None:
        """The folder and the name in it; None for what does not lie in here."""
        try:
            parts = Path(os.fsdecode(path)).relative_to(self.disk.root).parts
        except ValueError:
            return None
        folder = ROOT
        for part in parts[:-1]:
            folder = self.disk.names[folder][part]
        return (folder, parts[-1]) if parts else None

    def _node(self, path: Any, dir_fd: int | None) -> int | None:
        if isinstance(path, int):
            return self.opened.get(path)
        where = self._place(path) if dir_fd is None else (self.opened[dir_fd], path) if dir_fd in self.opened else None
        return None if where is None else self.disk.names[where[0]].get(where[1])

    # --- names ----------------------------------------------------------------------------

    def _mkdir(self, done: Any, path: Any, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        if (where := self._place(_whole(path, dir_fd))) is not None:
            self._add(where, None, os.stat(path, dir_fd=dir_fd))

    def _add(self, where: tuple[int, str], content: bytes | None, seen: os.stat_result) -> int:
        number = self.disk.new(content)
        self.disk.names[where[0]][where[1]] = number
        self.disk.modes[number] = self.disk.born[number] = mode_of(seen)
        self.disk.log.append(Named(number, where))
        return number

    def _rmdir(self, done: Any, path: Any, *, dir_fd: int | None = None) -> None:
        if (where := self._place(_whole(path, dir_fd))) is not None:
            self.disk.log.append(Named(self.disk.names[where[0]].pop(where[1]), None, where))

    _unlink = _rmdir

    def _replace(self, done: Any, source: Any, target: Any, **_: Any) -> None:
        old, new = self._place(source), self._place(target)
        if old is None or new is None:
            return
        number = self.disk.names[old[0]].pop(old[1])
        self.disk.names[new[0]][new[1]] = number
        self.disk.log.append(Named(number, new, old))

    # --- contents -------------------------------------------------------------------------

    def _open(self, done: int, path: Any, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        self.opened.pop(done, None)
        if dir_fd is None and Path(os.fsdecode(path)) == self.disk.root:
            self.opened[done] = ROOT
            return
        number = self._node(path, dir_fd)
        if number is None and dir_fd is None and (where := self._place(path)) is not None:
            assert flags & os.O_CREAT
            number = self._add(where, b"", os.fstat(done))
        if number is not None:
            self.opened[done] = number

    def _write(self, done: int, fd: int, data: Any) -> None:
        """Ours are written from their beginning or grown at their end."""
        if (number := self.opened.get(fd)) is not None:
            self._now_holds(number, (self.disk.nodes[number] or b"") + bytes(data)[:done])

    def _ftruncate(self, done: Any, fd: int, size: int) -> None:
        if (number := self.opened.get(fd)) is not None:
            self._now_holds(number, (self.disk.nodes[number] or b"")[:size])

    def _now_holds(self, number: int, content: bytes) -> None:
        self.disk.nodes[number] = content
        self.disk.log.append(Written(number, content))

    def _fsync(self, done: Any, fd: int) -> None:
        if (number := self.opened.get(fd)) is None:
            return
        content = self.disk.nodes[number]
        site = site_of(self.disk.path_of(number))
        if self.breaks in site.names:
            self.breaks = ""
            self.disk.spoilt.add(number)
            self.disk.log.append(Failed(number))
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        self.disk.log.append(Synced(number, content is None, site))
        if content is not None and number not in self.disk.spoilt:
            self.disk.safe[number] = content

    # --- modes and owners -----------------------------------------------------------------

    def _chmod(self, done: Any, path: Any, *_: Any, dir_fd: int | None = None, **__: Any) -> None:
        if (number := self._node(path, dir_fd)) is not None:
            seen = os.fstat(path) if isinstance(path, int) else os.stat(path, dir_fd=dir_fd, follow_symlinks=False)
            if mode_of(seen) != self.disk.modes[number]:
                self.disk.modes[number] = mode_of(seen)
                self.disk.log.append(Changed(number, mode_of(seen)))

    _chown = _fchmod = _fchown = _chmod


def _whole(name: Any, folder: int | None) -> Path:
    """The path of what is named from an open folder, or by itself."""
    path = Path(os.fsdecode(name))
    return path if folder is None else Path(os.readlink(f"/proc/self/fd/{folder}")) / path


def _as_the_importer_writes(path: Path, data: bytes) -> None:
    """The scripted importer's record of a session, written as the real one writes it; the daemon sees nothing of that."""
    said = json.loads(data)
    with mock.patch.object(observe, "observer", None):
        records.write(path.parent, SessionRecord(int(path.stem), "secret", said["owner"], 2, said["group"], 3))
