"""10,000 drops in one box: claiming them, having them during an outage, and what a start with them costs.

The daemon's own code in this process, against a scripted server and a clock that is moved by hand: no import takes part.
"""

from __future__ import annotations

import gc
import logging
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import psutil

from benchmarks.figures import Figure
from dropbox_import.daemon.box import BoxRunner
from dropbox_import.errors import ServerUnavailable
from dropbox_import.spool.journal import Journal
from tests.support.lab import Lab

DROPS, FEW = 10_000, 1_000
SYNCED = 100
USERS = tuple(f"user{number}" for number in range(5))
SIDECAR = "target: {dataset: HeLa}\n"
TURNS = 50


class Counted:
    """In the place of a function: counts its calls, and the seconds in them. `really`: it is called."""

    def __init__(self, plain: object, *, really: bool) -> None:
        self.plain, self.really = plain, really
        self.count, self.seconds = 0, 0.0

    def __call__(self, *args: object) -> object:
        self.count += 1
        begun = time.perf_counter()
        try:
            return self.plain(*args) if self.really and callable(self.plain) else None
        finally:
            self.seconds += time.perf_counter() - begun


@contextmanager
def syncs(*, really: bool) -> Iterator[Counted]:
    counted = Counted(os.fsync, really=really)
    with mock.patch("os.fsync", counted):
        yield counted


def run() -> list[Figure]:
    logging.getLogger("dropbox_import").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="dropbox-import-benchmark-") as folder:
        place = Path(folder)
        with syncs(really=True) as cost:
            _claim(Lab(place / "synced", users=USERS), SYNCED)
        with syncs(really=False):
            per_few, _, _ = _claim(Lab(place / "few", users=USERS), FEW)
        with syncs(really=False) as many:
            lab = Lab(place / "many", users=USERS)
            per_drop, memory, runner = _claim(lab, DROPS)
        figures = [
            Figure(f"milliseconds of processor to claim one of {DROPS:,} drops", f"{per_drop:.2f}"),
            Figure(f"  / one of {FEW:,} drops", f"{per_drop / per_few:.2f}", "<= 1.5", per_drop <= 1.5 * per_few),
            Figure("syncs for a claim", f"{many.count / DROPS:.1f}", "<= 16", many.count <= 16 * DROPS),
            Figure("  milliseconds each on this disk", f"{1000 * cost.seconds / cost.count:.2f}"),
            Figure("memory for a claim that waits, kB", f"{memory / DROPS / 1000:.1f}", "<= 10", memory <= 10_000 * DROPS),
            Figure("open descriptors of this process with all of them", f"{_descriptors()}", "<= 50", _descriptors() <= 50),
        ]
        with syncs(really=False):
            figures += [*_outage(lab, runner), *_start(lab)]
        figures += _one_large(place / "large")
    return figures


def _turns(lab: Lab, runner: BoxRunner, count: int) -> None:
    for _ in range(count):
        runner.turn(0)
        lab.clock.forward(1.1)


def _cpu() -> float:
    spent = psutil.Process().cpu_times()
    return spent.user + spent.system


def _claim(lab: Lab, count: int) -> tuple[float, int, BoxRunner]:
    """Milliseconds of processor for a claim, bytes of memory more, and the box."""
    lab.server.refuse["open_session"] = ServerUnavailable("OMERO cannot be reached", code="unreachable")
    for number in range(count):
        user = USERS[number % len(USERS)]
        lab.drop(f"{number}.yaml", SIDECAR, {f"{number}.tif": b"image %d" % number}, user)
    runner = lab.start()
    gc.collect()
    before, begun = psutil.Process().memory_info().rss, _cpu()
    while any(lab.layout.drop.glob("*/*.yaml")):
        _turns(lab, runner, 1)
    spent = _cpu() - begun
    _turns(lab, runner, 5)
    gc.collect()
    return 1000 * spent / count, psutil.Process().memory_info().rss - before, runner


def _descriptors() -> int:
    process = psutil.Process()
    return process.num_fds() if hasattr(process, "num_fds") else len(process.open_files())


def _outage(lab: Lab, runner: BoxRunner) -> list[Figure]:
    """While OMERO is down: what each turn costs, and that it reads no journal."""
    while runner.claims.parked.ready(lab.clock.monotonic(), omero=False):
        _turns(lab, runner, 1)  # all are inspected
    reads = Counted(Journal.open, really=True)
    begun, scans = _cpu(), runner.scans
    with mock.patch.object(Journal, "open", reads):
        _turns(lab, runner, TURNS)
    spent = (_cpu() - begun) / max(1, runner.scans - scans)
    return [
        Figure(f"an outage with {runner.busy():,} claims: journals read in a scan", f"{reads.count / TURNS:.1f}", "0", not reads.count),
        Figure("  milliseconds of processor for a scan and all else", f"{1000 * spent:.0f}"),
    ]


def _start(lab: Lab) -> list[Figure]:
    begun = _cpu()
    runner = lab.start()
    runner.turn(0)
    each = 1000 * (_cpu() - begun) / runner.busy()
    return [Figure(f"a start with {runner.busy():,} claims: milliseconds of processor for each", f"{each:.2f}")]


def _one_large(place: Path) -> list[Figure]:
    """One drop of as many files: its syncs do not grow with them."""
    found = []
    for count in (10, DROPS):
        lab = Lab(place / str(count))
        lab.server.refuse["open_session"] = ServerUnavailable("OMERO cannot be reached", code="unreachable")
        lab.drop("set.yaml", SIDECAR, {f"set/{number:05}.tif": b"image %d" % number for number in range(count)})
        runner = lab.start()
        with syncs(really=False) as counted:
            while any(lab.layout.drop.glob("*/*.yaml")):
                _turns(lab, runner, 1)
        found.append(counted.count)
    few, many = found
    return [Figure(f"syncs to claim one drop of {DROPS:,} files, of 10 files", f"{many}, {few}", "the same", many == few)]
