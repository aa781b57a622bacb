"""`retry` of what lies in failed/, where users may move, copy, empty and change what is theirs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dropbox_import.spool import layout
from dropbox_import.spool.journal import read_newest
from dropbox_import.spool.reopen import find_filed
from tests.support.lab import Lab
from tests.support.office import ONE, Office

THEIRS = b"image of alice"


@pytest.fixture
def office(tmp_path: Path) -> Office:
    made = Office(tmp_path, lab=Lab(tmp_path, users=("jdoe", "alice")))
    made.start()
    return made


def id_of(folder: Path) -> str:
    return folder.name.rpartition("__")[2]


def fail_one(office: Office) -> str:
    office.lab.drop("run.yaml", ONE, {"run/bad.tif": b"image"})
    office.lab.turns()
    return id_of(office.filed("failed"))


def copied_by_alice(office: Office, folder: Path, name: str = "") -> Path:
    """A copy of that failed folder, in a month of hers."""
    month = office.lab.layout.failed / "alice" / folder.parent.name
    month.mkdir(parents=True, exist_ok=True)
    shutil.copytree(folder, month / (name or folder.name))
    return month / (name or folder.name)


def with_her_file(copy: Path) -> None:
    (copy / "d" / "run" / "bad.tif").unlink()
    (copy / "d" / "run" / "hers.tif").write_bytes(THEIRS)


def imported(office: Office) -> list[tuple[str, str]]:
    return sorted((one.owner, path.rpartition("/")[2]) for one in office.lab.server.complete() for path in one.paths)


# --- what another user made of it ------------------------------------------------------


def test_a_copy_of_anothers_failed_folder_is_tried_with_the_rights_of_who_made_it(office: Office) -> None:
    """Its journal was believed wherever it lay, and files of one user were imported as another's."""
    drop_id = fail_one(office)
    with_her_file(copied_by_alice(office, office.filed("failed")))
    result = office.order("retry", drop_id, seconds=40)
    assert result.ok, result
    assert "does not lie where it was filed" in result.says and "put back as drop/alice/" in result.says and "tried again" in result.says
    assert imported(office) == [("alice", "hers.tif")]
    assert [path.parent.parent.name for path in office.lab.filed("done")] == ["alice"]
    assert office.filed("failed").parent.parent.name == "jdoe"
    assert (office.filed("failed") / "d" / "run" / "bad.tif").read_bytes() == b"image"


@pytest.mark.parametrize("name", ["", "run__ID-2"])
def test_a_copy_that_was_discarded_with_the_original_is_not_believed_either(office: Office, name: str) -> None:
    """In discarded/ nothing but the name tells where it lay."""
    drop_id = fail_one(office)
    with_her_file(copied_by_alice(office, office.filed("failed"), name.replace("ID", drop_id)))
    assert office.order("discard", drop_id).ok
    assert office.lab.filed("failed") == []
    result = office.order("retry", drop_id, seconds=40)
    assert "tried again" in result.says and "does not lie where it was filed" in result.says
    assert imported(office) == []
    assert (office.filed("failed") / "d" / "run" / "bad.tif").read_bytes() == b"image", "jdoe's own goes on"
    (aside,) = office.lab.layout.discarded.iterdir()
    assert (aside / "d" / "run" / "hers.tif").read_bytes() == THEIRS
    assert find_filed(office.lab.layout, drop_id)[-1] == aside, "it is found and told"


def test_a_folder_of_a_user_does_not_become_a_claim_by_way_of_discarded(office: Office) -> None:
    """Called like a claim it would go on where its journal says, unseen."""
    drop_id = fail_one(office)
    with_her_file(copied_by_alice(office, office.filed("failed"), drop_id))
    told = office.order("discard", drop_id)
    assert told.ok and "out of failed/alice/" in told.says, told
    assert "tried again" in office.order("retry", drop_id, seconds=40).says
    assert imported(office) == []
    assert (office.filed("failed") / "d" / "run" / "bad.tif").read_bytes() == b"image", "jdoe's own goes on"
    assert [path.joinpath("d/run/hers.tif").exists() for path in office.lab.layout.discarded.iterdir()] == [True]


def test_a_sidecar_out_of_a_copy_does_not_go_into_the_drop_folder_of_another(office: Office) -> None:
    """Of a drop whose files were never taken the sidecar goes back to them, which are jdoe's."""
    home = office.lab.layout.drop / "jdoe"
    office.lab.drop("typo.yaml", "target: {dataset: HeLa}\ntagz: [x]\n", {"typo.tif": b"image"})
    office.lab.turns()
    copy = copied_by_alice(office, office.filed("failed"))
    shutil.rmtree(office.lab.layout.failed / "jdoe")
    (copy / "typo.yaml").write_bytes(b"target: {dataset: HeLa}\ncomments: [alice was here]\n")
    result = office.order("retry", id_of(copy), seconds=40)
    assert not result.ok and "by hand" in result.says, result
    assert [path.name for path in home.iterdir()] == ["typo.tif"]
    assert imported(office) == []
    assert (copy / "typo.yaml").exists() and (copy / layout.JOURNAL).exists()


