"""What is known about images comes with them: each annotation once, on what it was meant for, as it was written."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import tifffile

from dropbox_import.model import CLIENT_NAMESPACE
from tests.integration.input_house import House, drop, tiff

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

NOTES = "target: {project: {name: Noted, create: true}, dataset: {name: Notes, create: true}}\n"
PROTOCOL = b"Fix 10 min, stain 30 min.\n"


def described(path: Path) -> None:
    tifffile.imwrite(path, np.arange(1, 4097, dtype=np.uint16).reshape(64, 64), description="Objective 63x", metadata=None)


TAGS = [drop(f"tags_{number}.yaml", NOTES + "tags: [known, fresh, 2025, NO]\n") for number in range(3)]
TAG_SET = drop("tag_set.yaml", NOTES + "tags: [{name: control, set: Treatment, description: DMSO only}]\n")
PAIRS = drop(
    "pairs.yaml",
    NOTES
    + """\
key_values:
  - pairs: [[Antibody, anti-tubulin], [Antibody, DAPI], [Barcode, 00123], [Time, 20:00], [Z, 1.50], [A, NO], [Empty, ""]]
  - {namespace: lab.protocol, pairs: {Fixation: PFA 4 %}}
  - {on: dataset, pairs: {Organism: Homo sapiens}}
  - {on: project, pairs: {Grant: X-1}}
""",
)
THREE = drop("three.yaml", NOTES + "key_values: [{pairs: {Run: '7'}}]\n", {f"three/{number}.tif": tiff for number in range(3)})
WORDS = drop("words.yaml", NOTES + 'comments: ["Focus drift after t=40", "100 % Zellkörper: ✓"]\nrating: 4\n')
ATTACHED = [
    drop(
        f"attached_{number}.yaml",
        NOTES
        + """\
attachments:
  - {file: protocol.txt}
  - {file: protocol.txt, on: dataset, namespace: lab.protocol, mime: text/plain}
  - {file: protocol.txt, on: project}
