"""Every recorded query and write (golden 18) is answered by the stand-in with rows of the recorded shape, and refused with its words."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
import omero
import omero.clients
import omero.cmd
import omero.model
import omero.sys
import pytest
import tifffile
from omero.rtypes import rlong, rstring, unwrap

from tests.support.standin_process import RunningStandin, answer, ask, begin, dataset, import_one, running, save, settings, upload

GOLDEN = Path(__file__).parent.parent / "golden"
RECORDED: dict[str, Any] = json.loads((GOLDEN / "18_queries_and_writes.json").read_text())
QUERIES = {name: entry for name, entry in RECORDED.items() if "hql" in entry}
USERS = {
    "groups": [
        {"name": "ra", "permissions": "rwr---"},
        {"name": "priv", "permissions": "rw----"},
        {"name": "rwra", "permissions": "rwra--"},
    ],
    "users": [
        {"name": "importer", "password": "importer", "groups": [], "admin": True, "privileges": ["Sudo"]},
        {"name": "alice", "password": "alice", "groups": ["ra", "priv"], "first": "F", "last": "L"},
        {"name": "bob", "password": "bob", "groups": ["ra", "rwra"]},
        {"name": "carol", "password": "carol", "groups": ["rwra"]},
    ],
}


def plain_tiff() -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, numpy.zeros((8, 8), "uint8"))
    return stream.getvalue()


class Lab:
    """The data that the recorded session had made before it asked."""

    def __init__(self, server: RunningStandin) -> None:
        self.server = server
        self.alice, _ = server.sudo("alice", "ra")
        self.bob = server.log_in("bob")
        project = omero.model.ProjectI()
        project.name = rstring("Q project")
        self.project = int(save(self.alice, project).id.val)
        self.dataset, self.alone = dataset(self.alice, "Q dataset"), dataset(self.alice, "Q dataset")
        self.save_link(
            self.alice, "ProjectDatasetLink", omero.model.ProjectI(self.project, False), omero.model.DatasetI(self.dataset, False)
        )
        target = settings(omero.model.DatasetI(self.dataset, False))
        self.images = [
            image.id.val for image in import_one(self.alice, b"", "multi&series=3&sizeX=20&sizeY=20.fake", target, "sub1/key1").objects
        ]
        begun = begin(self.alice, ["half.tif"], token="sub1/key2")
        self.hash = upload(begun, 0, plain_tiff())
        begun.close()
        rows = ask(self.alice, "select l.parent.id, a.name from FilesetAnnotationLink l join l.child a order by l.parent.id")
        self.filesets = [row[0] for row in rows]

    @staticmethod
    def save_link(client: Any, kind: str, parent: Any, child: Any, group: str = "") -> Any:
        link = getattr(omero.model, f"{kind}I")()
        link.parent, link.child = parent, child
        context = {**client.getContext(), "omero.group": group} if group else client.getContext()
        return client.sf.getUpdateService().saveAndReturnObject(link, context)

    def tag(self, client: Any, text: str) -> Any:
        found = omero.model.TagAnnotationI()
        found.textValue = rstring(text)
        return omero.model.TagAnnotationI(save(client, found).id.val, False)

    def image(self, index: int) -> Any:
        return omero.model.ImageI(self.images[index], False)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    folder = tmp_path_factory.mktemp("standin")
    users = folder / "users.json"
    users.write_text(json.dumps(USERS))
    with running(folder, users) as server:
        yield Lab(server)


def here(lab: Lab, name: str) -> dict[str, Any]:
    """The recorded parameters, with ids of this run in place of the recorded ones."""
    group = ask(lab.alice, "select g.id from ExperimenterGroup g where g.name='ra'")[0][0]
    other = ask(lab.alice, "select g.id from ExperimenterGroup g where g.name='rwra'")[0][0]
    session = lab.alice.sf.getAdminService().getEventContext().sessionId
    ours = {405: lab.filesets[1], 404: lab.filesets[0], 56: lab.dataset, 57: lab.alone, 4: group, 6: other, 108: session}
    ours |= dict(zip((391, 392, 393), lab.images, strict=True))
    if name == "datasets by name in a project":
        ours[1] = lab.project
    values = dict(RECORDED[name]["params"])
    if name == "duplicates by checksum":
        values |= {"h": lab.hash, "s": len(plain_tiff())}
    swapped = {key: [ours.get(item, item) for item in value] if isinstance(value, list) else value for key, value in values.items()}
    return {key: ours.get(value, value) if isinstance(value, int) else value for key, value in swapped.items()}


def kinds(rows: list[list[Any]]) -> list[list[str]]:
    return [["dict" if isinstance(cell, dict) else type(cell).__name__ for cell in row] for row in rows]


@pytest.mark.parametrize("name", list(QUERIES))
def test_a_recorded_query_is_answered_with_rows_of_its_shape(lab: Lab, name: str) -> None:
    # what these three read back is written, and compared, below
    if name in ("which images already have our block", "map values read back", "attachment by checksum on a dataset"):
        ask(lab.alice, QUERIES[name]["hql"], **here(lab, name))
        return
    rows = ask(lab.alice, QUERIES[name]["hql"], **here(lab, name))
    recorded = QUERIES[name]["rows"]
    if name == "duplicates by checksum":
        assert rows == [], "the only file with these bytes belongs to a fileset without an image"
    elif name == "plates of a fileset":
        assert rows == []
    else:
        assert sorted(kinds(rows)) == sorted(kinds(recorded))


def test_the_attempts_of_a_submission_are_all_found(lab: Lab) -> None:
    name = "attempts of a submission"
    rows = ask(lab.alice, QUERIES[name]["hql"], **here(lab, name))
    assert sorted(row[1:2] + row[3:] for row in rows) == [
        ["sub1/key1", "alice", "ra", "Finished"],
        ["sub1/key2", "alice", "ra", "Submitted"],
    ]


def test_groups_of_a_user_come_in_order_with_the_default_first(lab: Lab) -> None:
    name = "groups of a user, default first"
    assert [row[1:] for row in ask(lab.alice, QUERIES[name]["hql"], n="alice")] == [
        ["ra", False, 0],
        ["priv", False, 1],
        ["user", False, 2],
    ]


def test_map_annotations_one_for_each_image_are_saved_and_read_back(lab: Lab) -> None:
    links = []
    for index in range(3):
        pairs = omero.model.MapAnnotationI()
        pairs.name, pairs.mapValue = rstring("d1/kv0"), [omero.model.NamedValue("k", "v"), omero.model.NamedValue("k", "v2")]
        link = omero.model.ImageAnnotationLinkI()
        link.parent, link.child = lab.image(index), pairs
        links.append(link)
    saved = lab.alice.sf.getUpdateService().saveAndReturnArray(links)
    made = [[link.parent.id.val, link.child.id.val] for link in saved]
    assert ask(lab.alice, QUERIES["which images already have our block"]["hql"], i=lab.images, n="d1/kv0") == made
    values = ask(lab.alice, QUERIES["map values read back"]["hql"], n="d1/kv0")
    assert values == [[annotation, "k", value] for _, annotation in made for value in ("v", "v2")]


def test_the_same_link_again_is_refused_in_the_recorded_words(lab: Lab) -> None:
    tag = lab.tag(lab.alice, "HeLa")
    lab.save_link(lab.alice, "ImageAnnotationLink", lab.image(0), tag)
    with pytest.raises(omero.ValidationException) as caught:
        lab.save_link(lab.alice, "ImageAnnotationLink", lab.image(0), tag)
    assert caught.value.message.startswith(
        "could not insert: [ome.model.annotations.ImageAnnotationLink]; SQL [insert into imageannotationlink"
    )
    assert "constraint [imageannotationlink_parent_child_owner_id_key]" in caught.value.message
    assert ask(lab.alice, QUERIES["tag by text, in reach"]["hql"], t="HeLa") == [[tag.id.val, "alice"]]


def test_in_a_read_only_group_nobody_links_what_is_not_theirs(lab: Lab) -> None:
    theirs = lab.tag(lab.bob, "bob's")
    with pytest.raises(omero.SecurityViolation) as caught:
        lab.save_link(lab.alice, "ImageAnnotationLink", lab.image(1), theirs)
    assert caught.value.message == f"Group is rwr---. Cannot link to object: ome.model.annotations.TagAnnotation:Id_{theirs.id.val}"
    with pytest.raises(omero.SecurityViolation) as caught:
        lab.save_link(lab.bob, "ImageAnnotationLink", lab.image(1), theirs)
    assert caught.value.message == f"Group is rwr---. Cannot link to object: ome.model.core.Image:Id_{lab.images[1]}"


def test_a_link_over_all_groups_is_refused_in_the_recorded_words(lab: Lab) -> None:
    tag = lab.tag(lab.alice, "everywhere")
    with pytest.raises(omero.SecurityViolation) as caught:
        lab.save_link(lab.alice, "ImageAnnotationLink", lab.image(2), tag, group="-1")
    assert caught.value.message == f"Group is ------. Cannot link to object: ome.model.annotations.TagAnnotation:Id_{tag.id.val}"


def test_a_link_to_nothing_is_refused_in_the_recorded_words(lab: Lab) -> None:
    with pytest.raises(omero.ValidationException) as caught:
        lab.save_link(lab.alice, "DatasetImageLink", omero.model.DatasetI(lab.dataset, False), omero.model.ImageI(999999, False))
    assert caught.value.message.startswith("No row with the given identifier exists: [ome.model.core.Image#999999]")


def test_a_dataset_without_a_name_is_refused_in_the_recorded_words(lab: Lab) -> None:
    with pytest.raises(omero.ValidationException) as caught:
        save(lab.alice, omero.model.DatasetI())
    assert caught.value.message.startswith("not-null property references a null or transient value: ome.model.containers.Dataset.name")


def test_rights_of_an_own_dataset_and_of_another_one(lab: Lab) -> None:
    for client, wanted in ((lab.alice, True), (lab.bob, False)):
        found = client.sf.getQueryService().get("Dataset", lab.dataset).details.permissions
        assert [found.canLink(), found.canAnnotate(), found.canEdit(), found.canDelete()] == [wanted] * 4
    rows = ask(lab.alice, QUERIES["many: permissions in one query as map"]["hql"], d=lab.dataset)
    recorded = QUERIES["many: permissions in one query as map"]["rows"][0][0]
    assert rows[0][0]["dataset_details_permissions"] == recorded["dataset_details_permissions"]


def test_an_image_is_renamed_and_a_stale_copy_is_refused(lab: Lab) -> None:
    query = lab.alice.sf.getQueryService()
    fresh, stale = query.get("Image", lab.images[0]), query.get("Image", lab.images[0])
    fresh.name, stale.name = rstring("renamed"), rstring("too late")
    assert save(lab.alice, fresh).name.val == "renamed"
    with pytest.raises(omero.OptimisticLockException) as caught:
        save(lab.alice, stale)
    assert caught.value.message.startswith(f"You are not authorized to change the update event for ome.model.core.Image:Id_{lab.images[0]}")


def test_an_attachment_keeps_its_bytes_and_its_checksum(lab: Lab) -> None:
    file = omero.model.OriginalFileI()
    file.name, file.path, file.size = rstring("protocol.txt"), rstring("/"), rlong(5)
    row = save(lab.alice, file)
    store = lab.alice.sf.createRawFileStore()
    store.setFileId(row.id.val)
    store.write(b"hello", 0, 5)
    kept = store.save()
    store.close()
    assert (kept.hash.val, kept.size.val) == ("aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d", 5)
    note = omero.model.FileAnnotationI()
    note.ns, note.file = rstring("lab.protocol"), omero.model.OriginalFileI(row.id.val, False)
    link = lab.save_link(lab.alice, "DatasetAnnotationLink", omero.model.DatasetI(lab.dataset, False), note)
    rows = ask(lab.alice, QUERIES["attachment by checksum on a dataset"]["hql"], d=lab.dataset, ns="lab.protocol", h=kept.hash.val)
    assert rows == [[link.child.id.val, "protocol.txt", kept.hash.val]]
    reader = lab.alice.sf.createRawFileStore()
    reader.setFileId(row.id.val)
    assert reader.read(0, 100) == b"hello"
    reader.close()


@pytest.mark.parametrize(
    ("hql", "words"),
    [
        ("select nope frm X", "Illegal query:select nope frm X\nunexpected token: frm near line 1, column 13 [select nope frm X]"),
        (
            "select i.nope from Image i",
            "Illegal query:select i.nope from Image i\ncould not resolve property: nope of: ome.model.core.Image",
        ),
        ("select i from Imag i", "Illegal query:select i from Imag i\nImag is not mapped [select i from Imag i]"),
        ("select sqrt(i.id) from Image i", "Illegal query:select sqrt(i.id) from Image i\n"),
    ],
)
def test_a_query_that_is_not_understood_is_refused_loudly(lab: Lab, hql: str, words: str) -> None:
    with pytest.raises(omero.QueryException) as caught:
        ask(lab.alice, hql)
    assert caught.value.message.startswith(words)


def test_a_missing_parameter_is_named(lab: Lab) -> None:
    with pytest.raises(omero.ApiUsageException) as caught:
        ask(lab.alice, "select i.id from Image i where i.id=:id")
    assert caught.value.message == "Null parameters not allowed: id"


def test_get_find_and_find_by_query_as_recorded(lab: Lab) -> None:
    query = lab.alice.sf.getQueryService()
    assert query.find("Image", -1) is None
    with pytest.raises(omero.ValidationException) as caught:
        query.get("Image", -1)
    assert caught.value.message.startswith("No row with the given identifier exists: [ome.model.core.Image#-1]")
    with pytest.raises(omero.ApiUsageException) as many:
        query.findByQuery("select i from Image i", omero.sys.ParametersI())
    assert "has returned more than one Object" in many.value.message
    params = omero.sys.ParametersI().page(0, 2)
    assert len(query.findAllByQuery("select i from Image i order by i.id", params)) == 2


def test_fetched_collections_are_loaded_and_others_are_not(lab: Lab) -> None:
    query = lab.alice.sf.getQueryService()
    text = "select i from Image i join fetch i.pixels join fetch i.details.owner where i.id=:i"
    found = query.findByQuery(text, omero.sys.ParametersI().addLong("i", lab.images[0]))
    assert (found.sizeOfPixels(), unwrap(found.getPrimaryPixels().sizeX), found.details.owner.omeName.val) == (1, 20, "alice")
    assert not found.isAnnotationLinksLoaded()


def test_a_dataset_is_deleted_with_its_images_and_its_project_stays(lab: Lab) -> None:
    doomed = dataset(lab.alice, "doomed")
    lab.save_link(lab.alice, "ProjectDatasetLink", omero.model.ProjectI(lab.project, False), omero.model.DatasetI(doomed, False))
    image = import_one(lab.alice, plain_tiff(), wanted=settings(omero.model.DatasetI(doomed, False))).objects[0].id.val
    response = answer(lab.alice.sf.submit(omero.cmd.Delete2(targetObjects={"Dataset": [doomed]})))
    assert response.deletedObjects["ome.model.core.Image"] == [image]
    assert ask(lab.alice, "select p.id from Project p where p.id=:p", p=lab.project) == [[lab.project]]
    refused = answer(lab.bob.sf.submit(omero.cmd.Delete2(targetObjects={"Dataset": [lab.dataset]})))
    assert refused.name == "graph-fail"
