"""Two daemons, each with two importers, whose drops all want the same project, dataset and tag, which are not there yet: one of each in
the end.

The daemons, their workers and the stand-in are real. Every saving of one object is slowed down, so that both sides have looked before
either has made anything. A daemon keeps one session for each owner, so for one owner it is one importer of each daemon that race; the
drops of a second owner, another one in each round, who has containers of his own, keep the other two importers at work beside them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from dropbox_import.clock import SystemClock
from dropbox_import.spool.layout import Layout, create_box
from tests.support import tally
from tests.support.realrun import ROOT, RealRun, real_run

DROPS = 50 if tally.ALL else 12
ROUNDS = 4 if tally.ALL else 1
MORE_ROUNDS = 9  # at most, while nothing has raced
IMPORTERS = 2  # of each daemon; the second one is started for an owner who comes when the first one has all hands full
WORKERS = {"importers": IMPORTERS, "filesets_in_flight": 1}
BESIDE = 6  # drops of the second owner
OTHERS = tuple(f"other{number}" for number in range(ROUNDS + MORE_ROUNDS))
DELAYED = {"operation": "saveAndReturnObject", "do": "delay", "seconds": 1.0, "times": 24}


class Second:
    """Another installation: its own state, on the same box or on one of its own, for the same OMERO."""

    def __init__(self, run: RealRun, *, own_box: bool) -> None:
        self.run = run
        self.layout = Layout(run.folder / "box2") if own_box else run.layout
        if own_box:
            create_box(self.layout.box, SystemClock(), run.users)
        config = json.loads(run.config.read_text())
        self.state = run.folder / "state2"
        config |= {"state_dir": str(self.state), "instance": "second"}
        config["boxes"][0]["path"] = str(self.layout.box)
        self.config = run.folder / "second.yaml"
        self.config.write_text(json.dumps(config))
        words = [sys.executable, "-m", "tests.support.doomed", "run", "--config", str(self.config)]
        environment = os.environ | {"PYTHONPATH": str(ROOT), "NO_COLOR": "1", "HURRY": "1"}
        with (run.folder / "second.log").open("ab") as log:
            self.daemon = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, cwd=run.folder)

    @contextmanager
    def looked_at(self) -> Iterator[RealRun]:
        """The run with this one's box and state in place of its own."""
        own = self.run.layout, self.run.state
        self.run.layout, self.run.state = self.layout, self.state
        try:
            yield self.run
        finally:
            self.run.layout, self.run.state = own

    def close(self) -> None:
        self.daemon.kill()
        self.daemon.wait(20)


def made(run: RealRun, entity: str) -> int:
    """How many rows there have ever been."""
    return int(run.ask("select seq from sqlite_sequence where name = ?", [entity])[0][0])


@dataclass
class Seen:
    """What has to have happened once, or nothing was tried."""

    raced: bool = False
    crowded: list[int] = field(default_factory=lambda: [0, 0])

    def look(self, run: RealRun, second: Second) -> None:
        with second.looked_at():
            theirs = len(run.workers("importer"))
        self.crowded = [max(self.crowded[0], len(run.workers("importer"))), max(self.crowded[1], theirs)]

    def all(self) -> bool:
        return self.raced and min(self.crowded) >= IMPORTERS


def warm(run: RealRun, second: Second) -> None:
    """Both have their workers and sessions."""
    run.drop("first")
    run.rest()
    with second.looked_at():
        run.drop("second")
        run.until(run.at_rest, 60)
        if second.layout is run.layout:
            run.until((second.state / "sessions").is_dir, 60)


def race(run: RealRun, second: Second, number: int) -> None:
    """The other owner comes when importers are already making what the first one's drops want."""
    before = saves(run)
    run.standin.faults(DELAYED)
    drop(run, second, number, range(DROPS), "alice")
    run.until(lambda: saves(run) > before)
    drop(run, second, number, range(DROPS, DROPS + BESIDE), OTHERS[number])


def saves(run: RealRun) -> int:
    return sum(call["op"] == DELAYED["operation"] for call in run.standin.calls())


def drop(run: RealRun, second: Second, number: int, which: range, user: str) -> None:
    for each in which:
        with second.looked_at() if each % 2 else nullcontext():
            run.drop(f"r{number}d{each}", user=user, project=f"project {number}", dataset=f"dataset {number}")


def rest(run: RealRun, second: Second, seen: Seen) -> None:
    def over() -> bool:
        seen.look(run, second)
        with second.looked_at():
            there = run.at_rest()
        return there and run.at_rest()

    run.until(over, 120)


def judge(run: RealRun, number: int) -> None:
    run._check_server()
    for entity in ("Project", "Dataset"):
        found = run.ask(f"select count(*) from {entity} where name = ? group by owner", [f"{entity.lower()} {number}"])
        assert found == [(1,), (1,)], f"{entity} {number} is there {found}"
    bearing = run.ask(
        "select count(l.id) from ImageAnnotationLink l join Annotation a on a.id = l.child "
        "where a.kind = 'TagAnnotation' and a.textValue = 'kept'"
    )
    assert bearing == [(len(run.drops),)], f"lost tags: {bearing} of {len(run.drops)}"
    failed = [path for box in ("box", "box2") for path in (run.folder / box / "failed").glob("*/*/*")]
    assert not failed, f"in failed/: {[(path / 'REASON.txt').read_text() for path in failed]}"


@pytest.mark.timeout(500)
@pytest.mark.parametrize("own_box", [False, True], ids=["one box", "two boxes"])
def test_drops_of_two_daemons_that_make_one_dataset_get_one(tmp_path: Path, own_box: bool) -> None:
    with real_run(tmp_path, "alice", *OTHERS, workers=WORKERS) as run:
        second = Second(run, own_box=own_box)
        seen = Seen()
        try:
            run.start()
            warm(run, second)
            for number in range(len(OTHERS)):
                if number >= ROUNDS and seen.all():
                    break
                before = made(run, "Dataset")
                with tally.counted("drops of two daemons make one dataset", f"round {number}", DROPS):
                    race(run, second, number)
                    rest(run, second, seen)
                    judge(run, number)
                seen.raced |= made(run, "Dataset") - before > 2
            print(f"{number} rounds: {seen}")
            assert seen.all(), f"there was no race, or not with all importers: {seen}"
        finally:
            second.close()
