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
