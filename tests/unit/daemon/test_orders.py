"""Orders of administrators: carried out once their effect is on the disk, whatever happens on the way."""

from __future__ import annotations

import json
import os
import zlib
from pathlib import Path

import pytest

from dropbox_import.daemon import working
from dropbox_import.daemon.order_files import BAD, FOLDER, answer_to, give, take_answer, waiting_orders
from dropbox_import.daemon.orders import AdminOrder, OrderAnswer
from dropbox_import.disk import observe
from dropbox_import.errors import ConfigError, ServerUnavailable
from dropbox_import.model import FileFacts, FilesetPlan, Inspection
from dropbox_import.plain import to_plain
from tests.support.lab import Lab
from tests.support.office import ONE, Office


@pytest.fixture
def office(tmp_path: Path) -> Office:
    made = Office(tmp_path)
    made.start()
    return made


def mend(office: Office) -> None:
    office.lab.server.refuse.clear()


# --- retry -----------------------------------------------------------------------------


def test_a_failed_drop_is_tried_again_under_its_own_id(office: Office) -> None:
    drop_id = office.fail_one()
    (office.filed("failed") / "d" / "bad.tif").rename(office.filed("failed") / "d" / "good.tif")
    result = office.order("retry", drop_id, seconds=8)
    assert result.ok, result
    assert "tried again" in result.says
    assert office.filed("done").name.endswith(drop_id)
    assert office.lab.filed("failed") == []
    assert office.lab.server.complete()


def test_what_fails_again_lies_in_failed_again(office: Office) -> None:
    drop_id = office.fail_one()
    for _ in range(3):
        assert office.order("retry", drop_id, seconds=8).ok
        assert office.filed("failed").name.rpartition("__")[2].startswith(drop_id)


def test_a_drop_that_is_done_is_not_imported_again(office: Office) -> None:
    office.lab.drop("a.yaml", ONE, {"a.tif": b"image"})
    office.lab.turns()
    drop_id = office.filed("done").name.rpartition("__")[2]
    result = office.order("retry", drop_id)
    assert not result.ok
    assert "it is done" in result.says
    office.lab.check(imported=1)


@pytest.mark.parametrize("name", ["journal.jsonl", "bad.yaml"])
def test_a_folder_that_a_user_changed_is_given_back_to_the_user(office: Office, name: str) -> None:
    drop_id = office.fail_one()
    path = office.filed("failed") / name
    path.write_bytes(path.read_bytes() + b"\n")
    result = office.order("retry", drop_id, seconds=12)
    assert result.ok, result
    assert "put back as drop/jdoe/" in result.says
    assert [path.name.rpartition("__")[2] for path in office.lab.filed("failed")] != [], "it was taken from there and failed again"
    assert office.lab.claims() == []


def test_what_is_not_there_is_told(office: Office) -> None:
    result = office.order("retry", "20261122-093912-aaaaaaaaaa")
    assert not result.ok
    assert "no such drop" in result.says


def test_a_drop_at_work_is_tried_now(office: Office) -> None:
    office.lab.server.refuse["resolve"] = ServerUnavailable("OMERO is busy", code="busy")
    office.lab.drop("a.yaml", ONE, {"a.tif": b"image"})
    office.work()
    (drop_id,) = office.lab.claims()
    mend(office)
    result = office.order("retry", drop_id, seconds=2)
    assert result.ok
    assert "tried now" in result.says
    office.work(6)
    office.lab.check(imported=1)


@pytest.mark.parametrize("parked", [False, True], ids=["at work", "parked"])
def test_a_drop_that_waits_for_omero_has_it_asked_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parked: bool) -> None:
    """Nothing was tried until the outage's own next try, for up to an hour."""
    if parked:
        monkeypatch.setattr(working, "AT_WORK", 1)
    office = Office(tmp_path, lab=Lab(tmp_path, delays=(3600.0,)))
    lab = office.lab
    office.start()
    lab.server.refuse["open_session"] = ServerUnavailable("OMERO cannot be reached", code="unreachable")
    for name in ("a", "b"):
        lab.drop(f"{name}.yaml", ONE, {f"{name}.tif": name.encode()})
    office.work(300)
    assert lab.shared.outage.due > lab.clock.monotonic() + 3000
    mend(office)
    (runner,) = lab.runners
    about = next(iter(runner.claims.parked.names() if parked else runner.claims.active))
    assert office.order("retry", about, seconds=2).ok
    assert not lab.shared.outage.down
    office.work(10)
    lab.check(imported=2)


