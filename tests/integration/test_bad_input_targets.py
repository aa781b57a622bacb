"""Owners, groups and targets that OMERO does not have or does not allow: told before anything is uploaded."""

from __future__ import annotations

import pytest

from tests.integration.input_house import Drop, House, drop

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

NO_ID = drop("no_id.yaml", "target: {dataset: {id: 987654}}\n")
NO_NAME = drop("no_name.yaml", "target: {dataset: There is none}\n")
NO_PROJECT = drop("no_project.yaml", "target: {project: There is none, dataset: {name: X, create: true}}\n")
NOT_INSIDE = drop("not_inside.yaml", "target: {project: Mitosis, dataset: Twins}\n")
OTHER_GROUP = drop("other_group.yaml", "target: {dataset: {id: $bobs}}\n")
PRIVATE = drop("private.yaml", "group: private\ntarget: {dataset: {id: $secret}}\n")
PRIVATE_NAME = drop("private_name.yaml", "group: private\ntarget: {dataset: Secret}\n")
READ_ONLY = drop("read_only.yaml", "target: {dataset: {id: $readable}}\n")
READ_ONLY_NAME = drop("read_only_name.yaml", "target: {dataset: To be read only}\n")
WRONG_KIND = drop("wrong_kind.yaml", "target: {dataset: $mitosis}\n")
AS_PROJECT = drop("as_project.yaml", "target: {project: $mine, dataset: X}\n")
AMBIGUOUS = drop("ambiguous.yaml", "target: {dataset: Twins}\n")
CONTRADICTION = drop("contradiction.yaml", "group: lab\ntarget: {dataset: {id: $shared}}\n")
NOT_A_MEMBER = drop("not_a_member.yaml", "group: together\ntarget: {dataset: X}\n")
NO_GROUP = drop("no_group.yaml", "group: Nowhere\ntarget: {dataset: X}\n")
NO_OWNER = drop("no_owner.yaml", "target: {dataset: X}\n", user="zoe")
NO_OWNER_NAMED = drop("no_owner_named.yaml", "owner: nobody\ntarget: {dataset: X}\n", user="bob", box="open")
NOT_LISTED = drop("not_listed.yaml", "owner: dave\ntarget: {dataset: X}\n", user="bob", box="open")
INACTIVE = drop("inactive.yaml", "target: {dataset: X}\n", user="erin")


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        pytest.param(NO_ID, ["There is no dataset 987654", "alice", 'write {name: "987654"}'], id="no such id"),
        pytest.param(NO_NAME, ['There is no dataset "There is none"', '"lab"', "create: true"], id="no such name"),
        pytest.param(NO_PROJECT, ['There is no project "There is none"', "create: true"], id="no such project"),
        pytest.param(NOT_INSIDE, ['There is no dataset "Twins" in the project "Mitosis"'], id="not inside the project"),
        pytest.param(OTHER_GROUP, ["There is no dataset", "alice"], id="in a group that the owner is not in"),
        pytest.param(PRIVATE, ["There is no dataset", "alice"], id="of somebody else in a private group"),
        pytest.param(PRIVATE_NAME, ['There is no dataset "Secret" in the group "private"'], id="the same by name"),
        pytest.param(READ_ONLY, ['may not put anything into the dataset "To be read only"', '"bob"'], id="read-only"),
        pytest.param(READ_ONLY_NAME, ['may not put anything into the dataset "To be read only"', '"bob"'], id="read-only, by name"),
        pytest.param(WRONG_KIND, ["is not a dataset, but the project", "Mitosis"], id="a project's id as dataset"),
        pytest.param(AS_PROJECT, ["is not a project, but the dataset", "Mine"], id="a dataset's id as project"),
        pytest.param(AMBIGUOUS, ['2 datasets named "Twins"', "on_ambiguous"], id="two of that name"),
        pytest.param(CONTRADICTION, ['in the group "shared"', '"lab"', "Leave"], id="another group than the target's"),
        pytest.param(NOT_A_MEMBER, ['"alice" is not a member of the group "together"', '"lab"'], id="not a member"),
        pytest.param(NO_GROUP, ['OMERO has no group "Nowhere"', '"lab"'], id="no such group"),
        pytest.param(NO_OWNER, ['OMERO has no user "zoe"', "drop folder"], id="owner not in OMERO"),
        pytest.param(NO_OWNER_NAMED, ['OMERO has no user "nobody"'], id="named owner not in OMERO"),
        pytest.param(INACTIVE, ['The OMERO account "erin" is not active', "administrator"], id="inactive owner"),
    ],
)
def test_a_target_or_owner_that_cannot_be_is_told_and_all_is_kept(house: House, wrong: Drop, words: list[str]) -> None:
    house.failed(wrong, *words)


def test_an_owner_whom_the_box_does_not_list_is_refused_before_the_files_are_taken(house: House) -> None:
    house.refused(NOT_LISTED, "not_listed.yaml:1:8:", "dave", "bob")


def test_nothing_was_made_or_uploaded_for_them(house: House) -> None:
    refused = [one for one in globals().values() if isinstance(one, Drop)]
    stems = {one.sidecar.removesuffix(".yaml") for one in refused}
    sources = [str(row[0]).rpartition("/")[2] for row in house.ask("select e.clientPath from FilesetEntry e")]
    assert not stems & {name.removesuffix(".tif") for name in sources}
    names = {each["name"] for each in house.held["datasets"]}
    assert not names & {"X", "There is none"}
