"""Filed drops that are tried again, claims that change hands, and what kills workers or loses a sync: on the daemon alone."""

from __future__ import annotations

import errno
import json
import os
import random
from collections.abc import Iterable
from pathlib import Path

import pytest

from dropbox_import.disk import files as disk
from dropbox_import.disk import observe
from dropbox_import.disk.files import Appender
from dropbox_import.spool import layout
from dropbox_import.spool.adopt import adopt
from dropbox_import.spool.identity import Instance
from dropbox_import.spool.journal import Journal, Record, encode, read_newest, segments
from dropbox_import.spool.reopen import NotVouched, find_filed, give_back, reopen
from dropbox_import.spool.survey import id_in, story, survey
from tests.support.lab import Crash, Lab

SIDECAR = "target: {dataset: HeLa}\ntags: [x]\n"
FIVE = {f"p/{number}.tif": str(number).encode() for number in range(1, 5)} | {"p/5-bad.tif": b"cut"}


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def journals(lab: Lab) -> list[str]:
    return [record.kind for claim in lab.layout.inprogress.glob("*/*") if layout.is_id(claim.name) for record in read_newest(claim)]


def complete(lab: Lab) -> list[str]:
    return sorted(path.rpartition("/")[2] for one in lab.server.complete() for path in one.paths)


def instance_of(lab: Lab) -> Instance:
    return lab.daemons[0].identity()


# --- retry -----------------------------------------------------------------------------


def five_with_a_bad_one(lab: Lab) -> Path:
    """The failed part of a drop of five, its bad file mended."""
    lab.drop("p.yaml", SIDECAR, dict(FIVE))
    lab.life()
    (failed,) = lab.filed("failed")
    (failed / "d/p/5-bad.tif").rename(failed / "d/p/5.tif")
    return failed


def test_only_what_is_missing_is_imported_when_a_failed_part_is_tried_again(lab: Lab) -> None:
    failed = five_with_a_bad_one(lab)
    (found,) = [path for path in find_filed(lab.layout, failed.name.rpartition("__")[2]) if path == failed]
    reopen(lab.layout, instance_of(lab), found, lab.clock)
    lab.life()
    lab.check(5, sidecar_copies=1)
    assert lab.filed("failed") == []
    assert len(lab.filed("done")) == 2
    assert not [path for folder in lab.filed("done") for path in folder.glob("REASON.txt")], "it says that what is done has failed"
    assert complete(lab) == ["1.tif", "2.tif", "3.tif", "4.tif", "5.tif"]


def test_each_part_that_fails_again_has_a_message_of_its_own(lab: Lab) -> None:
    """Three bad files, of which each retry finds one mended: the part that still fails is split off anew, and begins a new journal."""
    lab.drop("p.yaml", SIDECAR, {"p/0.tif": b"0", **{f"p/{number}-bad.tif": b"%d" % number for number in (1, 2, 3)}})
    lab.life()
    for number in (1, 2, 3):
        (failed,) = lab.filed("failed")
        (failed / f"d/p/{number}-bad.tif").rename(failed / f"d/p/{number}.tif")
        reopen(lab.layout, instance_of(lab), failed, lab.clock)
        lab.life()
    lab.check(4, sidecar_copies=3)
    told = [json.loads(path.read_bytes()) for path in sorted(lab.layout.outbox(instance_of(lab).name).glob("*.json"))]
    images = {one["name"].partition(".")[2]: [image["name"].rpartition("/")[2] for image in one["images"]] for one in told}
    assert images == {"partly": ["0.tif"], "again-1.partly": ["1.tif"], "again-2.partly": ["2.tif"], "again-3.done": ["3.tif"]}