def held(office: Office) -> Path:
    """A claim whose journal is damaged in the middle, found so at a start."""
    office.lab.server.refuse["resolve"] = ServerUnavailable("OMERO is busy", code="busy")
    office.lab.drop("a.yaml", ONE, {"a.tif": b"image"})
    office.work()
    mend(office)
    (name,) = office.lab.claims()
    (journal,) = office.lab.layout.inprogress.glob(f"*/{name}/journal.jsonl")
    raw = journal.read_bytes()
    journal.with_name("kept").write_bytes(raw)
    journal.write_bytes(raw.replace(b'"claimed"', b'"claimeX"'))
    office.start()
    office.work()
    return journal


def test_a_drop_whose_journal_was_mended_goes_on_at_once(office: Office) -> None:
    journal = held(office)
    drop_id = journal.parent.name
    refused = office.order("retry", drop_id)
    assert not refused.ok
    assert "stays held" in refused.says
    assert f"discard {drop_id}" in refused.hint
    journal.with_name("kept").replace(journal)
    assert office.order("retry", drop_id, seconds=8).ok
    office.lab.check(imported=1)


# --- discard ---------------------------------------------------------------------------


def test_a_discarded_drop_is_out_of_the_way_and_comes_back(office: Office) -> None:
    drop_id = office.fail_one()
    result = office.order("discard", drop_id)
    assert (result.ok, result.omero) == (True, ())
    assert "nothing was deleted" in result.says
    (aside,) = office.lab.layout.discarded.iterdir()
    assert (aside / "d" / "bad.tif").read_bytes() == b"image"
    assert office.order("discard", drop_id).ok, "ordering it twice changes nothing"
    assert office.order("retry", drop_id, seconds=8).ok
    assert office.filed("failed").name.endswith(drop_id)
    assert list(office.lab.layout.discarded.iterdir()) == []


def test_what_omero_may_have_of_a_discarded_drop_is_told(office: Office) -> None:
    office.lab.server.refuse["send"] = ServerUnavailable("OMERO is busy", code="busy")
    office.lab.drop("a.yaml", ONE, {"a.tif": b"image"})
    office.work()
    (drop_id,) = office.lab.claims()
    result = office.order("discard", drop_id)
    assert result.ok
    assert any("a.tif: an import was begun (Fileset:" in line for line in result.omero)
    assert office.lab.claims() == []
    mend(office)
    office.work()
    assert not office.lab.server.complete()
    assert office.order("retry", drop_id, seconds=200).ok
    office.lab.check(imported=1)


def test_a_damaged_drop_can_be_set_aside(office: Office) -> None:
    drop_id = held(office).parent.name
    result = office.order("discard", drop_id)
    assert result.ok
    assert "cannot be read" in result.omero[0]
    assert office.lab.claims() == []


def forge(journal: Path, *records: dict[str, object]) -> None:
    """Records in the place of the journal's last one, each with its right check sum."""
    lines = journal.read_bytes().splitlines(keepends=True)
    last = json.loads(lines.pop())
    del last["c"]
    for place, record in enumerate(records):
        body = json.dumps({**last, "n": last["n"] + place, **record}, separators=(",", ":"))
        lines.append(f'{body[:-1]},"c":"{zlib.crc32(body.encode()):08x}"}}\n'.encode())
    journal.write_bytes(b"".join(lines))


NONSENSE = {
    "data that are no mapping": {"d": [1]},
    "a voucher that is not ASCII": {"d": {"mac": "é"}},
    "a place that no name has": {"d": {"to": "\ud800", "mac": "0"}},
    "a kind that is no word": {"r": 7},
    "a number that is none": {"a": {}},
    "a fileset that was never there": {"r": "imported", "k": "x", "d": {"images": 7}},
    "data of senseless shape": {"r": "inspected", "d": {"filesets": 7}},
}


