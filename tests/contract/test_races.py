"""Several importers that make a project, a dataset or a tag of one name at the same moment: one is left, and all use it."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from dropbox_import.errors import DropboxImportError
from dropbox_import.importer import target as targets
from dropbox_import.importer import twins
from dropbox_import.importer.discard import delete
from tests.contract.driver import Driver, Import, a_tiff
from tests.contract.foreign import omero
from tests.contract.omero_world import World

_names = itertools.count(int(time.time()))
BY_NAME = {
    "Dataset": "select d.id from Dataset d where d.name=:n",
    "Project": "select p.id from Project p where p.name=:n",
    "TagAnnotation": "select t.id from TagAnnotation t where t.textValue=:n",
}


def _name() -> str:
    return f"race {next(_names)}"


def _save(driver: Driver, session: int, kind: str, name: str) -> int:
    """As another importer does it that has not looked yet."""
    item = getattr(omero.model, f"{kind}I")()
    if kind == "TagAnnotation":
        item.textValue = omero.rtypes.rstring(name)
    else:
        item.name = omero.rtypes.rstring(name)
    return int(driver.held(session).update().saveAndReturnObject(item).id.val)


def _there(driver: Driver, session: int, kind: str, name: str) -> list[int]:
    return sorted(int(row[0]) for row in driver.held(session).ask(BY_NAME[kind], n=name))


def _link(driver: Driver, session: int, project: int, dataset: int) -> None:
    link = omero.model.ProjectDatasetLinkI()
    link.parent, link.child = omero.model.ProjectI(project, False), omero.model.DatasetI(dataset, False)
    driver.held(session).update().saveAndReturnObject(link)


def _wanted(name: str, project: str = "") -> dict[str, Any]:
    return {"dataset": {"name": name, "create": True}} | ({"project": {"name": project, "create": True}} if project else {})


def _all_at_once(*calls: Callable[[], None]) -> None:
    start = threading.Barrier(len(calls))

    def one(call: Callable[[], None]) -> None:
        start.wait()
        call()

    with ThreadPoolExecutor(len(calls)) as threads:
        for done in [threads.submit(one, call) for call in calls]:
            done.result()


def test_two_that_importers_made_at_one_moment_are_not_ambiguous(driver: Driver, successor: Driver, world: World) -> None:
    name, alice, again = _name(), driver.open(world.user("alice")), successor.open(world.user("alice"))
    first, second = _save(driver, alice, "Dataset", name), _save(successor, again, "Dataset", name)
    told = driver.do("resolve", session=alice, group=None, target={"dataset": {"name": name}})
    assert told["dataset"] == min(first, second)
    assert len(_there(driver, alice, "Dataset", name)) == 2, "asking changes nothing"


@pytest.mark.parametrize("kind", ["Dataset", "Project"])
def test_what_a_dead_importer_has_made_twice_is_taken_away(driver: Driver, successor: Driver, world: World, kind: str) -> None:
    name, alice, again = _name(), driver.open(world.user("alice")), successor.open(world.user("alice"))
    twins = [_save(driver, alice, kind, name), _save(successor, again, kind, name)]
    wanted = _wanted(name) if kind == "Dataset" else _wanted(_name(), name)
    made = driver.do("target", session=alice, target=wanted)
    assert made[kind.lower()] == min(twins)
    assert _there(driver, alice, kind, name) == [min(twins)]


def test_of_two_the_one_that_is_in_use_stays(driver: Driver, successor: Driver, world: World) -> None:
    """A commit may show itself after another with a higher number has been looked at, found alone and used."""
    name, alice, again = _name(), driver.open(world.user("alice")), successor.open(world.user("alice"))
    _, used = _save(driver, alice, "Project", name), _save(successor, again, "Project", name)
    _link(successor, again, used, _save(successor, again, "Dataset", _name()))
    made = driver.do("target", session=alice, target=_wanted(_name(), name))
    assert made["project"] == used
    assert _there(driver, alice, "Project", name) == [used]


def test_two_in_different_projects_are_no_twins(driver: Driver, world: World) -> None:
    name, alice = _name(), driver.open(world.user("alice"))
    ids = [driver.do("target", session=alice, target=_wanted(name, _name()))["dataset"] for _ in range(2)]
    found = driver.do("resolve", session=alice, group=None, target={"dataset": {"name": name}, "on_ambiguous": "newest"})
    assert found["dataset"] == max(ids)
    outside = _save(driver, alice, "Dataset", name)
    with pytest.raises(DropboxImportError) as refused:
        driver.do("resolve", session=alice, group=None, target={"dataset": {"name": name}})
    assert refused.value.kind == "ambiguous"
    assert _there(driver, alice, "Dataset", name) == sorted([*ids, outside])


def test_many_that_make_the_same_at_once_end_with_one_of_each(driver: Driver, successor: Driver, world: World) -> None:
    project, dataset, found = _name(), _name(), []
    sessions = [(each, each.open(world.user("alice"))) for each in (driver, successor) for _ in range(3)]

    def make(each: Driver, session: int) -> None:
        made = each.do("target", session=session, target=_wanted(dataset, project))
        found.append((made["project"], made["dataset"]))

    _all_at_once(*(lambda each=each, session=session: make(each, session) for each, session in sessions))
    alice = sessions[0][1]
    assert set(found) == {(found[0][0], found[0][1])}
    assert (_there(driver, alice, "Project", project), _there(driver, alice, "Dataset", dataset)) == ([found[0][0]], [found[0][1]])


def test_a_tag_that_several_make_at_once_is_one_tag(driver: Driver, successor: Driver, world: World, tmp_path: Path) -> None:
    a_tiff(tmp_path / "a.tif")
    tag, tag_set, bearers = _name(), _name(), []
    for each in (driver, driver, successor, successor):
        session = each.open(world.user("alice"))
        bearers.append((each, session, Import(each, session, tmp_path, ["a.tif"]).whole()))

    def annotate(each: Driver, session: int, images: list[dict[str, Any]]) -> None:
        given = {"on": "image", "objects": images, "marker": tag, "tags": [{"name": tag}, {"name": f"{tag} in", "set": tag_set}]}
        assert each.do("annotate", session=session, **given)["refused"] == []

    _all_at_once(*(lambda bearer=bearer: annotate(*bearer) for bearer in bearers))
    alice = bearers[0][1]
    for name, used in ((tag, 4), (f"{tag} in", 4), (tag_set, 0)):
        (number,) = _there(driver, alice, "TagAnnotation", name)
        links = driver.held(alice).ask("select l.id from ImageAnnotationLink l where l.child.id=:a", a=number)
        assert len(links) == used


def test_a_tag_in_use_stays_and_its_empty_twin_goes(driver: Driver, successor: Driver, world: World, tmp_path: Path) -> None:
    a_tiff(tmp_path / "a.tif")
    tag, alice, again = _name(), driver.open(world.user("alice")), successor.open(world.user("alice"))
    images = Import(driver, alice, tmp_path, ["a.tif"]).whole()
    _, used = _save(driver, alice, "TagAnnotation", tag), _save(successor, again, "TagAnnotation", tag)
    link = omero.model.DatasetAnnotationLinkI()
    dataset = driver.do("target", session=alice, target=_wanted(_name()))["dataset"]
    link.parent, link.child = omero.model.DatasetI(dataset, False), omero.model.TagAnnotationI(used, False)
    driver.held(alice).update().saveAndReturnObject(link)
    driver.do("annotate", session=alice, on="image", objects=images, marker=tag, tags=[{"name": tag}])
    assert _there(driver, alice, "TagAnnotation", tag) == [used]


def test_a_project_that_is_taken_away_under_its_maker_is_looked_for_again(
    driver: Driver, successor: Driver, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    project, dataset = _name(), _name()
    alice, again = driver.open(world.user("alice")), successor.open(world.user("alice"))
    save = targets._save
    struck: list[int | None] = []

    def taken_away(session: Any, kind: str, ref: Any, parent: int | None) -> int:
        if kind == "Dataset" and not struck:
            struck.append(parent)
            delete(successor.held(again), "Project", int(parent or 0))
        return save(session, kind, ref, parent)

    monkeypatch.setattr(targets, "_save", taken_away)
    made = driver.do("target", session=alice, target=_wanted(dataset, project))
    assert made["project"] not in struck
    assert made["made"] == [f"Project:{made['project']}", f"Dataset:{made['dataset']}"]


def test_a_dataset_that_is_removed_leaves_the_image_that_just_came_into_it(driver: Driver, world: World, tmp_path: Path) -> None:
    a_tiff(tmp_path / "a.tif")
    alice = driver.open(world.user("alice"))
    dataset = driver.do("target", session=alice, target=_wanted(_name()))["dataset"]
    (image,) = Import(driver, alice, tmp_path, ["a.tif"], dataset=dataset).whole()
    delete(driver.held(alice), "Dataset", dataset, keep="Image")
    assert driver.held(alice).ask("select i.id from Image i where i.id=:i", i=image["id"]) == [[image["id"]]]


def test_a_twin_that_goes_while_it_is_looked_at_leaves_nothing_ambiguous(
    driver: Driver, successor: Driver, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between "which are there" and "who made them" its maker took it away: half of the pair looked like something of a person."""
    name, alice, again = _name(), driver.open(world.user("alice")), successor.open(world.user("alice"))
    first, second = sorted([_save(driver, alice, "Dataset", name), _save(successor, again, "Dataset", name)])
    groups = twins.groups
    struck: list[int] = []

    def late(session: Any, kind: str, numbers: Any) -> Any:
        if not struck:
            struck.append(second)
            delete(successor.held(again), "Dataset", second)
        return groups(session, kind, numbers)

    monkeypatch.setattr(twins, "groups", late)
    told = driver.do("resolve", session=alice, group=None, target={"dataset": {"name": name}})
    assert (told["dataset"], struck) == (first, [second])
