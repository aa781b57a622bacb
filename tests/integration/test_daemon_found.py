"""Defects of the daemon that made-up histories brought to light (tests/faults/test_any_history.py), each by itself."""

from __future__ import annotations

import errno
import os
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dropbox_import.daemon import box
from dropbox_import.daemon.replies import Replies
from dropbox_import.disk import observe
from dropbox_import.errors import DropboxImportError, Rejected, ServerUnavailable, TargetUnusable
from dropbox_import.spool import claim as claims
from dropbox_import.spool.adopt import make_ours
from dropbox_import.spool.journal import read_newest
from dropbox_import.spool.steps import Do
from tests.support.lab import Lab
from tests.support.office import Office
from tests.support.scripted_commands import Commands
from tests.support.scripted_server import NEVER, Server, Stored

SIDECAR = "target: {dataset: HeLa}\n"


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def until(lab: Lab, command: str) -> None:
    """Go on, without faults, until that command is in flight."""
    rng = random.Random(1)
    for _ in range(400):
        if any(one.command.do == command for one in lab.workers.flights):
            return
        lab.step(rng)
    raise AssertionError(f"{command} was never sent")


def answer(lab: Lab, command: str) -> None:
    """Do that command alone, of all that are in flight, and answer it."""
    (flight,) = [one for one in lab.workers.flights if one.command.do == command]
    others, lab.workers.flights = [one for one in lab.workers.flights if one is not flight], [flight]
    while lab.workers.flights:
        lab.workers.deliver(random.Random(1))
    lab.workers.flights = others


@pytest.mark.parametrize("command", ["inspect", "begin", "send", "commit", "poll", "confirm"])
def test_a_share_that_vanishes_under_a_drop_at_work_changes_nothing(tmp_path: Path, command: str) -> None:
    lab = Lab(tmp_path, queued=True)
    lab.drop("a.yaml", SIDECAR, {"a.tif": b"a"})
    lab.start()
    until(lab, command)
    lab.box.rename(tmp_path / "away")
    lab.box.mkdir()
    rng = random.Random(2)
    for _ in range(300):
        lab.step(rng)
    assert list(lab.box.iterdir()) == [], "nothing is made where the share was mounted"
    lab.box.rmdir()
    (tmp_path / "away").rename(lab.box)
    assert lab.calm(rng)
    lab.check(1)
    (filed,) = lab.filed("done")
    assert not (filed / "ATTENTION.txt").exists(), "files that could not be seen are not told as changed"


def test_a_fileset_begun_while_its_session_is_found_lost_goes_on(tmp_path: Path) -> None:
    """Another command lost the connection, then the answer to `begin` came: the drop waited for ever for a lost session."""
    lab = Lab(tmp_path, queued=True)
    lab.drop("a.yaml", SIDECAR, {"a.tif": b"a"})
    lab.start()
    until(lab, "begin")
    (session,) = lab.server.sessions
    lab.shared.book.mark(session, "joinable")
    answer(lab, "begin")
    assert lab.calm(random.Random(3))
    lab.check(1)


def test_an_answer_to_joining_that_is_older_than_the_import_s_answer_holds_nothing(tmp_path: Path) -> None:
    """The session of a drop that had been filed was kept alive for ever, and a drop that had to see it ended waited for ever."""
    lab = Lab(tmp_path, queued=True)
    lab.drop("a.yaml", SIDECAR + "tags: [x]\n", {"a.tif": b"a"})
    lab.start()
    until(lab, "annotate")
    (active,) = lab.runners[0].claims.active.values()
    (session,) = lab.server.sessions
    (one,) = lab.server.filesets.values()
    told = {"drop": active.id, "key": one.key, "attempt": 1, "fileset": one.number, "phase": "committed"}
    lab.shared.book.join(session, lab.workers.incarnation, [told], frozenset({one.held}))
    lab.runners[0].turn(0)
    assert not lab.shared.book.holds_anything(session)
    lab.shared.book.join(session, lab.workers.incarnation, [told], frozenset({one.held}))
    assert lab.calm(random.Random(1))
    assert not lab.shared.book.holds_anything(session)


