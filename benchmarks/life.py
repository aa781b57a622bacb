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

from benchmarks.backlog import Counted, syncs
from benchmarks.figures import Figure
from dropbox_import.inspector.keys import fileset_key
from dropbox_import.model import FileFacts
from dropbox_import.plain import from_plain, to_plain
from dropbox_import.spool import layout
from dropbox_import.workers.protocol import Command
from tests.support.lab import Lab
from tests.support.scripted import ScriptedWorkers, Server
from tests.support.scripted_commands import Commands

FEW, MANY, MOST = 10, 1_000, 10_000
OF_A_FILESET = 5  # syncs
SIDECAR = "target: {dataset: HeLa}\ntags: [benchmark]\n"


@dataclass(frozen=True)
class Shape:
    """A drop. `one`: all its files are one fileset; else each is one."""

    one: bool
    files: Mapping[str, bytes]
    sidecar: str = SIDECAR


@dataclass(frozen=True)
class Life:
    """`processor`: seconds, those of the scripted workers not counted."""

    syncs: int
    processor: float


def run() -> list[Figure]:
    logging.getLogger("dropbox_import").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="dropbox-import-benchmark-") as folder:
        places = (Path(folder) / f"lab-{number}" for number in range(100))

        def live(shape: Callable[[int], Shape], count: int) -> Life:
            return _live(next(places), shape(count))

        few, many = live(_files, FEW), live(_files, MOST)
        figures = [
            Figure(f"one fileset of {MOST:,} files, of {FEW}: syncs", f"{many.syncs}, {few.syncs}", "the same", many.syncs == few.syncs)
        ]
        few, many, most = (live(_filesets, count) for count in (FEW, MANY, MOST))
        each, growth = _more(few, FEW, most, MOST), most.processor / MOST / (many.processor / MANY)
        said = f"a drop of {MOST:,} filesets, of {MANY:,}, of {FEW}"
        figures += [
            Figure(f"{said}: syncs", f"{most.syncs}, {many.syncs}, {few.syncs}"),
            Figure("  for each fileset more", f"{each:.2f}", f"<= {OF_A_FILESET}", each <= OF_A_FILESET),
            Figure(f"  milliseconds of processor for one of {MOST:,} filesets", f"{1000 * most.processor / MOST:.2f}"),
            Figure(f"    / for one of {MANY:,}", f"{growth:.2f}", "<= 1.5", growth <= 1.5),
        ]
        for what, shape, goal in (
            ("folder in a folder that is dropped whole", _whole, 0),
            ("folder of which a part is dropped", _parts, None),
            ("attached file", _attachments, None),
        ):
            more = _more(live(shape, FEW), FEW, live(shape, MANY), MANY)
            met = None if goal is None else more <= goal
            figures.append(Figure(f"syncs for each {what}, {MANY:,} against {FEW}", f"{more:.2f}", "" if goal is None else f"{goal}", met))
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
    lab = Lab(place)
    lab.drop("set.yaml", shape.sidecar, dict(shape.files))
    runner = lab.start()
    with _scripted(shape.one) as workers, syncs(really=False) as counted:
        begun = time.process_time()
        while any(lab.layout.drop.glob("*/*.yaml")) or lab.claims():
            runner.turn(0)
            lab.clock.forward(max(0.05, min(runner.pause(), 1.0)))
        spent = time.process_time() - begun - workers.seconds
    filesets = 1 if shape.one else len(shape.files)
    if len(lab.server.complete()) != filesets or len(lab.filed("done")) != 1:
        reasons = [(folder / layout.REASON).read_text() for folder in lab.filed("failed")]
        raise RuntimeError(f"{len(lab.server.complete())} of {filesets} filesets were imported; {reasons}")
    return Life(counted.count, spent)


@contextmanager
def _scripted(one: bool) -> Iterator[Counted]:
    """Workers that find such filesets, in a server where nothing happens by itself. Gives the time that is theirs."""
    counted = Counted(ScriptedWorkers._do, really=True)

    def inspect(*_: object, members: list[dict[str, Any]], **_more: object) -> dict[str, Any]:
        found = [from_plain(FileFacts, member) for member in members]
        groups = [found] if one else [[each] for each in found]
        plans = [{"key": fileset_key(group), "files": [to_plain(each) for each in group]} for group in groups]
        return {"filesets": plans, "bad": [], "extras": []}

    def do(workers: ScriptedWorkers, command: Command) -> object:
        return counted(workers, command)

    def nothing(_: Server) -> None:
        return None

    with ExitStack() as patches:
        for whose, name, instead in ((Commands, "_inspect", inspect), (Server, "tick", nothing), (ScriptedWorkers, "_do", do)):
            patches.enter_context(mock.patch.object(whose, name, instead))
        yield counted