# --- what was moved --------------------------------------------------------------------


def test_a_folder_that_was_moved_away_and_back_is_tried_again_as_itself(office: Office) -> None:
    drop_id = fail_one(office)
    failed = office.filed("failed")
    failed.rename(office.lab.box / "handled")
    assert not office.order("retry", drop_id).ok
    (office.lab.box / "handled").rename(failed)
    assert "tried again" in office.order("retry", drop_id, seconds=20).says
    assert "reopened" in [record.kind for record in read_newest(office.filed("failed"))]


@pytest.mark.parametrize("place", ["2026-09/run__ID", "2026-11/mine__ID", "2026-11/run__ID-2"])
def test_a_folder_that_lies_elsewhere_in_failed_is_tried_by_way_of_the_drop_folder(office: Office, place: str) -> None:
    drop_id = fail_one(office)
    failed = office.filed("failed")
    target = failed.parent.parent / place.replace("ID", drop_id)
    target.parent.mkdir(exist_ok=True)
    failed.rename(target)
    (target / "d" / "run" / "bad.tif").rename(target / "d" / "run" / "good.tif")
    result = office.order("retry", drop_id, seconds=40)
    assert result.ok and "put back as drop/jdoe/" in result.says, result
    office.lab.check(1)
    assert office.lab.filed("failed") == []


# --- what was taken out of it ----------------------------------------------------------


def as_it_is(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else b"" for path in folder.rglob("*")}


def emptied(office: Office, how: str) -> Path:
    """Its user has moved its file and then the sidecar back into the drop folder, where they were taken; the rest stays."""
    failed, home = office.filed("failed"), office.lab.layout.drop / "jdoe"
    (failed / "d" / "run" / "bad.tif").rename(home / "good.tif")
    (failed / "run.yaml").rename(home / "good.yaml")
    if how == "litter":
        (failed / "d" / ".DS_Store").write_bytes(b"")
        (failed / "Thumbs.db").write_bytes(b"")
    elif how != "empty folders":
        shutil.rmtree(failed / "d")
    if how == "another journal":
        (failed / layout.JOURNAL).write_bytes(b"")
    office.lab.turns()
    return failed


@pytest.mark.parametrize("how", ["empty folders", "no folder", "litter", "another journal"])
def test_a_folder_that_its_user_has_emptied_is_told_so_and_left_alone(office: Office, how: str) -> None:
    """It was put into the drop folder, or its records were deleted, and what was told of it was not so."""
    drop_id = fail_one(office)
    failed = emptied(office, how)
    before = as_it_is(failed)
    result = office.order("retry", drop_id, seconds=20)
    assert (result.ok, bool(result.hint)) == (False, True)
    assert "taken" in result.says and "nothing is left to try" in result.says
    assert as_it_is(failed) == before
    assert list((office.lab.layout.drop / "jdoe").iterdir()) == []
    assert imported(office) == [("jdoe", "good.tif")]


def test_where_only_the_sidecar_had_been_taken_and_was_taken_out_the_records_stay(office: Office) -> None:
    office.lab.drop("typo.yaml", "target: {dataset: HeLa}\ntagz: [x]\n", {"typo.tif": b"image"})
    office.lab.turns()
    failed = office.filed("failed")
    (failed / "typo.yaml").rename(office.lab.box / "kept.yaml")
    before = as_it_is(failed)
    assert not office.order("retry", id_of(failed), seconds=20).ok
    assert as_it_is(failed) == before


def test_a_sidecar_whose_files_were_taken_out_goes_back_and_the_records_of_the_drop_stay(office: Office) -> None:
    """They tell what OMERO has of it. Of a drop whose files were never taken they tell nothing."""
    drop_id = fail_one(office)
    failed, home = office.filed("failed"), office.lab.layout.drop / "jdoe"
    (home / "run").mkdir()
    (failed / "d" / "run" / "bad.tif").rename(home / "run" / "good.tif")
    shutil.rmtree(failed / "d")
    (failed / "run.yaml").write_bytes(ONE.encode() + b"tags: [x]\n")
    records = {name: data for name, data in as_it_is(failed).items() if name != "run.yaml"}
    result = office.order("retry", drop_id, seconds=40)
    assert result.ok and "put back as drop/jdoe/run.yaml" in result.says, result
    assert as_it_is(failed) == records
    assert imported(office) == [("jdoe", "good.tif")]


def test_a_folder_without_its_sidecar_is_not_said_to_be_taken_from_the_drop_folder(office: Office) -> None:
    drop_id = fail_one(office)
    (office.filed("failed") / "run.yaml").unlink()
    result = office.order("retry", drop_id, seconds=20)
    assert result.ok and "taken from there when its sidecar lies in it again" in result.says, result
    (back,) = (office.lab.layout.drop / "jdoe").glob("run__*")
    assert (back / "d" / "run" / "bad.tif").read_bytes() == b"image"
