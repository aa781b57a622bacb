"""Values mean what the user typed."""

from __future__ import annotations

import codecs
import json
from typing import Any

import pytest

from dropbox_import.errors import NotAllowed, SidecarInvalid
from dropbox_import.model import Attachment, ContainerRef, Expect, FilesRule, ImageRule, ImportRequest, KeyValues, Tag, Target
from dropbox_import.sidecar import allowed_owner, parse_sidecar

FULL = """\
# yaml-language-server: $schema=sidecar.schema.json
schema: 1
owner: jdoe
group: Smith-Lab
notify: [jdoe@uni.org]
submission: run-7-2025-06-01
target:
  project: {name: Mitosis 2025, description: "Live, imaging", create: true}
  dataset: {name: "{date:%Y-%m-%d} {folder}", create: true}
  on_ambiguous: newest
files:
  include: ["*.czi", sub/**/*.tif, ./a.tif]
  exclude: ["*_preview.czi"]
  expect: {count: 12, size: {cell_01.czi: 73400320}, sha256: {cell_01.czi: CHECKSUM}}
image:
  name: "{stem}_{series:02d}"
  description: {append: "100x, 5 % CO2"}
tags: [HeLa, {name: control, set: Treatment, description: DMSO only}, 42, "{literal}"]
key_values:
  - pairs: [[Organism, Homo sapiens], [Antibody, anti-tubulin], [Antibody, DAPI]]
  - {namespace: org.bioimage/rembi, on: dataset, pairs: {time: 20:00, fixed: NO, barcode: 00123, gain: 1.50, none: , "{x}": "{y}"}}
comments: ["Focus drift after t=40", "two\\nlines"]
rating: 4
attachments:
  - {file: protocol.pdf, on: dataset, namespace: lab.protocol, mime: application/pdf}
x-macro: {version: 3, ok: true, at: 20:00}
end: true
""".replace("CHECKSUM", "9F2C" * 16)


def test_every_supported_key_is_read() -> None:
    assert parse_sidecar(FULL.encode(), "c.yaml") == ImportRequest(
        target=Target(
            ContainerRef(name="Mitosis 2025", description="Live, imaging", create=True),
            ContainerRef(name="{date:%Y-%m-%d} {folder}", create=True),
            "newest",
        ),
        owner="jdoe",
        group="Smith-Lab",
        notify=("jdoe@uni.org",),
        submission="run-7-2025-06-01",
        files=FilesRule(
            ("*.czi", "sub/**/*.tif", "a.tif"), ("*_preview.czi",), Expect(12, {"cell_01.czi": 73400320}, {"cell_01.czi": "9f2c" * 16})
        ),
        image=ImageRule("{stem}_{series:02d}", "100x, 5 % CO2", True),
        tags=(Tag("HeLa"), Tag("control", "Treatment", "DMSO only"), Tag("42"), Tag("{literal}")),
        key_values=(
            KeyValues((("Organism", "Homo sapiens"), ("Antibody", "anti-tubulin"), ("Antibody", "DAPI"))),
            KeyValues(
                (("time", "20:00"), ("fixed", "NO"), ("barcode", "00123"), ("gain", "1.50"), ("none", ""), ("{x}", "{y}")),
                "org.bioimage/rembi",
                "dataset",
            ),
        ),
        comments=("Focus drift after t=40", "two\nlines"),
        rating=4,
        attachments=(Attachment("protocol.pdf", "dataset", "lab.protocol", "application/pdf"),),
        end=True,
        extra={"x-macro": {"version": 3, "ok": True, "at": "20:00"}},
    )


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("none", Target()),
        ("{dataset: HeLa}", Target(dataset=ContainerRef(name="HeLa"))),
        ("{dataset: 151}", Target(dataset=ContainerRef(id=151))),
        ("{dataset: {id: 151}}", Target(dataset=ContainerRef(id=151))),
        ("{dataset: {id: 20251122}}", Target(dataset=ContainerRef(id=20251122))),
        ('{dataset: "151"}', Target(dataset=ContainerRef(name="151"))),
        ("{dataset: {name: 151}}", Target(dataset=ContainerRef(name="151"))),
        ("{dataset: {name: 00123}}", Target(dataset=ContainerRef(name="00123"))),
        ("{dataset: 2025-11-22}", Target(dataset=ContainerRef(name="2025-11-22"))),
        ("{dataset: NO}", Target(dataset=ContainerRef(name="NO"))),
        ("{project: 5, dataset: D}", Target(ContainerRef(id=5), ContainerRef(name="D"))),
        ("Dataset:id:151", Target(dataset=ContainerRef(id=151))),
        ("Dataset:151", Target(dataset=ContainerRef(id=151))),
        ("Dataset:name:foo", Target(dataset=ContainerRef(name="foo", create=True), on_ambiguous="newest")),
        ('"Dataset:name:a: b/c"', Target(dataset=ContainerRef(name="a: b/c", create=True), on_ambiguous="newest")),
        ("Dataset:-name:foo", Target(dataset=ContainerRef(name="foo", create=True), on_ambiguous="oldest")),
        ("Dataset:%name:foo", Target(dataset=ContainerRef(name="foo", create=True), on_ambiguous="fail")),
        (
            "Project:name:P/Dataset:name:D",
            Target(ContainerRef(name="P", create=True), ContainerRef(name="D", create=True), "newest"),
        ),
        ("Project:id:7/Dataset:name:D", Target(ContainerRef(id=7), ContainerRef(name="D", create=True), "newest")),
    ],
)
def test_ids_and_names_are_told_apart(text: str, target: Target) -> None:
    assert parse_sidecar(f"target: {text}".encode(), "c.yaml").target == target


