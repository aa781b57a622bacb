"""A program that saves one file as programs do: `python -m tests.support.writer HOW TARGET SOURCE`. TARGET is SOURCE's copy in the end."""

from __future__ import annotations

import mmap
import os
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

PIECES = 12
PAUSE = 0.12


def slowly(target: Path, data: bytes) -> None:
    """Piece by piece, the file open all the time."""
    with target.open("wb", buffering=0) as file:
        _pieces(file.write, data)


def after_a_long_pause(target: Path, data: bytes) -> None:
    """Half of it, and nothing for many quiet times."""
    with target.open("wb", buffering=0) as file:
        file.write(data[: len(data) // 2])
        time.sleep(2.5)
        file.write(data[len(data) // 2 :])


def preallocated(target: Path, data: bytes) -> None:
    """The full size at once, the bytes later."""
    with target.open("wb", buffering=0) as file:
        os.posix_fallocate(file.fileno(), 0, len(data))
        _pieces(file.write, data)


def mapped(target: Path, data: bytes) -> None:
    """Through memory: there is no descriptor while it is written."""
    with target.open("w+b") as file:
        file.truncate(len(data))
        memory = mmap.mmap(file.fileno(), len(data))
    at = 0
    for piece in _cut(data):
        memory[at : at + len(piece)] = piece
        at += len(piece)
        time.sleep(PAUSE)
    memory.close()


def page_by_page(target: Path, data: bytes) -> None:
    """Opened and closed for each page."""
    for piece in _cut(data):
        with target.open("ab") as file:
            file.write(piece)
        time.sleep(PAUSE)


def with_old_times(target: Path, data: bytes) -> None:
    """A copy that keeps the time of its source, as `cp -p` does: set at the end, long ago."""
    slowly(target, data)
    os.utime(target, (1_000_000_000, 1_000_000_000))


def open_across_the_rename(target: Path, data: bytes) -> None:
    """Renamed to its name when half of it is there."""
    part = target.with_name(f".{target.name}.part")
    with part.open("wb", buffering=0) as file:
        file.write(data[: len(data) // 2])
        part.rename(target)
        _pieces(file.write, data[len(data) // 2 :])


def by_rename(target: Path, data: bytes) -> None:
    """As careful programs do."""
    part = target.with_name(f"{target.name}.part")
    slowly(part, data)
    part.rename(target)


def over_itself(target: Path, data: bytes) -> None:
    """Something else first, then anew from the beginning."""
    with target.open("wb", buffering=0) as file:
        _pieces(file.write, b"\0" * len(data))
        file.seek(0)
        _pieces(file.write, data)


WAYS: dict[str, Callable[[Path, bytes], None]] = {
    way.__name__.replace("_", "-"): way
    for way in (
        slowly,
        after_a_long_pause,
        preallocated,
        mapped,
        page_by_page,
        with_old_times,
        open_across_the_rename,
        by_rename,
        over_itself,
    )
}


def _cut(data: bytes) -> list[bytes]:
    size = -(-len(data) // PIECES)
    return [data[at : at + size] for at in range(0, len(data), size)]


def _pieces(write: Callable[[bytes], object], data: bytes) -> None:
    for piece in _cut(data):
        write(piece)
        time.sleep(PAUSE)


def flood(folder: Path, seconds: float) -> None:
    """Events without end: files that come and go, more than anybody can read."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for number in range(200):
            (folder / f".flood-{number}").write_bytes(b"x")
        for number in range(200):
            (folder / f".flood-{number}").unlink()
    shutil.rmtree(folder / ".flood", ignore_errors=True)


if __name__ == "__main__":
    how, target, source = sys.argv[1:]
    if how == "flood":
        flood(Path(target), float(source))
    else:
        WAYS[how](Path(target), Path(source).read_bytes())