class AllBegun(random.Random):
    """Whatever is in a worker has been begun."""

    def random(self) -> float:
        return 0.0


def test_uploads_that_an_importer_died_with_run_alone_afterwards(tmp_path: Path) -> None:
    """They kept their slots and went on beside each other: one poisonous file killed its neighbours' uploads on and on."""
    lab = Lab(tmp_path, queued=True)
    lab.drop("a.yaml", SIDECAR, {f"a/{number}.tif": b"%d" % number for number in range(3)})
    runner = lab.start()
    deaths: list[int] = []  # of the importer, each with the number of uploads in it
    for _ in range(1000):
        lab.server.tick()
        runner.turn(0)
        lab.keeper.tend()
        sends = [one for one in lab.workers.flights if one.command.do == "send"]
        held = [one for one in sends if not deaths or one.command.args["files"][0]["path"].endswith("1.tif")]
        lab.workers.flights = [one for one in lab.workers.flights if one not in held]
        while lab.workers.deliver(random.Random(1)):
            pass
        lab.workers.flights += held
        if held and (deaths or len(held) == 3):
            deaths.append(len(sends))
            lab.workers.die(AllBegun(), "importer")
        if not lab.claims() and runner.scans > 3:
            break
        lab.clock.forward(max(0.05, min(runner.pause(), 1.0)))
    assert deaths == [3, 1, 1, 1]
    lab.check(2, sidecar_copies=1)


def test_uploads_that_must_run_alone_do_not_wait_for_the_backlog_of_their_owner(tmp_path: Path) -> None:
    """A fresh upload of the same owner took each slot that became free, so that never all were."""
    lab = Lab(tmp_path, queued=True)
    for number in range(60):
        lab.drop(f"{number}.yaml", SIDECAR, {f"{number}.tif": b"%d" % number})
    runner = lab.start()
    rng = random.Random(1)
    suspects: set[str] = set()
    for _ in range(20_000):
        lab.step(rng)
        sends = {one.command.drop for one in lab.workers.flights if one.command.do == "send"}
        if not suspects and len(sends) == 4:
            suspects = sends
            lab.workers.die(AllBegun(), "importer")
        if suspects and not suspects & set(runner.claims.active):
            break
    assert len(suspects) == 4
    assert not suspects & set(lab.claims())
    assert len(lab.claims()) > 30, "they waited for all the others"
    assert lab.calm(rng)
    lab.check(60)


def test_a_session_is_joined_by_one_drop_for_all(tmp_path: Path) -> None:
    """Two joins at once would give the importer two views of one session, of which the later one overwrites the other's records."""
    lab = Lab(tmp_path, queued=True)
    lab.drop("p.yaml", SIDECAR, {"p/1.tif": b"1", "p/2.tif": b"2"})
    lab.drop("q.yaml", SIDECAR, {"q/1.tif": b"3", "q/2.tif": b"4"})
    lab.start()
    until(lab, "send")
    rng = random.Random(4)
    lab.gather(rng, "importer", 4)
    lab.workers.die(rng, "importer")
    most = 0
    for _ in range(400):
        lab.step(rng)
        joins = [one.command.args["session"] for one in lab.workers.flights if one.command.do == "join_session"]
        most = max([most, *(joins.count(session) for session in joins)])
    assert most == 1
    assert lab.calm(rng)
    lab.check(4)


def test_a_session_whose_worker_was_ended_for_idleness_is_ended_in_omero_too(tmp_path: Path) -> None:
    """It was taken as ended, and stayed open until OMERO's own ten minutes were over."""
    lab = Lab(tmp_path, queued=True)
    lab.drop("a.yaml", SIDECAR, {"a.tif": b"a"})
    lab.start()
    assert lab.calm(random.Random(5))
    (session,) = lab.server.sessions
    lab.workers.retire()
    lab.clock.forward(100)
    for _ in range(4):
        lab.keeper.tend()
        while lab.workers.deliver(random.Random(1)):
            pass
    assert lab.server.sessions[session].closed