@pytest.mark.parametrize("odd", ["a link", "a second name"])
def test_what_is_no_plain_file_is_left_out_and_told_when_a_drop_is_tried_again(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, odd: str
) -> None:
    failed = five_with_a_bad_one(lab)
    elsewhere = tmp_path / "elsewhere.tif"
    elsewhere.write_bytes(b"of somebody else")
    if odd == "a link":
        (failed / "d/p/6.tif").symlink_to(elsewhere)
    else:
        os.link(elsewhere, failed / "d/p/6.tif")
    reopen(lab.layout, instance_of(lab), failed, lab.clock)
    append = Journal.append

    def torn(self: Journal, records: Iterable[Record], *, sync: bool = True) -> None:
        """A power cut leaves the first of some records without the last."""
        fresh = list(records)
        last = any(record.kind == "claimed" for record in fresh)
        append(self, fresh[:-1] if last else fresh, sync=sync)
        if last:
            raise Crash

    with monkeypatch.context() as power:
        power.setattr(Journal, "append", torn)
        lab.life()
    lab.life()
    assert lab.claims() == []
    assert complete(lab) == ["1.tif", "2.tif", "3.tif", "4.tif", "5.tif"]
    (told,) = [path.read_text() for folder in lab.filed("done") for path in folder.glob("ATTENTION.txt")]
    assert told.count('"p/6.tif"') == 1
    assert "It was left out." in told
    assert os.path.lexists(next(folder for folder in lab.filed("done") if (folder / "ATTENTION.txt").exists()) / "d/p/6.tif")


@pytest.mark.parametrize("what", ["refs/sub/plan.csv is gone", "refs/sub/plan.csv", "refs/sub", "refs", "refs/more.csv"])
def test_a_drop_is_not_tried_again_with_a_link_among_its_attachments(lab: Lab, tmp_path: Path, what: str) -> None:
    """The importer may read what no user may, and would attach it to their images."""
    text = SIDECAR + "attachments: [{file: sub/plan.csv}]\n"
    lab.drop("p.yaml", text, {"p/1-bad.tif": b"cut", "sub/plan.csv": b"plan"})
    lab.life()
    (failed,) = lab.filed("failed")
    (failed / "d/p/1-bad.tif").rename(failed / "d/p/1.tif")
    elsewhere = tmp_path / "elsewhere/sub"
    elsewhere.mkdir(parents=True)
    (elsewhere / "plan.csv").write_bytes(b"of somebody else")
    place = failed / what.partition(" ")[0]
    if os.path.lexists(place):
        place.rename(tmp_path / "away")
    if not what.endswith("gone"):
        place.symlink_to({"refs": elsewhere.parent, "refs/sub": elsewhere}.get(what, elsewhere / "plan.csv"))
    with pytest.raises(NotVouched, match="attachment" if what.endswith("gone") else "is a link"):
        reopen(lab.layout, instance_of(lab), failed, lab.clock)
    assert failed.is_dir()
    assert lab.claims() == []


def test_a_link_that_takes_an_attachments_place_in_the_last_moment_fails_the_drop(lab: Lab, tmp_path: Path) -> None:
    text = SIDECAR + "attachments: [{file: plan.csv}]\n"
    lab.drop("p.yaml", text, {"p/1-bad.tif": b"cut", "plan.csv": b"plan"})
    lab.life()
    (failed,) = lab.filed("failed")
    (failed / "d/p/1-bad.tif").rename(failed / "d/p/1.tif")
    claim = reopen(lab.layout, instance_of(lab), failed, lab.clock)
    (claim.path / "refs/plan.csv").unlink()
    (claim.path / "refs/plan.csv").symlink_to(tmp_path / "elsewhere")
    lab.life()
    assert lab.claims() == []
    assert "is a link" in (lab.filed("failed")[0] / "REASON.txt").read_text(encoding="utf-8")
    assert complete(lab) == []


