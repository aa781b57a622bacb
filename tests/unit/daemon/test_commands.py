"""What the importer is asked to do for a drop."""

from __future__ import annotations

from pathlib import Path

from dropbox_import.daemon.commands import Order, order_for
from dropbox_import.model import (
    Attachment,
    Candidate,
    ContainerRef,
    FileFacts,
    FilesetPlan,
    ImageRule,
    ImportRequest,
    Inspection,
    KeyValues,
    Tag,
    Target,
)
from dropbox_import.plain import to_plain
from dropbox_import.spool.fold import Drop, fold
from dropbox_import.spool.journal import Record
from dropbox_import.spool.steps import Do, Step

CLAIM = Path("claim")
FILE = FileFacts("run/a.ome.tif", 7, 1)
IMPORTED = Record("imported", {"fileset": 5, "images": [{"id": 50, "name": "x", "series": 0}]}, "k")


def drop_of(request: ImportRequest, *more: Record) -> Drop:
    candidate = Candidate("jdoe", "jdoe/sub", FileFacts("a.yaml", 3, 1), "00", "jdoe", request, (FILE,))
    records = [
        Record("intent", {"instance": "lab-1", "candidate": to_plain(candidate)}),
        Record("claimed"),
        Record("inspected", to_plain(Inspection((FilesetPlan("k", (FILE,)),)))),
        Record("resolved", {"group": "lab", "dataset": None, "project": 4}),
        Record("target", {"dataset": 51, "project": 4}),
        *more,
    ]
    return fold("20261122-093912-k7f3q2mzt4", records)


def order(step: Step, request: ImportRequest, *more: Record) -> Order | None:
    return order_for(step, drop_of(request, *more), CLAIM, 9, [])


def test_the_origin_that_omero_shows_is_what_the_user_dropped_and_never_the_claim() -> None:
    begun = order(Step(Do.BEGIN, "k"), ImportRequest(target=Target()))
    assert begun is not None
    assert begun.args["client_paths"] == ["lab-1/jdoe/sub/run/a.ome.tif"]
    assert begun.args["token"] == "20261122-093912-k7f3q2mzt4/k"
    assert begun.args["meta"] == {"drop": "20261122-093912-k7f3q2mzt4", "instance": "lab-1", "session": 9, "attempt": 1}
    assert [record.kind for record in begun.intents] == ["begin"]


def test_a_programs_submission_is_the_name_under_which_omero_knows_the_work() -> None:
    begun = order(Step(Do.BEGIN, "k"), ImportRequest(target=Target(), submission="run-7"))
    assert begun is not None
    assert begun.args["token"] == "run-7/k"


def test_a_name_without_series_is_given_at_once_and_one_with_series_when_the_images_are_known() -> None:
    plain = order(Step(Do.BEGIN, "k"), ImportRequest(target=Target(), image=ImageRule(name="{stem} x")))
    series = ImportRequest(target=Target(), image=ImageRule(name="{stem}_{series:02d}"))
    late, renamed = order(Step(Do.BEGIN, "k"), series), order(Step(Do.ANNOTATE, "k"), series, IMPORTED)
    assert plain is not None
    assert late is not None
    assert renamed is not None
    assert (plain.args["name"], late.args["name"]) == ("a x", None)
    assert renamed.args["image"] == {"name": "a_{series:02d}"}


def test_nothing_to_annotate_asks_nobody() -> None:
    assert order(Step(Do.ANNOTATE, "k"), ImportRequest(target=Target()), IMPORTED) is None


def test_blocks_of_the_clients_namespace_become_one_map_that_can_be_edited() -> None:
    blocks = (KeyValues((("a", "1"),)), KeyValues((("m", "2"),), namespace="org.x"), KeyValues((("b", "3"), ("a", "4"))))
    asked = order(Step(Do.ANNOTATE, "k"), ImportRequest(target=Target(), key_values=blocks), IMPORTED)
    assert asked is not None
    assert [block["pairs"] for block in asked.args["key_values"]] == [[["a", "1"], ["b", "3"], ["a", "4"]], [["m", "2"]]]


def test_what_is_for_images_and_what_is_for_containers_is_kept_apart() -> None:
    request = ImportRequest(
        target=Target(dataset=ContainerRef(name="x")),
        tags=(Tag("t"),),
        key_values=(KeyValues((("a", "1"),), on="dataset"),),
        attachments=(Attachment("p.pdf", on="project"), Attachment("i.pdf")),
    )
    image = order(Step(Do.ANNOTATE, "k"), request, IMPORTED)
    dataset = order(Step(Do.ANNOTATE, group="dataset"), request)
    project = order(Step(Do.ANNOTATE, group="project"), request)
    assert image is not None
    assert dataset is not None
    assert project is not None
    assert set(image.args) & {"tags", "key_values", "attachments"} == {"tags", "attachments"}
    assert set(dataset.args) & {"tags", "key_values", "attachments"} == {"key_values"}
    assert [one["name"] for one in project.args["attachments"]] == ["p.pdf"]
    assert [one["id"] for one in (*dataset.args["objects"], *project.args["objects"])] == [51, 4]
    assert project.args["attachments"][0]["path"] == str(CLAIM / "refs" / "p.pdf")


def test_a_target_that_was_found_is_given_by_its_id() -> None:
    request = ImportRequest(target=Target(project=ContainerRef(name="P"), dataset=ContainerRef(name="D", create=True)))
    asked = order(Step(Do.TARGET, number=9), request)
    assert asked is not None
    assert asked.args["target"] == {"project": {"id": 4}, "dataset": {"name": "D", "create": True}}
