"""Where images land: in the dataset that was meant, in its group, of the right owner, each once."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from dropbox_import.standin import samples
from tests.integration.input_house import House, drop

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

NONE = drop("in_none.yaml", "target: none\n")
BY_ID = drop("by_id.yaml", "target: {dataset: {id: $mine}}\n")
BARE = drop("by_bare_id.yaml", "target: {dataset: $mine}\n")
AS_OMERO = drop("as_omero.yaml", 'target: "Dataset:id:$mine"\n')
BY_NAME = drop("by_name.yaml", "target: {dataset: Mine}\n")
OTHER_GROUP = drop("follows.yaml", "target: {dataset: {id: $shared}}\n")
GROUP = drop("in_private.yaml", "group: private\ntarget: {dataset: {name: Diary, create: true}}\n")
INSIDE = drop("inside.yaml", "target: {project: Mitosis, dataset: {name: Mine, description: of this project, create: true}}\n", wave=2)
NEW = drop("day/new.yaml", 'target: {project: {name: "P {folder}", create: true}, dataset: {name: "{date:%Y} {stem}", create: true}}\n')
OLDEST = drop("oldest.yaml", "target: {dataset: Twins, on_ambiguous: oldest}\n")
NEWEST = drop("newest.yaml", "target: {dataset: Twins, on_ambiguous: newest}\n")
SAME_PLACE = [
    drop(f"race_{number}.yaml", "target: {project: {name: Race, create: true}, dataset: {name: Lap, create: true}}\n")
    for number in range(6)
]
BOBS = drop("of_bob.yaml", "target: {dataset: {id: $bobs}}\n", user="bob")
CAROLS = drop("of_carol.yaml", "target: {dataset: {name: Carol, create: true}}\n", user="carol")
FOR_CAROL = drop("for_carol.yaml", "owner: carol\ntarget: {dataset: {name: From bob, create: true}}\n", user="bob", box="open")
DEFAULTS = drop("defaults.yaml", "target: {dataset: {name: D, create: true}}\ntags: [my own]\n", user="bob", box="open")


def same_size(path: Path) -> None:
    samples.plain_tiff(path, 904)


AGAIN = "submission: run-7\ntarget: {dataset: {name: Once, create: true}}\nfiles: {include: [again.tif]}\ntags: [once]\n"
TWICE = [drop(f"{number}/again_{number}.yaml", AGAIN, {f"{number}/again.tif": same_size}) for number in range(2)]
LATER = drop("2/again_2.yaml", AGAIN, {"2/again.tif": same_size}, wave=2)
BOBS_AGAIN = drop("again.yaml", AGAIN, {"again.tif": same_size}, user="bob")


def test_target_none_leaves_the_image_in_no_dataset_and_says_so(house: House) -> None:
    image = house.image(NONE)
    assert (image["dataset"], image["owner"], image["group"]) == (None, "alice", "lab")
    assert "Orphaned images" in str(house.result(NONE)["notices"])


def test_a_dataset_is_found_by_id_in_every_way_of_writing_it(house: House) -> None:
    for one in (BY_ID, BARE, AS_OMERO, BY_NAME):
        image = house.image(one)
        assert (image["dataset"], image["project"], image["group"]) == ("Mine", None, "lab"), one.sidecar
        assert house.result(one)["target"]["dataset"] == house.ids["mine"]


def test_the_name_behind_an_id_is_told(house: House) -> None:
    number = house.ids["mine"]
    assert house.result(BARE)["notices"] == [f'Dataset {number} is "Mine" of alice in the group lab.']


def test_the_group_follows_from_a_dataset_that_is_given_by_id(house: House) -> None:
    image = house.image(OTHER_GROUP)
    assert (image["dataset"], image["owner"], image["group"]) == ("Shared one", "alice", "shared")
    assert house.result(OTHER_GROUP)["group"] == "shared"


def test_a_group_that_is_named_holds_the_images_and_what_is_made(house: House) -> None:
    image = house.image(GROUP)
    assert (image["dataset"], image["group"]) == ("Diary", "private")
    assert [each["group"] for each in house.held["datasets"] if each["name"] == "Diary"] == ["private"]


def test_a_dataset_is_looked_up_inside_its_project_only_and_made_there(house: House) -> None:
    image = house.image(INSIDE)
    assert (image["project"], image["dataset"]) == ("Mitosis", "Mine")
    made = house.result(INSIDE)["target"]["dataset"]
    assert made != house.ids["mine"]
    assert house.ask("select d.description from Dataset d where d.id=:d", d=made) == [["of this project"]]


def test_names_of_targets_are_filled_in(house: House) -> None:
    image = house.image(NEW)
    assert image["project"] == "P day"
    year = house.result(NEW)["seen"][:4]
    assert image["dataset"] == f"{year} new"


def test_among_several_of_one_name_the_oldest_or_newest_is_taken(house: House) -> None:
    for one, twin in ((OLDEST, "old_twin"), (NEWEST, "new_twin")):
        image = house.image(one)
        rows = house.ask("select l.parent.id from DatasetImageLink l where l.child.id=:i", i=image["id"])
        assert rows == [[house.ids[twin]]]


def test_drops_that_ask_for_the_same_new_dataset_at_once_get_one(house: House) -> None:
    for one in SAME_PLACE:
        assert (house.image(one)["project"], house.image(one)["dataset"]) == ("Race", "Lap")
    made = Counter(each["name"] for kind in ("projects", "datasets") for each in house.held[kind])
    assert (made["Race"], made["Lap"]) == (1, 1)


def test_several_owners_at_once_each_get_their_own(house: House) -> None:
    assert (house.image(BOBS)["owner"], house.image(BOBS)["group"], house.image(BOBS)["dataset"]) == (
        "bob",
        "together",
        "Where alice is not",
    )
    assert (house.image(CAROLS)["owner"], house.image(CAROLS)["group"]) == ("carol", "shared")


def test_an_owner_whom_the_box_allows_gets_the_images_of_another_users_folder(house: House) -> None:
    image = house.image(FOR_CAROL)
    assert (image["owner"], image["dataset"]) == ("carol", "From bob")
    assert house.result(FOR_CAROL)["user"] == "bob"


def test_the_defaults_of_the_box_hold_where_a_sidecar_says_nothing(house: House) -> None:
    image = house.image(DEFAULTS)
    assert (image["project"], image["dataset"], image["owner"]) == ("Box project", "D", "bob")
    assert sorted(image["tags"]) == ["from the box", "my own"]


def test_the_same_submission_is_imported_once_however_often_it_comes(house: House) -> None:
    told = [house.result(one) for one in [*TWICE, LATER]]
    assert len({each["filesets"][0]["fileset"] for each in told}) == 1
    assert [image["owner"] for image in house.held["images"] if image["dataset"] == "Once"].count("alice") == 1
    for one in (*TWICE, LATER):
        assert house.image(one)["tags"] == ["once"]


def test_a_submission_counts_for_its_owner_only(house: House) -> None:
    assert house.image(BOBS_AGAIN)["owner"] == "bob"


def test_nobody_gets_images_twice(house: House) -> None:
    sources = Counter(tuple(row) for row in house.ask("select e.clientPath, e.fileset.id from FilesetEntry e"))
    assert not [path for path, count in sources.items() if count > 1]
    images = Counter(path for path, _ in sources)
    assert not [path for path, count in images.items() if count > 1]


def test_the_request_as_it_was_understood_is_kept_beside_the_sidecar(house: House) -> None:
    request = json.loads((house.filed(AS_OMERO, "done") / "request.json").read_bytes())
    assert request["target"]["dataset"]["id"] == house.ids["mine"]