def test_a_sidecar_is_not_given_back_through_a_link(lab: Lab, tmp_path: Path) -> None:
    lab.drop("sub/r.yaml", SIDECAR + "tagz: 1\n", {"sub/r.tif": b"r"})
    lab.life()
    (failed,) = lab.filed("failed")
    hidden, sub = tmp_path / "hidden", lab.layout.drop / "jdoe/sub"
    hidden.mkdir()
    sub.rename(sub.with_name("away"))
    sub.symlink_to(hidden)
    before = sorted(path.name for path in failed.iterdir())
    with pytest.raises(NotVouched, match="is a link"):
        give_back(lab.layout, failed, instance_of(lab).journal_key)
    assert list(hidden.iterdir()) == []
    assert sorted(path.name for path in failed.iterdir()) == before


def test_a_folder_is_not_given_back_through_a_link(lab: Lab, tmp_path: Path) -> None:
    """Its month belongs to its user, who can put a link to another user's folders in its place."""
    failed = five_with_a_bad_one(lab)
    (failed / "d/p/5.tif").rename(tmp_path / "5.tif")
    hidden = tmp_path / "hidden"
    failed.parent.rename(hidden)
    failed.parent.symlink_to(hidden)
    with pytest.raises(NotVouched, match="is a link"):
        give_back(lab.layout, failed, instance_of(lab).journal_key)
    assert [path.name for path in hidden.iterdir()] == [failed.name]


def test_a_crash_at_any_effect_of_taking_a_drop_back_loses_nothing(tmp_path: Path) -> None:
    for point in range(1, 40):
        lab = Lab(tmp_path / str(point))
        failed = five_with_a_bad_one(lab)
        drop_id = failed.name.rpartition("__")[2]
        lab.crash_after(point)
        try:
            reopen(lab.layout, instance_of(lab), failed, lab.clock)
            over = True
        except Crash:
            over = False
        finally:
            observe.set_observer(None)
        lab.life()
        for path in find_filed(lab.layout, drop_id):  # the order is given again
            if lab.layout.done not in path.parents:
                reopen(lab.layout, instance_of(lab), path, lab.clock)
        lab.life()
        lab.check(5, sidecar_copies=1)
        if over:
            return
    raise AssertionError("taking a drop back never came to its end")


def test_what_was_imported_stays_imported_whatever_is_in_omero_now(lab: Lab) -> None:
    lab.drop("p.yaml", SIDECAR, dict(FIVE))
    lab.life()
    lab.server.filesets.clear()  # somebody deleted all of it
    (failed,) = lab.filed("failed")
    reopen(lab.layout, instance_of(lab), failed, lab.clock)
    lab.life()
    assert complete(lab) == []
    assert [path.name for path in lab.filed("failed")[0].glob("d/p/*")] == ["5-bad.tif"]


@pytest.mark.parametrize("line", ["one more", "one less", "another sidecar"])
def test_a_folder_that_is_not_as_it_was_filed_is_not_believed(lab: Lab, line: str) -> None:
    failed = five_with_a_bad_one(lab)
    journal = failed / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    if line == "another sidecar":
        (failed / "p.yaml").write_text("target: {dataset: Other}\n")
    else:
        journal.write_bytes(b"".join([*lines, lines[-1]] if line == "one more" else lines[:-1]))
    with pytest.raises(NotVouched):
        reopen(lab.layout, instance_of(lab), failed, lab.clock)
    assert failed.is_dir()


# --- adopt -----------------------------------------------------------------------------


def two_hosts(folder: Path, turns: int) -> Lab:
    """The first of two daemons has stopped for good after so many turns; the second has taken no drop yet."""
    lab = Lab(folder, hosts=2)
    lab.drop("p.yaml", SIDECAR, dict(FIVE))
    first, second = lab.daemons
    first.start()
    for _ in range(turns):
        first.runners[0].turn(0)
        lab.clock.forward(0.4)
    first.runners = []
    second.start()
    second.runners[0].turn(0)
    return lab


