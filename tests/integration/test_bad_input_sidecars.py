"""A sidecar that is wrong by itself goes to failed/ with its reason; its image stays for the corrected one, and the others go on."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.integration.input_house import JARGON, ROOT, Drop, House, drop

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

HELA = "target: {dataset: {name: HeLa, create: true}}\n"

BEFORE = drop("a_good_one_before.yaml", HELA)
BROKEN = drop("broken.yaml", "target: {dataset: HeLa\ntags: [a]\n")
UNKNOWN = drop("unknown.yaml", HELA + "tagz: [a]\n")
TYPES = drop("types.yaml", HELA + "rating: good\ncomments: nice\nend: yes\nkey_values:\n  - pairs: 12\n")
TWICE = drop("twice.yaml", HELA + "rating: 3\nrating: 4\n")
BOMB = drop(
    "bomb_of_aliases.yaml",
    HELA
    + "x-a: &a [1,1,1,1,1,1,1,1,1]\n"
    + "".join(f"x-{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)),
)
LONG = drop("long.yaml", HELA + "comments: ['" + "x" * 10_000_000 + "']\n")
TABS = drop("tabs.yaml", "target:\n\tdataset: HeLa\n")
UTF16 = drop("utf16.yaml", HELA.encode("utf-16-le"))
PARENT = drop("parent.yaml", HELA + 'files:\n  include: ["../bob/cells.tif"]\n')
ABSOLUTE = drop("absolute.yaml", HELA + "files:\n  include: [/data/cells.tif]\n")
DRIVE = drop("drive.yaml", HELA + "files:\n  include: ['D:\\data\\cells.tif']\n")
BACKSLASH = drop("backslash.yaml", HELA + 'comments: ["saved in D:\\data"]\n')
NUMBER = drop("number.yaml", "target: {dataset: 20251122}\n")
ZERO = drop("zero_in_front.yaml", "target:\n  dataset: 00123\n")
OTHER_OWNER = drop("other_owner.yaml", HELA + "owner: bob\n")
NO_TARGET = drop("no_target.yaml", "schema: 1\ntags: [a]\n")
NEAR = drop("near.yaml", "targets: {dataset: HeLa}\n")
DISGUISED = drop("disguised.yaml.txt", HELA)
QUOTES = drop("quotes.yaml", "target: {dataset: “HeLa 1”}\n")
HALF_JSON = drop("half.json", '{"target": {"dataset": "HeLa"}, "tags": ["a"')
NO_VALUE = drop("no_value.yaml", HELA + "image:\n  name: '{path2} {stem}'\n")
SEVERAL = drop("several.yaml", HELA + "rating: 9\ntagz: [a]\nimage: {name: '{sreies}'}\n")
NOT_YET = {
    "contact": "contact: {name: Jane Doe}",
    "ready": "ready: {quiet: 45 min}",
    "rows": "rows: [{file: a.tif, rating: 5}]",
    "table": "table: samples.csv",
    "options": "options: {transfer: ln_s}",
    "links": "links: {elabftw: 'https://eln.uni.org'}",
    "annotations": "annotations: [1234]",
    "sets": "files: {sets: [{main: a.ome, members: [b.tif]}]}",
    "on_plate": "key_values: [{on: plate, pairs: {a: b}}]",
}
LATER = {word: drop(f"later_{word}.yaml", f"{HELA}{line}\n") for word, line in NOT_YET.items()}
SCREEN = drop("later_screen.yaml", "target: {screen: siRNA}\n")
AFTER = drop("z_good_one_after.yaml", HELA)
CORRECTED = drop("typed_wrong.yaml", HELA + "rating: 7\n")
CORRECTION = drop("typed_wrong.yml", HELA + "rating: 5\n", {}, wave=2)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        pytest.param(BROKEN, ["broken.yaml:1:9: the { that opens here is not closed, and line 2", "add the missing }"], id="broken YAML"),
        pytest.param(UNKNOWN, ['unknown.yaml:2:1: tagz: unknown key, did you mean "tags"?'], id="unknown key"),
        pytest.param(
            TYPES,
            ["types.yaml:2:9: rating: a whole number", "types.yaml:3:11: comments: a list", "types.yaml:4:6: end:", "types.yaml:6:12:"],
            id="wrong types, all at once",
        ),
        pytest.param(TWICE, ["twice.yaml:3:1: rating: this key stands here twice, first in line 2", "keep one"], id="duplicate key"),
        pytest.param(BOMB, ["bomb_of_aliases.yaml:", "more than"], id="YAML bomb"),
        pytest.param(LONG, ["The file is too large: at most 1,048,576 bytes", "What to do: Keep the sidecar to what"], id="10 MB sidecar"),
        pytest.param(TABS, ["tabs.yaml:2:1: ", "tab", "spaces"], id="tabs"),
        pytest.param(UTF16, ["utf16.yaml", "UTF-8"], id="UTF-16 without BOM"),
        pytest.param(
            PARENT, ["parent.yaml:3:13: files.include: ../bob/cells.tif: .. leaves the folder", "write the path from there"], id=".."
        ),
        pytest.param(ABSOLUTE, ["absolute.yaml:3:13: files.include", "absolute path", "write the path from there"], id="absolute path"),
        pytest.param(DRIVE, ["drive.yaml:3:13: files.include", "a drive", "write the path from there"], id="path with a drive"),
        pytest.param(BACKSLASH, ["backslash.yaml:2:", "backslash", "single quotes"], id="backslash in double quotes"),
        pytest.param(NUMBER, ["number.yaml:1:19:", "{id: 20251122}", '{name: "20251122"}'], id="a number that may be a name"),
        pytest.param(ZERO, ["zero_in_front.yaml:2:12:", "{id: 123}", '{name: "00123"}'], id="a number with zeros in front"),
        pytest.param(OTHER_OWNER, ["other_owner.yaml:2:8:", "bob", "alice", "administrator"], id="owner not allowed"),
        pytest.param(NO_TARGET, ["no_target.yaml", "target: is missing", "add target:"], id="no target"),
        pytest.param(NEAR, ['near.yaml:1:1: targets: unknown key, did you mean "target"?'], id="nearly a target"),
        pytest.param(DISGUISED, ["Rename it to disguised.yaml"], id="named .yaml.txt"),
        pytest.param(QUOTES, ["quotes.yaml:1:19:", "quotes"], id="quotes of a word processor"),
        pytest.param(HALF_JSON, ["half.json:1:45:", "ends too early", "write it to the end"], id="half a JSON file"),
        pytest.param(NO_VALUE, ["no_value.yaml:3:10: image.name: {path2} has no value", "use {folder}"], id="placeholder without value"),
        pytest.param(SEVERAL, ["several.yaml:2:9:", "several.yaml:3:1:", "several.yaml:4:15:"], id="several mistakes"),
        pytest.param(SCREEN, ["later_screen.yaml:1:10: target.screen: not supported yet"], id="screen"),
    ],
)
def test_a_wrong_sidecar_is_told_by_line_and_cure(house: House, wrong: Drop, words: list[str]) -> None:
    house.refused(wrong, *words)


@pytest.mark.parametrize("word", LATER)
def test_a_key_of_a_later_release_is_refused_and_never_ignored(house: House, word: str) -> None:
    text = house.refused(LATER[word], f"later_{word}.yaml:2:", "not supported yet")
    assert "Remove it" in text or "This release knows" in text


def test_good_drops_of_the_same_folder_are_imported_all_the_same(house: House) -> None:
    for good in (BEFORE, AFTER):
        assert house.image(good)["dataset"] == "HeLa"


def test_the_image_of_a_wrong_sidecar_is_imported_with_the_corrected_one(house: House) -> None:
    folder = house.filed(CORRECTED, "done")
    assert (folder / CORRECTION.name).read_text() == CORRECTION.text
    assert (folder / "d" / "typed_wrong.tif").read_bytes() == house.written[CORRECTED, "typed_wrong.tif"]
    assert "rating" in (house.filed(CORRECTED, "failed") / "REASON.txt").read_text()


def test_status_tells_why_each_drop_failed(house: House) -> None:
    command = [sys.executable, "-m", "dropbox_import", "status", "--config", str(house.folder / "config.yaml"), "--output", "json"]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": str(ROOT)}, timeout=60)
    assert done.returncode == 4, done.stderr
    told = json.loads(done.stdout)["drops"]
    failed = {each["sidecar"]: each["why"] for each in told if each["state"] == "failed"}
    assert all(failed.values())
    assert "unknown.yaml:2:1: tagz: unknown key" in failed["unknown.yaml"]
    assert not [why for why in failed.values() if any(word in why for word in JARGON)]


def test_nothing_of_a_refused_sidecar_is_in_omero(house: House) -> None:
    sources = [row[0] for row in house.ask("select e.clientPath from FilesetEntry e")]
    wrong = [BROKEN, UNKNOWN, TYPES, TWICE, BOMB, LONG, TABS, UTF16, PARENT, NUMBER, OTHER_OWNER, SEVERAL, SCREEN, *LATER.values()]
    assert not [path for one in wrong for path in sources if path.endswith(f"/{next(iter(one.files))}")]


def test_no_fault_of_the_program_is_in_its_log(house: House) -> None:
    log = house.log.read_text(errors="replace")
    assert "Traceback" not in log
    assert " error " not in log
