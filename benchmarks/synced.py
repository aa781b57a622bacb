"""Every sync of the daemon and of its workers, noted one by one in a file, by a hook that Python runs when a process starts."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_HOOK = """\
from benchmarks.synced import hook

hook({file!r}, really={really})
"""


@dataclass(frozen=True)
class Sync:
    """`role`: daemon, importer, inspector or notifier. `begun` is of the machine's monotonic clock, the same in all processes."""

    role: str
    thread: str
    begun: float
    seconds: float


def hooks(folder: Path, file: Path, *, really: bool) -> Path:
    """Make `folder`, which hooks the processes that have it on PYTHONPATH: workers get that, and no variable of ours."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(_HOOK.format(file=str(file), really=really))
    return folder


def hook(file: str, *, really: bool) -> None:
    """From now on note each sync of this process at once, since a worker may be killed. `really`: it is made, as any program should."""
    plain, role = os.fsync, _role(sys.orig_argv)
    notes = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def noted(fd: int) -> None:
        begun = time.monotonic()
        try:
            if really:
                plain(fd)
        finally:
            seconds = time.monotonic() - begun
            os.write(notes, json.dumps([role, threading.current_thread().name, begun, seconds]).encode() + b"\n")

    os.fsync = noted  # type: ignore[assignment]


def _role(words: list[str]) -> str:
    module = words[words.index("-m") + 1] if "-m" in words else words[-1]
    return "daemon" if module == "dropbox_import" else module.rpartition(".")[2]


def noted(file: Path) -> list[Sync]:
    return [Sync(*json.loads(line)) for line in file.read_text().splitlines()]


def covered(syncs: Iterable[Sync]) -> float:
    """Seconds in which at least one of them was under way."""
    seconds = end = 0.0
    for one in sorted(syncs, key=lambda one: one.begun):
        seconds += max(0.0, one.begun + one.seconds - max(end, one.begun))
        end = max(end, one.begun + one.seconds)
    return seconds
