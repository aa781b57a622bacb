"""Making, renaming, writing and syncing files and folders of ours, each effect seen by the observer."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import os
import stat
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self, cast

from dropbox_import.disk.facts import folder_below, is_folder_below, open_below, open_plain
from dropbox_import.disk.observe import effect
from dropbox_import.disk.paths import for_system

Reached = tuple[str, int | None]  # a name, and the open folder that it is counted from; None: it is a path by itself

_BLOCK = 1 << 20
# Text mode on Windows would change bytes; a link in the place of a file of ours is never followed.
_SAFE = getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOINHERIT", 0)


# --- folders -------------------------------------------------------------------------


def make_dir(path: Path, mode: int = 0o755, *, base: Path | None = None) -> None:
    """Make one folder with exactly `mode` (whatever the umask) and sync its parent. FileExistsError if the name is taken.

    `base`: a folder above in which users can write. Then a link at any level between is NotAPlainFile, even one that is put
    there while we look.
    """
    with effect("make_dir", path), _reached(path, base) as (name, folder):
        os.mkdir(name, mode, dir_fd=folder)
        if sys.platform != "win32":
            if folder is None:
                os.chmod(name, mode)
            else:  # by an open folder: chmod would follow a link that took the new one's place
                made = os.open(name, os.O_RDONLY | os.O_DIRECTORY | _SAFE, dir_fd=folder)
                try:
                    os.fchmod(made, mode)
                finally:
                    os.close(made)
    sync_dir(path.parent)


def make_dirs(path: Path, mode: int = 0o755, *, base: Path | None = None) -> None:
    """Make `path` and each missing level above it, each as `make_dir` does. One that is there stays as it is.

    With `base` only what lies below it is made: without it there is FileNotFoundError.
    """
    if path == base or _folder_there(path, base):
        return
    if path.parent not in (path, base):
        make_dirs(path.parent, mode, base=base)
    try:
        make_dir(path, mode, base=base)
    except FileExistsError:
        if not _folder_there(path, base):
            raise


def _folder_there(folder: Path, base: Path | None) -> bool:
    return os.path.isdir(for_system(folder)) if base is None else is_folder_below(base, folder.relative_to(base).as_posix())


def give_dir(path: Path, uid: int, gid: int) -> None:
    """Let a folder or file of ours belong to that user and group; a link is never followed. OSError without the right. Windows: nothing."""
    if sys.platform != "win32":
        with effect("give_dir", path):
            os.chown(path, uid, gid, follow_symlinks=False)


def sync_dir(path: Path) -> None:
    """Make the names in a folder last through a power cut. Windows journals them itself and has no such call.

    A link in the way is followed: a sync shows and changes nothing.
    """
    if sys.platform != "win32":
        with effect("sync_dir", path):
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                sync_open(fd)
            finally:
                os.close(fd)


def sync_open(fd: int) -> None:
    """Sync what is open, a folder or a mode. Some shares cannot do that at all; there the server decides."""
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.ENOSYS):
            raise


def sync_volume(fd: int) -> bool:
    """Sync all that was written to the volume of what is open, in one call. False: this system has no such call, nothing was done."""
    if sys.platform != "linux":
        return False
    try:
        call = ctypes.CDLL(None, use_errno=True).syncfs
    except (OSError, AttributeError):
        return False
    if call(ctypes.c_int(fd)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return True


def remove_dir(path: Path, *, base: Path | None = None) -> None:
    """Remove an empty folder. OSError (ENOTEMPTY, FileNotFoundError) otherwise. `base`: as in `make_dir`."""
    with effect("remove_dir", path), _reached(path, base) as (name, folder):
        os.rmdir(name, dir_fd=folder)


# --- names ---------------------------------------------------------------------------


def rename(source: Path, target: Path, *, base: Path | None = None, into: Path | None = None) -> None:
    """Rename a file or folder, never over something: FileExistsError. The folders are not synced; the caller does that once for many.

    `base`: a folder above `source` in which users can write, `into`: one above `target`. Then a link at any level between is
    NotAPlainFile, even one that is put there while we look.
    """
    with effect("rename", target), _reached(source, base) as old, _reached(target, into) as new:
        try:
            _rename(old, new)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(source), getattr(error, "winerror", None), str(target)) from error


def _rename(old: Reached, new: Reached) -> None:
    (source, folder), (target, other) = old, new
    if sys.platform == "win32":
        os.rename(source, target)
    elif not _rename_noreplace(old, new):
        # A volume without that call (NFS, SMB, some FUSE). There two renames to one name can race, so names that
        # matter lie in a folder that we have just made.
        if _has_name(target, other):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
        os.rename(source, target, src_dir_fd=folder, dst_dir_fd=other)


def _has_name(name: str, folder: int | None) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _rename_noreplace(old: Reached, new: Reached) -> bool:
    """Rename in one atomic call that refuses an existing target. False: this system or volume cannot, nothing was done."""
    call = _renameat2()
    if call is None:
        return False
    at_cwd, no_replace = -100, 1
    (at, source), (to, target) = [(at_cwd if folder is None else folder, os.fsencode(name)) for name, folder in (old, new)]
    if call(at, source, to, target, no_replace) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
        return False
    raise OSError(number, os.strerror(number))


@cache
def _renameat2() -> Callable[[int, bytes, int, bytes, int], int] | None:
    if sys.platform != "linux":
        return None
    try:
        call = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return None
    call.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]
    return cast("Callable[[int, bytes, int, bytes, int], int]", call)


def remove_file(path: Path, *, base: Path | None = None) -> None:
    """Remove a file of ours; one that is gone already is fine. The folder is not synced. `base`: as in `make_dir`."""
    with effect("remove_file", path), contextlib.suppress(FileNotFoundError), _reached(path, base) as (name, folder):
        os.unlink(name, dir_fd=folder)


@contextlib.contextmanager
def _reached(path: Path, base: Path | None) -> Iterator[Reached]:
    """How the system is given `path`: with `base` by the open folder in which it lies, where the system can work with one."""
    if base is None:
        yield for_system(path), None
        return
    with folder_below(base, path.relative_to(base).as_posix()) as (folder, name):
        yield (name, folder) if isinstance(folder, int) else (for_system(folder / name), None)


# --- contents ------------------------------------------------------------------------


def write_new(path: Path, data: bytes, mode: int = 0o644) -> None:
    """A new file with exactly this content and mode, synced with its name. FileExistsError if the name is taken."""
    with _created(path, mode) as fd:
        _write(fd, path, data)
        _sync(fd, path)
    sync_dir(path.parent)


def replace(path: Path, data: bytes, mode: int = 0o644, durable: bool = True) -> None:
    """Put `data` in the place of a file of ours (or make it): readers see the old or the new, whole. One writer a path.

    durable=False (heartbeat, status) leaves out the syncs: a power cut may leave any earlier content, or none.
    """
    fresh = path.with_name(f".{path.name}.new")
    remove_file(fresh)
    with _created(fresh, mode) as fd:
        _write(fd, fresh, data)
        if durable:
            _sync(fd, fresh)
    try:
        with effect("replace", path):
            os.replace(for_system(fresh), for_system(path))
    except OSError:
        with contextlib.suppress(OSError):
            remove_file(fresh)
        raise
    if durable:
        sync_dir(path.parent)


def copy_in(source: Path, target: Path, *, base: Path | None = None, mode: int = 0o644) -> str:
    """Copy a regular file to a new one, synced; returns the SHA-256 in hex. The target's folder is not synced.

    A link, device or fifo in the place of `source` is NotAPlainFile; with `base` (a folder above it) so is a link at any level between.
    """
    opened = open_plain(source) if base is None else open_below(base, source.relative_to(base).as_posix())
    digest = hashlib.sha256()
    try:
        with _created(target, mode) as fd:
            while block := os.read(opened, _BLOCK):
                digest.update(block)
                _write(fd, target, block)
            _sync(fd, target)
    finally:
        os.close(opened)
    return digest.hexdigest()


@contextlib.contextmanager
def _created(path: Path, mode: int) -> Iterator[int]:
    """A descriptor of a file that did not exist. What cannot be finished is removed: it is ours, and only half."""
    with effect("create", path):
        fd = os.open(for_system(path), os.O_WRONLY | os.O_CREAT | os.O_EXCL | _SAFE, 0o600)
    try:
        try:
            if sys.platform != "win32":
                os.fchmod(fd, mode)
            yield fd
        finally:
            os.close(fd)
    except OSError:
        with contextlib.suppress(OSError):
            remove_file(path)
        raise


def _write(fd: int, path: Path, data: bytes) -> None:
    with effect("write", path):
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(fd, rest) :]


def _sync(fd: int, path: Path) -> None:
    with effect("sync", path):
        os.fsync(fd)


class Appender:
    """A file of ours that only grows, for journals. `create` makes it (FileExistsError if there) and syncs its name."""

    def __init__(self, path: Path, create: bool, mode: int = 0o644) -> None:
        self.path = path
        flags = os.O_RDWR | os.O_APPEND | _SAFE
        if not create:
            self._fd = os.open(for_system(path), flags)
            if not stat.S_ISREG(os.fstat(self._fd).st_mode):
                os.close(self._fd)
                raise OSError(errno.EINVAL, "not a regular file", str(path))
            return
        with effect("create", path):
            self._fd = os.open(for_system(path), flags | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            if sys.platform != "win32":
                os.fchmod(self._fd, mode)
            sync_dir(path.parent)
        except OSError:
            os.close(self._fd)
            raise

    def append(self, data: bytes) -> None:
        """Add `data` at the end. On an error (full disk) the part that was written is cut off again where possible."""
        before = self.size()
        try:
            _write(self._fd, self.path, data)
        except OSError:
            with contextlib.suppress(OSError):
                self.truncate(before)
            raise

    def sync(self) -> None:
        """Make all of it last. After an error nothing on this descriptor can be trusted to be on the disk."""
        _sync(self._fd, self.path)

    def truncate(self, size: int) -> None:
        """Cut it to `size` bytes (a torn tail)."""
        with effect("truncate", self.path):
            os.ftruncate(self._fd, size)

    def size(self) -> int:
        return os.fstat(self._fd).st_size

    def close(self) -> None:
        """May be called twice."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