def test_json_with_the_same_keys_is_as_good() -> None:
    keys: dict[str, Any] = {
        "target": {"dataset": 151},
        "tags": ["a", {"name": "b"}],
        "key_values": [{"pairs": [["k", 1], ["m", True]]}],
        "rating": 3,
        "end": True,
    }
    request = parse_sidecar(json.dumps(keys, indent=1).encode(), "c.json")
    assert request.target == Target(dataset=ContainerRef(id=151))
    assert request.key_values[0].pairs == (("k", "1"), ("m", "true"))
    assert (request.rating, request.end) == (3, True)
    assert parse_sidecar(b'{"target": {"dataset": "151"}}', "c.json").target.dataset == ContainerRef(name="151")


@pytest.mark.parametrize(
    "data",
    [
        "target: {dataset: Zürich µ}".encode(),
        codecs.BOM_UTF8 + "target: {dataset: Zürich µ}".encode(),
        "target: {dataset: Zürich µ}".encode("utf-16"),
        codecs.BOM_UTF16_BE + "target: {dataset: Zürich µ}\r\n".encode("utf-16-be"),
        "target:\r\n  dataset: Zürich µ\r\n".encode(),
    ],
)
def test_the_encodings_of_windows_are_read(data: bytes) -> None:
    request = parse_sidecar(data, "c.yaml")
    assert request.target.dataset == ContainerRef(name="Zürich µ")
    assert request.notices == ()


def test_windows_1252_is_read_with_a_notice() -> None:
    request = parse_sidecar("owner: a\ntarget: {dataset: Zürich}".encode("cp1252"), "c.yaml")
    assert request.target.dataset == ContainerRef(name="Zürich")
    (notice,) = request.notices
    assert notice.startswith("c.yaml:2:20: the file is not UTF-8 and was read as Windows-1252")


def test_defaults_of_the_box_lie_under_the_sidecar() -> None:
    defaults = {
        "target": {"project": {"name": "Facility", "create": True}, "dataset": {"create": True}, "on_ambiguous": "newest"},
        "tags": ["core", {"name": "x"}],
        "image": {"description": "d"},
        "rating": 2,
        "x-site": "a",
    }
    request = parse_sidecar(b"target: {dataset: {name: D}}\ntags: [mine]\nimage: {name: N}\nrating: 5", "c.yaml", defaults=defaults)
    assert request.target == Target(ContainerRef(name="Facility", create=True), ContainerRef(name="D", create=True), "newest")
    assert request.tags == (Tag("core"), Tag("x"), Tag("mine"))
    assert request.image == ImageRule("N", "d")
    assert request.rating == 5
    assert request.extra == {"x-site": "a"}


def test_an_attachment_may_be_its_file_alone() -> None:
    request = parse_sidecar(b"target: none\nattachments: [plan.pdf, {file: raw/a.txt}]", "c.yaml")
    assert [(one.file, one.on) for one in request.attachments] == [("plan.pdf", "image"), ("raw/a.txt", "image")]


def test_what_the_defaults_put_on_a_project_goes_where_there_is_one() -> None:
    defaults = {"key_values": [{"on": "project", "pairs": {"site": "A"}}]}
    assert parse_sidecar(b"target: {dataset: D}", "c.yaml", defaults=defaults).key_values[0].on == "project"


def test_a_target_by_id_replaces_what_the_defaults_say_of_another() -> None:
    defaults = {"target": {"project": "P", "dataset": {"name": "D", "create": True}}}
    for text in (b"target: {dataset: 151}", b"target: {dataset: {id: 151}}"):
        assert parse_sidecar(text, "c.yaml", defaults=defaults).target == Target(dataset=ContainerRef(id=151))
    assert parse_sidecar(b"target: none", "c.yaml", defaults=defaults).target == Target()
    assert parse_sidecar(b"schema: 1", "c.yaml", defaults=defaults).target.dataset == ContainerRef(name="D", create=True)


def test_a_mistake_that_comes_from_the_defaults_says_so() -> None:
    with pytest.raises(SidecarInvalid) as caught:
        parse_sidecar(b"target: none", "c.yaml", defaults={"rating": 9})
    assert str(caught.value.mistakes[0]).startswith("defaults of the box: rating: 9 is not between")


@pytest.mark.parametrize(
    ("text", "policy", "owner"),
    [
        ("", "from_folder", "ann"),
        ("owner: ann", "from_folder", "ann"),
        ("owner: bob", "any", "bob"),
        ("owner: bob", ("bob",), "bob"),
        ("", ("bob",), "ann"),
    ],
)
def test_the_policy_of_the_box_says_who_may_own(text: str, policy: str | tuple[str, ...], owner: str) -> None:
    assert allowed_owner(parse_sidecar(f"target: none\n{text}".encode(), "c.yaml"), "ann", policy) == owner


@pytest.mark.parametrize("policy", ["from_folder", ("cid",), ()])
def test_an_owner_who_is_not_allowed_is_refused(policy: str | tuple[str, ...]) -> None:
    with pytest.raises(NotAllowed) as caught:
        allowed_owner(parse_sidecar(b"target: none\nowner: bob", "c.yaml"), "ann", policy)
    assert "bob" in caught.value.sentence
    assert "drop folder of bob" in caught.value.hint
