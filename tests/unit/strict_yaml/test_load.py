"""Texts stay what was typed, each with its place."""

from __future__ import annotations

import pytest
import yaml

from dropbox_import.strict_yaml import Limits, Mapping, Scalar, Unreadable, decode, find, from_value, load, shown, to_value
from dropbox_import.strict_yaml import read as reader


def test_only_what_looks_like_itself_changes_its_type() -> None:
    text = "a: [1, -3, 0, 007, 1.5, 1e3, 0x10, 1_000, 20:00, true, True, yes, NO, null, ~, '', '1', 2025-11-22, -0]"
    assert to_value(load(text.encode(), "f.yaml").root) == {
        "a": [1, -3, 0, "007", "1.5", "1e3", "0x10", "1_000", "20:00", True, "True", "yes", "NO", None, None, "", "1", "2025-11-22", "-0"]
    }


@pytest.mark.parametrize("fast", [True, False])
def test_both_readers_of_the_library_give_the_same_tree(fast: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_FAST", yaml.CSafeLoader if fast else yaml.SafeLoader)
    root = load("ä: &x {b: 'q', c: \"d\\u00e9\"}\nlist:\n- |\n  block\n- *x\n".encode(), "f.yaml").root
    assert to_value(root) == {"ä": {"b": "q", "c": "dé"}, "list": ["block\n", {"b": "q", "c": "dé"}]}
    assert isinstance(root, Mapping)
    found = find(root, ["list", 0])
    assert isinstance(found, Scalar)
    assert (found.mark.line, found.mark.column, found.style) == (3, 3, "block")
    key = root.key("list")
    assert key is not None
    assert (key.mark.line, key.mark.column) == (2, 1)


def test_json_keeps_places_and_texts() -> None:
    root = load(b'{"a": [1.50, "x",\n null, true, "\\u00e9"]}', "f.JSON").root
    assert to_value(root) == {"a": ["1.50", "x", None, True, "é"]}
    found = find(root, ["a", 2])
    assert found is not None
    assert (found.mark.line, found.mark.column) == (2, 2)


def test_a_place_that_is_not_there_gives_the_deepest_on_the_way() -> None:
    root = load(b"a: {b: 1}", "f.yaml").root
    found = find(root, ["a", "c", 3])
    assert isinstance(found, Mapping)
    assert found.mark.column == 4


def test_given_values_become_a_tree() -> None:
    value = {"a": [1, "1", None, True], "b": {"c": "x"}}
    assert to_value(from_value(value, "defaults")) == value


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        (Limits(size=5), "at most 5 bytes are read"),
        (Limits(depth=2), "more than 2 deep"),
        (Limits(nodes=3), "more than 3 values"),
        (Limits(aliases=0), "more than 0 aliases"),
    ],
)
def test_limits(limits: Limits, says: str) -> None:
    with pytest.raises(Unreadable, match=says):
        load(b"a: &a [[1]]\nb: *a\n", "f.yaml", limits=limits)


def test_a_surrogate_in_an_escape_is_kept_for_the_caller_to_judge() -> None:
    assert to_value(load(b'a: "\\uDCFF"', "f.yaml").root) == {"a": "\udcff"}


def test_what_is_shown_is_short_and_printable() -> None:
    assert shown("a\x1b[2J\n\u202e\udcff") == "a\\x1b[2J\\x0a\\u202e\\udcff"
    assert shown("x" * 100, 10) == "xxxxxxxxx…"


def test_decode_gives_text_and_notices() -> None:
    assert decode(b"\xef\xbb\xbfa", "f", Limits()) == ("a", ())
    text, notices = decode(b"a\n\xb5m", "f", Limits())
    assert (text, len(notices)) == ("a\nµm", 1)


def test_a_large_broken_file_is_not_read_again_by_the_slow_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """A minute for a megabyte, in the thread that looks after a box."""
    monkeypatch.setattr(yaml.SafeLoader, "get_event", lambda self: pytest.fail("the slow reader"))
    text = "".join(f"key{number}: value\n" for number in range(5000)) + "broken: [1, 2\nx: 3\n"
    with pytest.raises(Unreadable) as caught:
        load(text.encode(), "a.yaml")
    assert caught.value.mistakes[0].line >= 5000
