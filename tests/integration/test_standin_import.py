"""An import through the stand-in passes the stages, refusals and answers of the recorded server (golden 01, 02, 04, 12)."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import Ice
import numpy
import omero
import omero.clients
import omero.cmd
import omero.grid
import omero.model
import pytest
import tifffile
from omero.rtypes import rstring

from dropbox_import.standin import samples
from tests.support.standin_process import (
    RunningStandin,
    answer,
    ask,
    begin,
    dataset,
    fileset,
    import_one,
    running,
    settings,
    until,
    upload,
)

IMAGES = (
    "select i.id, i.name, i.series, px.sizeX, px.sizeY, px.sizeZ, px.sizeC, px.sizeT, px.sha1, "
    "(select min(dl.parent.id) from DatasetImageLink dl where dl.child.id=i.id) "
    "from Image i join i.pixels px where i.fileset.id=:f order by i.id"
)
TOKEN = "select l.parent.id from FilesetAnnotationLink l join l.child a where a.name=:t"
JOB = "select u.status.value, u.message from FilesetJobLink l, UploadJob u where l.child.id=u.id and l.parent.id=:f"
FILE = "select o.size, o.hash from FilesetEntry e join e.originalFile o where e.fileset.id=:f order by e.id"


def tiff(shape: tuple[int, ...] = (48, 64), **options: Any) -> bytes:
    stream = io.BytesIO()
    pixels = numpy.arange(numpy.prod(shape), dtype="uint16").reshape(shape)
    tifffile.imwrite(stream, pixels, **options)
    return stream.getvalue()


PLAIN = tiff()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStandin]:
    with running(tmp_path_factory.mktemp("standin")) as found:
        yield found


@pytest.fixture
def alice(server: RunningStandin) -> Iterator[Any]:
    yield server.log_in("alice")
    server.close_clients()


def of_token(client: Any, token: str) -> int:
    return int(ask(client, TOKEN, t=token)[0][0])


def test_a_tiff_passes_the_recorded_stages(server: RunningStandin, alice: Any) -> None:
    server.faults(import_seconds=6.0)
    target = dataset(alice)
    process = begin(alice, ["data/plain.tif"], settings(omero.model.DatasetI(target, False)), token="stages/1")
    made = of_token(alice, "stages/1")
    assert (ask(alice, JOB, f=made), ask(alice, FILE, f=made), ask(alice, IMAGES, f=made)) == ([["Submitted", ""]], [[None, None]], [])
    sha1 = upload(process, 0, PLAIN)
    assert ask(alice, FILE, f=made) == [[len(PLAIN), sha1]]
    assert process.getHandle() is None
    handle = process.verifyUpload([sha1])
    assert ask(alice, JOB, f=made) == [["Finished", "Finished"]]
    linked = until(lambda: ask(alice, IMAGES, f=made))
    assert linked[0][1:] == ["plain.tif", 0, 64, 48, 1, 1, 1, "Pending...", target]
    server.faults()
    response = answer(handle, 30)
    assert isinstance(response, omero.grid.ImportResponse)
    assert [image.id.val for image in response.objects] == [linked[0][0]]
    assert len(ask(alice, IMAGES, f=made)[0][8]) == 40
    status = handle.getStatus()
    assert (status.currentStep, status.steps, status.flags) == (4, 5, [])
    assert handle.getRequest().activity.parent.id.val == made


@pytest.mark.parametrize(
    ("name", "sizes", "names"),
    [
        ("a&sizeX=32&sizeY=32&sizeC=2&sizeZ=3.fake", [[32, 32, 3, 2, 1]], ["a&sizeX=32&sizeY=32&sizeC=2&sizeZ=3.fake"]),
        (
            "m&series=3&sizeX=20&sizeY=20.fake",
            [[20, 20, 1, 1, 1]] * 3,
            [f"m&series=3&sizeX=20&sizeY=20.fake [{n}]" for n in ("m", "m 2", "m 3")],
        ),
    ],
)
def test_fake_images_have_the_sizes_and_names_that_were_recorded(alice: Any, name: str, sizes: list[list[int]], names: list[str]) -> None:
    response = import_one(alice, b"", f"data/{name}")
    found = ask(
        alice,
        "select px.sizeX, px.sizeY, px.sizeZ, px.sizeC, px.sizeT from Pixels px where px.id in (:p) order by px.id",
        p=[pixels.id.val for pixels in response.pixels],
    )
    assert (found, [image.name.val for image in response.objects]) == (sizes, names)


def test_ome_tiff_sizes_come_from_its_description(alice: Any) -> None:
    data = tiff((2, 3, 4, 40, 50), ome=True, metadata={"axes": "TZCYX"})
    response = import_one(alice, data, "five.ome.tif")
    pixels = response.pixels[0]
    assert [size.val for size in (pixels.sizeX, pixels.sizeY, pixels.sizeZ, pixels.sizeC, pixels.sizeT)] == [50, 40, 3, 4, 2]


@pytest.mark.parametrize("first", ["set", "companion", "a TIFF of the companion"])
def test_files_that_name_each_other_are_one_image(alice: Any, tmp_path: Path, first: str) -> None:
    files = samples.ome_tiff_set(tmp_path) if first == "set" else samples.companion_set(tmp_path)
    times = len([path for path in files if path.suffix == ".tif"])
    if first.startswith("a"):
        files.reverse()
    process = begin(alice, [f"set/{path.name}" for path in files])
    response = answer(process.verifyUpload([upload(process, index, path.read_bytes()) for index, path in enumerate(files)]))
    sizes = [[size.val for size in (one.sizeX, one.sizeY, one.sizeZ, one.sizeC, one.sizeT)] for one in response.pixels]
    assert sizes == [[96, 64, 1, 2, times]]


def test_pages_of_a_plain_tiff_are_one_image(alice: Any, tmp_path: Path) -> None:
    response = import_one(alice, samples.plain_tiff(tmp_path / "pages.tif", pages=4).read_bytes())
    assert [pixels.sizeT.val for pixels in response.pixels] == [4]


def test_a_wrong_checksum_is_named_and_can_be_mended(alice: Any) -> None:
    process = begin(alice, ["p.tif"])
    sha1 = upload(process, 0, PLAIN)
    for wrong in ("0" * 40, sha1.upper(), ""):
        with pytest.raises(omero.ChecksumValidationException) as caught:
            process.verifyUpload([wrong])
        assert (caught.value.message, caught.value.failingChecksums) == ("A checksum mismatch has occurred.", {0: sha1})
    with pytest.raises(omero.ApiUsageException) as usage:
        process.verifyUpload([sha1, sha1])
    assert usage.value.message == "hashes size should be 1 not 2"
    assert isinstance(answer(process.verifyUpload([sha1])), omero.grid.ImportResponse)


def test_missing_bytes_are_a_fault_inside_the_server(alice: Any) -> None:
    process = begin(alice, ["p.tif"])
    digest = hashlib.sha1(PLAIN, usedforsecurity=False).hexdigest()
    with pytest.raises(Ice.UnknownException) as caught:
        process.verifyUpload([digest])
    assert caught.value.unknown.startswith('java.lang.NullPointerException: Cannot invoke "omero.RString.getValue()"')
    store = process.getUploader(0)
    store.write(PLAIN[:1000], 0, 1000)
    assert process.getUploadOffset(0) == 1000
    with pytest.raises(Ice.UnknownException):
        process.verifyUpload([digest])
    store.close()
    assert process.getUploadOffset(0) == 0
    with pytest.raises(omero.ChecksumValidationException):
        process.verifyUpload([digest])
    again = process.getUploader(0)
    assert (again.size(), again.exists()) == (1000, True)
    again.write(PLAIN[1000:], 1000, len(PLAIN) - 1000)
    assert again.save().hash.val == digest
    with pytest.raises(omero.ApiUsageException) as usage:
        again.write(b"abc", 0, 10)
    assert usage.value.message == "newLimit > capacity: (10 > 3)"
    assert again.truncate(10) and not again.truncate(10)
    again.close()
    with pytest.raises(Ice.ObjectNotExistException):
        again.size()


def test_an_uploader_beyond_the_files_is_a_fault_inside_the_server(alice: Any) -> None:
    process = begin(alice, ["p.tif"])
    for index in (1, -1):
        with pytest.raises(Ice.UnknownException):
            process.getUploader(index)
    assert process.getUploadOffset(7) == 0
    process.close()
    with pytest.raises(Ice.ObjectNotExistException):
        process.getUploadOffset(0)


def test_verifying_twice_imports_twice(alice: Any) -> None:
    target = dataset(alice)
    process = begin(alice, ["p.tif"], settings(omero.model.DatasetI(target, False)), token="twice/1")
    sha1 = upload(process, 0, PLAIN)
    for _ in range(2):
        assert isinstance(answer(process.verifyUpload([sha1])), omero.grid.ImportResponse)
    assert [row[9] for row in ask(alice, IMAGES, f=of_token(alice, "twice/1"))] == [target, target]


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("bad.tif", PLAIN[40:300], "Invalid TIFF file: "),
        ("empty.tif", b"", "Invalid TIFF file: "),
        ("text.txt", b"hello", "Unknown file format: "),
        ("broken.ome.xml", b"<OME", "Malformed OME-XML"),
    ],
)
def test_an_unreadable_file_is_an_error_on_init(alice: Any, name: str, data: bytes, words: str) -> None:
    process = begin(alice, [f"data/{name}"], token=f"bad/{name}")
    handle = process.verifyUpload([upload(process, 0, data)])
    response = answer(handle)
    assert isinstance(response, omero.cmd.ERR)
    assert (response.category, response.name) == ("::omero::grid::ImportRequest", "error-on-init")
    assert response.parameters["message"].startswith(words)
    if words.endswith(": "):
        assert response.parameters["message"].startswith(words + "/OMERO/ManagedRepository/alice_3/")
    status = handle.getStatus()
    assert (status.currentStep, [str(flag) for flag in status.flags]) == (0, ["FAILURE", "CANCELLED"])
    made = of_token(alice, f"bad/{name}")
    assert (ask(alice, IMAGES, f=made), ask(alice, JOB, f=made)) == ([], [["Finished", "Finished"]])


def test_a_truncated_tiff_is_imported_as_omero_does(alice: Any) -> None:
    assert isinstance(import_one(alice, PLAIN[: len(PLAIN) // 2]), omero.grid.ImportResponse)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("missing", "No row with the given identifier exists: [ome.model.containers.Dataset#999999]"),
        ("other group", "Cannot read ome.model.containers.Dataset:Id_"),
        ("read-only", "Group is rwr---. Cannot link to object: ome.model.containers.Dataset:Id_"),
        ("project", "Unable to handle target: omero.model.ProjectI@"),
    ],
)
def test_a_bad_target_is_found_only_after_the_upload(server: RunningStandin, alice: Any, kind: str, words: str) -> None:
    targets = {
        "missing": lambda: omero.model.DatasetI(999999, False),
        "other group": lambda: omero.model.DatasetI(dataset(server.sudo("alice", "private")[0]), False),
        "read-only": lambda: omero.model.DatasetI(dataset(server.log_in("bob")), False),
        "project": lambda: omero.model.ProjectI(1, False),
    }
    response = import_one(alice, PLAIN, wanted=settings(targets[kind]()))
    assert isinstance(response, omero.cmd.ERR)
    assert response.name == "import-request-failure"
    assert words in response.parameters["message"]


def test_a_screen_target_of_an_image_is_ignored(alice: Any) -> None:
    screen = omero.model.ScreenI()
    screen.name = rstring("a screen")
    made = alice.sf.getUpdateService().saveAndReturnObject(screen)
    response = import_one(alice, PLAIN, wanted=settings(omero.model.ScreenI(made.id.val, False)))
    assert ask(alice, "select count(l.id) from DatasetImageLink l where l.child.id=:i", i=response.objects[0].id.val) == [[0]]


def test_one_shared_annotation_is_linked_to_every_image(alice: Any) -> None:
    pairs = omero.model.MapAnnotationI()
    pairs.mapValue = [omero.model.NamedValue("stain", "DAPI"), omero.model.NamedValue("stain", "GFP")]
    response = import_one(alice, b"", "s&series=3.fake", settings(annotations=[pairs], name="Mine"))
    images = [image.id.val for image in response.objects]
    links = ask(alice, "select l.parent.id, l.child.id from ImageAnnotationLink l where l.parent.id in (:i) order by l.parent.id", i=images)
    assert ([row[0] for row in links], len({row[1] for row in links})) == (images, 1)
    assert [image.name.val for image in response.objects] == ["Mine [s]", "Mine [s 2]", "Mine [s 3]"]


def broken(change: str) -> tuple[Any, Any]:
    wanted, files = settings(), fileset(["p.tif"])
    if change == "no algorithm":
        wanted.checksumAlgorithm = None
    elif change == "unknown algorithm":
        wanted.checksumAlgorithm.value = rstring("SHA9-999")
    elif change == "no entries":
        files = fileset([])
    elif change == "no job":
        files.clearJobLinks()
    elif change == "wrong job":
        files.clearJobLinks()
        files.linkJob(omero.model.MetadataImportJobI())
    elif change == "same path twice":
        files = fileset(["x/a.tif", "x/a.tif"])
    return files, wanted


@pytest.mark.parametrize(
    ("change", "kind", "words"),
    [
        ("no algorithm", omero.ApiUsageException, "must specify checksum algorithm"),
        ("unknown algorithm", omero.ValidationException, "unknown checksum algorithm: SHA9-999"),
        ("no entries", omero.ApiUsageException, "No paths provided"),
        ("no job", omero.ValidationException, "Found more than one job link. Link only updateJob on creation!"),
        ("wrong job", omero.ValidationException, "Found non-UploadJob on creation: omero.model.MetadataImportJobI"),
        ("same path twice", omero.ValidationException, "could not insert: [ome.model.core.OriginalFile]"),
    ],
)
def test_arguments_of_import_fileset_are_refused_with_the_recorded_words(
    alice: Any, change: str, kind: type[Exception], words: str
) -> None:
    files, wanted = broken(change)
    with pytest.raises(kind) as caught:
        alice.getManagedRepository().importFileset(files, wanted)
    assert caught.value.message.startswith(words)  # type: ignore[attr-defined]


def test_all_groups_is_no_group_to_import_into(alice: Any) -> None:
    context = {**alice.getContext(), "omero.group": "-1"}
    with pytest.raises(omero.ApiUsageException) as caught:
        alice.getManagedRepository().importFileset(fileset(["p.tif"]), settings(), context)
    assert caught.value.message.startswith("No valid permissions available!")


def test_a_call_context_without_the_session_is_a_fault_inside_the_server(alice: Any) -> None:
    with pytest.raises(Ice.UnknownException) as caught:
        alice.getManagedRepository().importFileset(fileset(["p.tif"]), settings(), {"omero.group": "3"})
    assert caught.value.unknown.startswith("ome.conditions.ApiUsageException: Uuid cannot be null.")


def test_delete_of_a_fileset_takes_rows_bytes_and_token(server: RunningStandin, alice: Any) -> None:
    import_one(alice, PLAIN, token="gone/1")
    made = of_token(alice, "gone/1")
    path, name = ask(alice, "select o.path, o.name from FilesetEntry e join e.originalFile o where e.fileset.id=:f", f=made)[0]
    stored = server.folder / "ManagedRepository" / path / name
    assert stored.read_bytes() == PLAIN
    response = answer(alice.sf.submit(omero.cmd.Delete2(targetObjects={"Fileset": [made]})))
    assert isinstance(response, omero.cmd.Delete2Response)
    assert response.deletedObjects["ome.model.fs.Fileset"] == [made]
    assert (ask(alice, TOKEN, t="gone/1"), stored.exists()) == ([], False)
    assert isinstance(answer(alice.sf.submit(omero.cmd.Delete2(targetObjects={"Fileset": [made]}))), omero.cmd.GraphException)


def test_one_image_of_several_cannot_be_deleted(alice: Any) -> None:
    response = import_one(alice, b"", "s&series=2.fake")
    refused = answer(alice.sf.submit(omero.cmd.Delete2(targetObjects={"Image": [response.objects[0].id.val]})))
    assert (refused.name, refused.parameters["message"]) == ("graph-fail", "")
