"""What goes onto images and containers: exactly once, in the form that OMERO's clients show, refusals told."""

from __future__ import annotations

import hashlib
import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from dropbox_import.errors import OutcomeUnknown
from dropbox_import.importer import attachments
from tests.contract.driver import Driver, Import, two_series
from tests.contract.foreign import omero
from tests.contract.omero_world import World, mapping_pairs

_tags = itertools.count(int(time.time()))
PAIRS = [["Antibody", "anti-tubulin"], ["Organism", "Homo sapiens"], ["Antibody", "DAPI"]]


class Images:
    """Two images of one fileset of alice."""

    def __init__(self, driver: Driver, world: World, folder: Path, group: str = "ro") -> None:
        two_series(folder / "two.ome.tif")
        self.driver = driver
        self.session = driver.open(world.user("alice"), world.group(group))
        self.dataset = int(
            driver.do("target", session=self.session, target={"dataset": {"name": f"a {next(_tags)}", "create": True}})["dataset"]
        )
        one = Import(driver, self.session, folder, ["two.ome.tif"], dataset=self.dataset, reader="loci.formats.in.OMETiffReader")
        self.images = one.whole()
        self.marker = one.submission

    def annotate(self, *, on: str = "image", session: int | None = None, marker: str | None = None, **args: Any) -> dict[str, Any]:
        objects = [{"id": self.dataset}] if on == "dataset" else [{**each, "series_name": each["name"]} for each in self.images]
        given = {"session": session or self.session, "marker": marker or self.marker, "on": on, "objects": objects}
        return self.driver.do("annotate", **given, **args)

    def rows(self, text: str, **values: Any) -> list[list[Any]]:
        return self.driver.held(self.session).ask(text, **values)


@pytest.fixture
def images(driver: Driver, world: World, tmp_path: Path) -> Images:
    return Images(driver, world, tmp_path)


def test_key_values_are_one_per_image_in_order_and_made_once(images: Images) -> None:
    told = images.annotate(key_values=[{"pairs": PAIRS}])
    assert (len(told["made"]), told["refused"]) == (2, [])
    name = images.rows("select a.name from MapAnnotation a where a.id=:a", a=int(told["made"][0].rpartition(":")[2]))[0][0]
    assert name.startswith(f"{images.marker}/kv-")
    rows = mapping_pairs(images.driver.held(images.session).client, name)
    assert [row[1:] for row in rows] == PAIRS * 2
    assert len({row[0] for row in rows}) == 2
    assert images.annotate(key_values=[{"pairs": PAIRS}])["made"] == []


def test_a_corrected_sidecar_adds_what_is_new_in_it_and_nothing_twice(images: Images, tmp_path: Path) -> None:
    """Dropped again under the same submission, with a comment in front of the old one and another value."""
    (tmp_path / "p.txt").write_text(f"one {next(_tags)}")
    (tmp_path / "q.txt").write_text(f"two {next(_tags)}")
    images.annotate(key_values=[{"pairs": PAIRS}], comments=["old"], attachments=[{"path": str(tmp_path / "p.txt"), "name": "p.txt"}])
    corrected = {
        "key_values": [{"pairs": [["Antibody", "corrected"]]}],
        "comments": ["new", "old"],
        "attachments": [{"path": str(tmp_path / name), "name": name} for name in ("q.txt", "p.txt")],
    }
    told = images.annotate(**corrected)
    kinds = sorted(each.partition(" <- ")[2].partition(":")[0] for each in told["made"])
    assert (kinds, told["refused"]) == (["CommentAnnotation"] * 2 + ["FileAnnotation"] * 2 + ["MapAnnotation"] * 2, [])
    assert images.annotate(**corrected)["made"] == []


def test_everything_at_once_and_again(images: Images, tmp_path: Path) -> None:
    (tmp_path / "protocol.txt").write_text("wash twice")
    asked = {
        "key_values": [{"pairs": PAIRS, "namespace": "org.example/rembi"}],
        "tags": [{"name": f"tag {next(_tags)}"}, {"name": f"tag {next(_tags)}", "set": f"set {next(_tags)}"}],
        "comments": ["Focus drift", "after t=40"],
        "rating": 4,
        "attachments": [{"path": str(tmp_path / "protocol.txt"), "name": "protocol.txt", "namespace": "lab.protocol", "mime": None}],
        "image": {"name": "{series:02d}_{series_name}", "description": "100x", "append": True},
    }
    told = images.annotate(**asked)
    assert told["refused"] == []
    assert len(told["made"]) == 2 * (1 + 2 + 2 + 1 + 1 + 1)
    assert images.annotate(**asked) == {"made": [], "refused": []}
    names = images.rows(
        "select i.id, i.name, i.description from Image i where i.id in (:i) order by i.id", i=[each["id"] for each in images.images]
    )
    assert [row[1][:3] for row in names] == ["00_", "01_"]
    assert all(row[2].endswith("100x") for row in names)


