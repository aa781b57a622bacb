"""Two real daemons: one is stopped, the other takes its drops over by order, finishes them, and the first one wakes up and does no harm."""

from __future__ import annotations

import copy
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.realrun import ROOT, RealRun, real_run
from tests.support.tally import counted

# Every effect on the disk and every command are tried in tests/faults/test_adopt_at_any_point.py; these with real processes.
POINTS = (
    "after:intent after:seal before:inspected before:target before:begun after:uploaded before:committed before:answered before:imported"
)
POINTS += " before:imported after:imported before:annotated before:messages after:file"
IDLE_SECONDS = 12.0  # after which the stand-in ends a session; ten minutes in OMERO

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot stop a process and let it go on")


@contextmanager
def two_daemons(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[RealRun, RealRun]]:
    """Two installations on one box; neither is started."""
    monkeypatch.setenv("BEAT", "1")
    with real_run(folder) as first:
        second = copy.copy(first)
        config = json.loads(first.config.read_text())
        second.state, second.config, second.log = folder / "state2", folder / "config2.yaml", folder / "daemon2.log"
        second.config.write_text(json.dumps(config | {"state_dir": str(second.state), "instance": "second"}))
        try:
            yield first, second
        finally:
            for one in (first, second):
                if one.daemon is not None and one.daemon.poll() is None:
                    one.daemon.kill()
                    one.daemon.wait(20)


def command(run: RealRun, *words: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "NO_COLOR": "1"}
    line = [sys.executable, "-m", "dropbox_import", *words, "--config", str(run.config)]
    return subprocess.run(line, env=environment, capture_output=True, text=True, timeout=100, stdin=subprocess.DEVNULL)


def instance(run: RealRun) -> str:
    facts = json.loads((run.state / "instance.json").read_text())
    return f"{facts['name']}-{facts['bits'][:8]}"


def begin(run: RealRun) -> None:
    run.start()
    run.until(lambda: list(run.layout.box.glob(".heartbeat-second-*")))


def stopped(run: RealRun) -> bool:
    assert run.daemon is not None
    found = os.waitid(os.P_PID, run.daemon.pid, os.WSTOPPED | os.WNOWAIT | os.WNOHANG)
    return found is not None


def adopted_at(point: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with two_daemons(folder, monkeypatch) as (first, second):
        first.standin.faults(idle_seconds=IDLE_SECONDS)
        first.drop("one", fine=2)
        daemon = first.start(f"stop:{point}")
        first.until(lambda: stopped(first), 90)
        begin(second)
        done = command(second, "adopt", instance(first))
        assert done.returncode == 0, f"adopt says {done.stdout}{done.stderr}\n{second.tail()}"
        second.rest(90)
        daemon.send_signal(signal.SIGCONT)
        if point != "before:intent":
            first.until(lambda: "was taken over by another instance" in first.log.read_text(), 90)
        assert second.terminate() == 0
        first.drop("two")
        first.rest()
        first.check()
        assert first.terminate() == 0
        opened = "select s.id from Session s join Experimenter e on e.id = s.owner where s.closed is null and e.omeName <> 'importer'"
        known = {int(path.stem) for run in (first, second) for path in (run.state / "sessions").glob("*.json") if path.stem.isdigit()}
        left = {number for (number,) in first.ask(opened)} - known
        assert not left, f"sessions kept open: {left}\n{first.tail()}"


@pytest.mark.timeout(400)
def test_adopted_in_the_middle_of_an_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    adopted_at("after:commit", tmp_path, monkeypatch)


@pytest.mark.slow_faults(minutes=5)
@pytest.mark.timeout(400)
@pytest.mark.parametrize("point", POINTS.split())
def test_adopted_at_any_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, point: str) -> None:
    with counted("real daemons: one is stopped and adopted", point):
        adopted_at(point, tmp_path, monkeypatch)


@pytest.mark.timeout(300)
def test_a_living_daemon_is_not_adopted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with two_daemons(tmp_path, monkeypatch) as (first, second):
        monkeypatch.setenv("BEAT", "3")  # a busy machine may well hold a daemon up for the three seconds of three shorter ones
        first.standin.faults(import_seconds=15)
        first.drop("one")
        first.start()
        first.until(lambda: any("committed" in first.records(claim) for claim in first.claims()), 90)
        begin(second)
        done = command(second, "adopt", instance(first))
        assert done.returncode == 4, f"adopt says {done.stdout}{done.stderr}"
        assert "is alive" in done.stdout + done.stderr
        first.rest()
        first.check()
        (folder,) = first.filed("done", first.drops[0])
        assert "adopted" not in first.records(folder)
