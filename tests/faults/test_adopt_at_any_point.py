"""A daemon stops at any point, another one takes its drops over and finishes them, and the first wakes up: nothing is done twice or lost.

Every point with DROPBOX_IMPORT_FAULTS=all (`make faults`), else every seventh of two of its eight stories.
"""

from __future__ import annotations

import logging
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from dropbox_import.intake import Intake, Scan
from dropbox_import.spool import layout
from tests.support.handover import EARLY, LATE, Handover, Told
from tests.support.lab import Lab
from tests.support.tally import ALL, counted, points

ONE = ("a.yaml", "target: {dataset: HeLa}\ntags: [x]\n", {"a.tif": b"image-a"})
SEVERAL = ("set.yaml", "target: {dataset: HeLa}\n", {"set/1.tif": b"one", "set/2.tif": b"two", "set/notes.txt": b"notes"})
PARTLY = ("p.yaml", "target: {dataset: HeLa}\n", {"p/good.tif": b"good", "p/bad.tif": b"broken"})
REFUSED = ("r.yaml", "target: {dataset: HeLa}\ntagz: 1\n", {"r.tif": b"image-r"})
CASES = {"one": (ONE, 1, 0), "several": (SEVERAL, 2, 0), "partly": (PARTLY, 1, 1), "refused": (REFUSED, 0, 0)}
CHOSEN = [(case, when) for case in CASES for when in (EARLY, LATE)] if ALL else [("several", LATE), ("partly", EARLY)]
LATER = ("later.yaml", "target: {dataset: HeLa}\n", {"later.tif": b"image-later"})

pytestmark = [pytest.mark.faults(minutes=3), pytest.mark.timeout(3600 if ALL else 120)]


def handover(folder: Path, case: str, when: str) -> Handover:
    shutil.rmtree(folder, ignore_errors=True)
    lab = Lab(folder, hosts=2)
    lab.drop(*CASES[case][0])
    return Handover(lab, when)


class Idle(Intake):
    """Whose daemon takes nothing new."""

    def scan(self) -> Scan:
        return Scan()


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


@pytest.mark.parametrize(("case", "when"), CHOSEN)
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
            assert two.done, "it did not come to this effect"
            mine = [line for line in told.lines if "taken over by another instance" in line]
            judge(two, case, told)
            assert not two.changed_after, f"changed in OMERO although another one had it: {two.changed_after}"
            assert len(mine) <= 1, f"told twice: {mine}"


@pytest.mark.parametrize(("case", "when"), CHOSEN)
def test_stopped_with_a_command_on_its_way(tmp_path: Path, told: Told, case: str, when: str) -> None:
    two = handover(tmp_path, case, when)
    two.life()
    commands = two.commands
    for number in range(1, commands + 1, 1 if ALL else 3):
        told.lines.clear()
        two = handover(tmp_path, case, when)
        with counted(f"a daemon is stopped with a command on its way, it wakes up {when}", f"at command {number} of {commands}, {case}"):
            two.life(at_command=number)
            assert two.done, "it did not come to this command"
            judge(two, case, told)


@pytest.mark.parametrize("number", range(1, 12) if ALL else [4, 6])
def test_the_second_one_does_not_wait_for_ever_while_the_first_works_in_the_same_session(tmp_path: Path, number: int) -> None:
    """The session that the drop was in must end before the drop goes on; so the first one takes no new work into it once it knows."""
    two = handover(tmp_path, "one", EARLY)
    with counted("the first one wakes up and has work for the same owner all the time", f"at command {number}"):
        two.life(at_command=number)
        two.second.runners[0]._intake = Idle(two.second.settings.boxes[0], two.second.clock)
        name = two.second.identity().name
        for later in range(20):
            two.lab.drop(f"n{later}.yaml", "target: {dataset: HeLa}\n", {f"n{later}.tif": f"next {later}".encode()})
            two.pass_by(30)
        left = [path.name for path in two.lab.layout.instance(name).iterdir() if layout.is_id(path.name)]
        assert not left, f"stuck: {left}"
        two.calm()
        two.lab.check(21)
