"""The disk under a box stops answering at any effect on it: the other boxes go on all the same, and this one does when it answers again.

Runs everywhere: the hang is one in the hook around effects. test_hung_mount.py does it with a real mount.
"""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from dropbox_import.daemon.box import BoxRunner
from dropbox_import.daemon.hung import Hung
from dropbox_import.disk import observe
from dropbox_import.errors import ServerUnavailable
from tests.support.lab import Lab
from tests.support.tally import ALL, counted

pytestmark = pytest.mark.timeout(3600 if ALL else 120)

SAMPLE = 45
OUTAGE = 60  # turns of the box that will hang
MANY = {f"set/{number}.tif": b"image %d" % number for number in range(10)}
FEW = {"set/1.tif": b"one", "set/2.tif": b"two"}
TEXT = "target: {dataset: HeLa}\n"
DOWN = ServerUnavailable("OMERO cannot be reached", code="unreachable")


class Hang:
    """The `number`th effect on a box does not come back until `end`; 0 = none hangs, they are only counted."""

    def __init__(self, lab: Lab, box: Path, number: int) -> None:
        self.lab = lab
        self.effects = 0
        self.begun, self.over = threading.Event(), threading.Event()
        self._box, self._number = box, number
        observe.set_observer(self._observe)

    def _observe(self, when: str, what: str, path: Path) -> None:
        if self._box not in path.parents:
            return
        self.effects += 1
        if self.effects == self._number:
            self.begun.set()
            assert self.over.wait(100)


def go_on(lab: Lab, runner: BoxRunner, enough: Callable[[], bool], most: int = 900) -> None:
    """Turns of one box, with the looks of the service between."""
    service = Hung(lab.shared, lab.runners)
    for _ in range(most):
        if enough():
            return
        service.tend()
        runner.turn(0)
        lab.clock.forward(max(0.05, min(runner.pause(), 1.0)))


def at_rest(runner: BoxRunner) -> bool:
    return runner.scans > 3 and not runner.busy() and not runner.waiting() and not list(runner.layout.drop.rglob("*.yaml"))


def lab_with(folder: Path, members: dict[str, bytes], owners: tuple[str, str]) -> Lab:
    lab = Lab(folder, boxes=2, users=("jdoe", "asmith"))
    lab.drop("set.yaml", TEXT, members, user=owners[0])
    return lab


def try_hang(folder: Path, number: int, members: dict[str, bytes], owners: tuple[str, str], *, outage: bool = False) -> int:
    """Hang at that effect on the first box; a drop in the second one is imported meanwhile. Returns the effects on the first box."""
    lab = lab_with(folder, members, owners)
    lab.start()
    hung, other = lab.runners
    hang = Hang(lab, lab.boxes[0], number)
    if outage:
        lab.server.refuse = dict.fromkeys(("open_session", "resolve", "target", "look_up", "begin", "send"), DOWN)
    turns = itertools.count()

    def rests() -> bool:
        if next(turns) == OUTAGE:
            lab.server.refuse.clear()
        return at_rest(hung)

    thread = threading.Thread(target=go_on, args=(lab, hung, rests), daemon=True)
    thread.start()
    while thread.is_alive() and not hang.begun.wait(0.002):
        pass
    lab.server.refuse.clear()
    lab.drop("other.yaml", TEXT, {"other/1.tif": b"other"}, user=owners[1], box=1)
    go_on(lab, other, lambda: at_rest(other))
    try:
        assert at_rest(other), f"stuck: the other box while this one hangs: {other.state()}"
    finally:
        hang.over.set()
        thread.join(60)
        observe.set_observer(None)
    assert number == 0 or hang.begun.is_set(), "it did not hang"
    go_on(lab, hung, lambda: at_rest(hung))
    lab.check(len(members) + 1)
    return hang.effects


CASES: dict[str, tuple[dict[str, bytes], tuple[str, str], bool]] = {
    "apart": (FEW, ("jdoe", "asmith"), False),
    "one owner": (FEW, ("jdoe", "jdoe"), False),
    "all slots": (MANY, ("jdoe", "asmith"), False),
    "outage": (FEW, ("jdoe", "jdoe"), True),
}


@pytest.mark.parametrize("case", CASES)
def test_the_other_box_goes_on(tmp_path: Path, case: str) -> None:
    members, owners, outage = CASES[case]
    effects = try_hang(tmp_path / "0", 0, members, owners, outage=outage)
    assert effects > 40
    first = random.Random(case).randint(1, SAMPLE)
    for number in range(1, effects + 1) if ALL else range(first, effects + 1, SAMPLE):
        with counted("a box does not answer", f"{case}: from effect {number} of {effects} on"):
            try_hang(tmp_path / str(number), number, members, owners, outage=outage)
