"""Every call that one drop makes to OMERO is cut: before its effect, after it, and so that it lands when its client has looked already.

The drop has two filesets, a new project and dataset, tags, key-values, a comment, a rating and an attachment. Daemon, importer and
stand-in are real. Several people drop at once, and each has one call cut: every point has a drop of its own, and the others' trouble.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support import tally
from tests.support.realrun import RealRun, real_run

MODES = ("cut-before", "cut-after", "late")
AT_ONCE = 24
SAMPLE = 4  # of each mode, in `make test`
SHARES = 3  # of the calls in each mode, so that no test takes minutes
SERVICE = ("", "importer")  # who logs in as the service account has no name yet
SPARE = 8  # in company an import is asked for more often, and a call that was cut is one more
FEW = 30  # more than the calls of a log-in
FILESETS = 2
POLL = 3  # the calls by which an importer asks how an import goes: keepAlive, getResponse, getStatus
KIND = "a call of an import is cut, "
Point = tuple[str, str, int]  # whose call, how it is cut, and which of them it is


def cut(users: Sequence[str], nth: int, do: str) -> dict[str, Any]:
    """A late effect lands when that user has been answered the first query after the cut."""
    return {"operation": "*", "users": list(users), "nth": nth, "do": do} | ({"until": "projection", "seconds": 5} if do == "late" else {})


def whole(run: RealRun, user: str) -> None:
    run.drop(f"of-{user}", user=user, fine=FILESETS, attached=True)


def calls_of_one(run: RealRun, user: str) -> tuple[int, int, int]:
    """How many calls the drop makes as its user, how many of them at least, and how many the service account makes for it."""
    before = len(run.standin.calls())
    whole(run, user)
    run.rest()
    made = run.standin.calls()[before:]
    mine = [call["op"] for call in made if call["user"] == user]
    asked_again = mine.count("getStatus") - FILESETS
    assert asked_again >= 0
    return len(mine), len(mine) - POLL * asked_again, sum(call["user"] in SERVICE for call in made)


def judge(run: RealRun, batch: Sequence[Point], sure: int) -> None:
    """Only a cut that came about is a point: how often an import is asked for is chance; `sure` calls are made always."""
    with ExitStack() as counting:
        for mode in sorted({mode for _, mode, _ in batch}):
            counting.enter_context(tally.counted(KIND + mode, str(batch), 0))
        run.rest(120)
        run.check()
        assert "a bug: " not in run.log.read_text(), f"told as a bug: {run.tail()}"
        struck = [point for point, times in zip(batch, run.standin.strikes(), strict=True) if times]
        missed = [point for point in batch if point not in struck and point[2] <= sure]
        assert not missed, f"these calls were not cut: {missed}"
    for _, mode, _ in struck:
        tally.tried[KIND + mode] += 1


def chosen(most: int, part: str) -> list[tuple[str, int]]:
    """The part's share of all calls in its mode; in the sample a few of each mode, always the same ones."""
    if part == "sample":
        return [(mode, nth) for mode in MODES for nth in sorted(random.Random(mode).sample(range(1, most + 1), SAMPLE))]
    mode, _, share = part.rpartition(" ")
    return [(mode, nth) for nth in range(int(share), most + 1, SHARES)]


pytestmark = [pytest.mark.faults(minutes=8), pytest.mark.timeout(290)]
PARTS = [f"{mode} {share}" for mode in MODES for share in range(1, SHARES + 1)] if tally.ALL else ["sample"]


@pytest.mark.parametrize("part", PARTS)
def test_a_cut_at_any_call_loses_nothing_and_doubles_nothing(tmp_path: Path, part: str) -> None:
    people = [f"user{number:03}" for number in range(120)]
    with real_run(tmp_path, *people) as run:
        fresh = iter(people)
        run.start()
        calls_of_one(run, next(fresh))
        most, sure, service = calls_of_one(run, next(fresh))
        assert 0 < service < FEW < sure
        found = chosen(most + SPARE if tally.ALL else sure, part)
        for start in range(0, len(found), AT_ONCE):
            batch = [(next(fresh), mode, nth) for mode, nth in found[start : start + AT_ONCE]]
            run.standin.faults(*(cut([user], nth, mode) for user, mode, nth in batch))
            for user, _, _ in batch:
                whole(run, user)
            judge(run, batch, sure)
        for mode, nth in chosen(service, part)[:: 1 if tally.ALL else SAMPLE]:
            user = next(fresh)
            run.standin.faults(cut(SERVICE, nth, mode))
            whole(run, user)
            judge(run, [(user, mode, nth)], service)
