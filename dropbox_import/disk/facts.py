"""What a file is, judged freshly and on open descriptors, never through a link below the base folder."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from dropbox_import.disk.mounts import is_network
from dropbox_import.disk.names import problem_with, shown
from dropbox_import.disk.paths import for_system
from dropbox_import.errors import Rejected
from dropbox_import.model import FileFacts

_READ = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOINHERIT", 0)
_REPARSE_POINT = 0x400


class NotAPlainFile(Rejected):
    """What is there is no regular file with one name, or the way to it leads through a link."""

    code = "not-a-plain-file"
    default_hint = "Put a copy of the file itself there."


def facts(base: Path, relative: str) -> FileFacts:
    """Size, time and identity of the regular file at `base`/`relative`, from a fresh look. OSError when it cannot be seen."""
    seen = stat_below(base, relative)
    if (problem := problem_with_kind(relative, seen)) is not None:
        raise problem
    return facts_of(relative, seen, stable_ids=not is_network(base))


def facts_of(relative: str, seen: os.stat_result, *, stable_ids: bool) -> FileFacts:
    """The facts out of a stat. On shares `stable_ids` is False: their inode numbers may change without any change of the file."""
    file_id = f"{seen.st_dev}:{seen.st_ino}" if stable_ids and seen.st_ino else ""
    return FileFacts(relative, seen.st_size, seen.st_mtime_ns, file_id)


def problem_with_kind(relative: str, seen: os.stat_result) -> NotAPlainFile | None:
    """Why this is no plain file, as the error that says so; None for a regular file with one name."""
    name = shown(relative)
    if stat.S_ISLNK(seen.st_mode) or getattr(seen, "st_file_attributes", 0) & _REPARSE_POINT:
        return NotAPlainFile(f'"{name}" is a link, and links are not followed.')
    if stat.S_ISDIR(seen.st_mode):
        return NotAPlainFile(f'"{name}" is a folder, not a file.', hint="Name the files in it.")
    if not stat.S_ISREG(seen.st_mode):
        return NotAPlainFile(f'"{name}" is not a regular file, but {_kind(seen.st_mode)}.')
    if seen.st_nlink > 1:
        return NotAPlainFile(
            f'"{name}" has {seen.st_nlink} names (hard links), so it could be changed from elsewhere.',
            hint="Put a copy there that has no other name.",
        )
    return None


def _kind(mode: int) -> str:
    if stat.S_ISFIFO(mode):
        return "a pipe (FIFO)"
    return "a socket" if stat.S_ISSOCK(mode) else "a device"


def stat_below(base: Path, relative: str) -> os.stat_result:
    """A fresh stat of `base`/`relative` itself (a link is not followed); a link on the way is NotAPlainFile."""
    parts = _parts(relative)
    if sys.platform == "win32":
        _no_links_on_the_way(base, parts)
        return os.lstat(for_system(base.joinpath(*parts)))
    else:
        folder = _open_folder(base, parts[:-1])
        try:
            return os.stat(parts[-1], dir_fd=folder, follow_symlinks=False)
        finally:
            os.close(folder)


def open_below(base: Path, relative: str) -> int:
    """A descriptor for reading the plain file at `base`/`relative`; no link is followed on any level below `base`."""
    parts = _parts(relative)
    if sys.platform == "win32":
        _no_links_on_the_way(base, parts)
        return _judged(os.open(for_system(base.joinpath(*parts)), _READ), relative)
    else:
        folder = _open_folder(base, parts[:-1])
        try:
            return _judged(_open_no_follow(parts[-1], relative, folder), relative)
        finally:
            os.close(folder)


@contextlib.contextmanager
def folder_below(base: Path, relative: str) -> Iterator[tuple[Path | int, str]]:
    """The folder in which `base`/`relative` lies, reached without following a link, and the last part of the name.

    The folder is an open descriptor where the system can work with one, else a path that was looked at.
    """
    parts = _parts(relative)
    if sys.platform == "win32":
        _no_links_on_the_way(base, parts[:-1])
        yield base.joinpath(*parts[:-1]), parts[-1]
    else:
        folder = _open_folder(base, parts[:-1])
        try:
            yield folder, parts[-1]
        finally:
            os.close(folder)


def is_folder_below(base: Path, relative: str) -> bool:
    """Whether there is a folder at `base`/`relative`. A link on the way to it, or anything else in its place, is NotAPlainFile."""
    parts = _parts(relative)
    try:
        if sys.platform == "win32":
            _no_links_on_the_way(base, parts)
            if not stat.S_ISDIR(os.lstat(for_system(base.joinpath(*parts))).st_mode):
                raise NotAPlainFile(f'"{shown(relative)}" is a file, and a folder was expected.')
        else:
            os.close(_open_folder(base, parts))
    except FileNotFoundError:
        return False
    return True


def is_there(path: Path) -> bool:
    """Whether anything has that name, be it a link that leads nowhere. OSError when that cannot be told."""
    return _seen(path) is not None


def is_folder(path: Path) -> bool:
    """Whether a folder, and no link to one, has that name. OSError when that cannot be told."""
    seen = _seen(path)
    return seen is not None and stat.S_ISDIR(seen.st_mode) and not getattr(seen, "st_file_attributes", 0) & _REPARSE_POINT


def _seen(path: Path) -> os.stat_result | None:
    try:
        return os.lstat(for_system(path))
    except (FileNotFoundError, NotADirectoryError):
        return None


def paths_in(folder: Path) -> list[Path]:
    """All that lies directly in a folder, sorted. Raises OSError."""
    return sorted(folder / name for name in os.listdir(for_system(folder)))


def open_plain(path: Path) -> int:
    """A descriptor for reading the plain file `path`, which is no link itself; the way to it is trusted."""
    return open_below(path.parent, path.name)


def read_below(base: Path, relative: str, limit: int) -> bytes:
    """The first `limit` bytes of the plain file at `base`/`relative`."""
    fd = open_below(base, relative)
    try:
        blocks: list[bytes] = []
        while limit > 0 and (block := os.read(fd, min(limit, 1 << 20))):
            blocks.append(block)
            limit -= len(block)
        return b"".join(blocks)
    finally:
        os.close(fd)


def _parts(relative: str) -> list[str]:
    # A name that OMERO would refuse may still be looked at; a path that leads out of the folder may not.
    parts = relative.split("/")
    if not relative or any(part in ("", ".", "..") for part in parts) or (sys.platform == "win32" and problem_with(relative)):
        raise NotAPlainFile(f'"{shown(relative)}" is not a path below the folder.', hint="Write the path from the sidecar's own folder.")
    return parts


def _judged(fd: int, relative: str) -> int:
    problem = problem_with_kind(relative, os.fstat(fd))
    if problem is not None:
        os.close(fd)
        raise problem
    return fd


if sys.platform == "win32":

    def _no_links_on_the_way(base: Path, parts: list[str]) -> None:
        for count in range(1, len(parts) + 1):
            seen = os.lstat(for_system(base.joinpath(*parts[:count])))
            if seen.st_file_attributes & _REPARSE_POINT:
                raise NotAPlainFile(f'"{shown("/".join(parts[:count]))}" is a link, and links are not followed.')

else:

    def _open_folder(base: Path, parts: list[str]) -> int:
        """A descriptor of the folder, reached level by level, so that nobody can put a link in between while we look."""
        folder = os.open(base, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        for count, part in enumerate(parts, 1):
            try:
                below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
            except OSError as error:
                where = "/".join(parts[:count])
                if error.errno in (errno.ELOOP, errno.ENOTDIR):
                    raise NotAPlainFile(f'"{shown(where)}" is a link or a file, and a folder was expected.') from error
                raise OSError(error.errno, error.strerror, str(base / where)) from error
            finally:
                os.close(folder)
            folder = below
        return folder

    def _open_no_follow(name: str, relative: str, folder: int) -> int:
        # Without O_NONBLOCK a FIFO would hold us until somebody writes.
        try:
            return os.open(name, _READ | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise NotAPlainFile(f'"{shown(relative)}" is a link, and links are not followed.') from error
            if error.errno == errno.ENXIO:
                raise NotAPlainFile(f'"{shown(relative)}" is not a regular file.') from error
            raise OSError(error.errno, error.strerror, relative) from error
