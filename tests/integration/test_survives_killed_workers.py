"""Importers and inspectors are killed at any step, some while the server still works for them: every drop is imported once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.realrun import RealRun, real_run
from tests.support.tally import counted

WAY = "resolved target looked-up begin begun uploaded commit committed answered imported annotated"
EVERY_POINT = [f"{when}:{kind}" for kind in WAY.split() for when in ("before", "after")]
SAMPLE = ("before:begun", "after:uploaded", "after:commit")
CALLS = ("createSessionWithTimeouts", "importFileset", "write", "close", "verifyUpload", "getResponse", "saveAndReturnArray")


def kill_in(run: RealRun, operation: str, seconds: float = 0.7) -> None:
    """Kill the importer while the server is at this call of it; the server does what it was asked a moment later."""
    run.in_call(operation, seconds)
    assert run.kill_workers("importer") == 1


def struck(run: RealRun) -> list[str]:
    """The dooms that met a worker, as the daemon's log tells them."""
    return re.findall(r"DOOM (\S+)", run.log.read_text())  # not the whole line: who is killed may leave half of one before it


def test_an_importer_is_killed_at_many_steps(tmp_path: Path) -> None:
    people = [f"user{number}" for number in range(len(SAMPLE))]
    with real_run(tmp_path, *people) as run:
        run.start(*(f"importer:{point}" for point in SAMPLE))
        for number, person in enumerate(people):
            run.drop(f"drop{number}", user=person)
            run.until(run.at_rest, 60)
        run.check()
        assert struck(run) == [f"importer:{point}" for point in SAMPLE]
        assert run.terminate() == 0
        run.check_sessions()


def test_an_importer_is_killed_while_the_server_works_for_it(tmp_path: Path) -> None:
    with real_run(tmp_path, "alice", "bob") as run:
        run.start()
        for number, operation in enumerate(("importFileset", "verifyUpload", "saveAndReturnArray")):
            run.drop(f"drop{number}", user=("alice", "bob")[number % 2])
            kill_in(run, operation, (0.7, 5)[number % 2])
            run.rest()
        run.check()


def test_one_drop_is_not_failed_for_deaths_at_different_steps(tmp_path: Path) -> None:
    with real_run(tmp_path) as run:
        run.start()
        run.drop("unlucky")
        for operation in ("importFileset", "write", "verifyUpload", "saveAndReturnArray"):
            kill_in(run, operation)
        run.rest()
        run.check()


def test_an_inspector_is_killed_at_its_work(tmp_path: Path) -> None:
    with real_run(tmp_path) as run:
        run.start("inspector:before:inspected")
        run.drop("one")
        run.until(lambda: run.kill_workers("inspector"))
        run.drop("two", fine=1, broken=1)
        run.rest()
        run.check()
        assert struck(run) == ["inspector:before:inspected"]


@pytest.mark.slow_faults(minutes=3)
@pytest.mark.parametrize("point", EVERY_POINT)
def test_an_importer_is_killed_at_any_record(tmp_path: Path, point: str) -> None:
    with counted("a real importer is killed at a record", point), real_run(tmp_path) as run:
        run.start(f"importer:{point}")
        run.drop("one", fine=2)
        run.rest()
        assert struck(run) == [f"importer:{point}"], "no importer was killed"
        run.check()
        assert run.terminate() == 0
        run.check_sessions()


@pytest.mark.slow_faults(minutes=3)
@pytest.mark.parametrize("seconds", [0.5, 3, 8])
@pytest.mark.parametrize("operation", CALLS)
def test_an_importer_is_killed_in_any_kind_of_call(tmp_path: Path, operation: str, seconds: float) -> None:
    with counted("a real importer is killed in a call of the server", f"{operation}, {seconds} s"), real_run(tmp_path) as run:
        run.start()
        run.drop("one", fine=2)
        kill_in(run, operation, seconds)
        run.rest()
        run.check()
