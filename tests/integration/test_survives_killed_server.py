"""The server dies without a word and comes back without its sessions: what was half done is done again, and nothing twice."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.support.realrun import RealRun, real_run
from tests.support.tally import ALL, counted

CALLS = ("createSession", "createSessionWithTimeouts", "saveAndReturnObject", "importFileset", "write", "close", "verifyUpload")
LATE_CALLS = ("getResponse", "saveAndReturnArray")


def kill_in(run: RealRun, operation: str) -> None:
    """Kill the server while it has this call, which is not done, and start it again."""
    run.standin.faults({"operation": operation, "do": "delay", "seconds": 20}, import_seconds=1)
    run.until(lambda: any(run.standin.strikes()), 60)
    run.standin.faults()
    run.standin.kill()
    run.standin.start()


def test_the_server_dies_at_many_steps(tmp_path: Path) -> None:
    with real_run(tmp_path, "alice", "bob", "carol") as run:
        run.start()
        for number, operation in enumerate(("importFileset", "close", "verifyUpload", "getResponse", "saveAndReturnArray")):
            run.drop(f"drop{number}", user=("alice", "bob", "carol")[number % 3])
            kill_in(run, operation)
        run.rest()
        run.check()


def test_the_server_dies_in_the_middle_of_an_import(tmp_path: Path) -> None:
    with real_run(tmp_path) as run:
        run.standin.faults(import_seconds=4)
        run.start()
        run.drop("one", fine=2)
        run.until(lambda: run.ask("select id from Image"))
        run.standin.faults()
        run.standin.kill()
        run.standin.start()
        run.rest()
        run.check()


def test_daemon_and_server_die_together(tmp_path: Path) -> None:
    with real_run(tmp_path) as run:
        run.drop("one")
        assert run.start("self:after:committed").wait(40) == -9
        run.standin.kill()
        run.start()
        run.until(lambda: "outage-begins" in run.log.read_text())
        run.standin.start()
        run.rest()
        run.check()


@pytest.mark.slow_faults(minutes=2)
@pytest.mark.parametrize("operation", [*CALLS, *LATE_CALLS])
def test_the_server_dies_in_any_kind_of_call(tmp_path: Path, operation: str) -> None:
    with counted("the server is killed in a call", operation), real_run(tmp_path) as run:
        run.start()
        run.drop("one", fine=2)
        kill_in(run, operation)
        run.rest()
        run.check()


@pytest.mark.faults(minutes=4)
@pytest.mark.timeout(290)
@pytest.mark.parametrize("part", range(4 if ALL else 1))
def test_the_server_dies_again_and_again_in_a_crowd(tmp_path: Path, part: int) -> None:
    """Many drops are under way, each at another stage; images may be half done. After each death all sessions are gone."""
    people = tuple(f"user{number}" for number in range(8))
    kills = 15 if ALL else 2
    with real_run(tmp_path, *people) as run:
        run.start()
        for number in range(kills):
            run.standin.faults(import_seconds=0.6)
            before = len(run.standin.calls())
            for user in people[: 4 if number else 8]:
                run.drop(f"p{part}n{number}", user=user, fine=2)
            wanted = before + 20 + (number * 37 + part * 11) % 400
            while len(run.standin.calls()) < wanted and not run.at_rest():
                time.sleep(0.02)
            run.standin.kill()
            run.standin.start()
        run.standin.faults()
        with counted("the server is killed in a crowd", f"part {part}", kills):
            run.rest(120)
            run.check()
