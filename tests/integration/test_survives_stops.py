"""Stopping the daemon, kindly or not, and running it once: what it leaves is resumed, and its exit code tells what became of the drops."""

from __future__ import annotations

import signal
import time
from pathlib import Path

from tests.support.realrun import real_run

DONE, FAILED, WAITS = 0, 4, 5


def test_the_first_sigterm_finishes_what_runs_and_leaves_the_rest(tmp_path: Path) -> None:
    with real_run(tmp_path) as run:
        run.standin.faults(import_seconds=3)
        run.start()
        run.drop("one", fine=3)
        run.until(lambda: any("committed" in run.records(claim) for claim in run.claims()))
        assert run.terminate(40) == 0
        assert not run.workers("importer") and not run.workers("inspector")
        run.standin.faults()
        run.drop("two")
        run.start()
        run.rest()
        run.check()
        assert run.terminate() == 0
        run.check_sessions()


def test_the_second_sigterm_stops_at_once(tmp_path: Path) -> None:
    with real_run(tmp_path) as run:
        run.standin.faults({"operation": "write", "do": "delay", "seconds": 60})
        daemon = run.start()
        run.drop("one")
        run.until(lambda: run.standin.strikes() == [1])
        daemon.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        assert daemon.poll() is None, "the first one waits for the upload"
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(40) == 0
        run.until(lambda: not run.workers("importer"), 40)
        run.standin.faults()
        run.start()
        run.rest()
        run.check()


def test_once_tells_by_its_exit_code_what_became_of_the_drops(tmp_path: Path) -> None:
    with real_run(tmp_path) as run:
        assert run.start(once=True).wait(60) == DONE, run.tail()
        run.drop("good")
        assert run.start(once=True).wait(60) == DONE, run.tail()
        run.check()
        run.drop("bad", fine=0, broken=1)
        run.drop("better")
        assert run.start(once=True).wait(60) == FAILED, run.tail()
        run.check()
        run.standin.kill()
        run.drop("later")
        assert run.start(once=True).wait(60) == WAITS, run.tail()
        run.standin.start()
        assert run.start(once=True).wait(60) == DONE, run.tail()
        run.check()
        run.check_sessions()
