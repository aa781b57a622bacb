"""Placeholders are filled in once, by a formatter that knows only its own words."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from dropbox_import.errors import SidecarInvalid
from dropbox_import.model import ContainerRef, ImportRequest
from dropbox_import.sidecar import for_fileset, needs_series, parse_sidecar, render
from dropbox_import.sidecar.templates import stem_of

WHEN = datetime(2025, 6, 1, 14, 5, tzinfo=UTC)


def filled(text: str, file: str = "cell_01.ome.tif", path: str = "2025/run7/c.yaml") -> ImportRequest:
    return render(parse_sidecar(text.encode(), "c.yaml"), sidecar_path=path, folder="2025/run7", file=file, date=WHEN)


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("{date}", "2025-06-01"),
        ("{date:%d.%m.%y %H:%M}", "01.06.25 14:05"),
        ("{folder}", "run7"),
        ("{file} {stem}", "cell_01.ome.tif cell_01"),
        ("{path1}-{path2}", "2025-run7"),
        ("{{literal}} 100 %", "{literal} 100 %"),
    ],
)
def test_a_target_is_filled_in_at_the_claim(template: str, name: str) -> None:
    request = filled(f"target: {{project: '{template}', dataset: {{name: '{template}', create: true}}}}")
    assert request.target.project == ContainerRef(name=name)
    assert request.target.dataset == ContainerRef(name=name, create=True)


def test_the_name_of_an_image_waits_for_its_series() -> None:
    request = filled("target: none\nimage: {name: '{date} {folder} {{x}} {stem} {series:03d} {series_name}'}")
    assert request.image.name == "2025-06-01 run7 {{x}} {stem} {series:03d} {series_name}"
    of_one_file = for_fileset(request.image, "d/a.ome.tif")
    assert of_one_file.name == "2025-06-01 run7 {x} a {series:03d} {series_name}"
    assert needs_series(of_one_file.name)


@pytest.mark.parametrize(
    ("name", "file", "made"), [("{stem}", "d/a.tif", "a"), ("{file} {{x}}", "d/{b}.tif", "{b}.tif {x}"), ("plain", "a", "plain")]
)
def test_a_name_without_series_is_complete_for_each_fileset(name: str, file: str, made: str) -> None:
    image = for_fileset(filled(f"target: none\nimage: {{name: '{name}', description: d}}").image, file)
    assert (image.name, image.description) == (made, "d")
    assert not needs_series(image.name)


def test_no_name_stays_no_name() -> None:
    assert for_fileset(filled("target: none").image, "a.tif").name is None


def test_braces_in_a_folder_name_stay_braces() -> None:
    request = parse_sidecar(b"target: {dataset: '{folder}'}\nimage: {name: '{folder}'}", "c.yaml")
    made = render(request, sidecar_path="c.yaml", folder="a{series}b", file="a.tif", date=WHEN)
    assert made.target.dataset == ContainerRef(name="a{series}b")
    assert made.image.name == "a{{series}}b"


def test_texts_are_no_templates() -> None:
    text = (
        "target: none\ntags: ['{date}']\ncomments: ['{0.__class__}']\nkey_values: [{pairs: {a: '{date}'}}]\nimage: {description: '{date}'}"
    )
    request = filled(text)
    assert request.tags[0].name == "{date}"
    assert request.comments == ("{0.__class__}",)
    assert request.key_values[0].pairs == (("a", "{date}"),)
    assert request.image.description == "{date}"


@pytest.mark.parametrize(
    ("text", "path", "says"),
    [
        ("target: {dataset: '{path3}'}", "2025/run7/c.yaml", "target.dataset.name: {path3} has no value"),
        ("target: {dataset: '{path1}'}", "c.yaml", "{path1} has no value"),
        ("target: {dataset: '{folder}{folder}'}", "c.yaml", ""),
    ],
)
def test_what_cannot_be_filled_in_is_a_mistake(text: str, path: str, says: str) -> None:
    request = parse_sidecar(text.encode(), "c.yaml")
    with pytest.raises(SidecarInvalid) as caught:
        render(request, sidecar_path=path, folder="" if not says else "x", file="a.tif", date=WHEN)
    assert says in caught.value.mistakes[0].sentence


def test_a_name_that_gets_too_long_is_a_mistake() -> None:
    with pytest.raises(SidecarInvalid, match="at most 255"):
        filled("target: {dataset: '{stem}{stem}'}", file="a" * 200 + ".tif")


@pytest.mark.parametrize(
    ("file", "stem"),
    [
        ("a.tif", "a"),
        ("a.ome.tif", "a"),
        ("a.OME.TIFF", "a"),
        ("d/a.b.czi", "a.b"),
        ("noend", "noend"),
        (".hidden", ".hidden"),
        (".ome.tif", ".ome"),
    ],
)
def test_stem(file: str, stem: str) -> None:
    assert stem_of(file) == stem
