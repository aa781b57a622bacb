"""Two daemons whose drops all want the same project, dataset and tag, which are not there yet: one of each in the end.

The daemons, their workers and the stand-in are real. Every saving of one object is slowed down, so that both sides have looked before
either has made anything.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dropbox_import.clock import SystemClock
from dropbox_import.spool.layout import Layout, create_box
from tests.support import tally
from tests.support.realrun import ROOT, RealRun, real_run

DROPS = 50 if tally.ALL else 12
ROUNDS = 4 if tally.ALL else 1
DELAYED = {"operation": "saveAndReturnObject", "do": "delay", "seconds": 0.7, "times": 12}


class Second:
    """Another installation: its own state, on the same box or on one of its own, for the same OMERO."""

    def __init__(self, run: RealRun, *, own_box: bool) -> None:
        self.run = run
        self.layout = Layout(run.folder / "box2") if own_box else run.layout
        if own_box:
            create_box(self.layout.box, SystemClock(), run.users)
        config = json.loads(run.config.read_text())
        config |= {"state_dir": str(run.folder / "state2"), "instance": "second"}
        config["boxes"][0]["path"] = str(self.layout.box)
        self.config = run.folder / "second.yaml"
        self.config.write_text(json.dumps(config))
        words = [sys.executable, "-m", "tests.support.doomed", "run", "--config", str(self.config)]
        environment = os.environ | {"PYTHONPATH": str(ROOT), "NO_COLOR": "1", "HURRY": "1"}
        with (run.folder / "second.log").open("ab") as log:
            self.daemon = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, cwd=run.folder)

    @contextmanager
    def looked_at(self) -> Iterator[RealRun]:
        """The run with this one's box in place of its own."""
        own, self.run.layout = self.run.layout, self.layout
        try:
            yield self.run
        finally:
            self.run.layout = own

    def close(self) -> None:
        self.daemon.kill()
        self.daemon.wait(20)


def made(run: RealRun, entity: str) -> int:
    """How many rows there have ever been."""
    return int(run.ask("select seq from sqlite_sequence where name = ?", [entity])[0][0])


def warm(run: RealRun, second: Second) -> None:
    """Both have their workers and sessions."""
    run.drop("first")
    run.rest()
    with second.looked_at():
        run.drop("second")
        run.until(run.at_rest, 60)
        if second.layout is run.layout:
            run.until((run.folder / "state2" / "sessions").is_dir, 60)


def race(run: RealRun, second: Second, number: int) -> None:
    run.standin.faults(DELAYED)
    for each in range(DROPS):
        name, wanted = f"r{number}d{each}", {"project": f"project {number}", "dataset": f"dataset {number}"}
        if each % 2:
            with second.looked_at():
                run.drop(name, **wanted)  # type: ignore[arg-type]
        else:
            run.drop(name, **wanted)  # type: ignore[arg-type]
    with second.looked_at():
        run.rest(120)
    run.rest(120)


def judge(run: RealRun, number: int) -> None:
    run._check_server()
    for entity in ("Project", "Dataset"):
        found = run.ask(f"select count(*) from {entity} where name = ?", [f"{entity.lower()} {number}"])
        assert found == [(1,)], f"{entity} {number} is there {found}"
    bearing = run.ask(
        "select count(l.id) from ImageAnnotationLink l join Annotation a on a.id = l.child "
        "where a.kind = 'TagAnnotation' and a.textValue = 'kept'"
    )
    assert bearing == [(len(run.drops),)], f"lost tags: {bearing} of {len(run.drops)}"
    failed = [path for box in ("box", "box2") for path in (run.folder / box / "failed").glob("*/*/*")]
    assert not failed, f"in failed/: {[(path / 'REASON.txt').read_text() for path in failed]}"


@pytest.mark.timeout(280)
@pytest.mark.parametrize("own_box", [False, True], ids=["one box", "two boxes"])
def test_drops_of_two_daemons_that_make_one_dataset_get_one(tmp_path: Path, own_box: bool) -> None:
    with real_run(tmp_path) as run:
        second = Second(run, own_box=own_box)
        try:
            run.start()
            warm(run, second)
            for number in range(ROUNDS):
                before = made(run, "Dataset")
                with tally.counted("drops of two daemons make one dataset", f"round {number}", DROPS):
                    race(run, second, number)
                    judge(run, number)
                assert not own_box or made(run, "Dataset") > before + 1, "there was no race"
        finally:
            second.close()
