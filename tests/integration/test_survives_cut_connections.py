"""The connection to the server is cut: before an effect, after it, or with the effect landing when nobody listens any more.

Every single call is tried in tests/faults/test_every_server_call.py.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.realrun import real_run
from tests.support.tally import counted

MODES = ("cut-before", "cut-after", "late")
EFFECTS = ("createSessionWithTimeouts", "importFileset", "write", "close", "verifyUpload", "saveAndReturnArray")
LEAST = 6  # of eleven cuts; how many calls three drops make, and how many are made anew, differs


def cut(operation: str, nth: int, do: str, seconds: float = 0.5) -> dict[str, Any]:
    return {"operation": operation, "nth": nth, "do": do, "seconds": seconds}


def test_cuts_all_over_some_imports(tmp_path: Path) -> None:
    """Several drops at once; every 29th call is cut, whatever it is, in one way or another."""
    with real_run(tmp_path, "alice", "bob", "carol") as run:
        run.standin.faults(*(cut("*", nth, MODES[nth % 3]) for nth in range(11, 320, 29)))
        for number, user in enumerate(run.users):
            run.drop(f"drop{number}", user=user, rich=number > 0)
        run.start()
        run.rest()
        run.check()
        assert sum(run.standin.strikes()) >= LEAST


def test_the_calls_that_must_happen_once_are_cut(tmp_path: Path) -> None:
    with real_run(tmp_path, "alice", "bob", "carol") as run:
        run.start()
        for user, operation, mode in zip(run.users, ("importFileset", "verifyUpload", "verifyUpload"), MODES[::-1], strict=True):
            run.standin.faults(cut(operation, 1, mode))
            run.drop(f"of-{user}", user=user)
            run.rest()
            assert run.standin.strikes() == [1]
        run.check()


@pytest.mark.slow_faults(minutes=4)
@pytest.mark.parametrize("seconds", [2, 5, 10])
@pytest.mark.parametrize("operation", EFFECTS)
def test_an_effect_that_lands_late(tmp_path: Path, operation: str, seconds: float) -> None:
    with counted("a call is cut, its effect late", f"{operation}, {seconds} s"), real_run(tmp_path) as run:
        run.start()
        run.standin.faults(cut(operation, 1, "late", seconds))
        run.drop("one", fine=2)
        run.rest()
        assert run.standin.strikes() == [1]
        time.sleep(seconds)
        run.check()
