"""Mistakes that people make with YAML, with OMERO.web and with attachments: each has its own sentence and cure."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.input_house import House, drop, tiff

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
HELA = "target: {dataset: {name: HeLa, create: true}}\n"


def link(path: Path) -> None:
    path.with_name("real.dat").write_bytes(b"real")
    path.symlink_to("real.dat")


# The text of a sidecar, and what its reason must say.
TEXTS = {
    "no value": ("target:\n", [":1:8: target: has no value", "target: none"]),
    "two documents": (HELA + "---\ntags: [a]\n", [":2:1: a second document begins here", "Remove the line ---"]),
    "project only": ("target: {project: Mitosis}\n", [":1:9: target: no dataset is given", "add dataset:"]),
    "id and name": ("target: {dataset: {id: 5, name: HeLa}}\n", [":1:19: target.dataset: id and name are both given"]),
    "long name": (f"target: {{dataset: {'n' * 300}}}\n", ["the name has 300 characters", "shorter name"]),
    "address of a dataset": (
        "target: https://omero.uni.org/webclient/?show=dataset-151\n",
        [":1:9: target: this is the address of a dataset in OMERO.web", "write its id: target: {dataset: {id: 151}}"],
    ),
    "address of an image": (
        "target: {dataset: 'https://omero.uni.org/webclient/?show=image-7'}\n",
        [":1:19: target.dataset: this is the address of a image", "{dataset: {id: 151}}"],
    ),
    "target string inside": ('target: {dataset: "Dataset:151"}\n', [":1:19: target.dataset: Dataset:151:", "dataset: {id: 151}"]),
    "no space after the colon": ("target:{dataset: HeLa}\nschema: 1\n", [":1:1: target: a space is missing after the colon"]),
    "no space after the dash": (HELA + "tags:\n  -a\n  -b\n", [":3:3: tags: a list is expected", "Put a space after each dash"]),
    "colon in a text": (HELA + "comments: [note: this]\n", [":2:12: comments: a text is expected here", "into quotes"]),
    "comma in a text": (HELA + "image: {description: 5 % CO2, 37 C}\n", [":2:31: image.37 C:", "into quotes"]),
    "out of step": ("target:\n  dataset: HeLa\n   project: X\n", [":3:11: a colon stands where no key can end", "begin in one column"]),
    "empty comment": (HELA + "comments: ['']\n", [":2:12: comments: this comment is empty"]),
    "no pairs": (HELA + "key_values: [{pairs: []}]\n", [":2:22: key_values.pairs: no pair is given", "remove this block"]),
    "pair of three": (HELA + "key_values: [{pairs: [[a, b, c]]}]\n", [":2:23: key_values.pairs: each pair is a key and a value, not 3"]),
    "submission": (HELA + "submission: run 7\n", [":2:13: submission:", "run-7-2025-06-01"]),
    "mail address": (HELA + "notify: [jane at uni]\n", [":2:10: notify: jane at uni does not look like an e-mail address"]),
    "newer format": ("schema: 2\n" + HELA, [":1:9: schema: version 2", "update dropbox-import"]),
    "screen": ('target: "Screen:name:X"\n', [":1:9: target: Screen: as a target is not supported yet"]),
}
WRONG = {name: drop(f"like_{name.replace(' ', '_')}.yaml", text) for name, (text, _) in TEXTS.items()}
JSON_TEXTS = {
    "twice": ('{"target": "none", "tags": ["a"], "tags": ["b"]}', [":1:35: tags: this key stands here twice"]),
    "unknown": ('{\n  "target": "none",\n  "tagz": ["a"]\n}', [':3:3: tagz: unknown key, did you mean "tags"?']),
    "comma": ('{"target": "none",}', [":1:19: a key in double quotes is expected here", "Remove a comma"]),
    "yaml": ("target: none\n", [":1:1: no JSON value begins here", "double quotes"]),
}
WRONG_JSON = {name: drop(f"json_{name}.json", text) for name, (text, _) in JSON_TEXTS.items()}
ATTACHED_ITSELF = drop("itself.yaml", HELA + "attachments: [{file: itself.tif}]\n")
ATTACHED_LINK = drop("with_link.yaml", HELA + "attachments: [{file: link.txt}]\n", {"with_link.tif": tiff, "link.txt": link})
ATTACHED_FOLDER = drop("with_folder.yaml", HELA + "attachments: [{file: papers}]\n", {"with_folder.tif": tiff, "papers/1.pdf": b"x"})
NO_FIT = drop("no_fit.yaml", HELA + 'files: {include: ["nothing_*.tif"]}\n', {})
ALL_BAD = drop("all_bad.yaml", HELA, {"all_bad/1.tif": b"", "all_bad/2.tif": b"no image", "all_bad/notes.txt": b"day 3"})


@pytest.mark.parametrize("name", TEXTS)
def test_what_people_get_wrong_in_yaml_has_a_sentence_of_its_own(house: House, name: str) -> None:
    house.refused(WRONG[name], *TEXTS[name][1])


@pytest.mark.parametrize("name", JSON_TEXTS)
def test_what_programs_get_wrong_in_json_has_its_line(house: House, name: str) -> None:
    house.refused(WRONG_JSON[name], *JSON_TEXTS[name][1])


def test_an_image_that_is_named_as_attachment_only_is_told(house: House) -> None:
    house.refused(ATTACHED_ITSELF, "itself.yaml:2:1: there is no image besides the attachments", '"itself.tif"', "files: include")


def test_attachments_that_are_no_plain_files_are_told(house: House) -> None:
    house.refused(ATTACHED_LINK, 'with_link.yaml:2:22: "link.txt" is a link', "copy of the file itself")
    house.refused(ATTACHED_FOLDER, 'with_folder.yaml:2:22: "papers" is a folder', "Attach single files")


def test_a_pattern_that_nothing_fits_is_told(house: House) -> None:
    house.refused(NO_FIT, 'no_fit.yaml:2:9: no file fits "nothing_*.tif"', "correct the names")


def test_a_folder_without_one_sound_image_comes_back_whole(house: House) -> None:
    text = house.failed(ALL_BAD, "all_bad/1.tif is empty", "all_bad/2.tif does not begin like a TIFF")
    assert text.startswith("all_bad.yaml was not imported into OMERO.")
