"""Two daemons of one name, on a machine and on a copy of it, and the old heartbeat of one that comes back with its volume."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dropbox_import.daemon.box import BoxRunner
from dropbox_import.errors import ServerUnavailable
from dropbox_import.intake import Intake, Scan
from tests.support.lab import Lab

SIDECAR = "target: {dataset: HeLa}\n"


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def passes(lab: Lab, seconds: int, *runners: BoxRunner) -> None:
    for _ in range(seconds):
        for runner in runners or lab.runners:
            runner.turn(0)
        lab.clock.forward(1.0)


def test_a_box_restored_under_a_running_daemon_is_worked_on_again(lab: Lab, tmp_path: Path) -> None:
    """The volume died, and came back from a backup that is older than the daemon's start: its own old heartbeat is no other daemon."""
    lab.start()
    passes(lab, 30)
    shutil.copytree(lab.box, tmp_path / "backup")
    runner = lab.start()
    passes(lab, 30)
    lab.box.rename(tmp_path / "dead")
    passes(lab, 60)
    (tmp_path / "backup").rename(lab.box)
    lab.drop("a.yaml", SIDECAR, {"a.tif": b"image a"})
    seen = set()
    for _ in range(100):
        passes(lab, 1)
        seen.add(runner.problem.kind if runner.problem else "")
    assert seen == {"identity-in-doubt", ""}
    assert lab.turns() < 400
    lab.check(1)


def copied(folder: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Lab, BoxRunner, BoxRunner]:
    """A daemon that works, and one on the copy of its whole machine, which is not started yet."""
    lab = Lab(folder, hosts=2)
    one, other = lab.daemons
    monkeypatch.setattr(other, "identity", one.identity)
    lab.start()
    first, second = one.runners[0], other.runners[0]
    passes(lab, 30, first)
    return lab, first, second


def test_who_sees_a_heartbeat_of_its_own_name_takes_nothing_more_and_the_other_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab, first, second = copied(tmp_path, monkeypatch)
    second.turn(0)
    passes(lab, 11, first)
    assert first.trouble
    lab.drop("a.yaml", SIDECAR, {"a.tif": b"image a"})
    passes(lab, 20, first)
    assert lab.claims() == []
    passes(lab, 300)
    assert first.problem is not None and first.problem.kind == "identity-twice"
    assert (first.busy(), second.problem) == (0, None)
    lab.check(1)


def test_a_daemon_that_was_silent_in_a_slow_scan_looks_who_has_its_name_before_it_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its first heartbeat was taken for an old one meanwhile, and the other daemon of that name works again."""
    lab, first, second = copied(tmp_path, monkeypatch)
    scan = Intake.scan

    def slow(intake: Intake) -> Scan:
        if intake is second._intake and not second.scans:
            passes(lab, 100, first)
        return scan(intake)

    lab.server.refuse["open_session"] = ServerUnavailable("down", code="unreachable")
    lab.drop("a.yaml", SIDECAR, {"a.tif": b"image a"})
    passes(lab, 30, first)
    assert first.busy() == 1
    monkeypatch.setattr(Intake, "scan", slow)
    second.turn(0)
    assert (first.problem, len(second.claims)) == (None, 0)
    lab.server.refuse.clear()
    passes(lab, 400)  # after a long scan comes a long pause, and that somebody has its name is told at a scan
    assert (first.problem, len(second.claims)) == (None, 0)
    assert second.problem is not None and second.problem.kind == "identity-twice"
    lab.check(1)
