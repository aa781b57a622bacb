"""What the syncs cost: the same 300 drops of 1 MiB with every sync, and with none."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass

from benchmarks.drops import LONGEST, SIDECAR, picture
from benchmarks.figures import Figure
from benchmarks.scene import Scene, give, scene

DROPS = 300


@dataclass(frozen=True)
class Run:
    """`length`: seconds from the start of the daemon to the last filing; `syncs`: how many, and `seconds` in them."""

    length: float
    syncs: int
    seconds: float


def run() -> list[Figure]:
    with scene() as stage:
        synced, unsynced = _run(stage, "timed"), _run(stage, "none")
    return [
        Figure("share of the run's time in which its thread was in a sync", f"{synced.seconds / synced.length:.0%}"),
        Figure("  syncs a drop, and milliseconds each", f"{synced.syncs / DROPS:.1f}, {1000 * synced.seconds / synced.syncs:.2f}"),
        Figure("length of the run without any sync / with all", f"{unsynced.length / synced.length:.2f}"),
        Figure("  seconds for a drop with all, with none", f"{synced.length / DROPS:.3f}, {unsynced.length / DROPS:.3f}"),
    ]


def _run(stage: Scene, mode: str) -> Run:
    box = stage.new_box()
    for number in range(DROPS):
        give(box, f"{number}.tif", picture(number))
        give(box, f"{number}.yaml", SIDECAR.encode())
    told = stage.folder / f"syncs-{mode}.json"
    begun = time.monotonic()
    words = [sys.executable, "-m", "benchmarks.synced", mode, str(told)]
    with stage.daemon(box, program=words, quiet_period=1, scan_interval=1) as daemon:
        daemon.finish(LONGEST)
        length = time.monotonic() - begun
    cost = json.loads(told.read_text())
    return Run(length, int(cost["count"]), float(cost["seconds"]))
