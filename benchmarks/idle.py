"""A daemon with nothing to do: what it costs to have it."""

from __future__ import annotations

import time

import psutil

from benchmarks.figures import Figure
from benchmarks.scene import Scene, give, scene, until

FILES = 1000
SECONDS = 30.0
MB = 1_000_000


def run() -> list[Figure]:
    with scene() as stage:
        before = _cost(stage, 0)
        after = _cost(stage, FILES)
    return [
        Figure(f"resident memory with {FILES:,} files in the box, MB", f"{after[0]:.1f}", "<= 60", after[0] <= 60),
        Figure("  with an empty box, MB", f"{before[0]:.1f}"),
        Figure(f"share of one processor over {SECONDS:.0f} s, {FILES:,} files", f"{after[1]:.2%}"),
        Figure("  with an empty box", f"{before[1]:.2%}"),
    ]


def _cost(stage: Scene, count: int) -> tuple[float, float]:
    """Memory and share of a processor of a daemon with the usual times, and files that no sidecar names but one waits for."""
    box = stage.new_box()
    for number in range(count):
        give(box, f"{number:04}.tif", b"II*\0" + bytes(1000))
    give(box, "wait.yaml", b"target: {dataset: {name: D, create: true}}\nfiles: {include: [missing.tif]}\n")
    with stage.daemon(box) as daemon:
        until(lambda: daemon.alive() and b"not there yet" in _status(stage, box.box.name), 60, "a scan of the box")
        process = psutil.Process(daemon.child.pid)
        time.sleep(12)  # the first scans read every file's beginning, later ones do not
        before, begun = process.cpu_times(), time.monotonic()
        time.sleep(SECONDS)
        after, ended = process.cpu_times(), time.monotonic()
        used = after.user + after.system - before.user - before.system
        if process.children():
            raise RuntimeError("an idle daemon has workers")
        return process.memory_info().rss / MB, used / (ended - begun)


def _status(stage: Scene, name: str) -> bytes:
    return b"".join(path.read_bytes() for path in (stage.folder / f"state-{name}").rglob("status*.json"))
