"""A session is ended when nobody needs it, and never while an import that was started in it can still be asked for."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from dropbox_import.daemon.box import BoxRunner
from dropbox_import.daemon.replies import Replies
from dropbox_import.errors import DropboxImportError, OutcomeUnknown, ServerUnavailable
from dropbox_import.spool.steps import Do
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


class Fate:
    """Imports take some minutes; below a half they outlive their session, else they die with it."""

    def __init__(self, number: float) -> None:
        self.number = number

    def random(self) -> float:
        return self.number

    def uniform(self, least: float, most: float) -> float:
        return most

    def choice(self, among: tuple[Any, ...]) -> Any:
        return among[-1]


def two_boxes(folder: Path, fate: float) -> tuple[Lab, Stored]:
    """A drop of the first box whose import has just been started."""
    lab = Lab(folder, boxes=2)
    lab.server.chance = Fate(fate)  # type: ignore[assignment]
    lab.drop("a.yaml", SIDECAR, {"a.tif": b"a"})
    lab.start()
    go_on(lab, lab.runners, 10)
    (one,) = lab.server.filesets.values()
    assert one.committed and one.process
    return lab, one


def go_on(lab: Lab, runners: list[BoxRunner], seconds: int) -> None:
    """Only these boxes have turns, one each second. What a drop was refused at its first begin it is not at the next one."""
    for _ in range(seconds):
        lab.server.tick()
        for runner in runners:
            runner.turn(0)
            if any(active.drop.last == "lost" for active in runner.claims.active.values()):
                lab.server.refuse.clear()
        lab.keeper.tend()
        lab.clock.forward(1.0)


def begin_without_an_answer(lab: Lab) -> None:
    """A drop of the second box, in the session of the first one's: it has to see that ended before it may begin again."""
    lab.server.refuse["begin"] = OutcomeUnknown("The connection to OMERO was lost", code="connection-lost")
    lab.drop("b.yaml", SIDECAR, {"b.tif": b"b"}, box=1)


@pytest.mark.parametrize("fate", [0.4, 0.6], ids=["it outlives its session", "it dies with its session"])
def test_a_box_that_hangs_keeps_no_session_from_its_end(tmp_path: Path, fate: float) -> None:
    """A healthy drop of another box waited for it, a look a second, as long as the volume hung, and no status told why."""
    lab, running = two_boxes(tmp_path, fate)
    hung, other = lab.runners
    begin_without_an_answer(lab)
    go_on(lab, [other], 60)
    assert lab.server.is_open(running.session), "it may only be slow"
    lab.workers.left_alone.add(running.meta["drop"])
    assert hung.turning.lasts() > 0, "its thread is at something"
    go_on(lab, [other], 80)
    assert not lab.server.is_open(running.session)
    go_on(lab, [other], 300)
    assert [one.name.partition("__")[0] for one in lab.filed("done")] == ["b"]
    lab.server.chance = None
    assert lab.calm(random.Random(1))
    lab.check(2)
    assert (running.number in lab.server.filesets) == (fate < 0.5)


def test_a_daemon_that_stood_still_ends_no_session_in_which_its_own_import_runs(tmp_path: Path) -> None:
    """Stopped, or its machine paused: the first box that went on took the others for hung."""
    lab, running = two_boxes(tmp_path, 0.6)
    begin_without_an_answer(lab)
    other = lab.runners[1]
    go_on(lab, [other], 20)
    assert any(Do.END_SESSION in {step for step, _ in active.waits} for active in other.claims.active.values()), "it is what it waits for"
    lab.clock.forward(150.0)
    go_on(lab, [other], 5)
    assert lab.server.is_open(running.session)
    go_on(lab, lab.runners, 600)
    assert [one.name.partition("__")[0] for one in sorted(lab.filed("done"))] == ["a", "b"]
    assert running.number in lab.server.filesets
    lab.check(2)


@pytest.mark.parametrize("fate", [0.4, 0.6], ids=["it outlives its session", "it dies with its session"])
def test_a_drop_that_is_held_keeps_no_session_from_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fate: float) -> None:
    lab, running = two_boxes(tmp_path, fate)
    take = Replies.take

    def bug(self: Replies, active: Any, step: Any, *said: Any) -> None:
        if step.do is Do.POLL and active.id == running.meta["drop"]:
            raise RuntimeError("a bug that shows with this drop")
        take(self, active, step, *said)

    monkeypatch.setattr(Replies, "take", bug)
    lab.workers.left_alone.add(running.meta["drop"])
    go_on(lab, lab.runners, 10)
    assert lab.runners[0].held()
    begin_without_an_answer(lab)
    go_on(lab, lab.runners, 60)
    assert not lab.server.is_open(running.session)
    go_on(lab, lab.runners, 300)
    assert [one.name.partition("__")[0] for one in lab.filed("done")] == ["b"]
    monkeypatch.undo()
    lab.server.chance = None
    lab.kill(random.Random(1))
    assert lab.calm(random.Random(1))
    lab.check(2)
    assert (running.number in lab.server.filesets) == (fate < 0.5)