@pytest.mark.parametrize("turns", [3, 5, 6, 7, 8, 9, 12, 20])
def test_a_drop_of_a_dead_instance_is_finished_by_another(tmp_path: Path, turns: int) -> None:
    lab = two_hosts(tmp_path, turns)
    second = lab.daemons[1]
    (old,) = {path.parent.name for path in lab.layout.inprogress.glob("*/*") if layout.is_id(path.name)} or {""}
    if old:
        adopt(lab.layout, old, second.runners[0].instance)
    for _ in range(400):
        second.runners[0].turn(0)
        second.keeper.tend()
        lab.server.tick()
        lab.clock.forward(5.0)
    lab.check(4, sidecar_copies=1)
    (done,) = lab.filed("done")
    kinds = [(record.kind, record.epoch) for record in read_newest(done)]
    assert not old or ("adopted", 2) in kinds
    assert [epoch for _, epoch in kinds] == sorted(epoch for _, epoch in kinds)


# --- the disk --------------------------------------------------------------------------


@pytest.mark.parametrize("moves", ["nothing", "a command is answered"])
def test_a_daemon_that_slept_while_its_claims_went_and_came_back_reads_them_anew(tmp_path: Path, moves: str) -> None:
    """Another one adopted them, went on with them and was lost; the first one was asked to adopt them again before it had noticed."""
    lab, rng = Lab(tmp_path, queued=True, hosts=2), random.Random(5)
    for number in range(3):
        lab.drop(f"{number}.yaml", SIDECAR, {f"{number}.tif": b"%d" % number})
    first, second = lab.daemons
    lab.start()
    while "begin" not in journals(lab):
        first.runners[0].turn(0)
        first.workers.deliver(rng)
        first.keeper.tend()
        lab.clock.forward(0.3)
    first.stopped = True
    adopt(lab.layout, first.shared.instance.name, second.shared.instance)
    while "adopted" not in journals(lab):
        second.runners[0].turn(0)
        lab.clock.forward(1.1)
    second.kill(rng)
    first.stopped = False
    if moves != "nothing":
        first.workers.deliver(rng)
    adopt(lab.layout, second.shared.instance.name, first.shared.instance)
    assert lab.calm(rng, dead=[second])
    lab.check(3)


def test_a_journal_whose_sync_failed_goes_on_in_a_new_segment(lab: Lab) -> None:
    lab.drop("a.yaml", SIDECAR, {"a.tif": b"a"})
    broken: list[Path] = []

    def observer(when: str, what: str, path: Path) -> None:
        if (when, what, path.name) == ("before", "sync", "journal.jsonl") and "claimed" in journals(lab) and not broken:
            broken.append(path)
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

    observe.set_observer(observer)
    try:
        lab.start()
        lab.turns()
    finally:
        observe.set_observer(None)
    lab.check(1)
    (done,) = lab.filed("done")
    assert [path.name for path in segments(done)] == ["journal.jsonl", "journal-0002.jsonl"]
    assert broken


# --- poison ----------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["begin", "send", "commit", "poll"])
def test_a_fileset_of_which_every_importer_dies_is_given_up_and_the_others_go_on(lab: Lab, command: str) -> None:
    lab.drop("a.yaml", SIDECAR, {"a.tif": b"a"})
    lab.server.deadly = {command}
    lab.start()
    lab.turns(600)
    lab.server.deadly = set()
    lab.drop("b.yaml", SIDECAR, {"b.tif": b"b"})
    lab.turns(600)
    filed = {state: [path.name.partition("__")[0] for path in lab.filed(state)] for state in ("done", "failed")}
    # What OMERO has imported although nobody could ask for it is found by a look-up.
    assert filed == ({"done": ["a", "b"], "failed": []} if command == "poll" else {"done": ["b"], "failed": ["a"]})
    lab.check(2 if command == "poll" else 1)
    if command != "poll":
        assert "died 3 times" in (lab.filed("failed")[0] / "REASON.txt").read_text()


