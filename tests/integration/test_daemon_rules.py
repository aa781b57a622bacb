"""What the daemon does with trouble that is not the drop's, with drops that are wrong, and with users who change their mind."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dropbox_import.errors import NotAllowed, ServerUnavailable, TargetUnusable
from dropbox_import.model import FileFacts
from dropbox_import.spool import taking
from dropbox_import.spool.claim import Claim
from dropbox_import.spool.journal import Journal, Record, read_newest
from tests.support.lab import Lab
from tests.support.scripted_commands import Commands

SIDECAR = "target: {dataset: HeLa}\n"
LATER = [(2, "30 s"), (3, "60 min")]


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def reason(folder: Path) -> str:
    return (folder / "REASON.txt").read_text()


def test_a_drop_waits_as_long_as_omero_is_down_and_is_told_of_once(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    lab.server.refuse["open_session"] = ServerUnavailable("OMERO cannot be reached", code="unreachable")
    for number in range(5):
        lab.drop(f"{number}.yaml", SIDECAR, {f"{number}.tif": b"%d" % number})
    lab.start()
    lab.turns(200)
    assert len(lab.claims()) == 5
    assert lab.filed("failed") == []
    told = [record for record in caplog.records if "OMERO cannot be used" in record.message]
    assert len(told) == 1
    assert lab.shared.outage.down
    lab.server.refuse.clear()
    lab.clock.forward(10)
    lab.turns()
    lab.check(5)
    assert not lab.shared.outage.down


def test_while_omero_is_down_only_one_drop_asks(lab: Lab) -> None:
    lab.server.refuse["open_session"] = ServerUnavailable("down", code="unreachable")
    for number in range(20):
        lab.drop(f"{number}.yaml", SIDECAR, {f"{number}.tif": b"%d" % number})
    lab.start()
    lab.turns(60)
    inspections = 20
    assert lab.server.commands - inspections < 25, "twenty drops must not ask twenty times at each try"


def test_a_target_that_cannot_be_used_fails_the_drop_with_its_reason(lab: Lab) -> None:
    lab.server.refuse["resolve"] = TargetUnusable('There is no dataset "HeLa".', hint="Make it, or write create: true.")
    lab.drop("a.yaml", SIDECAR, {"a.tif": b"a"})
    lab.life()
    lab.check(0)
    text = reason(lab.filed("failed")[0])
    assert 'There is no dataset "HeLa".' in text
    assert "What to do: Make it, or write create: true." in text
    assert "Nothing in this folder is in OMERO" in text


def test_a_refusal_after_the_upload_leaves_nothing_on_the_server(lab: Lab) -> None:
    lab.server.refuse["commit"] = NotAllowed("The group is read-only.")
    lab.drop("a.yaml", SIDECAR, {"a.tif": b"a"})
    lab.life()
    lab.check(0)
    assert "The group is read-only." in reason(lab.filed("failed")[0])


def test_refused_annotations_do_not_fail_the_images(lab: Lab) -> None:
    lab.server.refuse["annotate"] = NotAllowed("You may not tag here.")
    lab.drop("a.yaml", SIDECAR + "tags: [x]\n", {"a.tif": b"a"})
    lab.life()
    lab.check(1)
    assert "You may not tag here." in (lab.filed("done")[0] / "ATTENTION.txt").read_text()


def test_an_extra_is_filed_with_the_rest_and_listed(lab: Lab) -> None:
    lab.drop("run.yaml", SIDECAR, {"run/1.tif": b"1", "run/readme.txt": b"hello"})
    lab.life()
    lab.check(1)
    filed = lab.filed("done")[0]
    assert (filed / "d/run/readme.txt").read_bytes() == b"hello"
    assert "run/readme.txt" in (filed / "result.yaml").read_text()


def test_the_same_submission_twice_is_imported_once(lab: Lab) -> None:
    text = SIDECAR + "submission: run-7\n"
    lab.drop("a.yaml", text, {"a.tif": b"a"})
    lab.life()
    lab.drop("a.yaml", text, {"a.tif": b"a"})
    lab.life()
    lab.check(1)
    assert len(lab.filed("done")) == 2


def test_a_sidecar_that_changes_while_it_is_taken_is_put_back(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.drop("a.yaml", SIDECAR, {"a.tif": b"a"})
    take, changed = taking.take, SIDECAR + "rating: 5\n"

    def edited(*args: object) -> object:
        claim = take(*args)  # type: ignore[arg-type]
        (lab.layout.drop / "jdoe/a.yaml").write_text(changed)
        return claim

    monkeypatch.setattr(taking, "take", edited)
    lab.start()
    lab.turns(12)
    assert (lab.layout.drop / "jdoe/a.yaml").read_text() == changed
    assert (lab.layout.drop / "jdoe/a.tif").read_bytes() == b"a"
    monkeypatch.undo()
    lab.clock.forward(60)
    lab.turns()
    assert len(lab.filed("done")) == 1
    assert json.loads((lab.filed("done")[0] / "request.json").read_text())["rating"] == 5


def test_a_drop_that_changes_whenever_it_is_taken_says_why_it_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It waited for an hour without a word, and so did each other drop of its name until the next start."""
    lab = Lab(tmp_path, delays=(3600.0,))
    lab.drop("a.yaml", SIDECAR, {"a.tif": b"a"})
    take, taken, last = taking.take, list[int](), 10

    def edited(*args: object) -> object:
        claim = take(*args)  # type: ignore[arg-type]
        taken.append(len(taken))
        if len(taken) <= last:
            (lab.layout.drop / "jdoe/a.yaml").write_text(f"{SIDECAR}# {len(taken)}\n")
        return claim

    monkeypatch.setattr(taking, "take", edited)
    runner = lab.start()
    seen = dict[str, float]()
    for _ in range(200):
        runner.turn(0)
        lab.clock.forward(1.0)
        seen |= {one.reason: one.since for one in runner.unclaimed() if "put back" in one.reason}
    told = "a.yaml was changed while it was being taken, so it was put back"
    assert list(seen) == [f"{told}; it is taken again after 30 s", *(f"{told} {n} times; it is taken again after {p}" for n, p in LATER)]
    assert len(set(seen.values())) == 1, "since when is the first time"
    assert runner.waiting() == 1
    last = 0
    lab.clock.forward(3600)
    while (lab.layout.drop / "jdoe/a.yaml").exists():
        runner.turn(0)
        lab.clock.forward(1.0)
    last = 5
    lab.drop("a.yaml", SIDECAR, {"a.tif": b"another"})
    lab.turns(100)
    assert runner.waiting() == 0
    assert len(lab.filed("done")) == 2, "another drop of that name has not been put back so often"