@pytest.mark.parametrize("do", ["retry", "discard"])
@pytest.mark.parametrize("forged", NONSENSE.values(), ids=NONSENSE)
def test_nonsense_in_the_journal_of_a_failed_folder_ends_no_order(office: Office, do: str, forged: dict[str, object]) -> None:
    """Its user may write there. Each order was answered with an internal error."""
    drop_id = office.fail_one()
    forge(office.filed("failed") / "journal.jsonl", forged)
    result = office.order(do, drop_id, seconds=12)
    assert result.ok, result
    assert office.lab.claims() == []
    if do == "discard":
        assert "cannot be relied on" in result.omero[0] and drop_id in result.omero[0]
        assert office.lab.filed("failed") == []


def test_what_a_user_wrote_into_a_journal_is_not_told_as_what_omero_has(office: Office) -> None:
    drop_id = office.fail_one()
    journal = office.filed("failed") / "journal.jsonl"
    plan = to_plain(Inspection((FilesetPlan("k", (FileFacts("delete_them.tif", 1, 1),)),)))
    told = {"fileset": 666, "images": [{"id": 6660, "name": "x"}]}
    filed = json.loads(journal.read_bytes().splitlines()[-1])["d"]
    forge(journal, {"r": "inspected", "d": plan}, {"r": "imported", "k": "k", "d": told}, {"d": filed})
    for _ in range(2):
        result = office.order("discard", drop_id)
        assert result.ok
        (line,) = result.omero
        assert "666" not in line and "not as this installation left it" in line and f"imported under {drop_id}" in line


def test_a_copy_of_a_journal_tells_nothing_of_another_drop(office: Office) -> None:
    office.lab.drop("two.yaml", ONE + "files: {include: ['*.tif']}\n", {"bad.tif": b"a", "good.tif": b"b"})
    office.lab.turns()
    kept = (office.filed("done") / "journal.jsonl").read_bytes()
    office.filed("failed").rename(office.lab.box.parent / "away")
    drop_id = office.fail_one()
    (office.filed("failed") / "journal.jsonl").write_bytes(kept)
    (line,) = office.order("discard", drop_id).omero
    assert "cannot be relied on" in line


def test_what_is_done_is_not_discarded(office: Office) -> None:
    office.lab.drop("a.yaml", ONE, {"a.tif": b"image"})
    office.lab.turns()
    result = office.order("discard", office.filed("done").name.rpartition("__")[2])
    assert not result.ok
    assert "it is done" in result.says
    assert len(office.lab.filed("done")) == 1


# --- adopt -----------------------------------------------------------------------------


def test_a_dead_instance_is_adopted_and_a_living_one_is_not(tmp_path: Path) -> None:
    office = Office(tmp_path, hosts=2)
    office.start()
    lab = office.lab
    lab.server.refuse["resolve"] = ServerUnavailable("OMERO is busy", code="busy")
    lab.daemons[0].runners[0].turn(0)
    lab.drop("a.yaml", ONE, {"a.tif": b"image"})
    for _ in range(5):  # the second one takes it
        lab.daemons[1].runners[0].turn(0)
        lab.clock.forward(1.1)
    other = lab.daemons[1].identity().name
    assert len(list((lab.layout.inprogress / other).iterdir())) >= 1
    result = office.order("adopt", other, seconds=40)
    assert not result.ok
    assert "is alive" in result.says
    assert not office.order("retry", lab.claims()[0]).ok, "it is the other one's"
    lab.daemons[1].runners = []
    mend(office)
    number = office.leave("adopt", other)
    office.work(5)
    assert answer_to(office.state, number) is None, "silence must last"
    office.work(700)
    answer = answer_to(office.state, number)
    assert answer is not None
    assert answer.results[0].ok
    assert "1 drop of" in answer.results[0].says
    lab.check(imported=1)
    assert office.order("adopt", other).ok, "ordering it twice changes nothing"
    assert not office.order("adopt", lab.daemons[0].identity().name).ok


# --- the folder of orders --------------------------------------------------------------


def test_an_order_for_a_share_that_is_away_waits(office: Office) -> None:
    drop_id = office.fail_one()
    marker = office.lab.layout.marker
    kept = marker.read_bytes()
    marker.unlink()
    number = office.leave("discard", drop_id)
    office.work(5)
    assert answer_to(office.state, number) is None
    assert [order.id for order in waiting_orders(office.state)] == [number]
    marker.write_bytes(kept)
    office.work(60)
    assert answer_to(office.state, number) is not None
    assert waiting_orders(office.state) == ()