def test_a_share_that_hangs_under_the_inspector_is_no_fault_of_the_drop(tmp_path: Path) -> None:
    lab = Lab(tmp_path, queued=True)
    lab.drop("a.yaml", SIDECAR, {"a.tif": b"a"})
    lab.start()
    rng = random.Random(1)
    hung = 0
    while hung < 5:
        lab.gather(rng, "inspector", 1)
        hung += bool(lab.workers.flights) and lab.workers.die(rng, "inspector", hung=True) > 0
        lab.step(rng)
        lab.clock.forward(60.0)
    assert lab.calm(rng)
    lab.check(1)
    assert [len(lab.filed(state)) for state in ("done", "failed")] == [1, 0]


def test_annotations_of_which_every_importer_dies_are_told_and_the_images_are_done(lab: Lab) -> None:
    lab.drop("a.yaml", SIDECAR, {"a.tif": b"a"})
    lab.server.deadly = {"annotate"}
    lab.start()
    lab.turns(600)
    lab.check(1)
    (done,) = lab.filed("done")
    assert "the importer died three times while it made them" in (done / "ATTENTION.txt").read_text()


# --- what users can do to a folder of theirs -------------------------------------------


def test_a_fifo_or_a_link_in_the_place_of_a_journal_is_not_read(lab: Lab) -> None:
    failed = five_with_a_bad_one(lab)
    journal = failed / "journal.jsonl"
    for make in (os.mkfifo, lambda path: path.symlink_to("/dev/zero")):
        journal.unlink()
        make(journal)
        with pytest.raises(NotVouched, match="no plain file"):
            reopen(lab.layout, instance_of(lab), failed, lab.clock)


def test_a_journal_that_is_swapped_after_it_was_looked_at_is_not_believed(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = five_with_a_bad_one(lab)
    rename = disk.rename

    def swapped(source: Path, target: Path, **more: Path | None) -> None:
        if source == failed:
            (failed / "journal.jsonl").write_bytes(encode(Record("file", {"to": "../../elsewhere"}, number=1)))
        rename(source, target, **more)

    monkeypatch.setattr(disk, "rename", swapped)
    with pytest.raises(NotVouched):
        reopen(lab.layout, instance_of(lab), failed, lab.clock)
    assert failed.is_dir() and lab.claims() == []


def test_a_torn_tail_does_not_shorten_the_next_segment(lab: Lab) -> None:
    journal = Journal.create(lab.box, lab.clock)
    journal.append([Record("one"), Record("two")])
    with Appender(journal.path, create=False) as torn:
        torn.append(b'{"v":1,"e":1,')
    again = Journal.open(lab.box, lab.clock)
    assert again is not None
    again.new_segment([Record("adopted")])
    again.append([Record("three")])
    assert [record.kind for record in read_newest(lab.box)] == ["one", "two", "adopted", "three"]


def test_status_and_show_tell_of_every_drop_whatever_a_user_put_into_a_filed_folder(lab: Lab) -> None:
    for name in ("fifo", "senseless", "good"):
        lab.drop(f"{name}.yaml", SIDECAR, {f"{name}.tif": name.encode()})
    lab.life()
    filed = {path.name.partition("__")[0]: path for path in lab.filed("done")}
    (filed["fifo"] / "journal.jsonl").unlink()
    os.mkfifo(filed["fifo"] / "journal.jsonl")
    odd = [Record("intent", {"candidate": 7}, number=1), Record("inspected", {"filesets": [{"key": 1, "files": [{}]}]}, number=2)]
    (filed["senseless"] / "journal.jsonl").write_bytes(b"".join(map(encode, odd)))
    told = {one.sidecar: one.why for one in survey([lab.box])}
    assert told["good.yaml"] == ""
    assert "is no plain file" in told[filed["fifo"].name]
    assert "makes no sense" in told[filed["senseless"].name]
    for name, folder in filed.items():
        assert story([lab.box], id_in(folder.name)), f"nothing is told of {name}"
