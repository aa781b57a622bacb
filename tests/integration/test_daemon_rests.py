"""A daemon that can do nothing does nothing: it waits for the next thing that is due, and does not ask again and again."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from dropbox_import.errors import ServerUnavailable
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
