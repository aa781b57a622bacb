"""What only a server that fails on demand can show: silence, a full disk, answers that are lost after the effect."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dropbox_import.errors import DiskFull, DropboxImportError, OutcomeUnknown, ServerUnavailable
from dropbox_import.importer.errors import effect_of
from tests.contract.driver import Driver, Import, a_tiff
from tests.contract.foreign import omero
from tests.contract.omero_world import Server, stand_in


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with stand_in(tmp_path_factory.mktemp("standin")) as started:
        yield started


@pytest.fixture
def one(server: Server, tmp_path: Path) -> Iterator[Import]:
    """An import of alice that has not begun."""
    (tmp_path / "sessions").mkdir()
    a_tiff(tmp_path / "a.tif")
    driver = Driver(server.config(tmp_path / "sessions", client_limits={"call": 5, "write": 5}))
    yield Import(driver, driver.open("alice"), tmp_path, ["a.tif"])
    driver.close()
    _faults(server)


def _faults(server: Server, *rules: dict[str, Any], **settings: float) -> None:
    assert server.folder is not None
    new = server.folder / "faults.new"
    wanted = [{"id": f"{index}-{rule}", **rule} for index, rule in enumerate(rules)]
    new.write_text(json.dumps({"rules": wanted, "settings": settings}))
    new.replace(server.folder / "faults.json")


def test_a_server_that_is_silent_is_not_waited_for(server: Server, one: Import) -> None:
    _faults(server, {"operation": "projection", "do": "hang"})
    with pytest.raises(ServerUnavailable) as silent:
        one.look_up()
    assert (silent.value.kind, effect_of(silent.value)) == ("no-answer", "none")
    _faults(server)
    assert one.look_up() == []


def test_a_write_that_is_never_answered_ends_the_upload_and_can_be_taken_up(server: Server, one: Import) -> None:
    one.begin()
    _faults(server, {"operation": "write", "do": "hang", "nth": 2})
    with pytest.raises(ServerUnavailable) as silent:
        one.send()
    assert silent.value.kind == "no-answer"
    _faults(server)
    one.sent = one.send()
    one.commit()
    assert one.wait()["state"] == "done"
    assert one.confirm()["problems"] == []


@pytest.mark.parametrize(("do", "begun"), [("cut-before", 0), ("cut-after", 1)])
def test_a_begin_whose_answer_is_lost_is_found_by_its_token(server: Server, one: Import, do: str, begun: int) -> None:
    _faults(server, {"operation": "importFileset", "do": do})
    with pytest.raises(OutcomeUnknown) as lost:
        one.begin()
    assert effect_of(lost.value) == "unknown"
    _faults(server)
    assert len(one.look_up()) == begun


@pytest.mark.parametrize(("do", "committed"), [("cut-before", False), ("cut-after", True)])
def test_a_commit_whose_answer_is_lost_is_answered_by_a_look(server: Server, one: Import, do: str, committed: bool) -> None:
    one.begin()
    one.sent = one.send()
    _faults(server, {"operation": "verifyUpload", "do": do})
    with pytest.raises(OutcomeUnknown) as lost:
        one.commit()
    assert effect_of(lost.value) == "unknown"
    _faults(server)
    assert one.look_up()[0]["committed"] is committed
    (held,) = one.driver.do("join_session", session=one.session)["attempts"]
    assert held["phase"] == ("committed" if committed else "begun")
    if not committed:
        one.commit()
    assert one.wait()["state"] == "done"
    assert len(one.confirm()["images"]) == 1


def test_a_full_disk_of_the_server_is_named(server: Server, one: Import) -> None:
    one.begin()
    _faults(server, {"operation": "write", "do": "disk-full", "times": 99})
    with pytest.raises(DiskFull) as full:
        one.send()
    assert "administrator" in full.value.hint or "disk" in full.value.hint


def test_a_session_that_the_server_ends_in_a_call_is_gone(server: Server, one: Import) -> None:
    one.begin()
    _faults(server, {"operation": "getUploader", "do": "end-session"})
    with pytest.raises(ServerUnavailable) as gone:
        one.send()
    assert gone.value.kind == "session-gone"
    _faults(server)
    assert one.driver.do("join_session", session=one.session)["state"] == "gone"


@pytest.mark.parametrize("operation", ["saveAndReturnObject", "saveAndReturnArray"])
def test_a_save_whose_answer_is_lost_makes_nothing_twice(server: Server, one: Import, operation: str) -> None:
    one.whole()
    images = one.confirm()["images"]
    asked: dict[str, Any] = {
        "on": "image",
        "objects": images,
        "marker": one.submission,
        "comments": ["x"],
        "tags": [{"name": one.submission}],
    }
    _faults(server, {"operation": operation, "do": "cut-after"})
    with pytest.raises(DropboxImportError):
        one.driver.do("annotate", session=one.session, **asked)
    _faults(server)
    one.driver.do("annotate", session=one.session, **asked)
    held = one.driver.held(one.session)
    kept = held.ask("select l.id from ImageAnnotationLink l where l.parent.id=:i", i=images[0]["id"])
    assert len(kept) == 2
    assert len(held.ask("select t.id from TagAnnotation t where t.textValue=:t", t=one.submission)) == 1


@pytest.mark.parametrize("command", ["open_session", "end_session"])
def test_a_connection_lost_at_the_door_is_no_bug_of_ours(server: Server, one: Import, command: str) -> None:
    """Every call of a run was cut: at this one Ice's own exception came through, and was logged as a mistake of the program."""
    _faults(server, {"operation": "getSessionService", "do": "cut-before"})
    given: dict[str, Any] = {"owner": "alice"} if command == "open_session" else {"session": one.session}
    with pytest.raises(ServerUnavailable) as lost:
        one.driver.do(command, **given)
    assert lost.value.kind == "connection-lost"
    _faults(server)
    one.driver.do(command, **given)


@pytest.mark.parametrize(("side", "doubtful"), [(300, False), (4000, True)])
def test_a_person_who_looks_at_half_done_images_does_not_finish_them(
    server: Server, one: Import, tmp_path: Path, side: int, doubtful: bool
) -> None:
    """OMERO notes a thumbnail to be made for whoever looks, also if there is nothing to be seen yet."""
    name = f"a&sizeX={side}&sizeY={side}.fake"
    (tmp_path / name).touch()
    slow = Import(one.driver, one.session, tmp_path, [name])
    other = one.driver.open("alice")
    held = one.driver.held(other)
    _faults(server, import_seconds=12)
    slow.begin()
    slow.sent = slow.send()
    slow.commit()
    end = time.monotonic() + 60
    while not (half := slow.look_up()[0])["images"]:
        assert time.monotonic() < end
        time.sleep(0.1)
    assert (half["complete"], half["doubtful"]) == (False, doubtful)
    ((pixels,),) = held.ask("select px.id from Pixels px where px.image.fileset.id=:f", f=slow.fileset)
    thumbnail = omero.model.ThumbnailI()
    thumbnail.pixels, thumbnail.mimeType = omero.model.PixelsI(pixels, False), omero.rtypes.rstring("image/jpeg")
    thumbnail.sizeX = thumbnail.sizeY = omero.rtypes.rint(96)
    held.update().saveObject(thumbnail)
    looked = slow.look_up()[0]
    assert (looked["complete"], looked["doubtful"]) == (False, doubtful)
    _faults(server)
    assert slow.wait()["state"] == "done"
    done = slow.look_up()[0]
    assert (done["complete"], done["doubtful"]) == (True, False)
