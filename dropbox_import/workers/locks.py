"""Which worker processes live, on disk, so that a new daemon finds those that outlived an old one.

A worker ends by itself when its daemon does. One that cannot (stuck in a call, or on a mount that hangs) may still change things in OMERO,
so a new daemon waits for it and then kills it, before it gives any work out. A process is known by its number and its start, because
numbers are used again.
"""

from __future__ import annotations

import contextlib
import json
import logging
from pathlib import Path

import psutil

from dropbox_import.clock import Clock
from dropbox_import.disk import files
from dropbox_import.workers.tree import kill_group

log = logging.getLogger(__name__)

PATIENCE = 10.0
STEP = 0.1


def start_mark(pid: int) -> str | None:
    """What tells this process from a later one of the same number; None when there is no such process, or only its remains."""
    if pid <= 1:
        return None  # no worker, and a kill of such a number would reach far too much
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        with contextlib.suppress(OSError, ValueError, IndexError):
            # On Linux the start in ticks since boot: the start as a time of day moves when the clock is set.
            boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
            stat = Path(f"/proc/{pid}/stat").read_bytes()
            return f"{boot}:{int(stat.rpartition(b')')[2].split()[19])}"
        return f"{process.create_time():.2f}"
    except psutil.Error:
        return None


def write_lock(state_dir: Path, role: str, pid: int) -> Path:
    """Note a worker that has just been started, before it gets any work."""
    folder = state_dir / "locks"
    files.make_dirs(folder, 0o700)
    path = folder / f"worker-{pid}.json"
    record = {"role": role, "pid": pid, "start": start_mark(pid)}
    files.replace(path, json.dumps(record).encode(), mode=0o600, durable=False)
    return path


def remove_lock(path: Path) -> None:
    """The worker has ended. A lock that cannot be removed is harmless: its process is gone."""
    with contextlib.suppress(OSError):
        files.remove_file(path)


def end_orphans(state_dir: Path, clock: Clock, patience: float = PATIENCE) -> int:
    """Wait up to `patience` seconds for workers of an earlier daemon to end, then kill them; returns how many were killed."""
    found: dict[Path, tuple[int, str]] = {}
    for path in sorted((state_dir / "locks").glob("worker-*.json")):
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            record = json.loads(path.read_bytes())
            found[path] = (int(record["pid"]), str(record["start"]))
    end = clock.monotonic() + patience
    living = {path for path, process in found.items() if _lives(*process)}
    while living and clock.monotonic() < end:
        clock.sleep(STEP)
        living = {path for path in living if _lives(*found[path])}
    for path in sorted(living):
        log.warning("killing worker %d, which outlived its service", found[path][0])
        kill_group(found[path][0])
    for path in found:
        remove_lock(path)
    return len(living)


def _lives(pid: int, start: str) -> bool:
    return start_mark(pid) == start
