"""The daemon, an importer or an inspector stands still for longer than any limit, and then goes on: nothing twice, nothing stuck."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.realrun import RealRun, real_run
from tests.support.tally import counted

LIMIT = 6.0
LONGER = 9.0
CALLS = ("createSessionWithTimeouts", "importFileset", "write", "close", "verifyUpload", "getResponse", "saveAndReturnArray")

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="has no SIGSTOP"),
    pytest.mark.timeout(240),
    pytest.mark.faults(minutes=14),  # nearly all of it is standing still
]


@pytest.fixture(autouse=True)
def _short_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    limited = ("start", "inspect", "login", "begin", "write", "close", "commit", "poll", "send", "discard")
    monkeypatch.setenv("LIMITS", json.dumps({"worker": dict.fromkeys(limited, LIMIT)}))


def stand_still(pids: Iterable[int], seconds: float) -> None:
    found = list(pids)
    assert found, "there is somebody to stop"
    for pid in found:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(seconds)
    for pid in found:
        with suppress(ProcessLookupError):  # it was ended meanwhile, which is right
            os.kill(pid, signal.SIGCONT)


def daemon_of(run: RealRun) -> list[int]:
    assert run.daemon is not None
    return [run.daemon.pid]


def finish(run: RealRun) -> None:
    run.rest(90)
    run.check()
    assert "Traceback" not in run.log.read_text(), "a bug is told"
    assert run.terminate() == 0
    run.check_sessions()


def test_an_importer_stands_still(tmp_path: Path) -> None:
    with real_run(tmp_path) as run, counted("SIGSTOP of importer", "in verifyUpload"):
        run.start()
        run.drop("one", fine=2)
        run.in_call("verifyUpload", 1)
        stand_still(run.workers("importer"), LONGER)
        finish(run)


@pytest.mark.slow_faults
def test_each_of_them_stands_still_once(tmp_path: Path) -> None:
    with real_run(tmp_path) as run, counted("SIGSTOP of daemon and workers", points=3):
        run.start()
        run.drop("one", fine=2)
        run.in_call("importFileset", 1)
        stand_still(daemon_of(run), LONGER)
        run.rest(90)
        run.drop("two", fine=2)
        run.in_call("verifyUpload", 1)
        stand_still(run.workers("importer"), LONGER)
        run.rest(90)
        run.until(lambda: not run.workers("inspector") or run.kill_workers("inspector"))
        run.drop("three")
        run.until(lambda: run.workers("inspector"))
        stand_still(run.workers("inspector"), LONGER)
        finish(run)


@pytest.mark.slow_faults
@pytest.mark.parametrize("seconds", [2.0, LONGER, 2 * LONGER])
@pytest.mark.parametrize("who", ["daemon", "importer", "both"])
@pytest.mark.parametrize("operation", CALLS)
def test_in_any_kind_of_call(tmp_path: Path, operation: str, who: str, seconds: float) -> None:
    with real_run(tmp_path) as run, counted(f"SIGSTOP of {who}", f"in {operation} for {seconds} s"):
        run.start()
        run.drop("one", fine=2)
        run.in_call(operation, 1)
        daemon, workers = daemon_of(run), run.workers("importer")
        stand_still({"daemon": daemon, "importer": workers, "both": [*daemon, *workers]}[who], seconds)
        finish(run)
