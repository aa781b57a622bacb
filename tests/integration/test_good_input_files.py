"""Every way to write a sidecar and to lay out files that the user guide allows, from the drop folder to OMERO."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path

import pytest

from dropbox_import.standin import samples
from tests.integration.input_house import Drop, House, drop, tiff

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

HELA = "target: {dataset: {name: HeLa, create: true}}\n"
SET = [f"lapse_T{number}.ome.tif" for number in range(3)]

ODD_NAMES = ("50% $HOME.tif", "a#b&c=d.tif", 'it\'s, "q".tif', "t=1:2*3?.tif", "<b>;|.tif", "ünï+~1.tif")


def ome_set(path: Path) -> None:
    samples.ome_tiff_set(path.parent, "lapse")


def there(path: Path) -> None:
    assert path.exists()


def sized(path: Path) -> None:
    samples.plain_tiff(path, 905)


def five_d(path: Path) -> None:
    samples.five_d_ome_tiff(path)


OWN_KEYS = drop("own_keys.yaml", HELA + "x-microscope: {name: LSM 880, lamp hours: 1200}\nx-list: [a, 2, true]\n")
IN_JSON = drop("in_json.json", json.dumps({"target": {"dataset": {"name": "HeLa", "create": True}}, "comments": ["of a program"]}))
SUBFOLDER = drop("2025/June/deep.yaml", HELA)
NAMED_AFTER_FILE = drop("after.tif.yaml", HELA, {"after.tif": tiff})
OTHER_ENDING = drop("short.yml", HELA)
TWENTY = drop("twenty.yaml", HELA, {f"twenty/{number:02d}.tif": tiff for number in range(20)})
EXPECTED = drop("expected.yaml", HELA + "files:\n  expect: {count: 1, size: {expected.tif: 12496}}\n", {"expected.tif": sized})
PICKED = drop(
    "picked.yaml",
    HELA + 'files: {include: ["picked_*.tif", sub/picked_3.tif], exclude: ["*_preview.tif"]}\n',
    {"picked_1.tif": tiff, "picked_2.tif": tiff, "sub/picked_3.tif": tiff, "picked_preview.tif": tiff},
)
EXTRA = drop("extra.yaml", HELA, {"extra.tif": tiff, "extra.txt": b"seen at 20:00", "extra.log": b""})
LAPSE = drop("lapse.yaml", HELA + 'files: {include: ["lapse_T*.ome.tif"]}\n', {SET[0]: ome_set, SET[1]: there, SET[2]: there})
FIVE = drop("five.yaml", HELA, {"five.ome.tif": five_d})
LETTERS = drop("Zellkörper α (1).yaml", HELA, {"Zellkörper α (1).tif": tiff})
ODD_LETTERS = drop("odd letters.yaml", HELA + 'files: {include: ["odd letters/*"]}\n', {f"odd letters/{name}": tiff for name in ODD_NAMES})
BRACKETS = drop("cell [1] {x}.yaml", HELA, {"cell [1] {x}.tif": tiff})
LONGEST = drop(f"{'l' * 235}.yaml", HELA, {f"{'l' * 235}.tif": tiff})
DECOMPOSED = drop("Kühn.yaml", HELA, {unicodedata.normalize("NFD", "Kühn") + ".tif": tiff})
WINDOWS = drop("windows.yaml", (HELA + "comments: [two lines]\n").replace("\n", "\r\n").encode("utf-8-sig"))
UTF16 = drop("utf16_marked.yaml", (HELA + "comments: [Größe]\n").encode("utf-16"))
OLD = drop("old_windows.yaml", (HELA + "comments: [Größe]\n").encode("cp1252"))
ORDINARY = drop("with_json.yaml", HELA, {"with_json/1.tif": tiff, "with_json/metadata.json": b'{"exposure": 10}'})


def test_keys_of_the_writer_are_kept_in_the_result(house: House) -> None:
    house.image(OWN_KEYS)
    kept = house.result(OWN_KEYS)["x"]
    assert kept["x-microscope"] == {"name": "LSM 880", "lamp hours": 1200}
    assert kept["x-list"] == ["a", 2, True]


def test_a_sidecar_in_json_is_as_good(house: House) -> None:
    image = house.image(IN_JSON)
    assert (image["dataset"], image["comments"]) == ("HeLa", ["of a program"])


@pytest.mark.parametrize(
    "one", [SUBFOLDER, NAMED_AFTER_FILE, OTHER_ENDING, LETTERS, DECOMPOSED, BRACKETS, LONGEST, FIVE], ids=lambda one: str(one.sidecar)
)
def test_names_and_places_of_every_kind_are_imported(house: House, one: Drop) -> None:
    image = house.image(one)
    assert (image["name"], image["dataset"]) == (next(iter(one.files)).rpartition("/")[2], "HeLa")


def test_names_with_every_sign_keep_it(house: House) -> None:
    images = house.imported(ODD_LETTERS)
    sources = [
        row[0] for image in images for row in house.ask("select e.clientPath from FilesetEntry e where e.fileset.id=:f", f=image["fileset"])
    ]
    assert sorted(path.rpartition("/")[2] for path in sources) == sorted(ODD_NAMES)


def test_the_origin_that_omero_shows_is_the_path_in_the_drop_folder(house: House) -> None:
    image = house.image(SUBFOLDER)
    rows = house.ask("select e.clientPath from FilesetEntry e where e.fileset.id=:f", f=image["fileset"])
    assert [path.partition("/")[2] for (path,) in rows] == ["alice/2025/June/deep.tif"]


def test_a_folder_of_twenty_images_under_one_sidecar(house: House) -> None:
    images = house.imported(TWENTY)
    assert sorted(image["name"] for image in images) == [f"{number:02d}.tif" for number in range(20)]
    assert len({image["fileset"] for image in images}) == 20
    assert not (house.boxes["box"].drop / "alice" / "twenty").exists()


def test_a_drop_of_the_expected_size_is_imported(house: House) -> None:
    assert house.image(EXPECTED)["size"] == [96, 64, 1, 1, 1]


def test_only_the_files_that_are_picked_are_taken(house: House) -> None:
    images = house.imported(PICKED, files=["picked_1.tif", "picked_2.tif", "sub/picked_3.tif"])
    assert sorted(image["name"] for image in images) == ["picked_1.tif", "picked_2.tif", "picked_3.tif"]
    preview = house.boxes["box"].drop / "alice" / "picked_preview.tif"
    assert preview.read_bytes() == house.written[PICKED, "picked_preview.tif"]


def test_what_no_format_wants_is_filed_with_the_images_and_listed(house: House) -> None:
    assert house.image(EXTRA)["name"] == "extra.tif"
    assert house.result(EXTRA)["extras"] == ["extra.log", "extra.txt"]


def test_files_that_refer_to_each_other_are_one_image(house: House) -> None:
    image = house.image(LAPSE)
    assert image["size"] == [96, 64, 1, 2, 3]


def test_sidecars_of_every_usual_encoding_are_read(house: House) -> None:
    assert house.image(WINDOWS)["comments"] == ["two lines"]
    assert house.image(UTF16)["comments"] == ["Größe"]
    assert house.image(OLD)["comments"] == ["Größe"]
    assert "Windows-1252" in str(house.result(OLD)["notices"])


def test_a_json_file_of_a_microscope_is_data(house: House) -> None:
    house.image(ORDINARY)
    assert house.result(ORDINARY)["extras"] == ["with_json/metadata.json"]


def test_checksums_and_sizes_are_in_the_result(house: House) -> None:
    (fileset,) = house.result(EXPECTED)["filesets"]
    (file,) = fileset["files"]
    assert file["size"] == 12496
    held = house.ask("select f.hash from OriginalFile f where f.name=:n", n="expected.tif")
    assert [[file["sha1"]]] == held


def test_the_log_tells_each_drop_and_no_fault(house: House) -> None:
    log = house.log.read_text(errors="replace")
    assert "Traceback" not in log
    assert " error " not in log
    assert "/twenty__" in log
