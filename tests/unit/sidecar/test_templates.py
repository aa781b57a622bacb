"""Placeholders are filled in once, by a formatter that knows only its own words."""

from __future__ import annotations

from datetime import datetime

import pytest

from dropbox_import.errors import SidecarInvalid
from dropbox_import.model import ContainerRef, ImportRequest
from dropbox_import.sidecar import image_name, parse_sidecar, render
from dropbox_import.sidecar.templates import stem_of

WHEN = datetime(2025, 6, 1, 14, 5)


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
    assert image_name(request.image.name, file="d/a.tif", series=7, series_name="{left}") == "2025-06-01 run7 {x} a 007 {left}"


def test_braces_in_a_folder_name_stay_braces() -> None:
    request = parse_sidecar(b"target: {dataset: '{folder}'}\nimage: {name: '{folder}'}", "c.yaml")
    made = render(request, sidecar_path="c.yaml", folder="a{series}b", file="a.tif", date=WHEN)
    assert made.target.dataset == ContainerRef(name="a{series}b")
    assert made.image.name is not None
    assert image_name(made.image.name, file="a.tif", series=1, series_name="") == "a{series}b"


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
