"""Which files go with which sidecar: a table of trees, each in every order of arrival."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropbox_import.errors import SidecarInvalid
from dropbox_import.intake.pairing import Asked, Pair, pair
from dropbox_import.intake.tree import Entry, Folder, Kind, Listing
from dropbox_import.model import FilesRule, ImportRequest, Target
from dropbox_import.sidecar import is_sidecar, parse_sidecar
from tests.unit.intake.trees import TREES, Gets, T, Tree


def listing_of(entries: Iterable[Entry]) -> Listing:
    """What a look at a tree with these entries gives."""
    found: dict[str, dict[str, Entry]] = {}
    for entry in sorted(entries, key=lambda entry: entry.path.split("/")):
        found.setdefault(entry.folder, {})[entry.name] = entry
    return Listing({path: Folder(path, names) for path, names in found.items()}, None)


def entries_of(paths: list[str]) -> list[Entry]:
    folders = {"/".join(path.split("/")[:count]) for path in paths for count in range(1, path.count("/") + 1)}
    return [*(Entry(path, Kind.FOLDER) for path in folders), *(Entry(path, size=1) for path in paths)]


def run(entries: list[Entry], sidecars: dict[str, str]) -> dict[str, Pair]:
    def ask(entry: Entry) -> Asked | None:
        data = sidecars.get(entry.path, "").encode()
        verdict = is_sidecar(entry.name, data)
        if not verdict.is_sidecar and not verdict.near_miss:
            return None
        try:
            return Asked(parse_sidecar(data, entry.name))
        except SidecarInvalid:
            return Asked(None)

    return {one.sidecar.path: one for one in pair(listing_of(entries), ask).pairs}


def as_gets(found: Pair, like: Gets) -> Gets:
    sentences = " ".join(problem.sentence for problem in found.problems) if found.request is not None else "mistake"
    return Gets(
        tuple(entry.path for entry in found.members),
        found.whole_folders,
        tuple(entry.path for entry in found.references),
        found.missing,
        like.wrong if like.wrong and like.wrong in sentences else sentences,
    )


@pytest.mark.parametrize("order", ["sidecar last", "sidecar first", "any"])
@pytest.mark.parametrize("tree", TREES, ids=lambda tree: tree.name)
def test_each_sidecar_gets_its_files_in_every_order(tree: Tree, order: str) -> None:
    data, tickets = entries_of(list(tree.files)), entries_of(list(tree.sidecars))
    entries = [*data, *tickets] if order == "sidecar last" else [*tickets, *data]
    if order == "any":
        random.Random(tree.name).shuffle(entries)
    found = run(entries, tree.sidecars)
    assert {path: as_gets(one, tree.gets.get(path, Gets())) for path, one in found.items()} == tree.gets


@pytest.mark.parametrize("tree", TREES, ids=lambda tree: tree.name)
def test_no_file_ever_belongs_to_two(tree: Tree) -> None:
    found = run(entries_of([*tree.files, *tree.sidecars]), tree.sidecars)
    members = [entry.path for one in found.values() for entry in one.members]
    assert len(members) == len(set(members))
    assert not set(members) & set(found)


def test_a_link_under_the_stem_is_handed_on_to_be_refused() -> None:
    found = run([Entry("a.czi", Kind.LINK), Entry("a.yaml"), Entry("a", Kind.TOO_DEEP)], {"a.yaml": T})
    assert {entry.kind for entry in found["a.yaml"].members} == {Kind.LINK, Kind.TOO_DEEP}


def test_an_unfinished_copy_in_the_drop_is_seen() -> None:
    text = T + "files: {include: [run7, a.czi]}\n"
    found = run(entries_of(["run7/a.czi", "run7/b.czi.part", "a.czi.filepart", "x.yaml", "c.part"]), {"x.yaml": text})
    assert [entry.path for entry in found["x.yaml"].transfers] == ["a.czi.filepart", "run7/b.czi.part"]
    assert found["x.yaml"].whole_folders == ()


def test_a_name_in_the_other_case_is_pointed_out() -> None:
    found = run(entries_of(["Cells.czi", "x.yaml"]), {"x.yaml": T + "files: {include: [cells.CZI]}\n"})
    assert found["x.yaml"].missing == ("cells.CZI",)
    assert found["x.yaml"].other_case == ("Cells.czi",)


def test_no_file_is_asked_about_in_a_folder_that_is_a_member() -> None:
    asked: list[str] = []

    def ask(entry: Entry) -> Asked | None:
        asked.append(entry.path)
        return Asked(parse_sidecar(T.encode(), entry.name)) if entry.path == "run7.yaml" else None

    pair(listing_of(entries_of(["run7.yaml", "run7/meta.json", "x.zarr/zarr.json", ".hidden.yaml", "a.czi"])), ask)
    assert asked == ["run7.yaml"]


NAMES = st.sampled_from(
    ["a.tif", "b.tif", "a.czi", "run/a.tif", "run/b.txt", "run/deep/a.tif", "x.zarr/0", "a.txt", "a.b.tif", "Thumbs.db", "c.part"]
)
SIDECARS = st.sampled_from(["a.yaml", "a.b.yaml", "a.tif.yaml", "run.yaml", "run/a.yaml", "run/deep/z.yaml", "x.yaml", "x.json", "z.yml"])
PATTERNS = st.sampled_from(["*", "*.tif", "a.*", "a.tif", "run", "run/*", "**/*.tif", "run/**", "x.zarr", "run/a.tif", "a.yaml", "**"])
RULES = st.builds(
    FilesRule,
    include=st.none() | st.lists(PATTERNS, min_size=1, max_size=3).map(tuple),
    exclude=st.lists(PATTERNS, max_size=1).map(tuple),
)


@given(st.sets(NAMES), st.dictionaries(SIDECARS, st.none() | RULES, min_size=1, max_size=4), st.randoms())
def test_for_any_tree_and_rules_files_are_shared_out_cleanly(
    files: set[str], rules: dict[str, FilesRule | None], rng: random.Random
) -> None:
    entries = entries_of([*files, *rules])

    def ask(entry: Entry) -> Asked | None:
        if entry.path not in rules:
            return None
        rule = rules[entry.path]
        return Asked(None if rule is None else ImportRequest(Target(), files=rule))

    found = pair(listing_of(entries), ask).pairs
    rng.shuffle(entries)
    assert pair(listing_of(entries), ask).pairs == found
    sidecars = {one.sidecar.path for one in found}
    members = [entry.path for one in found for entry in one.members]
    assert len(members) == len(set(members))
    assert set(members) <= files | (set(rules) - sidecars)
    for one in found:
        folder = f"{one.sidecar.folder}/" if one.sidecar.folder else ""
        mine = {entry.path for entry in one.members}
        assert all(path.startswith(folder) for path in mine)
        for whole in one.whole_folders:
            inside = {entry.path for entry in entries if entry.path.startswith(f"{whole}/") and entry.kind is Kind.FILE}
            assert {path for path in inside if not path.endswith("Thumbs.db")} <= mine
        assert set(one.rivals) <= sidecars
