"""One fileset from its token to its images, and each way in which that can fail."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from dropbox_import.errors import DropboxImportError, FileBusy, OutcomeUnknown, TryLater
from dropbox_import.importer.discard import delete
from dropbox_import.importer.errors import effect_of
from dropbox_import.importer.fileset import files_of
from dropbox_import.importer.records import Sent
from tests.contract.driver import Driver, Import, a_tiff, two_series
from tests.contract.foreign import omero
from tests.contract.omero_world import World


@pytest.fixture
def session(driver: Driver, world: World) -> int:
    return driver.open(world.user("alice"))


@pytest.fixture
def dataset(driver: Driver, session: int) -> int:
    return int(driver.do("target", session=session, target={"dataset": {"name": f"imports {time.time_ns()}", "create": True}})["dataset"])


def test_an_image_arrives_where_and_how_it_was_wanted(driver: Driver, world: World, session: int, dataset: int, tmp_path: Path) -> None:
    a_tiff(tmp_path / "cells.tif", 20)
    one = Import(driver, session, tmp_path, ["cells.tif"], dataset=dataset, name="HeLa", description="day 3")
    (image,) = one.whole()
    told = one.confirm()
    assert (told["state"], told["problems"], told["files"]) == ("complete", [], one.sent)
    sizes = [{"client_path": each["client_path"], "size": each["size"] + 1} for each in one.sent]
    assert len(one.confirm(files=sizes)["problems"]) == 1
    assert (image["name"], image["series"], image["size"], image["dataset"]) == ("HeLa", 0, [20, 20, 1, 1, 1], dataset)
    with pytest.raises(OutcomeUnknown) as over:
        one.do("poll")
    assert over.value.kind == "no-such-attempt"


def test_the_token_tells_every_stage(driver: Driver, session: int, tmp_path: Path) -> None:
    a_tiff(tmp_path / "a.tif")
    one = Import(driver, session, tmp_path, ["a.tif"])
    assert one.look_up() == []
    fileset = one.begin()
    (begun,) = one.look_up()
    assert (begun["fileset"], begun["token"], begun["drop"], begun["session"]) == (fileset, f"{one.submission}/k1", one.submission, session)
    assert (begun["instance"], begun["attempt"], begun["committed"], begun["complete"], begun["images"]) == (
        "contract",
        1,
        False,
        False,
        [],
    )
    assert files_of(driver.held(session), fileset) == {"contract/alice/a.tif": (None, None)}
    assert one.confirm()["state"] == "none"
    sent = one.send()
    assert (one.do("poll")["state"], one.do("poll")["name"]) == ("running", "no-handle")
    (uploaded,) = one.look_up()
    assert files_of(driver.held(session), fileset) == {each["client_path"]: (each["size"], each["sha1"]) for each in sent}
    assert uploaded["committed"] is False
    one.commit()
    assert one.look_up()[0]["committed"] is True
    assert one.wait()["state"] == "done"
    (done,) = one.look_up()
    assert (done["complete"], len(done["images"])) == (True, 1)


def test_a_look_up_is_of_one_submission_of_one_owner(driver: Driver, world: World, session: int, tmp_path: Path) -> None:
    a_tiff(tmp_path / "a.tif")
    one = Import(driver, session, tmp_path, ["a.tif"])
    one.begin()
    bob = driver.open(world.user("bob"), world.group("ro"))
    assert driver.do("look_up", session=bob, submission=one.submission) == {"attempts": []}
    assert driver.do("look_up", session=session, submission=one.submission[:-1] + "_") == {"attempts": []}
    assert driver.do("look_up", session=session, submission=one.submission[:-1]) == {"attempts": []}


def test_two_images_in_one_file(driver: Driver, session: int, dataset: int, tmp_path: Path) -> None:
    two_series(tmp_path / "two.ome.tif")
    images = Import(driver, session, tmp_path, ["two.ome.tif"], dataset=dataset, reader="loci.formats.in.OMETiffReader").whole()
    assert [(each["series"], each["size"][:2], each["dataset"]) for each in images] == [(0, [16, 16], dataset), (1, [24, 24], dataset)]
    assert [each["series_name"] for each in images] == ["left", "right"]


def test_a_file_that_is_no_image_is_told_with_what_the_server_says(driver: Driver, session: int, tmp_path: Path) -> None:
    (tmp_path / "bad.tif").write_bytes(b"this is no image at all" * 40)
    one = Import(driver, session, tmp_path, ["bad.tif"])
    one.begin()
    one.send()
    one.commit()
    told = one.wait()
    assert (told["state"], told["name"], told["class"]) == ("error", "error-on-init", "UnreadableImage")
    assert told["message"]
    assert told["hint"]
    uuid = driver.held(session).record.uuid
    assert "sess=<session>" in told["log"], "OMERO's log of the import says in which session each call came"
    assert not [name for name, text in told.items() if uuid in str(text)]
    assert one.confirm()["state"] == "none"


def test_a_dead_attempt_is_removed_and_the_next_is_not_confused(driver: Driver, session: int, tmp_path: Path) -> None:
    a_tiff(tmp_path / "a.tif")
    one = Import(driver, session, tmp_path, ["a.tif"])
    fileset = one.begin()
    assert driver.do("discard", session=session, fileset=fileset) == {"gone": True}
    assert driver.do("discard", session=session, fileset=fileset) == {"gone": True}
    assert one.look_up() == []
    with pytest.raises(OutcomeUnknown):
        one.send()
    assert len(one.whole()) == 1


def test_only_a_fileset_with_our_token_is_ever_removed(driver: Driver, session: int, tmp_path: Path) -> None:
    a_tiff(tmp_path / "a.tif")
    one = Import(driver, session, tmp_path, ["a.tif"])
    one.whole()
    held = driver.held(session)
    text = "select a.id from FilesetAnnotationLink l join l.child a where l.parent.id=:f"
    delete(held, "Annotation", int(held.ask(text, f=one.fileset)[0][0]))
    with pytest.raises(DropboxImportError) as refused:
        driver.do("discard", session=session, fileset=one.fileset)
    assert refused.value.kind == "not-ours"
    assert one.confirm()["state"] == "complete"


def test_a_wrong_checksum_is_refused_and_can_be_mended(driver: Driver, session: int, tmp_path: Path) -> None:
    a_tiff(tmp_path / "a.tif")
    one = Import(driver, session, tmp_path, ["a.tif"])
    one.begin()
    one.sent = one.send()
    attempt = one.attempt()
    right, attempt.sent = attempt.sent, (Sent("contract/alice/a.tif", 1, "0" * 40),)
    with pytest.raises(TryLater) as refused:
        one.commit()
    assert (refused.value.kind, effect_of(refused.value)) == ("checksum", "none")
    attempt.sent = right
    one.commit()
    assert one.wait()["state"] == "done"
    assert len(one.confirm()["images"]) == 1


def test_missing_bytes_are_refused(driver: Driver, session: int, tmp_path: Path) -> None:
    a_tiff(tmp_path / "a.tif")
    one = Import(driver, session, tmp_path, ["a.tif"])
    one.begin()
    with pytest.raises(TryLater, match="not all sent"):
        one.commit()
    one.attempt().sent = (Sent("contract/alice/a.tif", 1, "0" * 40),)
    with pytest.raises(TryLater, match="bytes are missing") as refused:
        one.commit()
    assert (refused.value.kind, effect_of(refused.value)) == ("checksum", "none")
    assert one.look_up()[0]["committed"] is False


def test_a_second_commit_is_never_sent(driver: Driver, session: int, tmp_path: Path) -> None:
    a_tiff(tmp_path / "a.tif")
    one = Import(driver, session, tmp_path, ["a.tif"])
    one.begin()
    one.sent = one.send()
    one.commit()
    with pytest.raises(OutcomeUnknown) as again:
        one.commit()
    assert (again.value.kind, effect_of(again.value)) == ("committed-already", "done")
    assert one.wait()["state"] == "done"
    assert len(one.confirm()["images"]) == 1


def test_why_it_is_never_sent_the_server_would_import_twice(driver: Driver, session: int, tmp_path: Path) -> None:
    a_tiff(tmp_path / "a.tif")
    one = Import(driver, session, tmp_path, ["a.tif"])
    one.begin()
    hashes = [each["sha1"] for each in one.send()]
    process = one.attempt().process
    for handle in [process.verifyUpload(hashes) for _ in range(1)] + [process.verifyUpload(hashes)]:
        while handle.getResponse() is None:
            time.sleep(0.05)
    assert len(one.confirm()["images"]) == 2


def test_a_file_that_changed_is_not_sent(driver: Driver, session: int, tmp_path: Path) -> None:
    a_tiff(tmp_path / "a.tif")
    one = Import(driver, session, tmp_path, ["a.tif"])
    one.begin()
    a_tiff(tmp_path / "a.tif", 30)
    with pytest.raises(FileBusy) as changed:
        one.send()
    assert changed.value.kind == "member-changed"


def test_a_dataset_that_was_deleted_meanwhile_is_told_as_the_target(driver: Driver, session: int, dataset: int, tmp_path: Path) -> None:
    a_tiff(tmp_path / "a.tif")
    one = Import(driver, session, tmp_path, ["a.tif"], dataset=dataset)
    one.begin()
    delete(driver.held(session), "Dataset", dataset)
    one.send()
    one.commit()
    told = one.wait()
    assert (told["state"], told["class"]) == ("error", "TargetUnusable")


def test_a_missing_link_to_the_dataset_is_mended(driver: Driver, session: int, dataset: int, tmp_path: Path) -> None:
    a_tiff(tmp_path / "a.tif")
    one = Import(driver, session, tmp_path, ["a.tif"])
    assert one.whole()[0]["dataset"] is None
    told = one.confirm(dataset=dataset)
    assert (told["images"][0]["dataset"], told["problems"]) == (dataset, [])
    moved = one.confirm(dataset=dataset + 1)
    assert moved["images"][0]["dataset"] == dataset
    assert str(dataset) in moved["problems"][0]


def test_strange_names_and_an_empty_companion(driver: Driver, session: int, tmp_path: Path) -> None:
    a_tiff(tmp_path / "Zürich 50% µm.tif")
    (tmp_path / "notes.txt").touch()
    one = Import(driver, session, tmp_path, ["Zürich 50% µm.tif", "notes.txt"])
    one.whole()
    assert one.confirm()["problems"] == []


def test_four_filesets_at_once_in_one_session(driver: Driver, session: int, dataset: int, tmp_path: Path) -> None:
    for number in range(4):
        a_tiff(tmp_path / f"{number}.tif", 40 + number)
    imports = [Import(driver, session, tmp_path, [f"{number}.tif"], dataset=dataset) for number in range(4)]
    threads = [threading.Thread(target=one.whole) for one in imports]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told = [one.confirm() for one in imports]
    assert [each["state"] for each in told] == ["complete"] * 4
    assert [each["images"][0]["size"][0] for each in told] == [40, 41, 42, 43]


def test_another_session_of_the_owner_cannot_touch_the_process(driver: Driver, world: World, session: int, tmp_path: Path) -> None:
    a_tiff(tmp_path / "a.tif")
    one = Import(driver, session, tmp_path, ["a.tif"])
    one.begin()
    other = driver.held(driver.open(world.user("alice")))
    proxy = omero.grid.ImportProcessPrx.uncheckedCast(other.client.getCommunicator().stringToProxy(one.attempt().process_text))
    with pytest.raises(omero_gone()):
        proxy.getUploader(0)


def omero_gone() -> type[Exception]:
    from tests.contract.foreign import Ice

    return Ice.ObjectNotExistException  # type: ignore[no-any-return]