def test_a_box_that_is_away_since_the_start_keeps_no_session_from_its_end(tmp_path: Path) -> None:
    """It may count on sessions of an earlier daemon. Those of this one, whose worker was ended for idleness, waited for it too."""
    lab = Lab(tmp_path, boxes=2, queued=True)
    earlier = lab.server.open("jdoe").number
    record = lab.daemons[0].identity().sessions / f"{earlier}.json"
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_text('{"owner": "jdoe", "group": "lab"}')
    lab.boxes[1].rename(tmp_path / "away")
    lab.drop("a.yaml", SIDECAR, {"a.tif": b"a"})
    lab.start()
    rng = random.Random(5)
    while not lab.filed("done"):
        lab.step(rng)
    (session,) = lab.server.sessions.keys() - {earlier}
    lab.workers.retire()
    lab.clock.forward(100)
    lab.end_sessions()
    assert lab.server.sessions[session].closed
    assert [path.stem for path in record.parent.glob("*.json")] == [str(earlier)]
    assert not lab.server.sessions[earlier].closed, "what lies in that box may still count on it"
    (tmp_path / "away").rename(lab.boxes[1])
    assert lab.calm(rng)
    lab.check(1)
    assert list(record.parent.glob("*.json")) == []


def test_a_heap_of_sessions_to_end_does_not_stand_before_the_drops(tmp_path: Path) -> None:
    """They were all put into the importer's queue at once."""
    lab = Lab(tmp_path, queued=True)
    folder = lab.daemons[0].identity().sessions
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(40):
        session = lab.server.open(f"user{number}").number
        (folder / f"{session}.json").write_text(f'{{"owner": "user{number}", "group": "lab"}}')
    runner = lab.start()
    rng = random.Random(6)
    while not runner.loaded:
        runner.turn(0)
    for _ in range(5):
        lab.keeper.tend()
        assert 0 < len(lab.workers.flights) < 10
    assert lab.calm(rng)
    assert all(one.closed for one in lab.server.sessions.values())


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_disk_error_at_any_effect_is_waited_out(tmp_path: Path, number: int) -> None:
    """Also where a record is written between the steps: the drop was held until the daemon was started anew."""
    for first in range(1, 90, 8):
        lab = Lab(tmp_path / str(first))
        lab.drop("p.yaml", SIDECAR, {"p/good.tif": b"good", "p/bad.tif": b"broken"})
        lab.start()
        lab.fail_after(first, 12, number)
        try:
            lab.turns(60)
        finally:
            observe.set_observer(None)
        lab.clock.forward(700)
        lab.turns()
        lab.check(1, sidecar_copies=1)


