"""An import that waits for seventy minutes in the server's queue of files to verify, by a given clock."""

from __future__ import annotations

import random
from pathlib import Path

from dropbox_import.errors import OutcomeUnknown
from dropbox_import.workers.replies import Reply
from tests.support import tally
from tests.support.lab import Lab
from tests.support.scripted import Flight

SIDECAR = "target: {dataset: {name: x, create: true}}\n"
QUEUE = 70 * 60.0
PATIENCE = 65 * 60.0  # of the importer for one call
STEP = 5.0
KIND = "an import waits 70 minutes for the server"


def one_commits(lab: Lab) -> Flight:
    """The first drop's commit, in flight, and held there."""
    lab.drop("a.yaml", SIDECAR, {"a.tif": b"a"})
    lab.start()
    rng = random.Random(1)
    for _ in range(400):
        held = next((one for one in lab.workers.flights if one.command.do == "commit"), None)
        if held is not None:
            lab.workers.flights.remove(held)
            return held
        lab.step(rng)
    raise AssertionError("the drop was never committed")


def time_passes(lab: Lab, seconds: float) -> None:
    """Everything else goes on meanwhile."""
    rng, end = random.Random(2), lab.clock.monotonic() + seconds
    while lab.clock.monotonic() < end:
        lab.server.tick()
        for runner in lab.runners:
            runner.turn(0)
        lab.keeper.tend()
        while lab.workers.deliver(rng):
            pass
        lab.clock.forward(STEP)


def sessions_lost(lab: Lab) -> int:
    return lab.server.happened.get("session-idled-out", 0)


def judge(lab: Lab, session: int) -> None:
    assert lab.calm(random.Random(3)), "stuck"
    lab.check(2)
    assert not sessions_lost(lab), "stuck: a session was lost while an import waited in it"
    assert [one.meta["attempt"] for one in lab.server.filesets.values()] == [1, 1], "imported twice: an import was begun anew"
    assert next(iter(lab.server.filesets.values())).session == session
    assert not lab.filed("failed")


def test_a_commit_that_is_answered_after_seventy_minutes(tmp_path: Path) -> None:
    with tally.counted(KIND, "answered"):
        lab = Lab(tmp_path, queued=True)
        held = one_commits(lab)
        session = int(held.command.args["session"])
        time_passes(lab, QUEUE / 2)
        lab.drop("b.yaml", SIDECAR, {"b.tif": b"b"})
        time_passes(lab, QUEUE / 2)
        assert len(lab.filed("done")) == 1, "the other drop of that owner waited too"
        assert lab.server.is_open(session), "stuck: the session was lost"
        held.on_reply(lab.workers._outcome(held, random.Random(4), 0.0))
        judge(lab, session)


def test_a_commit_that_the_importer_gives_up_waiting_for(tmp_path: Path) -> None:
    """The server has taken it; the importer's time-out says only that no answer came: it is asked for until it is there."""
    with tally.counted(KIND, "given up"):
        lab = Lab(tmp_path, queued=True)
        held = one_commits(lab)
        session = int(held.command.args["session"])
        lab.workers._outcome(held, random.Random(4), 0.0)
        (waiting,) = lab.server.filesets.values()
        waiting.images = 0
        waiting.half_at = waiting.full_at = waiting.over_at = lab.clock.monotonic() + QUEUE
        lab.drop("b.yaml", SIDECAR, {"b.tif": b"b"})
        time_passes(lab, PATIENCE)
        silence = OutcomeUnknown("OMERO did not answer in time", code="no-answer")
        held.on_reply(Reply(held.command, None, silence, "unknown", held.worker))
        time_passes(lab, QUEUE - PATIENCE - 60)
        assert lab.claims(), "filed before the server had imported it"
        assert lab.server.is_open(session), "stuck: the session was lost"
        time_passes(lab, 120)
        judge(lab, session)


def test_a_start_that_omero_gave_up_in_its_queue_is_fenced_off_and_begun_anew(tmp_path: Path) -> None:
    """OMERO had taken it, and would never say more: it was polled for ever, and its session was kept for it."""
    with tally.counted(KIND, "given up by OMERO"):
        lab = Lab(tmp_path, queued=True)
        held = one_commits(lab)
        session = int(held.command.args["session"])
        held.on_reply(lab.workers._outcome(held, random.Random(4), 0.0))
        (waiting,) = lab.server.filesets.values()
        waiting.committed, waiting.images = False, 0  # as far as anybody is told: there is no handle
        time_passes(lab, PATIENCE - 60)
        assert list(lab.server.filesets) == [waiting.number], "given up while OMERO might still begin it"
        assert lab.server.is_open(session)
        time_passes(lab, 600)
        assert not lab.server.is_open(session), "stuck: asked for ever"
        assert lab.calm(random.Random(3)), "stuck"
        lab.check(1)
        assert [one.meta["attempt"] for one in lab.server.filesets.values()] == [2]
        assert not lab.filed("failed")
