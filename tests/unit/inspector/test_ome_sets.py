"""OME-TIFF files that name each other are one fileset, or a reason that names what is missing; their XML is not trusted."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dropbox_import.disk.facts import facts
from dropbox_import.inspector.faults import ImageError
from dropbox_import.inspector.formats import format_of
from dropbox_import.inspector.inspect import inspect_members
from dropbox_import.inspector.omesets import sets_of
from dropbox_import.inspector.ometiff import Documents, looks_like_ome
from dropbox_import.inspector.whole import Examined
from dropbox_import.model import FileFacts, Inspection
from dropbox_import.standin import samples


def inspected(folder: Path) -> Inspection:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return inspect_members(folder, [facts(folder, path.relative_to(folder).as_posix()) for path in paths])


def names(found: Inspection) -> list[list[str]]:
    return [[one.path for one in plan.files] for plan in found.filesets]


def test_three_files_that_refer_to_each_other_are_one_fileset(tmp_path: Path) -> None:
    paths = samples.ome_tiff_set(tmp_path)
    samples.five_d_ome_tiff(tmp_path / "other.ome.tif")
    found = inspected(tmp_path)
    assert names(found) == [["other.ome.tif"], [path.name for path in paths]]
    assert {plan.reader for plan in found.filesets} == {"loci.formats.in.OMETiffReader"}
    assert {plan.series for plan in found.filesets} == {1}
    assert not found.bad


def test_a_companion_file_comes_first(tmp_path: Path) -> None:
    paths = samples.companion_set(tmp_path)
    assert names(inspected(tmp_path)) == [[path.name for path in paths]]


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_a_missing_partner_is_named(tmp_path: Path, lost: int) -> None:
    paths = samples.ome_tiff_set(tmp_path)
    paths[lost].unlink()
    found = inspected(tmp_path)
    assert not found.filesets
    assert [bad.code for bad in found.bad] == ["partner-missing"]
    assert f"belongs together with {paths[lost].name}, which is not among" in found.bad[0].sentence
    assert len(found.bad[0].files) == 2


def test_a_renamed_partner_is_recognised_and_told(tmp_path: Path) -> None:
    paths = samples.ome_tiff_set(tmp_path)
    paths[1].rename(tmp_path / "second.ome.tif")
    found = inspected(tmp_path)
    assert "timelapse_T1.ome.tif (there as second.ome.tif)" in found.bad[0].sentence


def test_a_single_ome_tiff_may_be_renamed(tmp_path: Path) -> None:
    samples.five_d_ome_tiff(tmp_path / "a.ome.tif").rename(tmp_path / "b.tif")
    only = samples.ome_tiff_set(tmp_path, "solo", 1)[0]
    only.rename(tmp_path / "c.tif")
    assert names(inspected(tmp_path)) == [["b.tif"], ["c.tif"]]


def test_the_one_file_that_it_names_must_be_itself_by_its_identifier() -> None:
    document = Documents().parse(samples.ome_xml("x", ["pixels.ome.tif"], own="metadata.ome.tif").encode())
    member = Examined(FileFacts("metadata.ome.tif", 1, 0), format_of("a.tif"), None, 2, document)
    (only,) = sets_of([member])
    assert "pixels.ome.tif" in only.faults[0][1].says


def test_a_missing_companion_is_named(tmp_path: Path) -> None:
    companion = samples.companion_set(tmp_path)[0]
    companion.unlink()
    found = inspected(tmp_path)
    assert {bad.code for bad in found.bad} == {"partner-missing"}
    assert all(companion.name in bad.sentence for bad in found.bad)


def test_one_cut_file_spoils_its_set_only(tmp_path: Path) -> None:
    paths = samples.ome_tiff_set(tmp_path)
    samples.cut_in_half(paths[1])
    samples.plain_tiff(tmp_path / "other.tif")
    found = inspected(tmp_path)
    assert names(found) == [["other.tif"]]
    assert set(found.bad[0].files) == {path.name for path in paths}
    assert found.bad[0].sentence.startswith("timelapse_T1.ome.tif ends after ")
    assert "set of 3 files" in found.bad[0].sentence


def test_a_file_with_fewer_pages_than_its_xml_announces_is_refused(tmp_path: Path) -> None:
    paths = samples.ome_tiff_set(tmp_path)
    samples.plain_tiff(paths[2])
    found = inspected(tmp_path)
    assert found.bad[0].code == "cut-file"
    assert found.bad[0].sentence.startswith("timelapse_T2.ome.tif has 1 of the 2 pages that its OME-XML announces.")


def test_names_that_a_mac_wrote_are_found(tmp_path: Path) -> None:
    paths = samples.ome_tiff_set(tmp_path, "Zürich", 2)
    for path in paths:
        path.rename(tmp_path / path.name.replace("ü", "u\u0308"))
    assert len(names(inspected(tmp_path))) == 1


def test_partners_in_other_folders_are_found_but_never_outside(tmp_path: Path) -> None:
    def xml(name: str) -> bytes:
        return samples.ome_xml("x", ["own.ome.tif", name], own="own.ome.tif").encode()

    def set_of(name: str, *paths: str) -> list[int]:
        document = Documents().parse(xml(name))
        files = [Examined(FileFacts("a/own.ome.tif", 1, 0), format_of("a.tif"), None, 2, document)]
        files += [Examined(FileFacts(path, 1, 0), format_of(path), None, 2) for path in paths]
        return [len(each.files) for each in sets_of(files)]

    assert set_of("../b/two.tif", "b/two.tif") == [2]
    assert set_of("..\\b\\two.tif", "b/two.tif") == [2]
    assert set_of("../../b/two.tif", "b/two.tif") == [1, 1]
    assert set_of("/b/two.tif", "b/two.tif") == [1, 1]


@pytest.mark.parametrize(
    "xml",
    [
        b'<!DOCTYPE OME [<!ENTITY a "b">]><OME UUID="1">&a;</OME>',
        b'<!DOCTYPE OME SYSTEM "file:///etc/passwd"><OME/>',
        b'<?xml version="1.0"?><!DOCTYPE OME [<!ENTITY x SYSTEM "file:///etc/passwd">]><OME><Image>&x;</Image></OME>',
        b'<!DOCTYPE l [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><OME>&b;</OME>',
    ],
)
def test_entities_and_document_types_are_refused(xml: bytes) -> None:
    with pytest.raises(ImageError, match="DTD"):
        Documents().parse(xml)


@pytest.mark.parametrize(
    "xml",
    [
        b"<OME",
        b"<OME><Image></OME>",
        b"<OME>\xff\xfe</OME>",
        b'<OME><Image><Pixels SizeZ="many"/></Image></OME>',
        b"<?xml version='1.0' encoding='utf-77'?><OME/>",
    ],
)
def test_broken_xml_is_a_reason_that_quotes_nothing(xml: bytes) -> None:
    with pytest.raises(ImageError) as caught:
        Documents().parse(xml)
    assert "OME-XML" in caught.value.says
    assert "many" not in caught.value.says


@settings(deadline=None)
@given(st.binary(max_size=300), st.integers(0, 900))
def test_any_xml_gets_an_answer(noise: bytes, place: int) -> None:
    text = samples.ome_xml("x", ["a.tif", "b.tif"], own="a.tif").encode()
    with contextlib.suppress(ImageError):
        Documents().parse(text[:place] + noise + text[place + len(noise) :])


@pytest.mark.parametrize(
    ("head", "is_ome"),
    [
        (b'<?xml version="1.0"?><OME xmlns="x">', True),
        (b"<ome:OME>", True),
        (b"\xef\xbb\xbf<!-- made by somebody --><OME >", True),
        (b"ImageJ=1.53", False),
        (b"my <OME> notes", False),
        (b"<OMERO>", False),
        (b"", False),
    ],
)
def test_ome_xml_is_told_from_other_descriptions(head: bytes, is_ome: bool) -> None:
    assert looks_like_ome(head) is is_ome


def test_a_set_of_two_thousand_files_that_all_name_all_is_not_quadratic() -> None:
    all_names = [f"t{number:04}.ome.tif" for number in range(2000)]
    text = samples.ome_xml("x", all_names, own="OWN").encode()
    own = samples.ome_xml("x", [], own="OWN").split('UUID="')[1].split('"')[0].encode()
    documents = Documents()
    began = time.process_time()
    files = []
    for number, name in enumerate(all_names):
        parsed = documents.parse(text.replace(own, b"urn:uuid:%032d" % number, 1))
        files.append(Examined(FileFacts(name, 1, 0), format_of(name), None, 2, parsed))
    assert [len(each.files) for each in sets_of(files)] == [2000]
    assert time.process_time() - began < 10