def test_a_name_that_is_taken_meanwhile_is_not_overwritten(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.drop("a.yaml", SIDECAR, {"a.tif": b"first"})
    take_members = taking._take_members

    def vanish(claim: Claim, candidate: object) -> None:
        take_members(claim, candidate)  # type: ignore[arg-type]
        (lab.layout.drop / "jdoe/a.tif").write_bytes(b"second")
        raise taking.Changed("b.tif vanished", code="file-vanished")

    monkeypatch.setattr(taking, "_take_members", vanish)
    lab.start()
    lab.turns(40)
    filed = lab.filed("failed")
    assert len(filed) == 1
    assert (filed[0] / "d/a.tif").read_bytes() == b"first"
    assert (lab.layout.drop / "jdoe/a.tif").read_bytes() == b"second"
    assert "a new file called a.tif is in its place" in reason(filed[0])


def test_files_changed_during_the_upload_are_imported_as_they_are_in_the_end(lab: Lab) -> None:
    lab.drop("a.yaml", SIDECAR, {"a.tif": b"old"})
    lab.start()
    send, done = lab.workers._send, list[bool]()

    def send_and_write(command: object, **args: object) -> object:
        sent = send(command, **args)  # type: ignore[arg-type]
        if not done:
            done.append(True)
            next(lab.layout.inprogress.glob("*/*/d/a.tif")).write_bytes(b"newer")
        return sent

    lab.workers._send = send_and_write  # type: ignore[assignment,method-assign]
    lab.turns()
    lab.user_bytes.clear()
    lab.user_bytes.update([b"newer"])
    lab.check(1)
    assert list(lab.server.complete()[0].sizes.values()) == [5]


def test_a_box_without_its_marker_is_not_touched(lab: Lab, caplog: pytest.LogCaptureFixture) -> None:
    lab.drop("a.yaml", SIDECAR, {"a.tif": b"a"})
    marker = lab.layout.marker.read_bytes()
    lab.layout.marker.unlink()
    before = sorted(lab.files_below(lab.box))
    lab.start()
    lab.turns(20)
    assert sorted(lab.files_below(lab.box)) == before
    assert len([record for record in caplog.records if "taken as not mounted" in record.message]) == 1
    lab.layout.marker.write_bytes(marker)
    lab.clock.forward(60)
    lab.turns()
    lab.check(1)


def test_a_damaged_journal_holds_that_drop_and_no_other(lab: Lab) -> None:
    lab.server.refuse["open_session"] = ServerUnavailable("down", code="unreachable")
    lab.drop("a.yaml", SIDECAR, {"a.tif": b"a"})
    lab.start()
    lab.turns(20)
    journal = next(lab.layout.inprogress.glob("*/*/journal.jsonl"))
    journal.write_bytes(journal.read_bytes().replace(b'"claimed"', b'"clXimed"'))
    damaged = sorted((path, path.read_bytes()) for path in lab.files_below(journal.parent))
    lab.server.refuse.clear()
    lab.drop("b.yaml", SIDECAR, {"b.tif": b"b"})
    lab.start()
    lab.turns(60)
    assert sorted((path, path.read_bytes()) for path in lab.files_below(journal.parent)) == damaged
    assert len(lab.filed("done")) == 1


def test_what_is_filed_is_readable_by_its_user_and_what_is_at_work_is_not(lab: Lab) -> None:
    lab.server.refuse["open_session"] = ServerUnavailable("down", code="unreachable")
    lab.drop("a.yaml", SIDECAR, {"a.tif": b"a"})
    lab.start()
    lab.turns(20)
    claim = next(lab.layout.inprogress.glob("*/*/journal.jsonl")).parent
    assert claim.parent.stat().st_mode & 0o777 == 0o700
    assert claim.stat().st_mode & 0o777 == 0o700
    lab.server.refuse.clear()
    lab.clock.forward(10)
    lab.turns()
    filed = lab.filed("done")[0]
    assert filed.stat().st_mode & 0o055 == 0o055
    assert (filed / "d/a.tif").stat().st_mode & 0o044 == 0o044


def test_one_message_for_each_drop_is_in_the_outbox_before_it_is_filed(lab: Lab) -> None:
    lab.drop("a.yaml", SIDECAR + "notify: [jane@example.org]\n", {"a.tif": b"a"})
    lab.life()
    messages = [json.loads(path.read_text()) for path in lab.layout.inprogress.glob("*/outbox/*.json")]
    assert [(one["event"], one["notify"]) for one in messages] == [("done", ["jane@example.org"])]


def test_both_parts_of_a_drop_of_two_outcomes_say_what_concerns_them(lab: Lab) -> None:
    members = {"p/good.tif": b"good", "p/bad1.tif": b"x", "p/bad2.tif": b"y", "p/notes.txt": b"notes"}
    lab.drop("p.yaml", SIDECAR, members)
    lab.life()
    lab.check(1, sidecar_copies=1)
    done, failed = lab.filed("done")[0], lab.filed("failed")[0]
    assert sorted(path.name for path in lab.files_below(done / "d")) == ["good.tif", "notes.txt"]
    assert sorted(path.name for path in lab.files_below(failed / "d")) == ["bad1.tif", "bad2.tif"]
    assert not (done / "REASON.txt").exists()
    told = reason(failed)
    assert told.startswith("A part of p.yaml was not imported into OMERO.")
    assert "p/bad1.tif is cut in half." in told
    assert "p/bad2.tif is cut in half." in told
    assert "the folder of the same name under done/" in told
    results = [(folder / "result.yaml").read_text() for folder in (done, failed)]
    assert "state: done" in results[0]
    assert "failures" not in results[0]
    assert "state: failed" in results[1]
    assert results[1].count("reason:") == 2


def test_a_folder_swapped_for_a_link_after_the_look_brings_nobody_elses_file(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = lab.box.parent / "secret"
    secret.mkdir()
    (secret / "1.tif").write_bytes(b"of somebody else")
    lab.drop("run.yaml", "target: {dataset: HeLa}\nfiles: {include: [sub/1.tif]}\n", {"sub/1.tif": b"mine"})
    take = taking.take
    home = lab.layout.drop / "jdoe"

    def swapped(*args: object) -> object:
        claim = take(*args)  # type: ignore[arg-type]
        if not (home / "away").exists():
            (home / "sub").rename(home / "away")
            (home / "sub").symlink_to(secret)
        return claim

    monkeypatch.setattr(taking, "take", swapped)
    lab.start()
    lab.turns(30)
    assert (secret / "1.tif").read_bytes() == b"of somebody else"
    assert lab.server.filesets == {}
    assert (home / "away/1.tif").read_bytes() == b"mine"
    assert lab.claims() == []


def test_a_file_that_changes_after_its_upload_is_never_filed_as_plainly_done(lab: Lab) -> None:
    lab.drop("a.yaml", SIDECAR, {"a.tif": b"old"})
    lab.start()
    confirm = lab.workers._confirm

    def confirm_and_write(command: object, **args: object) -> object:
        next(lab.layout.inprogress.glob("*/*/d/a.tif")).write_bytes(b"newer")
        return confirm(command, **args)  # type: ignore[arg-type]

    lab.workers._confirm = confirm_and_write  # type: ignore[assignment,method-assign]
    lab.turns()
    filed = lab.filed("done")[0]
    assert "a.tif changed on disk after it was imported" in (filed / "ATTENTION.txt").read_text()
    events = {json.loads(path.read_text())["event"] for path in lab.layout.inprogress.glob("*/outbox/*.json")}
    assert events == {"done", "attention"}


def test_a_claim_that_is_taken_over_in_the_moment_of_its_first_record_is_told(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """This process slept right after it had written its intent, and meanwhile an administrator had the claim adopted."""
    append = Journal.append

    def slept(self: Journal, records: Iterable[Record], *, sync: bool = True) -> None:
        append(self, records, sync=sync)
        other = lab.layout.inprogress / "another-00000000"
        if not other.exists():
            other.mkdir()
            self.path.parent.rename(other / self.path.parent.name)

    monkeypatch.setattr(Journal, "append", slept)
    lab.drop("a.yaml", SIDECAR, {"a.tif": b"a"})
    lab.start()
    lab.turns(20)
    assert [getattr(record, "step", "") for record in caplog.records if "was taken over" in record.message] == ["claim-taken"]


def between_intent_and_rename(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> None:
    """Once, what a user does after a drop was found ready and its intent written."""
    gather, acted = taking.gather, list[bool]()

    def first_the_user(claim: Claim) -> None:
        if not acted:
            acted.append(True)
            act()
        gather(claim)

    monkeypatch.setattr(taking, "gather", first_the_user)


def test_a_sidecar_that_is_corrected_before_it_is_taken_is_read_again(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.drop("a.yaml", "tarket: {dataset: HeLa}\n", {"a.tif": b"a"})
    sidecar = lab.layout.drop / "jdoe" / "a.yaml"

    def correct() -> None:
        lab.user_bytes[sidecar.read_bytes()] -= 1
        sidecar.write_text(SIDECAR)
        lab.user_bytes[sidecar.read_bytes()] += 1

    between_intent_and_rename(monkeypatch, correct)
    lab.life()
    lab.clock.forward(60)  # what was put back is left alone for a moment
    lab.turns()
    assert lab.filed("failed") == [], "filed with mistakes that it does not have"
    lab.check(1)


@pytest.mark.parametrize("taken", ["p/1.tif", "p.yaml"])
def test_where_its_files_are_is_told_when_a_name_was_taken_meanwhile(lab: Lab, monkeypatch: pytest.MonkeyPatch, taken: str) -> None:
    lab.drop("p.yaml", SIDECAR, {"p/1.tif": b"1", "p/2.tif": b"2"})
    home, released, moved = lab.layout.drop / "jdoe", taking.release, taking.facts

    def release(claim: Claim) -> bool:
        (home / taken).parent.mkdir(exist_ok=True)
        (home / taken).write_bytes(b"another")
        return released(claim)

    def facts(base: Path, relative: str) -> FileFacts:
        found = moved(base, relative)
        return replace(found, size=found.size + 1) if relative == "p/2.tif" and (taken == "p.yaml" or base.name == "d") else found

    monkeypatch.setattr(taking, "release", release)
    monkeypatch.setattr(taking, "facts", facts)
    lab.life()
    (failed,) = lab.filed("failed")
    here = (failed / "d" / "p" / "1.tif").exists()
    assert ("put this whole folder back" in reason(failed), "Only the sidecar was taken" in reason(failed)) == (here, not here)


@pytest.mark.parametrize(("times", "ends_in"), [(1, "done"), (9, "failed")])
def test_a_target_that_goes_away_after_it_was_found_is_looked_for_anew(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, times: int, ends_in: str
) -> None:
    """An empty twin that a peer has removed, or a dataset that somebody deleted meanwhile. One that always goes away is told."""
    left, found = [times], Commands._target

    def target(self: Commands, *args: Any, **named: Any) -> dict[str, Any]:
        if left[0]:
            left[0] -= 1
            raise TargetUnusable("There is no dataset 51.", hint="Write another one.", code="missing-target")
        return found(self, *args, **named)

    monkeypatch.setattr(Commands, "_target", target)
    lab.drop("a.yaml", SIDECAR, {"a.tif": b"a"})
    lab.life()
    assert len(lab.filed(ends_in)) == 1
    lab.check(int(ends_in == "done"))


def test_images_whose_owner_is_locked_out_before_the_dataset_is_annotated_are_done_and_the_rest_is_told(tmp_path: Path) -> None:
    """The daemon ended between the two, and finds an owner who may not log in any more: failed/ never holds what is in OMERO."""
    text = "target: {dataset: HeLa}\nkey_values: [{on: dataset, pairs: {a: b}}]\n"
    for point in range(1, 400):
        lab = Lab(tmp_path / str(point))
        lab.drop("a.yaml", text, {"a.tif": b"a"})
        lab.life(point)
        found = [read_newest(lab.layout.instance(lab.shared.instance.name) / claim) for claim in lab.claims()]
        kinds = [record.kind for records in found for record in records]
        if kinds.count("annotated") == 1:  # of the fileset; that of the dataset is still to come
            lab.server.refuse["open_session"] = NotAllowed("The account is not active.", code="inactive-owner")
            lab.life()
            lab.server.refuse.clear()
            (filed,) = lab.filed("done")
            assert "not active" in (filed / "ATTENTION.txt").read_text()
            assert lab.filed("failed") == []
            return
    pytest.fail("it never came so far")


def test_a_volume_that_has_another_number_after_a_reboot_has_the_same_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At every point of a drop's life: nothing is put back, uploaded again, or told as changed."""
    from dropbox_import.disk import facts as disk_facts

    facts_of = disk_facts.facts_of

    def renumbered(relative: str, seen: os.stat_result, *, stable_ids: bool) -> FileFacts:
        found = facts_of(relative, seen, stable_ids=stable_ids)
        return replace(found, file_id="4711:" + found.file_id.rpartition(":")[2])

    for point in range(1, 200, 7):
        lab = Lab(tmp_path / str(point))
        lab.drop("p.yaml", SIDECAR, {"p/1.tif": b"1", "p/2.tif": b"2"})
        lab.life(point)
        with monkeypatch.context() as patch:
            patch.setattr(disk_facts, "facts_of", renumbered)
            lab.life()
        lab.check(2)
        (filed,) = lab.filed("done")
        assert not (filed / "ATTENTION.txt").exists()
        kinds = [record.kind for record in read_newest(filed)]
        assert not {"release", "reinspect"} & set(kinds)
        if lab.effects < point:
            break


@pytest.mark.parametrize("trouble", ["disk", "outage"])
def test_filesets_that_must_run_alone_do_not_wait_for_each_other_for_ever(lab: Lab, monkeypatch: pytest.MonkeyPatch, trouble: str) -> None:
    """One has got its slot when the disk, or OMERO, says no to its beginning; the other one comes first in the line."""
    lab.drop("p.yaml", SIDECAR, {"p/1.tif": b"1", "p/2.tif": b"2"})
    appended, begins = Journal.append, list[str]()

    def append(self: Journal, records: Iterable[Record], *, sync: bool = True) -> None:
        records = tuple(records)
        begins.extend(record.key for record in records if record.kind == "begin")
        if trouble == "disk" and begins and len(begins) <= 2 and records[-1].kind == "begin":
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(self.path))
        appended(self, records, sync=sync)

    monkeypatch.setattr(Journal, "append", append)
    asked = list[bool]()
    runner = lab.start()
    for _ in range(200):
        runner.turn(0)
        for active in runner.claims.active.values():
            active.suspects.update(active.claim.drop.filesets)
        if trouble == "outage" and len(asked) < 3 and any(a.claim.drop.target for a in runner.claims.active.values()):
            asked.append(True)
            lab.shared.outage.failed(ServerUnavailable("away", code="unreachable"))
        lab.clock.forward(1.0)
    lab.turns()
    lab.check(2)