def test_a_full_disk_when_a_session_is_joined_is_waited_out(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.drop("a.yaml", SIDECAR, {"a.tif": b"a"})
    lab.server.refuse["poll"] = ServerUnavailable("The connection was lost", code="connection-lost")
    lab.start()
    lab.turns(20)
    lab.server.refuse.clear()
    lab.start()
    reconcile = lab.runner._pipeline._replies.reconcile  # type: ignore[union-attr]
    left = [OSError(errno.ENOSPC, "No space left on device")] * 3

    def full(active: object) -> None:
        if left:
            raise left.pop()
        reconcile(active)  # type: ignore[arg-type]

    monkeypatch.setattr(lab.runner._pipeline._replies, "reconcile", full)  # type: ignore[union-attr]
    lab.turns()
    lab.check(1)


def test_a_claim_that_is_taken_over_while_the_disk_is_in_trouble_is_given_up_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That it was gone came up only while trouble with the disk was dealt with: as a bug of the whole box."""
    lab = Lab(tmp_path, queued=True)
    lab.drop("a.yaml", SIDECAR, {"a.tif": b"a"})
    lab.start()
    until(lab, "inspect")
    (claim,) = lab.layout.inprogress.glob("*/2*")
    other = lab.layout.inprogress / "other"
    other.mkdir()

    def strikes(*_: object) -> None:
        claim.rename(other / claim.name)
        raise OSError(errno.EIO, "Input/output error")

    answer(lab, "inspect")
    with monkeypatch.context() as patched:
        patched.setattr(Replies, "reconcile", strikes)
        assert lab.runner is not None
        lab.runner.turn(0)
    assert lab.runner.busy() == 0


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE])
def test_one_users_folder_that_cannot_be_looked_at_when_a_drop_is_taken_is_no_bug_of_the_box(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """The whole box slept for five seconds for each ready drop of that user."""
    lab = Lab(tmp_path, users=("jdoe", "asmith"))
    looked = box.is_there

    def refused(path: Path) -> bool:
        if path.parent.name == "jdoe":
            raise OSError(number, os.strerror(number), str(path))
        return looked(path)

    for user in ("jdoe", "asmith"):
        lab.drop(f"{user}.yaml", SIDECAR, {f"{user}.tif": user.encode()}, user)
    runner = lab.start()
    with monkeypatch.context() as patch:
        patch.setattr(box, "is_there", refused)
        lab.turns(30)
        assert [path.parent.parent.name for path in lab.filed("done")] == ["asmith"]
        ((name, why),) = [(one.sidecar, one.reason) for one in runner.unclaimed()]
        assert name == "jdoe.yaml"
        assert os.strerror(number) in why
    lab.clock.forward(700)
    lab.turns()
    lab.check(2)


def test_that_omero_is_back_is_found_out_when_no_drop_asks_for_it_any_more(tmp_path: Path) -> None:
    """Sessions of drops that were filed or taken over stayed open; to the daemon OMERO was down until the next drop."""
    lab = Lab(tmp_path, queued=True)
    lab.drop("a.yaml", SIDECAR, {"a.tif": b"a"})
    lab.start()
    assert lab.calm(random.Random(4))
    lab.shared.outage.failed(ServerUnavailable("OMERO cannot be reached", code="unreachable"))
    lab.server.up, downs = False, 0
    for turn in range(60):
        lab.server.up = turn > 30
        lab.clock.forward(5.0)
        lab.keeper.tend()
        while lab.workers.deliver(random.Random(5)):
            pass
        downs += lab.shared.outage.down
    assert 25 < downs < 40, "it stays down as long as it is, and no longer"
    assert all(session.closed for session in lab.server.sessions.values())


def held_at_work(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A claim of which the journal is found damaged when it is read anew after trouble with the disk."""
    until(lab, "inspect")
    (claim,) = lab.layout.inprogress.glob("*/2*")
    journal = claim / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([lines[0], b"x" + lines[1], *lines[2:]]))

    def strikes(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    answer(lab, "inspect")
    assert lab.runner is not None
    with monkeypatch.context() as patched:
        patched.setattr(Replies, "reconcile", strikes)
        lab.runner.turn(0)
    lab.runner.turn(0)
    assert [name for name, _ in lab.runner.held() or ()] == [claim.name]
    return claim


def test_a_held_drop_that_was_moved_away_by_hand_is_not_held_any_more_and_keeps_no_other_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next drop of its submission waited for it, without a word, until the daemon was started again."""
    lab = Lab(tmp_path, queued=True)
    lab.drop("a.yaml", SIDECAR + "submission: run-7\n", {"a.tif": b"a"})
    lab.start()
    claim = held_at_work(lab, monkeypatch)
    lab.layout.discarded.mkdir(mode=0o700, exist_ok=True)
    claim.rename(lab.layout.discarded / claim.name)
    lab.drop("again.yaml", SIDECAR + "submission: run-7\n", {"again.tif": b"a"})
    rng = random.Random(1)
    for _ in range(600):
        lab.step(rng)
    assert lab.runner is not None and lab.runner.held() == []
    assert len(lab.filed("done")) == 1


def test_a_file_server_that_loses_the_end_of_a_journal_under_a_daemon_that_lives_holds_no_drop(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.drop("a.yaml", SIDECAR, {"a.tif": b"a"})
    lab.start()
    lab.server.refuse["send"] = ServerUnavailable("OMERO is busy", code="busy")
    found: list[Path] = []
    while not found or b'"r":"begun"' not in found[0].read_bytes().splitlines()[-1]:  # which is written without a sync
        lab.turns(1)
        found = [path for path in lab.layout.inprogress.glob("*/2*/journal.jsonl") if path.stat().st_size]
    found[0].write_bytes(b"".join(found[0].read_bytes().splitlines(keepends=True)[:-1]))
    lab.server.refuse = {"commit": ServerUnavailable("OMERO is busy", code="busy")}
    lab.turns(20)
    lab.server.refuse.clear()
    lab.start()
    lab.turns()
    assert lab.runner is not None and lab.runner.held() == []
    lab.check(1)


def goes_wrong(
    monkeypatch: pytest.MonkeyPatch, told: str, times: int, refuse: dict[str, DropboxImportError] | None = None, good: int = 0
) -> list[int]:
    """So many imports, after some `good` ones, end with an error of that class; from the first on OMERO refuses this.

    Returns the filesets that were started.
    """
    plan, started = Server._plan, []

    def planned(self: Server, one: Stored) -> None:
        started.append(one.number)
        plan(self, one)
        if good < len(started) <= good + times:
            one.half_at, one.full_at, one.images = NEVER, NEVER, 0
            one.answer = {"state": "error", "class": told, "code": "wrong", "sentence": "it went wrong", "hint": ""}
            self.refuse.update(refuse or {})

    monkeypatch.setattr(Server, "_plan", planned)
    return started


BOTH = SIDECAR + "files: {include: ['*.tif']}\n"
BUSY = ServerUnavailable("OMERO is too busy for this now", code="busy")
GONE = TargetUnusable("There is no dataset 50 that jdoe can see.", hint="Write another one.", code="no-target")


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("step", ["resolve", "target"])
def test_a_drop_whose_target_went_away_is_filed_although_its_journal_was_read_anew_meanwhile(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, step: str, times: int
) -> None:
    """That OMERO has nothing of it was not known any more, and was never asked while there was no target: it waited for ever."""
    goes_wrong(monkeypatch, "TargetUnusable", 2, {step: BUSY})
    lab.drop("a.yaml", BOTH, {"a.tif": b"a", "b.tif": b"b"})
    lab.start()
    for _ in range(times):
        lab.turns(60)
        assert len(lab.claims()) == 1
        lab.start()
    lab.server.refuse[step] = GONE
    lab.turns()
    (filed,) = lab.filed("failed")
    assert "There is no dataset 50" in (filed / "REASON.txt").read_text()
    lab.check(0)


def test_what_is_still_there_of_a_drop_whose_target_went_away_is_removed_before_it_is_filed(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A journal that lost its end knows nothing of an attempt after the target was found again."""
    goes_wrong(monkeypatch, "TargetUnusable", 1, {"resolve": BUSY})
    lab.drop("a.yaml", SIDECAR, {"a.tif": b"a"})
    lab.start()
    lab.turns(60)
    (drop,) = lab.claims()
    session = lab.server.open("jdoe")
    (told,) = [one for runner in lab.runners for one in runner.claims.active.values()]
    key, lab.server.refuse["resolve"] = next(iter(told.drop.filesets)), GONE
    meta = {"drop": drop, "instance": lab.shared.instance.name, "session": session.number, "attempt": 2}
    left = lab.server.make_fileset(session.number, f"{told.drop.submission}/{key}", meta, ["lab/jdoe/a.tif"])
    lab.start()
    lab.turns(60)
    assert lab.filed("failed") == [], "what may still land is in the open session of that attempt"
    lab.clock.forward(700)
    lab.turns()
    assert left.number not in lab.server.filesets
    lab.check(0)
    assert len(lab.filed("failed")) == 1


@pytest.mark.parametrize("members", [{"a.tif": b"a"}, {"a.tif": b"a", "b.tif": b"b"}], ids=["one", "two"])
@pytest.mark.parametrize("again", [False, True], ids=["gone for good", "found again"])
def test_a_dataset_that_is_deleted_with_what_was_being_imported_into_it(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, members: dict[str, bytes], again: bool
) -> None:
    """There was no fileset left to be discarded: so the drop counted for ever as one of which OMERO may have something."""
    goes_wrong(monkeypatch, "TargetUnusable", len(members), {} if again else {"resolve": GONE})
    poll = Commands._poll

    def polled(self: Commands, *args: Any, **named: Any) -> dict[str, Any]:
        told = poll(self, *args, **named)
        if told["state"] == "error":
            deleted = [one for one in self.server.filesets.values() if one.answer == told]
            self.server.filesets = {one.number: one for one in self.server.filesets.values() if one not in deleted}
        return told

    monkeypatch.setattr(Commands, "_poll", polled)
    lab.drop("a.yaml", BOTH, members)
    lab.start()
    lab.turns()
    lab.check(len(members) if again else 0)
    assert len(lab.filed("done" if again else "failed")) == 1


ON_PROJECT = """\
target: {project: {id: 7}, dataset: HeLa}
files: {include: ['*.tif']}
key_values: [{on: project, pairs: {Grant: X-1}}]
attachments: [{on: project, file: protocol.pdf}]
"""


def test_what_a_drop_that_ends_as_a_whole_does_not_put_on_its_project_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The dataset was deleted between the imports of its two filesets; the first one is done, and nobody said what is missing of it."""
    goes_wrong(monkeypatch, "TargetUnusable", 1, {"resolve": GONE}, good=1)
    target = Commands._target
    monkeypatch.setattr(Commands, "_target", lambda self, *args, **named: target(self, *args, **named) | {"project": 7, "dataset": 151})
    office = Office(tmp_path)
    lab = office.lab
    office.start()
    lab.drop("a.yaml", ON_PROJECT, {"a.tif": b"a", "b.tif": b"b", "protocol.pdf": b"wash twice"})
    lab.turns()
    assert not [one for one in lab.server.made if one.startswith("project:")]
    missing = 'key-values, attachment "protocol.pdf" on the project 7: not put there'
    assert missing in (office.filed("done") / "ATTENTION.txt").read_text()
    assert missing in (office.filed("done") / "result.yaml").read_text()
    messages = [path.read_text() for path in lab.box.glob("inprogress/*/outbox/*.json")]
    assert ["on the project 7: not put there" in text for text in messages] == [True, True], "to its user, and to administrators"
    # It says that this is done when the rest is imported.
    lab.server.refuse.clear()
    assert office.order("retry", office.filed("failed").name.rpartition("__")[2], seconds=12).ok
    assert lab.filed("failed") == []
    assert sorted(one for one in lab.server.made if one.startswith("project:")) == ["project:7 <- attachments", "project:7 <- key_values"]
    assert not lab.server.broken and len(lab.server.complete()) == 2


@pytest.mark.parametrize(("times", "ends_in", "tried"), [(1, "done", 2), (2, "done", 3), (9, "failed", 3)])
@pytest.mark.parametrize("told", ["OutcomeUnknown", "TargetUnusable"])
@pytest.mark.parametrize("lost", ["busy", "restarts", "neither"])
def test_an_import_that_went_wrong_is_tried_again_however_often_omero_was_busy_before(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, lost: str, told: str, times: int, ends_in: str, tried: int
) -> None:
    """Attempts that OMERO was too busy for, or that an end of the daemon lost, counted like errors: the first real one was the last."""
    started = goes_wrong(monkeypatch, told, times)
    lab.drop("a.yaml", SIDECAR, {"a.tif": b"a"})
    for _ in range(4 if lost == "restarts" else 0):
        lab.server.refuse["send"] = BUSY
        lab.start()
        lab.turns(20)
        lab.server.restart()
    if lost == "busy":
        lab.server.refuse["begin"] = BUSY
    lab.start()
    lab.turns(150)
    if lost == "busy":
        assert lab.runner is not None
        (active,) = lab.runner.claims.active.values()
        assert [state.attempts > 3 for state in active.drop.filesets.values()] == [True]
    assert len(started) == (0 if lost != "neither" else tried)
    lab.server.refuse.clear()
    lab.turns()
    lab.check(int(ends_in == "done"))
    assert len(lab.filed(ends_in)) == 1
    assert len(started) == tried


def test_files_that_changed_under_their_upload_and_are_refused_now_end_in_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether OMERO had something of the first try was not asked before the second inspection, and so never: the drop waited for ever."""
    lab = Lab(tmp_path)
    lab.drop("a.yaml", SIDECAR, {"a.tif": b"aa"})
    lab.server.refuse["send"] = ServerUnavailable("OMERO is busy", code="busy")
    lab.start()
    lab.turns(30)
    (claim,) = lab.layout.inprogress.glob("*/2*")
    (claim / "d" / "a.tif").chmod(0o600)
    (claim / "d" / "a.tif").write_bytes(b"changed!")
    lab.user_bytes[b"changed!"] = lab.user_bytes.pop(b"aa")

    def refused(*_: object, **__: object) -> None:
        raise Rejected("nothing in it can be read", code="no-image")

    monkeypatch.setattr(Commands, "_inspect", refused)
    lab.server.refuse.clear()
    lab.turns(400)
    assert len(lab.filed("failed")) == 1
    lab.check(0)


def test_a_box_whose_share_is_away_keeps_no_upload_of_another_box_waiting(tmp_path: Path) -> None:
    """It kept the slots of what it had begun: with one microscope's share away, nothing of all others was imported."""
    lab = Lab(tmp_path, boxes=2, queued=True)
    for number in range(6):
        lab.drop(f"{number}.yaml", "target: {dataset: X}\n", {f"{number}.tif": b"%d" % number})
    lab.start()
    rng = random.Random(1)
    at_work = lab.runners[0].claims.active
    while not any(step is Do.BEGIN for active in at_work.values() for step, _ in active.flying):
        lab.step(rng)
    others = 0  # have the other slots
    while lab.shared.slots.take((f"of a third box {others}", ""), "alice", 0):
        others += 1
    assert others < 4
    away = lab.boxes[0].rename(tmp_path / "away")
    lab.boxes[0].mkdir()
    lab.drop("b.yaml", "target: {dataset: X}\n", {"b.tif": b"b"}, box=1)
    for _ in range(800):
        lab.step(rng)
    assert [path.name.partition("__")[0] for path in lab.boxes[1].glob("done/*/*/*")] == ["b"]
    lab.boxes[0].rmdir()
    away.rename(lab.boxes[0])
    assert lab.calm(rng)
    lab.check(7)


@pytest.mark.parametrize("held", [False, True], ids=["it could not be written", "it was held"])
def test_a_claim_that_another_instance_has_had_meanwhile_is_made_ours_again(tmp_path: Path, held: bool) -> None:
    """Adopted and adopted back while it could not be read, it was gone on with as the other one's, and not vouched for as ours."""
    office = Office(tmp_path, lab=Lab(tmp_path, queued=True))
    lab, rng = office.lab, random.Random(1)
    office.start()
    lab.drop("a.yaml", "target: {dataset: X}\n", {"a.tif": b"a"})
    while not any(active.drop.target for active in lab.runners[0].claims.active.values()):
        lab.step(rng)
    ((name, active),) = lab.runners[0].claims.active.items()
    active.unread, active.held = not held, DropboxImportError("somebody has to look") if held else None
    mine, other = active.claim.path, replace(lab.daemons[0].identity(), name="other")
    theirs = lab.layout.instance(other.name) / name
    theirs.parent.mkdir(mode=0o700)
    mine.rename(theirs)
    assert make_ours(claims.load(lab.layout, theirs, lab.clock), other)
    theirs.rename(mine)
    theirs.parent.rmdir()
    if held:
        assert office.order("retry", name).ok
    assert lab.calm(rng)
    lab.check(1)
    had = [record.data["by"] for record in read_newest(lab.filed("done")[0]) if record.kind == "adopted"]
    assert had == ["other", lab.daemons[0].identity().name]
