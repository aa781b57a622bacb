"""Connections, workers and sessions that are lost in the middle: nothing is doubled, nothing goes on in the dark."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dropbox_import.errors import DropboxImportError, OutcomeUnknown, ServerUnavailable
from dropbox_import.importer import upload
from dropbox_import.importer.errors import effect_of
from tests.contract.driver import Driver, Import, a_tiff
from tests.contract.omero_world import World
from tests.contract.relay import Relay


class Cut(Exception):
    """The worker dies here."""


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "BLOCK", 1000)


def _dies_at_write(monkeypatch: pytest.MonkeyPatch, number: int, act: Any) -> None:
    """`act` runs before that block is sent."""
    seen = []
    call = upload._Counter.call

    def counted(self: Any, name: str, size: int = 0) -> None:
        if name == "write":
            seen.append(size)
            if len(seen) == number:
                act()
        call(self, name, size)

    monkeypatch.setattr(upload._Counter, "call", counted)


def _raise() -> None:
    raise Cut


def test_a_successor_goes_on_with_a_broken_upload(
    driver: Driver, successor: Driver, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_blocks: None
) -> None:
    a_tiff(tmp_path / "a.tif", 64)
    a_tiff(tmp_path / "b.tif", 32)
    session = driver.open(world.user("alice"))
    one = Import(driver, session, tmp_path, ["a.tif", "b.tif"])
    fileset = one.begin()
    _dies_at_write(monkeypatch, 4, _raise)
    with pytest.raises(Cut):
        one.send()
    driver.close()
    joined = successor.do("join_session", session=session)
    assert joined == {"state": "joined", "attempts": [{**one.of, "fileset": fileset, "phase": "begun"}]}
    one.driver = successor
    sizes: list[int] = []
    there = one.attempt().process.getUploader(0).size()
    assert 0 < there < one.files[0]["size"]
    monkeypatch.setattr(upload._Counter, "add", lambda _self, size: sizes.append(size))
    one.sent = one.send()
    assert sizes[0] == there
    one.commit()
    assert one.wait()["state"] == "done"
    assert one.confirm()["state"] == "complete"


def test_a_successor_gets_the_answer_of_a_committed_import(driver: Driver, successor: Driver, world: World, tmp_path: Path) -> None:
    a_tiff(tmp_path / "a.tif")
    session = driver.open(world.user("alice"))
    one = Import(driver, session, tmp_path, ["a.tif"])
    fileset = one.begin()
    one.sent = one.send()
    one.commit()
    driver.close()
    joined = successor.do("join_session", session=session)
    assert joined["attempts"] == [{**one.of, "fileset": fileset, "phase": "committed"}]
    one.driver = successor
    assert one.wait()["state"] == "done"
    assert len(one.confirm()["images"]) == 1
    assert successor.do("join_session", session=session)["attempts"] == []


def test_a_successor_can_commit_what_was_sent_before(driver: Driver, successor: Driver, world: World, tmp_path: Path) -> None:
    a_tiff(tmp_path / "a.tif")
    session = driver.open(world.user("alice"))
    one = Import(driver, session, tmp_path, ["a.tif"])
    one.begin()
    one.send()
    driver.close()
    successor.do("join_session", session=session)
    one.driver = successor
    one.commit()
    assert one.wait()["state"] == "done"


def test_a_lost_connection_is_told_and_the_next_command_finds_the_session_again(
    relayed: Driver, relay: Relay, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_blocks: None
) -> None:
    a_tiff(tmp_path / "a.tif", 64)
    session = relayed.open(world.user("alice"))
    one = Import(relayed, session, tmp_path, ["a.tif"])
    one.begin()
    _dies_at_write(monkeypatch, 3, relay.cut)
    with pytest.raises(ServerUnavailable) as lost:
        one.send()
    assert effect_of(lost.value) == "none"
    one.sent = one.send()
    one.commit()
    assert one.wait()["state"] == "done"
    assert len(one.confirm()["images"]) == 1


def test_a_connection_lost_under_a_change_leaves_it_unknown(relayed: Driver, relay: Relay, world: World, tmp_path: Path) -> None:
    a_tiff(tmp_path / "a.tif")
    session = relayed.open(world.user("alice"))
    one = Import(relayed, session, tmp_path, ["a.tif"])
    relayed.held(session).repository()
    relay.cut()
    with pytest.raises(DropboxImportError):
        one.begin()
    assert one.look_up() == []
    one.begin()
    one.send()
    relay.cut()
    with pytest.raises(DropboxImportError):
        one.commit()
    assert one.look_up()[0]["committed"] is False


def test_a_session_that_ends_under_an_import_takes_it_along(driver: Driver, successor: Driver, world: World, tmp_path: Path) -> None:
    a_tiff(tmp_path / "a.tif")
    session = driver.open(world.user("alice"))
    one, other = (Import(driver, session, tmp_path, ["a.tif"]) for _ in range(2))
    one.begin()
    other.begin()
    other.send()
    successor.do("end_session", session=session)
    with pytest.raises(ServerUnavailable):
        one.send()
    with pytest.raises((ServerUnavailable, OutcomeUnknown)):
        other.commit()
    assert driver.do("join_session", session=session)["state"] == "gone"
    session = successor.open(world.user("alice"))
    (left,) = successor.do("look_up", session=session, submission=other.submission)["attempts"]
    assert (left["committed"], left["images"]) == (False, [])
    successor.do("discard", session=session, fileset=left["fileset"])


def test_cancel_ends_the_process_and_leaves_a_fileset_to_discard(driver: Driver, world: World, tmp_path: Path) -> None:
    a_tiff(tmp_path / "a.tif")
    session = driver.open(world.user("alice"))
    one = Import(driver, session, tmp_path, ["a.tif"])
    one.begin()
    assert one.do("cancel") == {}
    with pytest.raises(OutcomeUnknown):
        one.send()
    assert driver.do("join_session", session=session)["attempts"] == []
    driver.do("discard", session=session, fileset=one.fileset)
