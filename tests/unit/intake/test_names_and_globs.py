"""Names that are never taken, globs, and what is wrong with a member."""

from __future__ import annotations

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropbox_import.intake.globs import matches
from dropbox_import.intake.ignored import is_litter, is_never_taken, is_transfer
from dropbox_import.intake.judge import problems_of
from dropbox_import.intake.tree import Entry, Kind


@pytest.mark.parametrize(
    "name",
    [
        *(".hidden", "~lock", "~$doc.docx", "x.czi.part", "x.PART", "x.partial", "x.filepart", "x.tmp", "x.crdownload", "x.downloading"),
        *(".syncthing.x.czi.tmp", "~syncthing~x.tmp", "Thumbs.db", "THUMBS.DB", "desktop.ini", "@eaDir", "x.lock", ".DS_Store", "._x.czi"),
        *("a/.git/x.tif", "@eaDir/x.czi", "run/.x.czi.Ab12Cd", ".zattrs", "x.zarr/.hidden", "x.zarr/a.part"),
    ],
)
def test_these_names_are_never_taken(name: str) -> None:
    assert is_never_taken(name)


@pytest.mark.parametrize(
    "name", ["x.czi", "apart", "part", "Thumbs.db.czi", "x.zarr/.zattrs", "x.ZARR/0/.zarray", "a~b", "tmp/x.czi", "x.lockx"]
)
def test_these_are_ordinary(name: str) -> None:
    assert not is_never_taken(name)


def test_litter_and_transfers_are_told_apart() -> None:
    assert is_litter("Thumbs.db")
    assert not is_litter("x.part")
    assert is_transfer(".cells.czi.Ab12Cd")
    assert not is_transfer(".DS_Store")


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("*.czi", "a.czi", True),
        ("*.czi", "a.CZI", False),
        ("*.czi", "x/a.czi", False),
        ("x/*.czi", "x/a.czi", True),
        ("**/*.tif", "a.tif", True),
        ("**/*.tif", "x/y/a.tif", True),
        ("x/**", "x/y/a.tif", True),
        ("x/**", "x", False),
        ("**", "x/y", True),
        ("a?.tif", "a1.tif", True),
        ("a?.tif", "a/.tif", False),
        ("a[0-9].tif", "a7.tif", True),
        ("a[!0-9].tif", "a7.tif", False),
        ("[", "[", True),
        ("a.tif", "aXtif", False),
        ("\u00e4*.tif", "a\u03081.tif", True),
    ],
)
def test_a_glob_stays_within_its_folders(pattern: str, path: str, fits: bool) -> None:
    assert matches(pattern, path) is fits


def test_a_bare_pattern_can_hold_on_every_level() -> None:
    assert matches("*_preview.czi", "x/y/a_preview.czi", any_level=True)
    assert not matches("x/*_preview.czi", "y/x/a_preview.czi", any_level=True)


@given(st.text("ab*?[]!-.", min_size=1, max_size=8).filter(lambda text: "**" not in text), st.text("ab-.!", max_size=8))
def test_within_one_folder_it_is_the_shells_matching(pattern: str, name: str) -> None:
    ranges_backwards = any(low > high for low, high in zip(pattern, pattern[2:], strict=False))
    assert ranges_backwards or matches(pattern, name) is fnmatch.fnmatchcase(name, pattern)


def test_a_hostile_pattern_ends() -> None:
    # With a matcher that tries all ways these would run into the limit of time for a test.
    assert not matches("*a" * 60 + "b", "a" * 255)
    assert not matches("**/a/" * 30 + "b", "/".join("a" * 100))


def problems(*entries: Entry, uid: int | None = None) -> list[str]:
    return [problem.sentence for problem in problems_of(entries, "", owner_uid=uid, device=7)]


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        (Entry("x.czi", Kind.LINK, device=7), "a link"),
        (Entry("x.czi", Kind.OTHER, device=7), "pipe, socket or device"),
        (Entry("x", Kind.TOO_DEEP, device=7), "folders deep"),
        (Entry("x.czi", links=2, device=7), "2 names (hard links)"),
        (Entry("x.czi", device=8), "another volume"),
        (Entry("x.czi", uid=3, device=7), "belongs to"),
        (Entry("caf\udce9.czi", device=7), "caf\\xe9.czi"),
        (Entry("a\nb.czi", device=7), "control character"),
    ],
)
def test_a_member_that_cannot_be_taken_is_named_with_the_reason(entry: Entry, words: str) -> None:
    (sentence,) = problems(entry, uid=0)
    assert words in sentence
    assert sentence.isprintable()


def test_names_that_differ_in_case_only_are_both_shown() -> None:
    (sentence,) = problems(Entry("run/A.tif", device=7), Entry("run/a.tif", device=7))
    assert "run/A.tif" in sentence
    assert "run/a.tif" in sentence
    assert problems(Entry("Run/a.tif", device=7), Entry("run/b.tif", device=7))
    assert not problems(Entry("run/a.tif", device=7), Entry("run/b.tif", device=7))


def test_a_thousand_problems_are_told_in_short() -> None:
    found = problems(*(Entry(f"{number}.czi", Kind.LINK, device=7) for number in range(1000)))
    assert len(found) == 21
    assert "980 more" in found[-1]
