"""The whole life of one drop, from its claim to its filing: what of it grows with its files, filesets, folders and attachments.

The daemon's own code in this process, against scripted workers that do each command at once; syncs are counted and not made. Those of
the importer are no part of it: durability has them.
"""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.counted import Counted, syncs
from benchmarks.figures import Figure
from dropbox_import.daemon.box import BoxRunner
from dropbox_import.inspector.keys import fileset_key
from dropbox_import.model import FileFacts
from dropbox_import.plain import from_plain, to_plain
from dropbox_import.spool import layout
from dropbox_import.workers.protocol import Command
from tests.support.lab import Lab
from tests.support.scripted import ScriptedWorkers, Server
from tests.support.scripted_commands import Commands

FEW, MANY, MOST = 10, 1_000, 10_000
OF_FILES = 140  # however many files a fileset has: up to a hundred that get their modes back are synced one by one, of more their volume
OF_A_FILESET = 4  # syncs: `begin`, `commit`, `imported`, `making` of its annotations
SIDECAR = "target: {dataset: HeLa}\ntags: [benchmark]\n"


@dataclass(frozen=True)
class Shape:
    """A drop. `one`: all its files are one fileset; else each is one."""

    one: bool
    files: Mapping[str, bytes]
    sidecar: str = SIDECAR


@dataclass(frozen=True)
class Life:
    """`stages`: syncs before the first command to a worker, from that to the last one, and after it. `processor`: the daemon's seconds."""

    stages: tuple[int, int, int]
    processor: float

    @property
    def syncs(self) -> int:
        return sum(self.stages)


def run() -> list[Figure]:
    logging.getLogger("dropbox_import").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="dropbox-import-benchmark-") as folder:
        places = (Path(folder) / f"lab-{number}" for number in range(100))

        def live(shape: Callable[[int], Shape], count: int) -> Life:
            return _live(next(places), shape(count))

        plain, few, many = (live(_files, count) for count in (1, FEW, MOST))
        stages = ", ".join(map(str, plain.stages))
        figures = [
            Figure("a drop of one file: syncs to claim it, for its import, to report and file it", stages),
            Figure(
                f"one fileset of {MOST:,} files, of {FEW}: syncs", f"{many.syncs}, {few.syncs}", f"<= {OF_FILES}", many.syncs <= OF_FILES
            ),
        ]
        few, many, most = (live(_filesets, count) for count in (FEW, MANY, MOST))
        each, growth = _more(few, FEW, most, MOST), most.processor / MOST / (many.processor / MANY)
        figures += [
            Figure(f"a drop of {MOST:,} filesets, of {MANY:,}, of {FEW}: syncs", f"{most.syncs}, {many.syncs}, {few.syncs}"),
            Figure("  for each fileset more", f"{each:.2f}", f"<= {OF_A_FILESET}", each <= OF_A_FILESET),
            Figure(f"  milliseconds of processor for one of {MOST:,} filesets", f"{1000 * most.processor / MOST:.2f}"),
            Figure(f"    / for one of {MANY:,}", f"{growth:.2f}", "<= 1.5", growth <= 1.5),
        ]
        for shape, what, goal in (
            (_whole, "folder in a folder that is dropped whole", "0"),
            (_parts, "folder of which a part is dropped", ""),
            (_attachments, "attached file", ""),
        ):
            each = _more(live(shape, FEW), FEW, live(shape, MANY), MANY)
            good = each <= float(goal) if goal else None
            figures.append(Figure(f"syncs for each {what}, {MANY:,} against {FEW}", f"{each:.2f}", goal, good))
    return figures


def _more(few: Life, count: int, many: Life, larger: int) -> float:
    return (many.syncs - few.syncs) / (larger - count)


def _files(count: int) -> Shape:
    return Shape(True, {f"set/{number:05}.tif": b"image %d" % number for number in range(count)})


def _filesets(count: int) -> Shape:
    return Shape(False, _files(count).files)


def _whole(count: int) -> Shape:
    return Shape(True, {f"set/{number}/image.tif": b"image %d" % number for number in range(count)})


def _parts(count: int) -> Shape:
    left = {f"in/{number}/notes.txt": b"these stay %d" % number for number in range(count)}
    taken = {f"in/{number}/image.tif": b"image %d" % number for number in range(count)}
    return Shape(True, taken | left, SIDECAR + 'files: {include: ["in/*/image.tif"]}\n')


def _attachments(count: int) -> Shape:
    names = [f"notes/{number}.txt" for number in range(count)]
    notes, wanted = {name: name.encode() for name in names}, ", ".join(f"{{file: {name}}}" for name in names)
    return Shape(True, {"set.tif": b"image", **notes}, f"{SIDECAR}attachments: [{wanted}]\n")


def _live(place: Path, shape: Shape) -> Life:
    """One drop before it makes the folders that its user lacks."""
    lab = Lab(place)
    runner = lab.start()
    with syncs(really=False) as made, _scripted(shape.one, made) as workers:
        lab.drop("first.yaml", SIDECAR, {"first.tif": b"first"})
        _until_filed(lab, runner)
        lab.drop("set.yaml", shape.sidecar, dict(shape.files))
        begun, before, earlier, commands = time.process_time(), made.count, workers.seconds, len(workers.at)
        _until_filed(lab, runner)
        spent = time.process_time() - begun - (workers.seconds - earlier)
    filesets = 1 if shape.one else len(shape.files)
    if len(lab.server.complete()) != 1 + filesets or len(lab.filed("done")) != 2:
        reasons = [(folder / layout.REASON).read_text() for folder in lab.filed("failed")]
        raise RuntimeError(f"{len(lab.server.complete()) - 1} of {filesets} filesets were imported; {reasons}")
    first, last = workers.at[commands], workers.at[-1]
    return Life((first - before, last - first, made.count - last), spent)


def _until_filed(lab: Lab, runner: BoxRunner) -> None:
    while any(lab.layout.drop.glob("*/*.yaml")) or lab.claims():
        runner.turn(0)
        lab.clock.forward(max(0.05, min(runner.pause(), 1.0)))


class Workers:
    """Before each command: how many syncs there were. And the seconds in all of them."""

    def __init__(self, syncs: Counted) -> None:
        self._syncs = syncs
        self._plain = Counted(ScriptedWorkers._do, really=True)
        self.at: list[int] = []

    @property
    def seconds(self) -> float:
        return self._plain.seconds

    def do(self, workers: ScriptedWorkers, command: Command) -> object:
        self.at.append(self._syncs.count)
        return self._plain(workers, command)


@contextmanager
def _scripted(one: bool, syncs: Counted) -> Iterator[Workers]:
    """Workers that find such filesets, in a server where nothing happens by itself."""
    told = Workers(syncs)

    def inspect(*_: object, members: list[dict[str, Any]], **_more: object) -> dict[str, Any]:
        found = [from_plain(FileFacts, member) for member in members]
        groups = [found] if one else [[each] for each in found]
        plans = [{"key": fileset_key(group), "files": [to_plain(each) for each in group]} for group in groups]
        return {"filesets": plans, "bad": [], "extras": []}

    def do(workers: ScriptedWorkers, command: Command) -> object:
        return told.do(workers, command)

    def nothing(_: Server) -> None:
        return None

    with ExitStack() as patches:
        for whose, name, instead in ((Commands, "_inspect", inspect), (Server, "tick", nothing), (ScriptedWorkers, "_do", do)):
            patches.enter_context(mock.patch.object(whose, name, instead))
        yield told
