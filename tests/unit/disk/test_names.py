"""Which names may be members, and which are the same for somebody's file system."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropbox_import.disk.names import is_utf8, nfc, problem_with, same_key, shown

NOT_UTF8 = b"caf\xe9.tif".decode("utf-8", "surrogateescape")


@pytest.mark.parametrize(
    "name",
    [
        "cells.czi",
        "run7/a b.tif",
        "Zelle ä.tif",
        "日本/x.tif",
        "-rf",
        "a..b",
        "...x",
        "12:30.tif",
        "%s{x}.tif",
        "com.tif",
        "console",
        "x'y\".tif",
    ],
)
def test_an_ordinary_name_is_no_problem(name: str) -> None:
    assert problem_with(name, windows=False) is None


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "empty"),
        ("/etc/passwd", "absolute"),
        ("\\\\server\\share\\x", "absolute"),
        ("C:\\x.tif", "absolute"),
        ("C:/x.tif", "absolute"),
        ("../x.tif", '".."'),
        ("a/../x.tif", '".."'),
        ("a//x.tif", "empty part"),
        ("./x.tif", "empty part"),
        ("a\nb.tif", "control character"),
        ("a\x7f.tif", "control character"),
        ("a\\b.tif", "backslash"),
        ("x.", "dot or a space"),
        ("folder /x.tif", "dot or a space"),
        ("con", "Windows keeps"),
        ("a/NUL.tif", "Windows keeps"),
        ("com1.tif", "Windows keeps"),
        ("\u4e2d" * 85 + ".tif", "too long for an OMERO server"),
        (NOT_UTF8, "UTF-8"),
    ],
)
def test_a_name_that_cannot_be_kept_everywhere_is_refused_in_a_sentence(name: str, words: str) -> None:
    problem = problem_with(name)
    assert problem is not None
    assert words in problem
    assert problem.isprintable()


def test_a_colon_is_refused_where_it_opens_a_hidden_stream() -> None:
    assert problem_with("a.tif:b", windows=True) is not None
    assert problem_with("a.tif:b", windows=False) is None


def test_a_name_that_is_not_utf8_is_shown_with_its_bytes() -> None:
    assert shown(NOT_UTF8) == "caf\\xe9.tif"
    assert not is_utf8(NOT_UTF8)


@given(st.text(st.characters(), max_size=40))
def test_any_name_can_be_judged_and_shown_on_one_line(name: str) -> None:
    line = shown(name)
    line.encode()
    assert line.isprintable()
    problem = problem_with(name)
    assert problem is None or problem.isprintable()


@given(st.text(st.characters(codec="utf-8"), max_size=40))
def test_composed_and_decomposed_spellings_and_cases_share_a_key(name: str) -> None:
    assert same_key(name) == same_key(unicodedata.normalize("NFD", name))
    assert same_key(nfc(name)) == same_key(name)


def test_upper_and_lower_case_share_a_key() -> None:
    assert same_key("CELLS.Tif") == same_key("cells.tif")
    assert same_key("cells.tif") != same_key("cells.tiff")