def test_an_order_that_was_left_while_no_daemon_ran_is_carried_out_at_the_next_start(office: Office) -> None:
    drop_id = office.fail_one()
    number = office.leave("discard", drop_id)
    office.start()
    office.work(2)
    assert answer_to(office.state, number) is not None
    assert office.lab.filed("failed") == []


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b'{"v": 2, "id": "x"}',
        b'{"v": 1, "id": "other", "do": "retry", "box": "/b", "about": ["a"]}',
        b'{"v": 1, "id": "x", "do": "rm", "box": "/b", "about": ["a"]}',
        b'{"v": 1, "id": "x", "do": "retry", "box": "/nobox", "about": ["a"]}',
        b'{"v": 1, "id": "x", "do": "retry", "box": "/b", "about": []}',
        b'{"v": 1, "id": "x", "do": "retry", "box": "/b", "about": ["../../x"]}',
        b"\xff" * 100,
        b"[" * 100_000,
    ],
    ids=range(11),
)
def test_what_is_no_order_is_answered_and_moved_aside(office: Office, text: bytes) -> None:
    for _ in range(2):  # the second time its answer is there already
        (office.state / FOLDER / "x.json").write_bytes(text)
        office.work(1)
        answer = answer_to(office.state, "x")
        assert answer is not None
        assert not answer.results[0].ok
        if b"nobox" in text:  # a good order that was answered is done with
            take_answer(office.state, "x")
    assert sorted(path.name for path in (office.state / FOLDER / BAD).iterdir()) == ["x.json", "x.json-2"]
    assert office.names()[:1] == [BAD]
    assert "x.json" not in office.names()


def test_a_link_or_pipe_among_the_orders_hurts_nobody(office: Office) -> None:
    folder = office.state / FOLDER
    (folder / "link.json").symlink_to("/etc/passwd")
    os.mkfifo(folder / "pipe.json")
    (folder / "folder.json").mkdir()
    office.work(2)
    assert sorted(path.name for path in (folder / BAD).iterdir()) == ["folder.json", "link.json", "pipe.json"]


def test_an_order_before_the_first_start_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no daemon has run"):
        give(tmp_path / "none", AdminOrder("x", "retry", "/b", ("a",)))


def test_what_was_carried_out_at_the_end_is_answered_before_it(office: Office) -> None:
    number = office.leave("discard", office.fail_one())
    office.lab.clock.forward(2.0)
    office.desk.tend()
    office.lab.runners[0].turn(0)
    assert answer_to(office.state, number) is None
    office.desk.finish()
    assert answer_to(office.state, number) is not None
    assert waiting_orders(office.state) == ()


def test_answers_that_nobody_came_for_are_tidied_up(office: Office) -> None:
    old = office.state / FOLDER / "x.answer.json"
    old.write_text(json.dumps({"v": 1, "id": "x", "do": "retry", "results": []}))
    os.utime(old, (1, 1))
    assert answer_to(office.state, "x") == OrderAnswer("x", "retry", ())
    office.work(1)
    assert not old.exists()


@pytest.mark.parametrize("do", ["retry", "discard", "retry a changed one"])
def test_an_order_is_removed_only_when_its_effect_is_on_the_disk(office: Office, do: str) -> None:
    """Each new name has been synced with its folder before the order goes: a power cut brings back both or none."""
    drop_id = office.fail_one()
    if "changed" in do:
        (office.filed("failed") / "bad.yaml").write_text(ONE + "tags: [x]\n")
    number = office.leave(do.split()[0], drop_id)
    log: list[tuple[str, Path]] = []

    def observer(when: str, what: str, path: Path) -> None:
        if when == "after":
            log.append((what, path))

    observe.set_observer(observer)
    try:
        office.work(3)
    finally:
        observe.set_observer(None)
    removed = log.index(("remove_file", office.state / FOLDER / f"{number}.json"))
    named = [(at, path) for at, (what, path) in enumerate(log[:removed]) if what in ("rename", "replace", "make_dir")]
    named = [(at, path) for at, path in named if not path.name.startswith(".heartbeat")]
    assert len(named) >= 2, "the effect and the answer"
    for at, path in named:
        assert ("sync_dir", path.parent) in log[at:removed], path
