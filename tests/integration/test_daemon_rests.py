"""A daemon that can do nothing does nothing: it waits for the next thing that is due, and does not ask again and again."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from dropbox_import.errors import ServerUnavailable
from dropbox_import.intake import Scan
from dropbox_import.spool.layout import MARKER
from tests.support.lab import Lab

SIDECAR = "target: {dataset: HeLa}\ncomments: [one]\n"
AWAY = ServerUnavailable("the connection to OMERO is lost", code="connection-lost")


def rests(lab: Lab, turns: int = 30) -> bool:
    """Whether, with no time going by, it comes to a turn after which nothing is due at once."""
    assert lab.runner is not None
    for _ in range(turns):
        lab.runner.turn(0)
        if lab.runner.pause() > 0 and lab.runner._inbox.empty():
            return True
    return False


@pytest.mark.parametrize("command", ["target", "annotate", "send", "poll"])
def test_while_omero_is_away_a_box_rests_whatever_its_drops_were_at(tmp_path: Path, command: str) -> None:
    lab, rng = Lab(tmp_path, queued=True), random.Random(1)
    for number in range(3):
        lab.drop(f"{number}.yaml", SIDECAR, {f"{number}.tif": b"%d" % number})
    lab.start()
    for _ in range(3000):
        if any(one.command.do == command for one in lab.workers.flights):
            break
        lab.step(rng)
    assert any(one.command.do == command for one in lab.workers.flights), "it never came so far"
    lab.server.up = False
    for _ in range(60):
        lab.workers.deliver(rng)
        lab.runners[0].turn(0)
        lab.clock.forward(0.5)
    assert lab.shared.outage.down
    lab.clock.forward(lab.shared.outage.due - lab.clock.monotonic() + 1.0)  # a try is due, and under way it stays
    assert rests(lab), "the box turns without end"
    assert lab.calm(rng)
    lab.check(3)


def test_a_box_whose_share_is_away_rests_although_its_drops_have_work(tmp_path: Path) -> None:
    lab, rng = Lab(tmp_path, queued=True), random.Random(2)
    lab.drop("a.yaml", SIDECAR, {"a.tif": b"a"})
    lab.start()
    while not lab.workers.flights:
        lab.step(rng)
    marker, away = lab.box / MARKER, tmp_path / "away"
    marker.rename(away)
    for _ in range(5):
        lab.workers.deliver(rng)  # an answer comes to a drop that must not be touched
    assert lab.runner is not None
    lab.runner.wake(drop=lab.claims()[0])
    assert rests(lab), "the box turns without end"
    away.rename(marker)
    assert lab.calm(rng)
    lab.check(1)


def test_a_scan_that_a_share_held_up_for_an_hour_does_not_stop_the_next_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Lab(tmp_path)
    runner = lab.start()
    scan = runner._intake.scan

    def held_up() -> Scan:
        lab.clock.forward(3600.0)
        return scan()

    with monkeypatch.context() as patch:
        patch.setattr(runner._intake, "scan", held_up)
        runner.turn(0)
    done, began = runner.scans, lab.clock.monotonic()
    while runner.scans == done:
        lab.clock.forward(max(0.1, runner.pause()))
        runner.turn(0)
    assert lab.clock.monotonic() - began <= 310.0


@pytest.mark.parametrize("kind", ["unreachable", "login"])
def test_sessions_that_cannot_be_ended_are_tried_again_later_and_not_at_once(tmp_path: Path, kind: str) -> None:
    lab = Lab(tmp_path)
    lab.drop("a.yaml", SIDECAR, {"a.tif": b"a"})
    lab.life()
    lab.clock.forward(100.0)
    lab.server.refuse["end_session"] = ServerUnavailable("OMERO cannot be reached", code=kind)
    before = lab.server.commands
    for _ in range(40):  # ten seconds of the service
        lab.keeper.tend()
        lab.clock.forward(0.25)
    assert 1 <= lab.server.commands - before <= 4
    assert lab.shared.outage.down, "nobody hears of it"
    lab.server.refuse.clear()
    for _ in range(400):
        lab.keeper.tend()
        lab.clock.forward(1.0)
    assert not [one for one in lab.server.sessions.values() if not one.closed]
    assert not lab.shared.outage.down
