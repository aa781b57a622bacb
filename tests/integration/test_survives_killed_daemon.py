"""The daemon is killed between any two steps, its workers are orphaned, and the next one goes on: nothing lost, twice or stuck."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.realrun import RealRun, real_run
from tests.support.tally import counted

WAY = "intent seal claimed inspected resolved target looked-up begin begun uploaded commit committed answered imported annotated messages"
ENDS = ("split", "split-done", "file")
EVERY_POINT = [f"{when}:{kind}" for kind in (*WAY.split(), *ENDS) for when in ("before", "after")]
SAMPLE = ("after:intent", "before:begun", "after:commit", "before:imported", "after:split")
CALLS = ("createSessionWithTimeouts", "saveAndReturnObject", "importFileset", "write", "close", "verifyUpload", "saveAndReturnArray")


def kill_in(run: RealRun, operation: str, seconds: float) -> None:
    """Kill the daemon while the server is at this call, and start the next one; the server does it `seconds` later all the same."""
    run.in_call(operation, seconds)
    run.kill()
    run.start()


def test_killed_again_and_again_the_daemon_brings_every_drop_to_its_end(tmp_path: Path) -> None:
    with real_run(tmp_path, "alice", "bob") as run:
        run.drop("one")
        run.drop("two", user="bob", rich=False)
        run.drop("several", fine=2, broken=1)
        for point in SAMPLE:
            assert run.start(f"self:{point}").wait(40) == -9, f"{point} was not reached\n{run.tail()}"
        run.start()
        run.rest()
        run.check()
        assert run.terminate() == 0
        run.check_sessions()


def test_killed_while_the_server_works_for_it(tmp_path: Path) -> None:
    with real_run(tmp_path, "alice", "bob", "carol") as run:
        run.start()
        for number, operation in enumerate(("importFileset", "verifyUpload", "saveAndReturnArray")):
            run.drop(f"drop{number}", user=run.users[number])
            kill_in(run, operation, 5)
        run.rest()
        run.check()


@pytest.mark.slow_faults(minutes=2)
@pytest.mark.parametrize("seconds", [0.5, 3, 8])
@pytest.mark.parametrize("operation", CALLS)
def test_killed_in_any_kind_of_call(tmp_path: Path, operation: str, seconds: float) -> None:
    with counted("the real daemon is killed in a call of the server", f"{operation}, {seconds} s"), real_run(tmp_path) as run:
        run.start()
        run.drop("one", fine=2)
        kill_in(run, operation, seconds)
        run.rest()
        run.check()


@pytest.mark.slow_faults(minutes=4)
@pytest.mark.parametrize("point", EVERY_POINT)
def test_killed_at_any_record(tmp_path: Path, point: str) -> None:
    with counted("the real daemon is killed at a record", point), real_run(tmp_path) as run:
        run.drop("one", fine=2, broken=1 if "split" in point else 0)
        assert run.start(f"self:{point}").wait(40) == -9, f"{point} was not reached\n{run.tail()}"
        run.start()
        run.rest()
        run.check()
        assert run.terminate() == 0
        run.check_sessions()
