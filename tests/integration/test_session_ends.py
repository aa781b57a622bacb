"""A session is ended when nobody needs it, and never while an import that was started in it can still be asked for."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from dropbox_import.errors import DropboxImportError, OutcomeUnknown, ServerUnavailable
from dropbox_import.workers.protocol import Command
from tests.support.lab import Lab
from tests.support.scripted import Stored

SIDECAR = "target: {dataset: HeLa}\n"


def committed(lab: Lab) -> Stored:
    """Go on, without faults, until the import of the one drop is started, and will take five minutes."""
    rng = random.Random(1)
    for _ in range(400):
        lab.step(rng)
        for one in lab.server.filesets.values():
            if one.committed:
                one.images, one.half_at = 0, lab.clock.monotonic() + 300
                one.full_at = one.over_at = one.half_at
                return one
    raise AssertionError("no import was started")


def test_a_fence_waits_for_the_import_of_another_drop_in_the_same_session(tmp_path: Path) -> None:
    lab = Lab(tmp_path, queued=True)
    lab.drop("a.yaml", SIDECAR, {"a.tif": b"a"})
    lab.start()
    running = committed(lab)
    # What became of this one's begin is not known: the session has to end before another one.
    lab.server.refuse["begin"] = OutcomeUnknown("The connection to OMERO was lost", code="connection-lost")
    lab.drop("b.yaml", SIDECAR, {"b.tif": b"b"})
    rng = random.Random(2)
    for _ in range(300):
        lab.step(rng)
    assert lab.server.is_open(running.session)
    assert lab.calm(random.Random(3))
    assert not lab.server.is_open(running.session)
    lab.check(2)


def test_what_a_dead_worker_says_late_takes_nothing_from_the_one_that_joined_its_session(tmp_path: Path) -> None:
    """The import that ran was not held by anybody any more, so another drop had its session ended."""
    lab = Lab(tmp_path, queued=True)
    lab.drop("a.yaml", SIDECAR, {"a.tif": b"a"})
    lab.start()
    running = committed(lab)
    lab.drop("b.yaml", SIDECAR, {"b.tif": b"b"})
    rng = random.Random(2)
    in_flight: set[str] = set()
    while not in_flight >= {"poll", "begin"}:
        lab.step(rng)
        in_flight = {one.command.do for one in lab.workers.flights}
    lab.workers.die(rng, "importer")
    late = [one for one in lab.workers.answers if one[1].command.do == "poll"]
    lab.workers.answers = [one for one in lab.workers.answers if one not in late]
    book = lab.shared.book
    while not book.holds_anything(running.session) or book.worker_of(running.session) != lab.workers.incarnation:
        lab.step(rng)
    lab.workers.answers += late
    for _ in range(100):
        lab.step(rng)
    assert lab.server.is_open(running.session)
    assert lab.calm(random.Random(3))
    lab.check(2)


def test_the_end_that_a_dead_worker_did_not_bring_takes_the_session_from_nobody(tmp_path: Path) -> None:
    lab = Lab(tmp_path, queued=True)
    lab.drop("a.yaml", SIDECAR, {"a.tif": b"a"})
    lab.start()
    rng = random.Random(1)
    while not [one for one in lab.workers.flights if one.command.do == "end_session"]:
        lab.step(rng)
    (ending,) = [one for one in lab.workers.flights if one.command.do == "end_session"]
    number, dead = ending.command.args["session"], lab.workers.incarnation
    lab.workers.die(rng, "importer")
    late, lab.workers.answers = lab.workers.answers, []
    book = lab.shared.book
    book.worker_gone(dead)
    book.join(number, dead + 1, [], frozenset())
    lab.workers.answers += late
    for _ in range(50):
        lab.step(rng)
        assert book.worker_of(number) == dead + 1


@pytest.mark.parametrize(
    "answer",
    [
        ServerUnavailable("The OMERO session has ended", code="session-gone"),  # the service account's own log-in, not the session
        ServerUnavailable("The connection to OMERO was lost", code="connection-lost"),
        OutcomeUnknown("opened elsewhere and still open", code="no-such-session"),
    ],
    ids=lambda error: error.kind,
)
def test_a_session_whose_end_was_not_brought_about_does_not_count_as_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: DropboxImportError
) -> None:
    """A worker died over the making of a dataset, which landed late: it was made a second time beside it."""
    lab = Lab(tmp_path)
    lab.drop("a.yaml", "target: {dataset: X}\n", {"a.tif": b"a"})
    runner, workers = lab.start(), lab.workers
    cut, refused = list[int](), list[int]()
    at_once = workers._at_once

    def failing(role: str, command: Command, on_reply: Any, worker: int | None) -> None:
        if command.do == "target" and not cut:
            cut.append(command.args["session"])
            lab.server.cut = (lab.server.commands + 1, "late")
        if command.do == "end_session" and command.args["session"] in cut and not refused:
            refused.append(command.args["session"])
            lab.server.refuse = {"end_session": answer}
        at_once(role, command, on_reply, worker)
        lab.server.refuse = {}

    monkeypatch.setattr(workers, "_at_once", failing)
    landed = False
    for _ in range(2000):
        lab.server.tick()
        lab.keeper.tend()
        runner.turn(0)
        for number in cut:
            assert lab.shared.book.states().get(number) != "ended" or not lab.server.is_open(number)
        if not landed and any(one.drop.target for one in runner.claims.active.values()):
            landed = True
            lab.server.land()
        if not lab.claims() and runner.scans > 5:
            break
        lab.clock.forward(max(0.05, min(runner.pause(), 1.0)))
    assert refused == cut
    assert lab.server.made == ["dataset X"]
    assert not lab.claims()