def test_one_file_is_uploaded_once_for_all_images(images: Images, tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text(f"content {next(_tags)}")
    told = images.annotate(attachments=[{"path": str(tmp_path / "p.txt"), "name": "p.txt"}])
    assert len({each.rpartition(":")[2] for each in told["made"]}) == 1
    assert len(told["made"]) == 2


def uploads(images: Images, name: str) -> int:
    return len(images.rows("select o.id from OriginalFile o where o.name=:n", n=name))


@pytest.mark.parametrize("bytes_sent", [False, True])
def test_an_attachment_that_was_cut_short_is_gone_on_with_and_leaves_no_second_file(
    images: Images, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bytes_sent: bool
) -> None:
    name = f"cut-{next(_tags)}.txt"
    (tmp_path / name).write_text(f"content of {name}")
    file = {"path": str(tmp_path / name), "name": name}

    def cut(*_: object) -> None:
        raise OutcomeUnknown("cut")

    with monkeypatch.context() as patch:
        patch.setattr(attachments, "_annotation" if bytes_sent else "patient", cut)
        with pytest.raises(OutcomeUnknown):
            images.annotate(attachments=[file])
    assert uploads(images, name) == 1
    assert len(images.annotate(attachments=[file])["made"]) == 2
    assert uploads(images, name) == 1, "a file is left on the server"
    ((size, sha1),) = images.rows("select o.size, o.hash from OriginalFile o where o.name=:n", n=name)
    assert (size, sha1) == (len(f"content of {name}"), hashlib.sha1(f"content of {name}".encode()).hexdigest())


def test_an_attachment_that_may_not_be_attached_leaves_no_file(images: Images, world: World, tmp_path: Path) -> None:
    name = f"refused-{next(_tags)}.txt"
    (tmp_path / name).write_text(f"content of {name}")
    bob = images.driver.open(world.user("bob"), world.group("ro"))
    told = images.annotate(session=bob, attachments=[{"path": str(tmp_path / name), "name": name}])
    assert [each["what"] for each in told["refused"]] == [f'attachment "{name}"']
    assert uploads(images, name) == 0, "a file is left on the server"


def test_the_same_file_is_attached_to_containers_of_two_groups(driver: Driver, world: World, tmp_path: Path) -> None:
    """The second group's got the file of the first one's, which OMERO cannot attach there."""
    name = f"both-{next(_tags)}.txt"
    (tmp_path / name).write_text(f"content of {name}")
    for group in ("ro", "shared"):
        told = Images(driver, world, tmp_path, group).annotate(on="dataset", attachments=[{"path": str(tmp_path / name), "name": name}])
        assert (len(told["made"]), told["refused"]) == (1, []), group


def test_a_file_that_one_container_refuses_stays_attached_to_the_others(images: Images, world: World, tmp_path: Path) -> None:
    name = f"kept-{next(_tags)}.txt"
    (tmp_path / name).write_text(f"content of {name}")
    file = {"path": str(tmp_path / name), "name": name}
    assert len(images.annotate(on="dataset", attachments=[file])["made"]) == 1
    bob = images.driver.open(world.user("bob"), world.group("ro"))
    theirs = images.driver.do("target", session=bob, target={"dataset": {"name": f"b {next(_tags)}", "create": True}})["dataset"]
    images.dataset, mine = int(theirs), images.dataset
    told = images.annotate(on="dataset", attachments=[file])
    assert [each["what"] for each in told["refused"]] == [f'attachment "{name}"']
    assert uploads(images, name) == 1
    images.dataset = mine
    assert images.annotate(on="dataset", attachments=[file])["made"] == []


@pytest.mark.parametrize("who", ["alice", "bob"])
def test_a_file_that_somebody_else_attached_during_the_upload_is_attached_once(
    driver: Driver, successor: Driver, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, who: str
) -> None:
    """Two daemons, or two owners, looked before their uploads of minutes, and both attached it after them."""
    images = Images(driver, world, tmp_path, "shared")
    name = f"twice-{next(_tags)}.txt"
    (tmp_path / name).write_text(f"content of {name}")
    file = {"path": str(tmp_path / name), "name": name}
    other = successor.open(world.user(who), world.group("shared"))
    upload = attachments._upload

    def meanwhile(*given: Any) -> int:
        number = upload(*given)
        monkeypatch.setattr(attachments, "_upload", upload)
        container = {"on": "dataset", "objects": [{"id": images.dataset}]}
        assert len(successor.do("annotate", session=other, marker="another drop", **container, attachments=[file])["made"]) == 1
        return number

    monkeypatch.setattr(attachments, "_upload", meanwhile)
    assert images.annotate(on="dataset", attachments=[file]) == {"made": [], "refused": []}
    asked = "select fa.id from DatasetAnnotationLink l, FileAnnotation fa where l.child.id=fa.id and l.parent.id=:d and fa.file.name=:n"
    assert len(images.rows(asked, d=images.dataset, n=name)) == 1
    assert uploads(images, name) == 1, "a file is left on the server"


def test_an_existing_tag_is_found_by_its_name(images: Images) -> None:
    name = f"HeLa {next(_tags)}"
    first = images.annotate(tags=[{"name": name}])["made"]
    again = images.annotate(on="dataset", tags=[{"name": name}])["made"]
    assert {each.rpartition(":")[2] for each in (*first, *again)} == {first[0].rpartition(":")[2]}


@pytest.mark.parametrize(("group", "shared"), [("shared", True), ("ro", False)])
def test_a_tag_of_somebody_else_is_used_where_the_group_allows_it(
    driver: Driver, world: World, tmp_path: Path, group: str, shared: bool
) -> None:
    name = f"of bob {next(_tags)}"
    tag = omero.model.TagAnnotationI()
    tag.textValue = omero.rtypes.rstring(name)
    number = driver.held(driver.open(world.user("bob"), world.group(group))).update().saveAndReturnObject(tag).id.val
    told = Images(driver, world, tmp_path, group).annotate(tags=[{"name": name}])
    assert told["refused"] == []
    assert all(each.endswith(f"TagAnnotation:{number}") is shared for each in told["made"])
    assert len(told["made"]) == 2


def test_what_goes_on_a_container_is_put_there_once_however_many_drops_say_it(images: Images, tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text(f"content {next(_tags)}")
    asked = {
        "on": "dataset",
        "key_values": [{"pairs": PAIRS, "on": "dataset"}],
        "attachments": [{"path": str(tmp_path / "p.txt"), "name": "p.txt"}],
    }
    assert len(images.annotate(**asked)["made"]) == 2
    assert images.annotate(marker="another drop", **asked)["made"] == []


def test_what_several_drops_put_on_a_container_at_once_is_put_there_once(images: Images, world: World, tmp_path: Path) -> None:
    name = f"shared-{next(_tags)}.txt"
    (tmp_path / name).write_text(f"content of {name}")
    asked = {
        "on": "dataset",
        "key_values": [{"pairs": PAIRS, "on": "dataset"}],
        "comments": ["x"],
        "tags": [{"name": name}],
        "attachments": [{"path": str(tmp_path / name), "name": name}],
    }
    numbers = [images.session, *(images.driver.open(world.user("alice"), world.group("ro")) for _ in range(2))]
    start = threading.Barrier(len(numbers))

    def one(number: int) -> list[str]:
        start.wait()
        told = images.annotate(session=number, marker=f"drop {number}", **asked)
        assert told["refused"] == []
        return list(told["made"])

    with ThreadPoolExecutor(len(numbers)) as threads:
        made = [each for done in [threads.submit(one, number) for number in numbers] for each in done.result()]
    assert len(made) == 4
    assert uploads(images, name) == 1


def test_an_attachment_that_a_person_put_on_the_container_counts(images: Images, tmp_path: Path) -> None:
    (tmp_path / "p.txt").write_text(f"content {next(_tags)}")
    file = {"path": str(tmp_path / "p.txt"), "name": "p.txt", "namespace": "lab.protocol"}
    assert len(images.annotate(on="dataset", attachments=[file])["made"]) == 1
    assert images.annotate(on="dataset", attachments=[{**file, "name": "other.txt"}])["made"] == []


def test_a_refusal_is_told_and_the_rest_goes_on(images: Images, world: World) -> None:
    bob = images.driver.open(world.user("bob"), world.group("ro"))
    told = images.annotate(session=bob, comments=["mine"], rating=3)
    assert told["made"] == []
    assert [each["what"] for each in told["refused"]] == ["comment", "rating"]
    assert all(each["why"] for each in told["refused"])


def test_an_unfinished_round_is_completed(images: Images) -> None:
    first = images.images[0]
    whole, images.images = images.images, [first]
    images.annotate(comments=["x"])
    images.images = whole
    (made,) = images.annotate(comments=["x"])["made"]
    assert made.startswith(f"Image:{whole[1]['id']} <- CommentAnnotation:")


def test_filesets_that_want_one_new_tag_at_once_share_it(images: Images) -> None:
    name, told = f"new {next(_tags)}", []
    parts = [[each] for each in images.images] * 2

    def annotate(part: list[dict[str, Any]]) -> None:
        given = {"session": images.session, "marker": images.marker, "on": "image", "objects": part}
        told.append(images.driver.do("annotate", **given, tags=[{"name": name}]))

    threads = [threading.Thread(target=annotate, args=(part,)) for part in parts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(each["refused"] == [] for each in told)
    assert len(images.rows("select t.id from TagAnnotation t where t.textValue=:t", t=name)) == 1
    assert sum(len(each["made"]) for each in told) == 2
