"""Small drops end to end: 50 and 500 at once, with one and with four filesets in flight, and where the time goes."""

from __future__ import annotations

import io
import itertools
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime

import numpy
import psutil
import tifffile

from benchmarks.figures import Figure
from benchmarks.scene import Daemon, Scene, give, journals, scene
from dropbox_import.spool.journal import Record
from tests.support import standin_process

FEW, MANY = 50, 500
RUNS = ((FEW, 1), (FEW, 4), (MANY, 4))  # drops, filesets in flight
BARE = 40
LONGEST = 300.0
SIDECAR = """\
target: {project: {name: P, create: true}, dataset: {name: D, create: true}}
tags: [benchmark]
key_values:
  - pairs: [[Name, "{file}"]]
"""


def picture(number: int) -> bytes:
    """A TIFF of 1 MiB, each another one."""
    made = io.BytesIO()
    tifffile.imwrite(made, numpy.full((512, 1024), number, numpy.uint16), photometric="minisblack")
    return made.getvalue()


def run() -> list[Figure]:
    figures: list[Figure] = []
    speeds: dict[tuple[int, int], float] = {}
    with scene() as stage:
        bare = _bare(stage)
        for drops, flights in RUNS:
            box = stage.new_box()
            for number in range(drops):
                give(box, f"{number}.tif", picture(number))
                give(box, f"{number}.yaml", SIDECAR.encode())
            with stage.daemon(box, workers={"filesets_in_flight": flights}, quiet_period=1, scan_interval=1) as daemon:
                before = _work(stage, daemon)
                daemon.finish(LONGEST)
                work = {who: (spent - before.get(who, 0.0)) / drops for who, spent in _work(stage, daemon).items()}
            found = journals(box.done)
            if len(found) != drops:
                raise RuntimeError(f"{len(found)} of {drops} drops are in done/")
            speeds[drops, flights] = drops / _length(found)
            figures += _figures(f"{drops} drops, {flights} in flight", speeds[drops, flights], bare, found)
            told = ", ".join(f"{who} {spent * 1000:.0f}" for who, spent in work.items())
            figures.append(Figure("  processor time for a drop, milliseconds", told))
    more = speeds[FEW, 4] / speeds[MANY, 4]
    figures.append(Figure("speed with 4 / with 1 in flight", f"{speeds[FEW, 4] / speeds[FEW, 1]:.2f}"))
    figures.append(Figure(f"time for one of {MANY} drops / for one of {FEW}", f"{more:.2f}", "<= 1.1", more <= 1.1))
    return figures


def _work(stage: Scene, daemon: Daemon) -> dict[str, float]:
    """Seconds of processor that each process has used."""
    parent = psutil.Process(daemon.child.pid)
    people = {"stand-in": psutil.Process(stage.standin.pid), "daemon": parent}
    people |= {child.cmdline()[-1].rpartition(".")[2]: child for child in parent.children()}
    return {who: sum(process.cpu_times()[:2]) for who, process in people.items()}


def _bare(stage: Scene) -> float:
    """Imports a second of a loop that imports the same pictures one by one, with no box, no journal and no annotation."""
    client, _ = stage.standin.sudo("alice")
    pictures = [picture(number) for number in range(BARE)]
    begun = time.perf_counter()
    for number, data in enumerate(pictures):
        standin_process.import_one(client, data, f"bare/{number}.tif")
    return BARE / (time.perf_counter() - begun)


def _figures(what: str, speed: float, bare: float, found: Sequence[tuple[Record, ...]]) -> list[Figure]:
    some = sorted(_steps(found).items(), key=lambda item: -item[1])
    whole = sum(seconds for _, seconds in some)
    return [
        Figure(f"{what}: drops a second, and / imports a second of a bare loop", f"{speed:.2f}, {speed / bare:.2f}"),
        Figure("  seconds from the claim of a drop to its filing, mean", f"{whole:.2f}"),
        *(Figure(f"    until the record {kind}", f"{seconds:.3f} ({seconds / whole:.0%})") for kind, seconds in some[:8]),
    ]


def _at(record: Record) -> float:
    return datetime.fromisoformat(record.at).timestamp()


def _length(found: Iterable[Sequence[Record]]) -> float:
    """Seconds from the first claim to the last filing."""
    ends = [(_at(records[0]), _at(records[-1])) for records in found]
    return max(last for _, last in ends) - min(first for first, _ in ends)


def _steps(found: Iterable[Sequence[Record]]) -> dict[str, float]:
    """Mean seconds that a drop spent before each kind of record."""
    spent: dict[str, list[float]] = defaultdict(list)
    for records in found:
        for earlier, later in itertools.pairwise(records):
            spent[later.kind].append(_at(later) - _at(earlier))
    drops = max(len(values) for values in spent.values())
    return {kind: sum(values) / drops for kind, values in spent.items()}
