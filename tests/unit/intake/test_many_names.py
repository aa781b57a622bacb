"""Questions to all names of a folder at once have the answers that each name by itself would have."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropbox_import.disk.names import nfc, same_key
from dropbox_import.intake.globs import fitting, last_part, matches
from dropbox_import.intake.ignored import is_never_taken, is_transfer
from dropbox_import.intake.pairing import Asked, pair
from dropbox_import.intake.tree import Entry, Folder, Kind, Listing
from dropbox_import.model import FilesRule, ImportRequest, Target

# Letters whose upper, lower or composed forms are odd; and all that may make a name one that is never taken.
PIECES = (*("a", "B", ".", "~", "@", " ", "\n", "\u00e4", "a\u0308", "\u017f", "\u212a", "\u0130", "\udce9", "sWp", "swp"),)
ENDINGS = (
    "",
    ".tif",
    ".TIF",
    ".part",
    ".PART",
    ".tmp",
    ".lock",
    ".loc\u212a",
    ".\u017fwp",
    "~",
    ".yaml",
    ".Yml",
    ".JSON",
    ".txt",
    ".zarr",
    ".db",
)
NAMES = st.builds(lambda parts, end: "".join(parts) + end, st.lists(st.sampled_from(PIECES), max_size=4), st.sampled_from(ENDINGS)).filter(
    lambda name: name not in ("", ".", "..")
)
SPECIAL = st.sampled_from(
    [".x.tif.Ab12Cd", "Thumbs.db", "thumbs.DB", "desktop.ini", ".DS_Store", ".zattrs", "@eaDir", "~$x.doc", ".syncthing.x"]
)
FOLDERS = st.sampled_from(["", "run", "run/deep", "x.zarr", "\u00e4", ".git/x"])


def folder_of(path: str, names: set[str], inner: AbstractSet[str] = frozenset()) -> Folder:
    above = f"{path}/" if path else ""
    return Folder(path, {name: Entry(above + name, Kind.FOLDER if name in inner else Kind.FILE) for name in names})


@given(FOLDERS, st.sets(NAMES | SPECIAL, max_size=8), st.sets(NAMES, max_size=2))
def test_what_may_be_taken_out_of_a_folder_is_what_may_be_taken_by_each_name(path: str, files: set[str], inner: set[str]) -> None:
    folder = folder_of(path, files | inner, inner)
    entries = folder.entries.values()
    taken = {one for one in entries if not is_never_taken(one.path) and (one.name not in inner or one.name.lower().endswith(".zarr"))}
    assert set(folder.takable) == taken
    assert [nfc(one.name) for one in folder.takable] == sorted(nfc(one.name) for one in folder.takable)
    assert folder.files == {one.path: one for one in taken if one.kind is Kind.FILE}
    assert {*folder.files.values(), *folder.others} == set(entries)
    assert set(folder.transfers) == {one for one in entries if is_transfer(one.name)}
    assert set(folder.inner) == {one for one in entries if one.kind is Kind.FOLDER}
    assert {one for one in entries if one.name.lower().endswith((".yaml", ".yml", ".json", ".txt"))} <= set(folder.texts)


@given(st.sets(NAMES, max_size=8), NAMES)
def test_a_name_is_found_however_it_is_composed_and_pointed_out_in_another_case(names: set[str], wanted: str) -> None:
    folder = folder_of("", names)
    assert {one.name for one in folder.named(nfc(wanted))} == {name for name in names if nfc(name) == nfc(wanted)}
    assert {one.name for one in folder.named_like(same_key(wanted))} == {name for name in names if same_key(name) == same_key(wanted)}


PATTERNS = st.lists(
    st.sampled_from(["**", "*", "a*", "*.tif", "?", "??.tif", "a?", "[!a]*", "a", "run", "deep", "", "\u00e4*", "a*a*"]),
    min_size=1,
    max_size=4,
)


@given(
    PATTERNS.map("/".join), st.lists(st.sampled_from(["a", "run", "deep", "\u00e4"]), max_size=3).map("/".join), st.sets(NAMES, max_size=8)
)
def test_a_pattern_fits_in_a_folder_what_it_matches_as_a_path(pattern: str, folder: str, names: set[str]) -> None:
    part = last_part(pattern, folder)
    found = set() if part is None else {name for name in names if fitting(part, [nfc(name)]) == [True]}
    assert found == {name for name in names if matches(pattern, f"{folder}/{name}" if folder else name)}
    top = f"top/{folder}" if folder else "top"
    assert {one.name for one in folder_of(top, names).matching(pattern, "top")} == {name for name in found if not is_never_taken(name)}


@pytest.mark.parametrize("rivals", [2, 2000])
def test_thousands_that_dispute_the_files_of_others_are_told_apart_in_one_go(rivals: int) -> None:
    """Each has two files of its own; one file is claimed by all of them, and the last one names it, so that it gets it."""
    numbers = range(rivals)
    names = {f"{number}{end}" for number in numbers for end in ("_a.tif", "_b.tif", ".yaml")} | {"shared.tif"}
    asked = {
        f"{number}.yaml": Asked(
            ImportRequest(Target(), files=FilesRule((f"{number}_*", "shared.tif" if number == rivals - 1 else "shared*")))
        )
        for number in numbers
    }
    found = pair(Listing({"": folder_of("", names)}), lambda entry: asked.get(entry.path)).pairs
    got = {one.sidecar.path: [entry.path for entry in one.members] for one in found}
    own = {f"{number}.yaml": [f"{number}_a.tif", f"{number}_b.tif"] for number in numbers}
    own[f"{rivals - 1}.yaml"].append("shared.tif")
    assert got == own
    assert not any(one.problems for one in found)
