"""What `submit` writes is read back as it was meant; any other bytes give a request or SidecarInvalid, and nothing else."""

from __future__ import annotations

import json
import string
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dropbox_import.errors import SidecarInvalid
from dropbox_import.model import ContainerRef
from dropbox_import.sidecar import build, parse_sidecar, schema_text
from dropbox_import.sidecar.schema import SidecarFile

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30).filter(lambda text: bool(text.strip()))
NAME = TEXT.filter(lambda text: not set(text) & set("{}\u2028\u2029"))
TRICKY = st.sampled_from(
    ["NO", "yes", "00123", "1.50", "20:00", "null", "~", "true", "2025-11-22", "- a", "# x", "a: b", "“x”", "151", "*", "0x1F", "1e3"]
)
FIELDS = st.fixed_dictionaries(
    {"target": st.fixed_dictionaries({"dataset": NAME | TRICKY}, optional={"project": NAME | TRICKY})},
    optional={
        "owner": NAME | TRICKY,
        "tags": st.lists(NAME | TRICKY, max_size=3),
        "comments": st.lists(TEXT | TRICKY, max_size=3),
        "rating": st.integers(1, 5),
        "key_values": st.lists(
            st.fixed_dictionaries({"pairs": st.lists(st.lists(TEXT | TRICKY, min_size=2, max_size=2), min_size=1, max_size=3)}), max_size=2
        ),
        "end": st.booleans(),
    },
)


@given(FIELDS)
def test_what_is_built_is_read_as_it_was_meant(fields: dict[str, Any]) -> None:
    fields = {**fields, "target": {key: {"name": name} for key, name in fields["target"].items()}}
    request = parse_sidecar(build(fields), "c.yaml")
    assert request.target.dataset == ContainerRef(name=fields["target"]["dataset"]["name"])
    assert request.owner == fields.get("owner")
    assert [tag.name for tag in request.tags] == fields.get("tags", [])
    assert list(request.comments) == fields.get("comments", [])
    assert [[list(pair) for pair in block.pairs] for block in request.key_values] == [
        block["pairs"] for block in fields.get("key_values", [])
    ]


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("151", ContainerRef(name="151")),
        (151, ContainerRef(id=151)),
        ("id:151", ContainerRef(id=151)),
        ("name:id:151", ContainerRef(name="id:151")),
        ("id:x", ContainerRef(name="id:x")),
        ("00123", ContainerRef(name="00123")),
        ("none", ContainerRef(name="none")),
        ({"name": "a", "create": True}, ContainerRef(name="a", create=True)),
    ],
)
def test_on_the_command_line_a_number_is_a_name_unless_it_says_id(given: object, meant: ContainerRef) -> None:
    assert parse_sidecar(build({"target": {"dataset": given}}), "c.yaml").target.dataset == meant


def test_empty_fields_are_left_out_and_order_and_comment_are_kept() -> None:
    text = build(
        {"tags": [], "owner": None, "target": "none", "files": {"include": [], "expect": {}}, "end": True}, comment="made by hand\x07"
    ).decode()
    assert text.splitlines()[:2] == ["# made by hand\\x07", "target: none"]
    assert parse_sidecar(text.encode(), "c.yaml").files.include is None


def test_wrong_fields_are_told_all_at_once() -> None:
    with pytest.raises(SidecarInvalid) as caught:
        build({"tagz": ["a"], "rating": 9})
    assert sorted(one.sentence for one in caught.value.mistakes) == [
        "rating: 9 is not between 1 and 5",
        'tagz: unknown key, did you mean "tags"?',
    ]


KEYS = [field.alias or name for name, field in SidecarFile.model_fields.items()]
ALMOST_YAML = st.lists(
    st.sampled_from(
        [
            *KEYS,
            *":-[]{},\"'&*!|>#%@`?~\\\n\n\n\t \u201c\x85\xe4",
            ": ",
            "\n  ",
            "  - ",
            "151",
            "none",
            "{date}",
            "..",
            "/",
            "<<",
            "x-a",
            "---\n",
            "*a",
            "&a ",
        ]
    )
    | st.text(string.printable, max_size=4),
    max_size=40,
).map(lambda parts: "".join(parts).encode())


def gives_a_request_or_mistakes(data: bytes, name: str) -> None:
    caught: SidecarInvalid | None = None
    try:
        parse_sidecar(data, name)
    except SidecarInvalid as error:
        caught = error
    if caught is not None:
        assert caught.mistakes
        assert all(one.sentence.isprintable() and one.hint.isprintable() and one.line >= 0 for one in caught.mistakes)
        assert all(len(str(one)) < 1000 for one in caught.mistakes)


@given(st.binary(max_size=300), st.sampled_from(["c.yaml", "c.json"]))
def test_any_bytes_give_a_request_or_mistakes(data: bytes, name: str) -> None:
    gives_a_request_or_mistakes(data, name)


@settings(max_examples=400)
@given(ALMOST_YAML, st.sampled_from(["c.yaml", "c.json"]))
def test_any_text_that_is_nearly_a_sidecar_gives_a_request_or_mistakes(data: bytes, name: str) -> None:
    gives_a_request_or_mistakes(data, name)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "name", "create", "pairs", "on", "file", "append", "expect", "size"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=5))
def test_any_value_at_any_key_gives_a_request_or_mistakes(keys: dict[str, Any]) -> None:
    gives_a_request_or_mistakes(json.dumps(keys).encode(), "c.json")


def test_the_committed_schema_is_the_generated_one() -> None:
    from importlib import resources

    committed = resources.files("dropbox_import.sidecar").joinpath("sidecar.schema.json").read_text(encoding="utf-8")
    assert committed == schema_text(), (
        "write it again: print dropbox_import.sidecar.schema_text() into dropbox_import/sidecar/sidecar.schema.json"
    )


def test_the_schema_names_every_key_and_explains_it() -> None:
    properties = json.loads(schema_text())["properties"]
    assert set(properties) == set(KEYS)
    assert all(one.get("description") for one in properties.values())
