"""Files that may not be taken, are not there or are no sound images: told by name, kept as they are."""

from __future__ import annotations

import os
import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from dropbox_import.spool import layout
from dropbox_import.standin import samples
from tests.integration.input_house import Content, Drop, House, drop, tiff

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

HELA = "target: {dataset: {name: HeLa, create: true}}\n"


def link(path: Path) -> None:
    path.with_name("elsewhere.dat").write_bytes(b"of somebody else")
    path.symlink_to("elsewhere.dat")


def hard_link(path: Path) -> None:
    samples.plain_tiff(path, 901)
    os.link(path, path.with_name(f".{path.name}-too"))


def fifo(path: Path) -> None:
    os.mkfifo(path)


def wide(path: Path) -> None:
    samples.plain_tiff(path, 902)


def cut(path: Path) -> None:
    samples.cut_in_half(samples.plain_tiff(path, 903))


def half_zero(path: Path) -> None:
    samples.half_zero_tiff(path)


def bomb(path: Path) -> None:
    samples.bomb_tiff(path)


def as_told(path: Path) -> None:
    """Does what REASON.txt says: what is in "d" goes back into the drop folder."""
    box = path.parents[2]
    (failed,) = (box / "failed" / "alice").glob("*/put_back__*")
    (failed / "d" / path.name).rename(path)
    samples.plain_tiff(path, 903)


def of(name: str, make: Content = tiff, text: str = HELA) -> Drop:
    return drop(f"{name.partition('.')[0]}.yaml", text, {name: make})


ODD_NAME = os.fsdecode(b"odd/K\xfchn.tif")
LINK = of("linked.tif", link)
HARD = of("hard.tif", hard_link)
FIFO = of("pipe.tif", fifo)
ODD = drop("odd.yaml", HELA, {ODD_NAME: tiff})
DEVICE = drop("device.yaml", HELA, {"device/aux.tif": tiff})
RIVAL_1 = drop("rival_1.yaml", HELA + 'files: {include: ["rival_*.tif"]}\n', {"rival_a.tif": tiff})
RIVAL_2 = drop("rival_2.yaml", HELA + 'files: {include: ["rival_?.tif"]}\n', {})
MISSING = drop("missing.yaml", HELA + "files:\n  include: [missing_1.tif, missing_2.tif]\n", {"missing_1.tif": tiff})
NOTHING = drop("nothing_there.yaml", HELA, {})
OTHER_CASE = drop("other_case.yaml", HELA + "files: {include: [Other_Case.tif]}\n", {"other_case.tif": tiff})
COUNT = drop("count.yaml", HELA + "files:\n  expect: {count: 3}\n", {"count/1.tif": tiff, "count/2.tif": tiff})
SIZE = drop("size.yaml", HELA + "files:\n  expect:\n    size: {size.tif: 99}\n")
SUM = drop("sum.yaml", HELA + f"files:\n  expect:\n    sha256: {{sum.tif: {'0' * 64}}}\n")
NO_ATTACHMENT = drop("no_attachment.yaml", HELA + "attachments:\n  - {file: protocol.pdf}\n")
EMPTY = of("empty.tif", b"")
CUT = of("cut_short.tif", cut)
HALF = of("half_zero.tif", half_zero)
BOMB = of("bomb.tif", bomb)
NO_TIFF = of("no_tiff.tif", b"<html>You are not logged in</html>" * 20)
NO_IMAGE = drop("no_image.yaml", HELA, {"no_image/notes.txt": b"nothing here", "no_image/list.csv": b"a,b"})
NAMED = drop("named.yaml", HELA + "files: {include: [named.xyz]}\n", {"named.xyz": b"what is this"})
PARTLY = drop("partly.yaml", HELA, {"partly/1.tif": tiff, "partly/2.tif": cut, "partly/3.tif": b"", "partly/notes.txt": b"day 3"})
UNREADABLE = drop("unreadable.yaml", HELA, {"unreadable.oir": b"OLYMPUSRAWFORMAT" * 40})
PARTLY_READ = drop("partly_read.yaml", HELA, {"partly_read/1.tif": tiff, "partly_read/2.oir": b"OLYMPUSRAWFORMAT" * 50})
PUT_BACK = of("put_back.tif", cut)
MENDED = drop("put_back.yaml", HELA, {"put_back.tif": as_told}, wave=2)
SUFFIXES = ("vsi", "nd", "ids", "oif", "ndpis", "xdce", "xlef", "mrxs")
SETS = {suffix: of(f"set_{suffix}.{suffix}", suffix.encode()) for suffix in SUFFIXES}
SET_FOLDER = drop("set_vsi_too.yaml", HELA, {"set_vsi_too.vsi": b"vsi", "_set_vsi_too_/stack1/frame_t.ets": b"ets"})
ZARR = drop("plate.yaml", HELA, {"plate.zarr/.zattrs": b"{}", "plate.zarr/0/0": b"chunk"})


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        pytest.param(LINK, ['"linked.tif" is a link', "Put a copy of the file itself there"], id="symbolic link"),
        pytest.param(HARD, ['"hard.tif" has 2 names (hard links)', "Put a copy there"], id="hard link"),
        pytest.param(FIFO, ['"pipe.tif" is', "not a regular file"], id="pipe"),
        pytest.param(ODD, ["odd/K", "hn.tif", "is not valid UTF-8", "ename"], id="name that is not UTF-8"),
        pytest.param(DEVICE, ['"aux.tif"', "Windows", "ename"], id="name of a device"),
        pytest.param(RIVAL_1, ["rival_1.yaml", "rival_a.tif", "rival_2.yaml", "Keep one of them"], id="two sidecars, the one"),
        pytest.param(RIVAL_2, ["rival_2.yaml", "rival_a.tif", "rival_1.yaml", "Keep one of them"], id="two sidecars, the other"),
        pytest.param(
            MISSING,
            ['missing.yaml:3:28: not there yet: "missing_2.tif"', "this has not changed for 3 seconds", "Put the missing files"],
            id="missing",
        ),
        pytest.param(NOTHING, ['no file or folder "nothing_there" beside it', "files: {include:"], id="nothing beside it"),
        pytest.param(OTHER_CASE, ["other_case.yaml:2:19:", "upper and lower case"], id="written in other case"),
        pytest.param(COUNT, ["count.yaml:3:12:", "2 of 3 files are there"], id="fewer than expected"),
        pytest.param(SIZE, ["size.yaml:4:12:", "and 99 are expected"], id="not of the expected size"),
        pytest.param(SUM, ["sum.yaml:4:14:", "SHA-256", "Copy the file again"], id="not of the expected checksum"),
        pytest.param(NO_ATTACHMENT, ["no_attachment.yaml:3:12:", '"protocol.pdf"', "Put the missing files"], id="attachment missing"),
    ],
)
def test_files_that_cannot_be_taken_refuse_the_sidecar_alone(house: House, wrong: Drop, words: list[str]) -> None:
    house.refused(wrong, *words)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        pytest.param(EMPTY, ["empty.tif", "is empty"], id="zero bytes"),
        pytest.param(CUT, ["cut_short.tif ends after 6,248 of the 12,496 bytes", "Copy it again"], id="cut in half"),
        pytest.param(HALF, ["half_zero.tif", "zero"], id="half of it zeros"),
        pytest.param(BOMB, ["bomb.tif"], id="TIFF bomb"),
        pytest.param(NO_TIFF, ["no_tiff.tif"], id="a web page named .tif"),
        pytest.param(NO_IMAGE, ["no image", "no_image/notes.txt"], id="no image at all"),
        pytest.param(NAMED, ["named.xyz", "no suffix of a known image format"], id="named, of no known format"),
        pytest.param(SET_FOLDER, ["set_vsi_too.vsi", "CellSens VSI", "Bio-Formats", "not built in yet"], id="VSI with its folder"),
        pytest.param(ZARR, ["plate.zarr", "OME-Zarr", "not built in yet"], id="OME-Zarr"),
    ],
)
def test_files_that_cannot_be_imported_are_kept_with_their_sidecar(house: House, wrong: Drop, words: list[str]) -> None:
    house.failed(wrong, *words)


