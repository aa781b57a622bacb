"""The daemon, an importer or an inspector stands still for longer than any limit, and then goes on: nothing twice, nothing stuck."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from pathlib import Path

import psutil
import pytest

from dropbox_import.workers.locks import start_mark
from tests.support.realrun import ROOT, RealRun, real_run
from tests.support.tally import counted

LIMIT = 6.0
LONGER = 9.0
CALLS = ("createSessionWithTimeouts", "importFileset", "write", "close", "verifyUpload", "getResponse", "saveAndReturnArray")

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="has no SIGSTOP"),
    pytest.mark.timeout(240),
    pytest.mark.faults(minutes=17),  # nearly all of it is standing still
]


@pytest.fixture(autouse=True)
def _short_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    limit(monkeypatch, start=30.0)  # an importer that starts on a busy machine is not meant


def limit(monkeypatch: pytest.MonkeyPatch, *, start: float) -> None:
    limited = ("inspect", "login", "begin", "write", "close", "commit", "poll", "send", "discard")
    monkeypatch.setenv("LIMITS", json.dumps({"worker": {"start": start, **dict.fromkeys(limited, LIMIT)}}))


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
def test_each_of_them_stands_still_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limit(monkeypatch, start=LIMIT)  # the inspector is stopped while it starts
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


def test_a_second_daemon_is_refused_while_the_first_one_stands_still(tmp_path: Path) -> None:
    with real_run(tmp_path) as run, counted("SIGSTOP of daemon", "a second one is started"):
        run.start()
        run.drop("one", fine=2)
        run.in_call("verifyUpload", 1)
        (first,) = daemon_of(run)
        os.kill(first, signal.SIGSTOP)
        words = [sys.executable, "-m", "dropbox_import", "run", "--config", str(run.config)]
        environment = os.environ | {"PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
        done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
        os.kill(first, signal.SIGCONT)
        assert done.returncode == 3, f"it says {done.returncode}: {done.stdout}{done.stderr}"
        assert f"a daemon with the state folder {run.state} is running already" in done.stderr
        finish(run)


def lives(pid: int, mark: str | None) -> bool:
    return start_mark(pid) == mark


def holds_the_lock(pid: int) -> bool:
    """Then it looks for workers of the daemon before, and waits ten seconds for them."""
    return any(one.path.endswith("daemon.lock") for one in psutil.Process(pid).open_files())


def orphaned(folder: Path, operation: str, when: str, *, woken: bool) -> None:
    """An importer stands still in a call, its daemon is killed, the next one starts, and then the importer goes on (or never does)."""
    with real_run(folder) as run, ExitStack() as at_last:
        run.start()
        run.drop("one", fine=2)
        run.in_call(operation, 1 if when == "after" else 5)
        (pid,) = run.workers("importer")
        mark = start_mark(pid)
        at_last.callback(lambda: lives(pid, mark) and os.kill(pid, signal.SIGKILL))
        os.kill(pid, signal.SIGSTOP)
        if when == "after":
            time.sleep(1.5)  # now the server has done it, and the answer waits for whom it was for
        run.kill()
        said = len(run.log.read_text())
        following = run.start()
        run.until(lambda: holds_the_lock(following.pid))
        time.sleep(1.0)
        assert lives(pid, mark), "the orphan was not waited for"
        assert "started, instance" not in run.log.read_text()[said:], "the next daemon works beside the orphan"
        if woken:
            os.kill(pid, signal.SIGCONT)
        run.until(lambda: not lives(pid, mark), 20)
        finish(run)
        killed = "which outlived its service" in run.log.read_text()
        assert killed is not woken, f"the orphan was {'' if killed else 'not '}killed\n{run.tail()}"


def test_an_importer_wakes_up_beside_the_next_daemon(tmp_path: Path) -> None:
    with counted("SIGSTOP of importer", "its daemon is killed and started again in verifyUpload"):
        orphaned(tmp_path, "verifyUpload", "before", woken=True)


@pytest.mark.slow_faults
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("operation", ["importFileset", "close", "verifyUpload", "saveAndReturnArray"])
def test_an_importer_wakes_up_beside_the_next_daemon_in_a_call(tmp_path: Path, operation: str, when: str) -> None:
    with counted("SIGSTOP of importer", f"its daemon is killed and started again {when} the effect of {operation}"):
        orphaned(tmp_path, operation, when, woken=True)


@pytest.mark.slow_faults
def test_an_importer_that_never_wakes_up_is_ended_by_the_next_daemon(tmp_path: Path) -> None:
    with counted("SIGSTOP of importer", "for ever; its daemon is killed and started again"):
        orphaned(tmp_path, "importFileset", "before", woken=False)
