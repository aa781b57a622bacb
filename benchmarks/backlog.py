"""10,000 drops in one box: claiming them all with every sync, having them during an outage, and what a start with them costs.

The daemon's own code in this process, against a scripted server that is down: no import takes part. Claims take real time; after
that the clock is moved by hand, and no sync is made.
"""

from __future__ import annotations

import gc
import logging
import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import psutil

from benchmarks.counted import Counted, syncs
from benchmarks.figures import Figure
from dropbox_import.daemon.box import BoxRunner
from dropbox_import.errors import ServerUnavailable
from dropbox_import.spool import journal
from tests.support.clocks import HandClock
from tests.support.lab import Lab

DROPS, FEW = 10_000, 1_000
TRACED = (500, 1_500)
USERS = tuple(f"user{number}" for number in range(5))
SIDECAR = "target: {dataset: HeLa}\n"
TURNS = 50


def run() -> list[Figure]:
    logging.getLogger("dropbox_import").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="dropbox-import-benchmark-") as folder:
        place = Path(folder)
        lab = _lab(place / "many", DROPS)
        runner, many = _claim(lab, DROPS)  # the first of all, so that no freed memory of another is used again
        descriptors = _descriptors()
        with syncs(really=False):
            later = [*_outage(lab, runner), *_start(lab)]
        _, few = _claim(_lab(place / "few", FEW), FEW)
        live = _live(place)
    growth, more = many.seconds / few.seconds, many.processor / few.processor
    return [
        Figure(f"seconds from the start until all of {DROPS:,} drops are claimed, with every sync", f"{many.seconds * DROPS:.1f}"),
        Figure("  share of that in syncs", f"{many.syncing / many.seconds:.0%}"),
        Figure("  milliseconds for a sync on this disk", f"{1000 * many.syncing / many.syncs:.2f}"),
        Figure(f"  time for one of {DROPS:,} / for one of {FEW:,}", f"{growth:.2f}", "<= 1.5", growth <= 1.5),
        Figure(f"milliseconds of processor to claim one of {DROPS:,} drops", f"{1000 * many.processor:.2f}"),
        Figure(f"  / one of {FEW:,} drops", f"{more:.2f}", "<= 1.5", more <= 1.5),
        Figure("syncs for a claim", f"{many.syncs:.1f}", "<= 16", many.syncs <= 16),
        Figure("memory that the process has more, for each claim, kB", f"{many.memory / 1000:.1f}", "<= 10", many.memory <= 10_000),
        Figure(f"  in use for one more claim that waits for OMERO, {TRACED[1]:,} against {TRACED[0]:,}, kB", f"{live / 1000:.1f}"),
        Figure("open descriptors of this process with all of them", f"{descriptors}", "<= 50", descriptors <= 50),
        *later,
    ]


@dataclass(frozen=True)
class Cost:
    """Of one claim: seconds until it was there, of these in syncs, and of a processor; how many syncs; bytes of memory that stay."""

    seconds: float
    syncing: float
    processor: float
    syncs: float
    memory: float


@contextmanager
def real_time(clock: HandClock) -> Iterator[None]:
    """The clock goes on by itself meanwhile, and stands where it is then."""
    ahead = clock.seconds - time.monotonic()

    def now() -> float:
        return time.monotonic() + ahead

    with mock.patch.object(clock, "monotonic", now):
        yield
    clock.seconds = now()


def _lab(place: Path, count: int) -> Lab:
    lab = Lab(place, users=USERS)
    lab.server.refuse["open_session"] = ServerUnavailable("OMERO cannot be reached", code="unreachable")
    for number in range(count):
        user = USERS[number % len(USERS)]
        lab.drop(f"{number}.yaml", SIDECAR, {f"{number}.tif": b"image %d" % number}, user)
    return lab


def _claim(lab: Lab, count: int) -> tuple[BoxRunner, Cost]:
    runner = lab.start()
    gc.collect()
    before, begun, spent = psutil.Process().memory_info().rss, time.monotonic(), _cpu()
    with real_time(lab.clock), syncs(really=True) as made:
        while runner.busy() < count:
            runner.turn(runner.pause())
    seconds, spent = time.monotonic() - begun, _cpu() - spent
    with syncs(really=False):
        _inspect(lab, runner)
    gc.collect()
    memory = psutil.Process().memory_info().rss - before
    if any(lab.layout.drop.glob("*/*.yaml")) or runner.busy() != count:
        raise RuntimeError(f"{runner.busy()} of {count} drops are claimed")
    return runner, Cost(*(value / count for value in (seconds, made.seconds, spent, made.count, memory)))


def _live(place: Path) -> float:
    """Bytes in use for one more claim that waits for OMERO."""
    found = []
    for count in TRACED:
        lab = _lab(place / f"traced-{count}", count)
        with syncs(really=False):
            tracemalloc.start()
            runner = lab.start()
            while runner.busy() < count:
                _turns(lab, runner, 1)
            _inspect(lab, runner)
            gc.collect()
            found.append(tracemalloc.get_traced_memory()[0])
            tracemalloc.stop()
    return (found[1] - found[0]) / (TRACED[1] - TRACED[0])


def _inspect(lab: Lab, runner: BoxRunner) -> None:
    """Until all are inspected, and only OMERO is waited for."""
    _turns(lab, runner, 5)
    while runner.claims.parked.ready(lab.clock.monotonic(), omero=False):
        _turns(lab, runner, 1)


def _turns(lab: Lab, runner: BoxRunner, count: int) -> None:
    for _ in range(count):
        runner.turn(0)
        lab.clock.forward(1.1)


def _cpu() -> float:
    spent = psutil.Process().cpu_times()
    return spent.user + spent.system


def _descriptors() -> int:
    process = psutil.Process()
    return process.num_fds() if hasattr(process, "num_fds") else len(process.open_files())


def _outage(lab: Lab, runner: BoxRunner) -> list[Figure]:
    """While OMERO is down: what each turn costs, and that it reads no journal."""
    reads = Counted(journal.raw_bytes, really=True)
    begun, scans = _cpu(), runner.scans
    with mock.patch.object(journal, "raw_bytes", reads):
        _turns(lab, runner, TURNS)
    made = runner.scans - scans
    spent = (_cpu() - begun) / made
    return [
        Figure(f"an outage with {runner.busy():,} claims: journals read in {made} scans", f"{reads.count}", "0", not reads.count),
        Figure("  milliseconds of processor for a scan and all else", f"{1000 * spent:.0f}"),
    ]


def _start(lab: Lab) -> list[Figure]:
    begun, reads = _cpu(), Counted(journal.raw_bytes, really=True)
    runner = lab.start()
    with mock.patch.object(journal, "raw_bytes", reads):
        runner.turn(0)
    each = 1000 * (_cpu() - begun) / runner.busy()
    if reads.count < runner.busy():
        raise RuntimeError(f"{reads.count} journals of {runner.busy()} were seen to be read, so nothing is known of an outage either")
    return [Figure(f"a start with {runner.busy():,} claims: milliseconds of processor for each", f"{each:.2f}")]
