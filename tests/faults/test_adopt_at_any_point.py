"""A daemon stops at any point, another one takes its drops over and finishes them, and the first wakes up: nothing is done twice or lost.

Every point with DROPBOX_IMPORT_FAULTS=all (`make faults`), else every seventh.
"""

from __future__ import annotations

import logging
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.handover import EARLY, LATE, Handover, Told
from tests.support.lab import Lab
from tests.support.tally import ALL, counted, points

ONE = ("a.yaml", "target: {dataset: HeLa}\ntags: [x]\n", {"a.tif": b"image-a"})
SEVERAL = ("set.yaml", "target: {dataset: HeLa}\n", {"set/1.tif": b"one", "set/2.tif": b"two", "set/notes.txt": b"notes"})
PARTLY = ("p.yaml", "target: {dataset: HeLa}\n", {"p/good.tif": b"good", "p/bad.tif": b"broken"})
REFUSED = ("r.yaml", "target: {dataset: HeLa}\ntagz: 1\n", {"r.tif": b"image-r"})
CASES = {"one": (ONE, 1, 0), "several": (SEVERAL, 2, 0), "partly": (PARTLY, 1, 1), "refused": (REFUSED, 0, 0)}
LATER = ("later.yaml", "target: {dataset: HeLa}\n", {"later.tif": b"image-later"})

pytestmark = [pytest.mark.faults(minutes=4), pytest.mark.timeout(3600 if ALL else 120)]


def handover(folder: Path, case: str, when: str) -> Handover:
    shutil.rmtree(folder, ignore_errors=True)
    lab = Lab(folder, hosts=2)
    lab.drop(*CASES[case][0])
    return Handover(lab, when)


@pytest.fixture
def told() -> Iterator[Told]:
    handler, log = Told(), logging.getLogger("dropbox_import")
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    yield handler
    log.removeHandler(handler)
    log.setLevel(level)


def judge(two: Handover, case: str, told: Told) -> None:
    _, imported, copies = CASES[case]
    two.calm()
    two.lab.check(imported, sidecar_copies=copies)
    assert not two.lab.server.late
    bugs = [line for line in told.lines if line.startswith("TRACEBACK") or "held:" in line]
    assert not bugs, f"stuck: {bugs}"
    twice = [name for name, count in Counter(two.messages()).items() if count > 1]
    assert not twice, f"a message was written again: {twice}"
    # Who was stopped has no grudge: it takes and files what comes next, alone.
    two.lab.drop(*LATER)
    two.spin([two.first], two.lab.at_rest)
    two.lab.check(imported + 1, sidecar_copies=copies)


@pytest.mark.parametrize("when", [EARLY, LATE])
@pytest.mark.parametrize("case", CASES)
def test_stopped_at_any_effect_on_the_disk(tmp_path: Path, told: Told, case: str, when: str) -> None:
    two = handover(tmp_path, case, when)
    two.life()
    effects = two.effects
    assert effects > 40
    for point in points(effects, case + when):
        told.lines.clear()
        two = handover(tmp_path, case, when)
        with counted(f"a daemon is stopped and its drops are adopted, it wakes up {when}", f"at effect {point} of {effects}, {case}"):
            two.life(at_effect=point)
            mine = [line for line in told.lines if "taken over by another instance" in line]
            judge(two, case, told)
            assert not two.changed_after, f"changed in OMERO although another one had it: {two.changed_after}"
            assert len(mine) <= 1, f"told twice: {mine}"


@pytest.mark.parametrize("when", [EARLY, LATE])
@pytest.mark.parametrize("case", CASES)
def test_stopped_with_a_command_on_its_way(tmp_path: Path, told: Told, case: str, when: str) -> None:
    two = handover(tmp_path, case, when)
    two.life()
    commands = two.commands
    for number in range(1, commands + 1):
        told.lines.clear()
        two = handover(tmp_path, case, when)
        with counted(f"a daemon is stopped with a command on its way, it wakes up {when}", f"at command {number} of {commands}, {case}"):
            two.life(at_command=number)
            judge(two, case, told)
