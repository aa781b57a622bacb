"""SIGKILL from outside, before each call of the system that changes the disk: the next daemon goes on, and nothing is lost or twice.

The daemon's core is a real process on a real disk, with its syncs; OMERO and the workers are in the test. Since every call that changes
anything is tried, "after a call" is "before the next one".
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.lab import Lab
from tests.support.straced import CASES, Call, Zygote, ajar, lab_with, litter, wrong_modes, zygote
from tests.support.tally import ALL, counted

pytestmark = [pytest.mark.needs_strace, pytest.mark.faults(minutes=3), pytest.mark.timeout(1800 if ALL else 120)]
SAMPLE = 40
TRIES = 6  # for a second end


@pytest.fixture(scope="module")
def lives(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zygote]:
    with zygote(tmp_path_factory.mktemp("strace")) as found:
        yield found


def some(calls: list[Call], what: str) -> list[Call]:
    """All, or each 40th from an offset that differs from one `what` to the next."""
    return calls if ALL else calls[random.Random(what).randrange(SAMPLE) :: SAMPLE]


def judge(lab: Lab, case: str) -> None:
    _, imported, copies = CASES[case]
    lab.check(imported, sidecar_copies=copies)
    assert not litter(lab), f"left behind: {litter(lab)}"
    assert not wrong_modes(lab), f"modes and owners: {wrong_modes(lab)}"


@pytest.mark.parametrize("case", CASES)
def test_killed_before_any_call_that_changes_the_disk(tmp_path: Path, lives: Zygote, case: str) -> None:
    calls = lives.calls(case)
    kinds = Counter(call.kind for call in calls)
    assert min(kinds[kind] for kind in ("rename", "mkdir", "fsync", "write", "unlink", "chmod", "open")) > 2, f"{kinds}: strace sees them"
    for call in some(calls, case):
        lab = lab_with(tmp_path / "lab", case)
        with counted(f"SIGKILL at {call.kind}", str(call)):
            assert lives.live(lab, f"{call.name}:signal=SIGKILL:when={call.number}").code == -9, "this call was not reached"
            assert not ajar(lab), f"inprogress/: {ajar(lab)}"
            lab.life()
            judge(lab, case)


@pytest.mark.parametrize("case", CASES)
def test_killed_again_while_the_next_one_mends_it(tmp_path: Path, lives: Zygote, case: str) -> None:
    """The second end is at a call that the second life may not make; then another is tried."""
    rng = random.Random(case)
    missed = 0
    calls = some(lives.calls(case), case + "twice")
    for call in calls:
        for _ in range(TRIES):
            lab = lab_with(tmp_path / "lab", case)
            second = rng.choice(("fsync", "write", "mkdir", "rename", "renameat2", "unlink"))
            number = rng.randint(1, 8 if second in ("fsync", "write") else 3)
            assert lives.live(lab, f"{call.name}:signal=SIGKILL:when={call.number}").code == -9, f"{call} was not reached"
            if lives.live(lab, f"?{second}:signal=SIGKILL:when={number}").code == -9:
                with counted("SIGKILL at two calls", f"{call}, then {second} {number}"):
                    assert not ajar(lab), f"inprogress/: {ajar(lab)}"
                    lab.life()
                    judge(lab, case)
                break
        else:
            missed += 1
    assert missed <= len(calls) // 20, f"at {missed} of {len(calls)} calls no second end came"
