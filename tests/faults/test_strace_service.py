"""The whole service under strace: ended before a call of one of its threads that changes the disk, or refused it; and then started again.

Service, box, couriers, order desk, locks, sessions and worker processes are real; what the workers answer is scripted, so that a point
takes seconds. The story: a drop that succeeds, one that partly fails, one that is refused, a retry by an order, and people who hear of it.
"""

from __future__ import annotations

import errno
import faulthandler
import os
import queue
import random
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import groupby

import pytest

from tests.support.serviced import Stage, stage
from tests.support.straced import ERRORS, Call, Ended, changing, is_told
from tests.support.tally import ALL, counted

pytestmark = [pytest.mark.needs_strace, pytest.mark.faults(minutes=3), pytest.mark.timeout(900 if ALL else 300)]

LANES = 4  # stages beside each other: a life mostly waits
STRIDE = 16  # in `make faults` every 16th of some 2,800 points, in `make test` as many as FEW in all
FEW = 14
TRIES = 3
KILL = "SIGKILL"
KILLED = -9
# The threads of the service that change the disk, by name; that of an importer also makes its lock.
THREADS = ("main", "box-0", "courier-0", r"importer-\d+", r"notifier-\d+")
# Calls of which nothing need be said when they are refused, as (errors, where), and why.
QUIET = {
    (".*", r"^unlink .*/locks/worker-"): "a lock that stays is harmless: its process is gone",
    (".*", r'^(unlink|fsync) .*/outbox(>|/[^/"]*letter.json")'): "a letter that was sent is removed later",
    (
        "EIO|ESTALE",
        r"failed/jdoe/[^/]*>|/discarded[>\"]|old__20261122|journal-0002|/20261122-[^/]*>",
    ): "an order waits for the share, and is answered when it is back",
}


@dataclass(frozen=True)
class Point:
    what: str
    thread: str
    call: Call

    @property
    def inject(self) -> str:
        how = f"signal={KILL}" if self.what == KILL else f"error={self.what}"
        return f"{self.call.name}:{how}:when={self.call.number}"

    def __str__(self) -> str:
        return f"{self.what} in {self.thread}, {self.call}"


@dataclass(frozen=True)
class Verdict:
    point: Point
    came: bool
    broken: Sequence[str] = ()


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Stage]]:
    with ExitStack() as opened:
        yield [opened.enter_context(stage(tmp_path_factory.mktemp("service"))) for _ in range(LANES)]


def all_points(one: Stage) -> list[Point]:
    """Every call of a thread in a life without trouble, with each fault; those of one fault, thread and class of calls stand together."""
    found = []
    for thread in THREADS:
        one.begin()
        ended = one.life(thread)
        assert ended.code == 0 and not one.broken(ended, again=0), f"without any trouble: {one.broken(ended, again=0)}"
        calls = [call for call in changing(ended, one.lab.box.parent) if "heartbeat" not in call.args]  # these come by the clock
        assert calls, f"{thread} makes no call that changes the disk"
        found += [Point(what, thread, call) for what in (KILL, *ERRORS) for call in calls]
    return sorted(found, key=lambda point: (point.what, point.call.kind))


def chosen(points: list[Point]) -> list[Point]:
    """Evenly spread; of each fault in each class of calls at least two."""
    if not ALL:
        return points[random.Random(len(points)).randrange(len(points) // FEW) :: len(points) // FEW]
    found = []
    for _, group in groupby(points, key=lambda point: (point.what, point.call.kind)):
        calls = list(group)
        number = max(2, round(len(calls) / STRIDE))
        offset = random.Random(f"{calls[0].what} {calls[0].call.kind}").random()
        found += [calls[int((one + offset) * len(calls) / number)] for one in range(number)]
    return found


def tried(one: Stage, point: Point) -> Verdict:
    """The fault, and then a life without any."""
    one.begin()
    struck = one.life(point.thread, point.inject)
    came = struck.code == KILLED if point.what == KILL else struck.injected == 1
    if not came:
        return Verdict(point, came=False)
    error = "" if point.what == KILL else os.strerror(getattr(errno, point.what))
    try:
        told = wrong_words(one, point, struck) if error else []
        return Verdict(point, True, [*told, *one.broken(one.life(), error=error)])
    except AssertionError as broken:
        return Verdict(point, True, [str(broken)])


def wrong_words(one: Stage, point: Point, struck: Ended) -> list[str]:
    """What the service that was refused a call should not have said, or should."""
    texts = [said.text for said in struck.warnings]
    answered = any(said.text.startswith("retry: ") and os.strerror(getattr(errno, point.what)) in said.text for said in struck.said)
    found = [f"it says that this is a bug: {said.text}" for said in struck.said if said.traceback]
    found += [f"it ended with {struck.code}, and says {texts}"] * (struck.code != 0)
    # As threads go, the call of that number may be another one than in the life that was looked at: a look, of which nothing need be said.
    made = [call for call in changing(struck, one.lab.box.parent) if (call.name, call.number) == (point.call.name, point.call.number)]
    quiet = any(re.search(where, str(call)) and re.fullmatch(errors, point.what) for call in made for errors, where in QUIET)
    told = answered or quiet or all(is_told(call, point.what, struck) for call in made)
    return found + [f"it says nothing of {point.what}: {texts}"] * (not told)


def reached(one: Stage, point: Point) -> Verdict:
    """A life may have a call less than the one that was looked at, of a status or a letter: then that of the name before it is tried."""
    verdict = tried(one, point)
    for fewer in range(1, min(TRIES, point.call.number)):
        if verdict.came:
            break
        verdict = tried(one, replace(point, call=replace(point.call, number=point.call.number - fewer)))
    return verdict


def test_a_fault_at_any_call_of_the_service(stages: list[Stage]) -> None:
    faulthandler.cancel_dump_traceback_later()  # which ends whatever takes longer than some minutes
    points = chosen(all_points(stages[0]))
    free: queue.SimpleQueue[Stage] = queue.SimpleQueue()
    for one in stages:
        free.put(one)

    def judged(point: Point) -> Verdict:
        one = free.get()
        try:
            return reached(one, point)
        finally:
            free.put(one)

    missed, wrong = [], []
    with ThreadPoolExecutor(LANES) as lanes:
        for verdict in lanes.map(judged, points):
            if not verdict.came:
                missed.append(verdict.point)
                continue
            try:
                what = verdict.point.what
                kind = "the service is killed at a call" if what == KILL else f"the service is refused a call, {what}"
                with counted(kind, str(verdict.point)):
                    assert not verdict.broken, "; ".join(verdict.broken)
            except AssertionError as error:
                wrong.append(str(error))
    assert not wrong, "\n".join(wrong)
    assert len(missed) <= len(points) // 20, f"nobody came to these calls: {missed}"
