"""A tree of files and folders as plain data: made real, and compared with another one."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple


class Mode(NamedTuple):
    mode: int
    uid: int
    gid: int

    def __str__(self) -> str:
        return f"{self.mode:04o} of {self.uid}:{self.gid}"


Tree = dict[str, tuple[bytes, int] | None]  # path below the root: content and time of a file, None for a folder
Modes = dict[str, Mode]  # by the same paths

_ID = re.compile(rb"\d{8}-\d{6}-[a-z2-7]{10}")
_TIMES = re.compile(
    rb'"c":"[0-9a-f]{8}"|"mac": ?"[0-9a-f]+"|\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[.\d]*(?:Z|\+00:00)?|\d{4}-\d\d-\d\d \d\d:\d\d(?::\d\d)?'
)


def mode_of(seen: os.stat_result) -> Mode:
    return Mode(seen.st_mode & 0o7777, seen.st_uid, seen.st_gid)


def likeness(tree: Tree, modes: Modes, more: str = "") -> bytes:
    """Two trees with the same likeness differ in times, check sums and the chance in ids only (and heartbeats, which say nothing here)."""
    rows = []
    for path, content in tree.items():
        if ".heartbeat" not in path:
            text = _TIMES.sub(b"T", content[0]) if content is not None else b"/"
            name = f"{path} {modes.get(path, '')}".encode()
            rows.append((_ID.sub(b"ID", name), name + b"\0" + text))
    whole = b"\1".join(row for _, row in sorted(rows)) + more.encode()
    known: dict[bytes, bytes] = {}
    return _ID.sub(lambda match: known.setdefault(match[0], b"ID%d" % len(known)), whole)


def make_real(root: Path, tree: Tree, modes: Modes) -> None:
    """Make `root`, which is empty, hold this tree. What has no mode gets that of any new file."""
    for path, content in tree.items():
        target = root / path
        if content is None:
            target.mkdir()
        else:
            target.write_bytes(content[0])
            if content[1]:
                os.utime(target, ns=(content[1], content[1]))
    for path in reversed(tree):  # a folder is closed when all in it is there
        if path in modes:
            give(root / path, modes[path])


def give(path: Path, wanted: Mode) -> None:
    seen = path.lstat()
    if (seen.st_uid, seen.st_gid) != (wanted.uid, wanted.gid):
        os.chown(path, wanted.uid, wanted.gid)
    if seen.st_mode & 0o7777 != wanted.mode:
        os.chmod(path, wanted.mode)
