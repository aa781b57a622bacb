"""Targets by id and by name, found or made, and everything about them that OMERO would tell late or not at all."""

from __future__ import annotations

import itertools
import threading
import time
from typing import Any

import pytest

from dropbox_import.errors import NotAllowed, TargetUnusable
from tests.contract.driver import Driver
from tests.contract.omero_world import World, queries

_names = itertools.count(int(time.time()))


def _name() -> str:
    return f"target {next(_names)}"


def _make(driver: Driver, session: int, **target: Any) -> dict[str, Any]:
    return driver.do("target", session=session, target=target)


def _dataset(driver: Driver, session: int, name: str | None = None) -> int:
    return int(_make(driver, session, dataset={"name": name or _name(), "create": True})["dataset"])


def _twins(driver: Driver, world: World) -> tuple[str, list[int]]:
    """Two datasets of one name that the owner made, and no importer."""
    from tests.contract.foreign import omero

    name, ids = _name(), []
    with world.logged_in("alice") as client:
        for _ in range(2):
            dataset = omero.model.DatasetI()
            dataset.name = omero.rtypes.rstring(name)
            ids.append(int(client.getSession().getUpdateService().saveAndReturnObject(dataset).id.val))
    return name, ids


def _refusal(driver: Driver, session: int, group: str | None = None, **target: Any) -> TargetUnusable:
    with pytest.raises(TargetUnusable) as refused:
        driver.do("resolve", session=session, group=group, target=target)
    assert refused.value.hint
    return refused.value


def test_project_and_dataset_are_made_once_and_then_found(driver: Driver, world: World) -> None:
    session, (project, dataset) = driver.open(world.user("alice")), (_name(), _name())
    target = {"project": {"name": project, "create": True, "description": "why"}, "dataset": {"name": dataset, "create": True}}
    before = driver.do("resolve", session=session, group=None, target=target)
    assert (before["project"], before["dataset"], before["dataset_name"]) == (None, None, dataset)
    made = _make(driver, session, **target)
    assert made["made"] == [f"Project:{made['project']}", f"Dataset:{made['dataset']}"]
    again = _make(driver, session, **target)
    assert (again["project"], again["dataset"], again["made"]) == (made["project"], made["dataset"], [])
    after = driver.do("resolve", session=session, group=None, target=target)
    assert (after["project"], after["dataset"]) == (made["project"], made["dataset"])


def test_a_dataset_of_that_name_outside_the_project_is_not_it(driver: Driver, world: World) -> None:
    session, name, project = driver.open(world.user("alice")), _name(), _name()
    outside = _dataset(driver, session, name)
    made = _make(driver, session, project={"name": project, "create": True}, dataset={"name": name, "create": True})
    assert made["dataset"] != outside


def test_what_is_not_there_is_not_made_unless_asked(driver: Driver, world: World) -> None:
    session = driver.open(world.user("alice"))
    refused = _refusal(driver, session, dataset={"name": _name()})
    assert (refused.kind, "create: true" in refused.hint) == ("missing-target", True)
    half = _refusal(driver, session, project={"name": _name(), "create": True}, dataset={"name": _name()})
    assert half.kind == "missing-target"


def test_a_target_by_id_is_echoed_with_its_name_and_brings_its_group(driver: Driver, world: World) -> None:
    private, session, name = driver.open(world.user("alice"), world.group("private")), driver.open(world.user("alice")), _name()
    number = _dataset(driver, private, name)
    told = driver.do("resolve", session=session, group=None, target={"dataset": {"id": number}})
    assert (told["dataset"], told["dataset_name"], told["group"]) == (number, name, world.group("private"))
    assert name in told["notices"][0]
    assert _refusal(driver, session, world.group("ro"), dataset={"id": number}).kind == "group-contradiction"


def test_no_target_is_allowed_and_told(driver: Driver, world: World) -> None:
    told = driver.do("resolve", session=driver.open(world.user("alice")), group=None, target={})
    assert told["dataset"] is None
    assert "Orphaned" in told["notices"][0]


def test_an_id_that_nobody_has(driver: Driver, world: World) -> None:
    assert _refusal(driver, driver.open(world.user("alice")), dataset={"id": 999_999_999}).kind == "missing-target"


def test_a_dataset_is_no_project(driver: Driver, world: World) -> None:
    session = driver.open(world.user("alice"))
    numbers = [_dataset(driver, session) for _ in range(5)]
    free = next(each for each in numbers if not driver.held(session).ask(queries.PROJECT_BY_ID, p=each))
    refused = _refusal(driver, session, project={"id": free}, dataset={"name": "x", "create": True})
    assert (refused.kind, "dataset" in refused.sentence) == ("wrong-kind", True)


def test_a_dataset_of_somebody_else(driver: Driver, world: World) -> None:
    alice, bob = driver.open(world.user("alice")), driver.open(world.user("bob"))
    name = _name()
    readable = _dataset(driver, bob, name)
    refused = _refusal(driver, alice, dataset={"id": readable})
    assert (refused.kind, world.user("bob") in refused.sentence) == ("not-linkable", True)
    assert _refusal(driver, alice, dataset={"name": name}).kind == "not-linkable"
    own = _make(driver, alice, dataset={"name": name, "create": True})
    assert own["dataset"] != readable


def test_a_dataset_in_a_group_that_the_owner_is_not_in_is_not_seen(driver: Driver, world: World) -> None:
    alice, bob = driver.open(world.user("alice")), driver.open(world.user("bob"), world.group("together"))
    assert _refusal(driver, alice, dataset={"id": _dataset(driver, bob)}).kind == "missing-target"
    with pytest.raises(NotAllowed) as refused:
        driver.do("resolve", session=alice, group=world.group("together"), target={"dataset": {"name": "x", "create": True}})
    assert refused.value.kind == "not-a-member"


def test_two_of_one_name_are_told_or_chosen(driver: Driver, world: World) -> None:
    session = driver.open(world.user("alice"))
    name, (first, second) = _twins(driver, world)
    refused = _refusal(driver, session, dataset={"name": name})
    assert (refused.kind, str(first) in refused.sentence, str(second) in refused.sentence) == ("ambiguous", True, True)
    for rule, wanted in (("oldest", first), ("newest", second)):
        told = driver.do("resolve", session=session, group=None, target={"dataset": {"name": name}, "on_ambiguous": rule})
        assert told["dataset"] == wanted


def test_a_dataset_that_is_not_in_the_project(driver: Driver, world: World) -> None:
    session = driver.open(world.user("alice"))
    project = _make(driver, session, project={"name": _name(), "create": True}, dataset={"name": _name(), "create": True})["project"]
    assert _refusal(driver, session, project={"id": project}, dataset={"id": _dataset(driver, session)}).kind == "not-inside"


def test_two_that_make_one_name_at_once_end_with_one(driver: Driver, successor: Driver, world: World) -> None:
    name, found = _name(), []
    sessions = [(each, each.open(world.user("alice"))) for each in (driver, successor)]
    start = threading.Barrier(2)

    def make(each: Driver, session: int) -> None:
        start.wait()
        found.append(_dataset(each, session, name))

    threads = [threading.Thread(target=make, args=pair) for pair in sessions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told = driver.do("resolve", session=sessions[0][1], group=None, target={"dataset": {"name": name}})
    assert found == [told["dataset"]] * 2
