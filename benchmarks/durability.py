"""What the syncs cost: the same 300 drops of 1 MiB with every sync, and with none; and those of one fileset of few and of many files."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.drops import LONGEST, SIDECAR, picture
from benchmarks.figures import Figure
from benchmarks.scene import USER, Scene, give, journals, scene
from benchmarks.synced import Sync, covered, hooks, noted
from dropbox_import.spool.layout import Layout
from dropbox_import.standin.samples import companion_set

DROPS = 300
FILES = (3, 201)
ROLES = ("daemon", "importer")


@dataclass(frozen=True)
class Run:
    """`length`: seconds from the start of the daemon to the last filing; `syncs`: those of that time, of the daemon and its workers."""

    length: float
    syncs: Sequence[Sync]

    def of(self, role: str) -> list[Sync]:
        return [one for one in self.syncs if one.role == role]

    def share(self, syncs: Sequence[Sync]) -> float:
        return covered(syncs) / self.length

    def each(self) -> str:
        """How many of each process."""
        return " + ".join(str(len(self.of(role))) for role in ROLES)


def run() -> list[Figure]:
    with scene() as stage:
        synced, unsynced = (_run(stage, _drops, DROPS, really=really) for really in (True, False))
        few, many = (_run(stage, _one_fileset, count, really=False) for count in FILES)
    daemon = synced.of("daemon")
    box = [one for one in daemon if one.thread.startswith("box-")]
    others = [one for one in daemon if not one.thread.startswith("box-")]
    counts = ", ".join(f"{len(synced.of(role)) / DROPS:.1f}" for role in ROLES)
    lengths = ", ".join(f"{1000 * sum(one.seconds for one in found) / len(found):.2f}" for found in map(synced.of, ROLES))
    return [
        Figure(f"{DROPS} drops: share of the run's time in which any process was in a sync", f"{synced.share(synced.syncs):.0%}"),
        Figure("  in which the thread of the box was in one", f"{synced.share(box):.0%}"),
        Figure("  in which another thread of the daemon was in one", f"{synced.share(others):.0%}"),
        Figure("  in which an importer was in one", f"{synced.share(synced.of('importer')):.0%}"),
        Figure("  syncs for a drop: daemon, importer", counts),
        Figure("  milliseconds for a sync: daemon, importer", lengths),
        Figure("length of the run without any sync / with all", f"{unsynced.length / synced.length:.2f}"),
        Figure("  seconds for a drop with all, with none", f"{synced.length / DROPS:.3f}, {unsynced.length / DROPS:.3f}"),
        Figure(
            f"syncs of a daemon's run for one fileset of {FILES[1]} files, of {FILES[0]}: daemon + importer",
            f"{many.each()}, {few.each()}",
            "the same",
            many.each() == few.each(),
        ),
    ]


def _drops(box: Layout, count: int) -> int:
    for number in range(count):
        give(box, f"{number}.tif", picture(number))
        give(box, f"{number}.yaml", SIDECAR.encode())
    return count


def _one_fileset(box: Layout, count: int) -> int:
    """OME-TIFFs with a companion file, in a folder."""
    hidden = box.drop / USER / ".set.part"
    hidden.mkdir()
    companion_set(hidden, count=count - 1)
    hidden.rename(hidden.with_name("set"))
    give(box, "set.yaml", SIDECAR.encode())
    return 1


def _run(stage: Scene, fill: Callable[[Layout, int], int], count: int, *, really: bool) -> Run:
    box = stage.new_box()
    drops = fill(box, count)
    file = stage.folder / f"{box.box.name}-syncs"
    hooked = hooks(stage.folder / f"{box.box.name}-hooks", file, really=really)
    begun = time.monotonic()
    with stage.daemon(box, hooks=hooked, quiet_period=1, scan_interval=1) as daemon:
        daemon.finish(LONGEST)
        ended = time.monotonic()
    found = [sum(record.kind == "imported" for record in records) for records in journals(box.done)]
    if found != [1] * drops:
        raise RuntimeError(f"{drops} drops are to be in done/, each with one fileset; there are {found}")
    return Run(ended - begun, [one for one in noted(file) if one.begun < ended])
