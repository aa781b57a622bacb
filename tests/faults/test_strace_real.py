"""Daemon, inspector and importer as they are, under strace: each thread that comes to such a call is ended there, or refused it."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.realrun import RealRun, real_run
from tests.support.straced import TRACED
from tests.support.tally import counted

pytestmark = [pytest.mark.needs_strace, pytest.mark.faults(minutes=4), pytest.mark.timeout(240)]

KILLS = [("renameat2", 1), ("renameat2", 2), ("renameat2", 3), ("mkdir", 4), ("fsync", 6), ("fsync", 15), ("fsync", 30), ("unlink", 3)]
KILLS += [("write", 9), ("write", 25), ("rename", 3), ("fchmod", 9)]
ERRORS = [("fsync", "EIO", "12"), ("write", "ENOSPC", "12..30"), ("mkdir", "ESTALE", "2..4"), ("renameat2", "EACCES", "2")]
ERRORS += [("fsync", "ENOSPC", "20..40"), ("rename", "EBUSY", "4..8"), ("unlink", "EACCES", "3..6")]

WAITS = 5  # its state folder could not be made; a service manager starts it again
# A write that a pipe between processes refuses for want of room is none that can be.
DAEMON_ALONE = ("--seccomp-bpf", "-b", "execve")  # with the first of them, which is quicker, no signal is sent


def under(run: RealRun, inject: str, *more: str) -> list[str]:
    words = ["strace", "-D", "-f", "-q", "-e", "signal=none", "-e", f"trace={TRACED}", "-e", f"inject={inject}"]
    return [*words, "-o", str(run.folder / "strace.txt"), *more]


def finish(run: RealRun) -> None:
    run.rest(90)
    run.check()
    if run.terminate() != 0:  # the call that was to be hit came only with the end
        run.start()
        run.until_it_works()
        run.rest(90)
        assert run.terminate() == 0
    run.check_sessions()


def go_on(run: RealRun, daemon: subprocess.Popen[bytes]) -> None:
    """Until all is at rest; who was ended is started again, without strace."""
    end = time.monotonic() + 60
    while time.monotonic() < end and daemon.poll() is None and not run.at_rest():
        time.sleep(0.05)
    if daemon.poll() is not None:
        assert daemon.returncode in (-9, WAITS), f"the daemon says {daemon.returncode}\n{run.tail()}"
        run.start()


@pytest.mark.slow_faults
@pytest.mark.parametrize(("call", "number"), KILLS)
def test_killed_at_a_call(tmp_path: Path, call: str, number: int) -> None:
    with real_run(tmp_path) as run, counted("SIGKILL at a call, with the real importer", f"{call} {number}"):
        run.drop("one", fine=2)
        go_on(run, run.start(under=under(run, f"?{call}:signal=SIGKILL:when={number}")))
        finish(run)
        assert re.search(r"= \?$", (tmp_path / "strace.txt").read_text(), re.MULTILINE), "nobody came to this call"


@pytest.mark.slow_faults
@pytest.mark.parametrize(("call", "error", "when"), ERRORS)
def test_refused_at_a_call(tmp_path: Path, call: str, error: str, when: str) -> None:
    with real_run(tmp_path) as run, counted("an error from a call, with the real importer", f"{error} from {call} {when}"):
        run.drop("one", fine=2)
        go_on(run, run.start(under=under(run, f"?{call}:error={error}:when={when}", *DAEMON_ALONE)))
        finish(run)
        assert "(INJECTED)" in (tmp_path / "strace.txt").read_text(), "nobody came to this call"