@pytest.mark.parametrize("suffix", SETS)
def test_formats_that_only_bio_formats_can_group_are_refused_with_that_reason(house: House, suffix: str) -> None:
    house.failed(SETS[suffix], f"set_{suffix}.{suffix}", "format of several files", "Bio-Formats", "not built in yet", "What to do: ")


def test_the_sound_images_of_a_drop_are_imported_and_the_others_come_back(house: House) -> None:
    image = house.image(PARTLY, files=["partly/1.tif", "partly/notes.txt"])
    assert image["name"] == "1.tif"
    text = house.failed(PARTLY, "partly/2.tif", "partly/3.tif", "under done/", files=["partly/2.tif", "partly/3.tif"])
    assert "partly/1.tif" not in text
    assert house.result(PARTLY)["extras"] == ["partly/notes.txt"]


@pytest.mark.parametrize(
    ("wrong", "states"), [pytest.param(UNREADABLE, ["failed"], id="all"), pytest.param(PARTLY_READ, ["done", "failed"], id="a part")]
)
def test_of_an_import_that_omero_refuses_no_session_is_named_where_others_can_read(house: House, wrong: Drop, states: list[str]) -> None:
    """Who has the id of a session that is open is its owner. It stands in OMERO's log of an import, the end of which is journaled."""
    with closing(sqlite3.connect(f"file:{house.standin.folder / 'omero.db'}?mode=ro", uri=True)) as omero:
        sessions = [uuid.encode() for (uuid,) in omero.execute('SELECT uuid FROM "Session"')]
    assert sessions
    folders = [house.filed(wrong, state) for state in states]
    assert "OMERO cannot read the image" in (folders[-1] / layout.REASON).read_text()
    assert b"sess=<session>" in (folders[0] / layout.JOURNAL).read_bytes(), "the log was not read"
    for path in [house.log, *(path for folder in folders for path in folder.rglob("*") if path.is_file())]:
        text = path.read_bytes()
        assert not [uuid for uuid in sessions if uuid in text], f"{path} names a session"
        assert not re.search(rb"sess=[0-9a-f]", text), f"{path} names a session"


def test_what_was_mended_and_put_back_is_imported(house: House) -> None:
    assert house.image(MENDED)["dataset"] == "HeLa"


def test_a_set_of_several_files_is_told_once(house: House) -> None:
    text = house.failed(SET_FOLDER)
    assert text.count("What to do: ") == 1
    assert text.index("set_vsi_too.vsi is in a format") > 0


def test_what_a_link_leads_to_is_never_touched(house: House) -> None:
    home = house.boxes["box"].drop / "alice"
    assert (home / "linked.tif").is_symlink()
    assert (home / "elsewhere.dat").read_bytes() == b"of somebody else"
    assert (home / ".hard.tif-too").stat().st_nlink == 2