def test_what_a_box_that_hangs_has_begun_goes_on_where_nobody_needs_its_session_ended(tmp_path: Path) -> None:
    """Of a share that is slow for minutes nothing is sent twice."""
    lab, running = two_boxes(tmp_path, 0.6)
    lab.drop("b.yaml", SIDECAR, {"b.tif": b"b"}, box=1)
    go_on(lab, [lab.runners[1]], 900)
    assert lab.server.is_open(running.session)
    assert lab.calm(random.Random(1))
    assert running.number in lab.server.filesets
    lab.check(2)


def test_a_drop_that_waits_for_the_end_of_a_session_shows_that_after_a_while(tmp_path: Path) -> None:
    lab, _ = two_boxes(tmp_path, 0.6)
    begin_without_an_answer(lab)
    other = lab.runners[1]
    go_on(lab, lab.runners, 30)
    assert not other.waits(), "not every wait is worth a word"
    go_on(lab, lab.runners, 60)
    ((_, why),) = other.waits()
    assert "other imports still run" in why.sentence
    go_on(lab, lab.runners, 600)
    assert not other.waits()
    lab.check(2)


@pytest.mark.parametrize("files", [2, 70], ids=["few files", "many files"])
def test_an_import_that_another_instance_has_begun_is_taken_when_it_is_complete(tmp_path: Path, files: int) -> None:
    """Once seen it was never looked up again, and the session of an instance that always has work never ends."""
    lab = Lab(tmp_path)
    members = {f"a/{number}.tif": b"%d" % number for number in range(files)}
    lab.drop("a.yaml", "submission: plate1\n" + SIDECAR, members)
    runner = lab.start()
    theirs = lab.server.open("jdoe")
    begun: list[Stored] = []

    def go_on(seconds: int) -> None:
        for _ in range(seconds):
            lab.server.tick()
            theirs.used = lab.clock.monotonic()
            lab.keeper.tend()
            runner.turn(0)
            for active in runner.claims.active.values():
                for one in active.drop.filesets.values() if not begun else ():
                    meta = {"drop": "20261122-093912-aaaaaaaaaa", "instance": "other", "session": theirs.number, "attempt": 1}
                    paths = [f"lab/jdoe/{file.path}" for file in one.plan.files]
                    begun.append(lab.server.make_fileset(theirs.number, f"plate1/{one.plan.key}", meta, paths))
            lab.clock.forward(1.0)

    lab.server.refuse["look_up"] = OutcomeUnknown("The connection to OMERO was lost", code="no-answer")
    go_on(5)
    lab.server.refuse.clear()
    assert len(begun) == files
    go_on(100)
    ((_, why),) = runner.waits()
    assert why.kind == "begun-elsewhere"
    (journal,) = lab.box.glob("inprogress/*/*/journal*.jsonl")
    before = journal.stat().st_size
    go_on(1000)
    assert runner.waits()
    assert journal.stat().st_size == before, "what is as it was is not journaled again and again"
    for one in begun:
        one.committed, one.images, one.half_at, one.full_at, one.over_at = True, 1, 0.0, 0.0, 0.0
    go_on(120)
    assert not theirs.closed
    assert [one.parent.parent.parent.name for one in lab.filed("done")] == ["done"]
    assert not runner.waits()
    lab.check(files)


def test_what_another_instance_has_begun_is_begun_anew_when_its_session_ends(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.drop("a.yaml", "submission: plate1\n" + SIDECAR, {"a.tif": b"a"})
    runner = lab.start()
    theirs = lab.server.open("jdoe")
    lab.server.refuse["look_up"] = OutcomeUnknown("The connection to OMERO was lost", code="no-answer")
    go_on(lab, [runner], 5)
    ((state,),) = ([*active.drop.filesets.values()] for active in runner.claims.active.values())
    meta = {"drop": "20261122-093912-aaaaaaaaaa", "instance": "other", "session": theirs.number, "attempt": 1}
    lab.server.make_fileset(theirs.number, f"plate1/{state.plan.key}", meta, ["lab/jdoe/a.tif"])
    lab.server.refuse.clear()
    go_on(lab, [runner], 700)
    assert theirs.closed
    assert not runner.waits()
    lab.check(1)