""",
        {f"attached_{number}.tif": tiff, **({"protocol.txt": PROTOCOL} if number == 0 else {})},
    )
    for number in range(3)
]
SERIES = drop(
    "series.yaml",
    NOTES + 'files: {include: ["series*.fake"]}\nimage: {name: "{stem}_{series:02d}"}\n',
    {"series&series=3.fake": b"fake"},
)
SERIES_BY_NAME = drop(
    "well.yaml", NOTES + 'files: {include: ["well_*.tif"]}\nimage: {name: "{folder}: {stem}"}\n', {"well_A.tif": tiff, "well_B.tif": tiff}
)
PLAIN_NAME = drop("renamed.yaml", NOTES + "image: {name: Cell 1, description: In focus}\n", {"renamed.tif": described})
APPENDED = drop("appended.yaml", NOTES + "image: {description: {append: '100x, 5 % CO2'}}\n", {"appended.tif": described})
APPENDED_TO_NONE = drop("appended_to_none.yaml", NOTES + "image: {description: {append: alone}}\n")


def maps(house: House, kind: str, number: int) -> list[tuple[int, str]]:
    """The map annotations of an object: their ids and namespaces."""
    rows = house.ask(f"select l.child.id from {kind}AnnotationLink l where l.parent.id=:i", i=number)
    found = house.ask("select a.id, a.ns from MapAnnotation a")
    return [(row[0], row[1]) for row in found if [row[0]] in rows]


def test_tags_are_found_and_not_doubled(house: House) -> None:
    for one in TAGS:
        assert sorted(house.image(one)["tags"]) == ["2025", "NO", "fresh", "known"]
    texts = Counter(row[0] for row in house.ask("select t.textValue from TagAnnotation t"))
    assert [texts[text] for text in ("known", "fresh", "2025", "NO")] == [1, 1, 1, 1]


def test_a_tag_of_a_set_is_made_inside_it(house: House) -> None:
    assert house.image(TAG_SET)["tags"] == ["control"]
    rows = house.ask("select l.parent.id, l.child.id from AnnotationAnnotationLink l")
    texts = dict(house.ask("select t.id, t.textValue from TagAnnotation t"))
    assert [(texts[parent], texts[child]) for parent, child in rows] == [("Treatment", "control")]


def test_key_values_keep_their_order_repeats_and_spelling(house: House) -> None:
    image = house.image(PAIRS)
    assert image["key_values"] == [
        ["Antibody", "anti-tubulin"],
        ["Antibody", "DAPI"],
        ["Barcode", "00123"],
        ["Time", "20:00"],
        ["Z", "1.50"],
        ["A", "NO"],
        ["Empty", ""],
        ["Fixation", "PFA 4 %"],
    ]
    assert [namespace for _, namespace in maps(house, "Image", image["id"])] == [CLIENT_NAMESPACE, "lab.protocol"]


def test_key_values_go_on_dataset_and_project_too(house: House) -> None:
    house.image(PAIRS)
    (held,) = [each for each in house.held["datasets"] if each["name"] == "Notes"]
    assert held["key_values"] == [["Organism", "Homo sapiens"]]
    (project,) = [each for each in house.held["projects"] if each["name"] == "Noted"]
    assert project["key_values"] == [["Grant", "X-1"]]


def test_editable_key_values_are_one_annotation_for_each_image(house: House) -> None:
    images = house.imported(THREE)
    found = [maps(house, "Image", image["id"]) for image in images]
    assert [len(each) for each in found] == [1, 1, 1]
    assert len({each[0][0] for each in found}) == 3


def test_comments_and_rating_are_there_once(house: House) -> None:
    image = house.image(WORDS)
    assert image["comments"] == ["Focus drift after t=40", "100 % Zellkörper: ✓"]
    assert image["rating"] == 4


def test_an_attachment_is_on_each_image_and_once_on_dataset_and_project(house: House) -> None:
    for one in ATTACHED:
        image = house.image(one, files=[name for name in one.files if name.endswith(".tif")])
        assert image["attachments"] == ["protocol.txt"]
    (held,) = [each for each in house.held["datasets"] if each["name"] == "Notes"]
    (project,) = [each for each in house.held["projects"] if each["name"] == "Noted"]
    assert (held["attachments"], project["attachments"]) == (["protocol.txt"], ["protocol.txt"])


def test_an_attachment_stays_in_the_drop_folder_and_a_copy_is_filed(house: House) -> None:
    assert (house.boxes["box"].drop / "alice" / "protocol.txt").read_bytes() == PROTOCOL
    assert (house.filed(ATTACHED[1], "done") / "refs" / "protocol.txt").read_bytes() == PROTOCOL


def test_each_series_gets_a_name_of_its_own(house: House) -> None:
    assert [image["name"] for image in house.imported(SERIES)] == ["series&series=3_00", "series&series=3_01", "series&series=3_02"]


def test_each_file_gets_a_name_of_its_own(house: House) -> None:
    assert sorted(image["name"] for image in house.imported(SERIES_BY_NAME)) == ["alice: well_A", "alice: well_B"]


def test_a_name_and_a_description_replace_what_the_file_says(house: House) -> None:
    image = house.image(PLAIN_NAME)
    assert image["name"] == "Cell 1"
    assert house.ask("select i.description from Image i where i.id=:i", i=image["id"]) == [["In focus"]]


def test_a_description_is_appended_to_what_the_file_says(house: House) -> None:
    for one, text in ((APPENDED, "Objective 63x\n100x, 5 % CO2"), (APPENDED_TO_NONE, "alone")):
        image = house.image(one)
        assert house.ask("select i.description from Image i where i.id=:i", i=image["id"]) == [[text]]


def test_no_key_value_map_is_shared_or_doubled(house: House) -> None:
    for image in house.held["images"]:
        assert len(image["comments"]) == len(set(image["comments"]))
        assert len(image["tags"]) == len(set(image["tags"]))
