"""result.yaml is read by people, and back by us."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dropbox_import.strict_yaml import Limits, dump, load, to_value

SCALARS = st.none() | st.booleans() | st.integers(-(10**15), 10**15) | st.text(st.characters(), max_size=20)
TRICKY = st.sampled_from(
    [
        "NO",
        "00123",
        "20:00",
        "",
        " a",
        "a ",
        "- x",
        "null",
        "~",
        "“x”",
        "x”",
        "# a",
        "a\nb",
        "\x07",
        "\x85",
        "\u2028",
        "\udcff",
        "=",
        "<<",
        "1_0",
        "0o7",
        "?",
        "|",
    ]
)
VALUES = st.recursive(
    SCALARS | TRICKY,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8) | TRICKY, inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(min_size=1, max_size=10), VALUES, min_size=1, max_size=4))
def test_what_is_dumped_is_read_back(value: dict[str, Any]) -> None:
    text = dump(value)
    assert to_value(load(text.encode(), "result.yaml", limits=Limits(depth=50)).root) == value
    assert all(character == "\n" or character.isprintable() or ord(character) > 0x9F for character in text)


def test_it_is_plain_block_style_in_the_order_given() -> None:
    value = {
        "id": "20261122-k7",
        "state": "done",
        "filesets": [{"id": 5, "images": [{"id": 7, "name": "a: b"}]}],
        "barcode": "00123",
        "empty": [],
    }
    assert dump(value) == (
        "id: '20261122-k7'\nstate: done\nfilesets:\n  - id: 5\n    images:\n      - id: 7\n        name: 'a: b'\n"
        "barcode: '00123'\nempty: []\n"
    )


def test_control_characters_are_written_as_escapes_and_long_texts_stay_on_one_line() -> None:
    assert dump({"a": "x\x1b[0m\ny"}) == 'a: "x\\e[0m\\ny"\n'
    assert dump({"a": "word " * 100 + "end"}).count("\n") == 1
