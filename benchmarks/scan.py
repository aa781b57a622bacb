"""A look at drop folders with many files, against a bare walk that asks the system for the same facts."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any
from unittest import mock

from benchmarks.counted import Counted
from benchmarks.figures import Figure, spread
from dropbox_import.clock import SystemClock
from dropbox_import.intake import Intake
from dropbox_import.intake.reading import Reader
from dropbox_import.settings import Box

SIZES = (1_000, 10_000, 100_000)
IN_A_FOLDER = 1_000
ROUNDS = 5
MOST = 2.0
READ = 2_000
FIRST_FILES = 20_000
FIRST_ROUNDS = 15
SIDECAR = b"target: {dataset: HeLa}\n"


def run() -> list[Figure]:
    folder = Path(tempfile.mkdtemp(prefix="dropbox-import-benchmark-"))
    figures: list[Figure] = []
    try:
        for waiting in (False, True):
            figures += _looks(folder / f"looks-{waiting}", waiting)
        return figures + _first(folder / "first") + _one_sidecar(folder / "one") + _drops(folder / "drops")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _looks(folder: Path, waiting: bool) -> list[Figure]:
    what = "a sidecar in each folder that waits" if waiting else "no sidecar"
    figures: list[Figure] = []
    per_file: dict[int, float] = {}
    for size in SIZES:
        box = _box(folder / str(size))
        home = box.path / "drop" / "jdoe"
        _fill(home, size, waiting)
        bare: list[float] = []
        ratios: dict[str, list[float]] = {"first scan": [], "nothing changed": [], "one file changed": []}
        for turn in range(ROUNDS):
            intake = Intake(box, SystemClock())
            for name, found in ratios.items():
                if name == "one file changed":
                    (home / "run0000" / "image_00000.tif").write_bytes(b"x" * turn)
                bare.append(_took(partial(walk, str(box.path / "drop"))))
                found.append(_took(intake.scan) / bare[-1])
                intake.scan()
        per_file[size] = median(ratios["nothing changed"]) * median(bare) / size
        for name, found in ratios.items():
            figures.append(_ratio(f"{size:,} files, {what}: {name}, scan / walk", found))
        figures.append(Figure("  microseconds of the bare walk for a file", f"{median(bare) / size * 1e6:.1f}"))
        shutil.rmtree(box.path)
    growth = per_file[SIZES[-1]] / per_file[SIZES[0]]
    what = f"scan for each of {SIZES[-1]:,} files / of {SIZES[0]:,}"
    figures.append(Figure(what, f"{growth:.2f}", f"at most {MOST:g}", growth <= MOST))
    return figures


def _first(folder: Path) -> list[Figure]:
    """What the sidecars ask for is worked out once, in the first scan after a start: the fewer files to a sidecar, the more of it."""
    figures: list[Figure] = []
    for in_a_folder, equal in ((IN_A_FOLDER, False), (FIRST_FILES // 100, False), (FIRST_FILES // 100, True)):
        box = _box(folder / f"{in_a_folder}-{equal}")
        _fill(box.path / "drop" / "jdoe", FIRST_FILES, True, in_a_folder, equal)
        found: list[float] = []
        for _ in range(FIRST_ROUNDS):
            bare = _took(partial(walk, str(box.path / "drop")))
            found.append(_took(Intake(box, SystemClock()).scan) / bare)
        shutil.rmtree(box.path)
        texts = "equal texts" if equal else "each with a text of its own"
        what = f"first scan, {FIRST_FILES:,} files, in each of {FIRST_FILES // in_a_folder} folders a sidecar with a pattern that waits"
        figures.append(_ratio(f"{what}, {texts}: scan / walk", found))
    return figures


def _one_sidecar(folder: Path) -> list[Figure]:
    """What it costs to read one for the first time: to open it, to see whether it is one, to parse it."""
    figures: list[Figure] = []
    for equal in (False, True):
        box = _box(folder / f"{equal}")
        _give(box.path / "drop" / "jdoe", READ, equal)
        bare = _took(partial(walk, str(box.path / "drop"))) / (2 * READ)
        counted = Counted(Reader._fresh, really=True)

        def fresh(reader: Reader, *about: Any, counted: Counted = counted) -> object:
            return counted(reader, *about)

        with mock.patch.object(Reader, "_fresh", fresh):
            Intake(box, SystemClock()).scan()
        each = counted.seconds / counted.count
        texts = "with the same text as the others" if equal else "with a text of its own"
        figures.append(Figure(f"milliseconds to read one of {counted.count:,} sidecars {texts}", f"{1000 * each:.3f}"))
        figures.append(Figure("  names in a bare walk of that time", f"{each / bare:.0f}"))
    return figures


def _ratio(what: str, values: list[float]) -> Figure:
    return Figure(what, spread(values), f"at most {MOST:g}", median(values) <= MOST)


def _drops(folder: Path) -> list[Figure]:
    """The ordinary case: one sidecar for each image."""
    figures: list[Figure] = []
    growth: dict[str, list[float]] = {}
    for files in SIZES:
        box, drops = _box(folder / str(files)), files // 2
        home = box.path / "drop" / "jdoe"
        _give(home, drops)
        bare: list[float] = []
        found: dict[str, list[float]] = {
            word: [] for word in ("read for the first time", "found ready", "still ready", "one of them taken")
        }
        for _ in range(ROUNDS):
            intake = Intake(box, SystemClock())
            for word, ratios in found.items():
                if word == "found ready":
                    intake.scan()  # a second look; at the third all has been quiet
                if word == "one of them taken":
                    (home / "image00000.yaml").unlink()
                bare.append(_took(partial(walk, str(box.path / "drop"))))
                ratios.append(_took(intake.scan) / bare[-1])
                if word == "found ready":
                    assert len(intake.scan().ready) == drops
            (home / "image00000.yaml").write_bytes(SIDECAR)
        shutil.rmtree(box.path)
        for word, ratios in found.items():
            figures.append(_ratio(f"{files:,} files, a sidecar for each image: {word}, scan / walk", ratios))
            growth.setdefault(word, []).append(median(ratios) * median(bare) / files)
        seconds = ", ".join(f"{median(ratios) * median(bare):.2f}" for ratios in found.values())
        figures.append(Figure("  seconds of these scans", seconds))
    worst = max(each[-1] / each[0] for each in growth.values())
    what = f"a sidecar for each image: scan for each of {SIZES[-1]:,} files / of {SIZES[0]:,}, the worst of these"
    return [*figures, Figure(what, f"{worst:.2f}", f"at most {MOST:g}", worst <= MOST)]


def _box(folder: Path) -> Box:
    (folder / "drop" / "jdoe").mkdir(parents=True)
    return Box(path=folder, quiet_period=0.0)


def _give(home: Path, drops: int, equal: bool = True) -> None:
    """A sidecar for each image."""
    for number in range(drops):
        (home / f"image{number:05}.tif").write_bytes(b"x")
        (home / f"image{number:05}.yaml").write_bytes(SIDECAR if equal else f"target: {{dataset: HeLa {number}}}\n".encode())


def _fill(home: Path, files: int, waiting: bool, in_a_folder: int = IN_A_FOLDER, equal: bool = True) -> None:
    for begin in range(0, files, in_a_folder):
        run = home / f"run{begin // in_a_folder:04}"
        run.mkdir()
        if waiting:
            said = SIDECAR if equal else f"target: {{dataset: {run.name}}}\n".encode()
            (run / "late.yaml").write_bytes(said + b"files: {include: ['*.tif', late.tif]}\n")
        for number in range(min(in_a_folder, files - begin)):
            os.close(os.open(run / f"image_{number:05}.tif", os.O_CREAT | os.O_WRONLY))


def _took(what: Callable[[], object]) -> float:
    begun = time.perf_counter()
    what()
    return time.perf_counter() - begun


def walk(top: str) -> int:
    """Every name below, each with a fresh stat: the least that a scan can cost."""
    found, folders = 0, [top]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                entry.stat(follow_symlinks=False)
                found += 1
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
    return found
