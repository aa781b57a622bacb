"""Which members become filesets, which are bad and which are extras, as a table of folder trees."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dropbox_import.inspector.faults import Code, ImageError
from dropbox_import.inspector.formats import Kind, format_of
from dropbox_import.inspector.grouping import group
from dropbox_import.inspector.keys import fileset_key
from dropbox_import.inspector.whole import Examined
from dropbox_import.model import FileFacts, Inspection


def seen(path: str, size: int = 10, fault: ImageError | None = None) -> Examined:
    return Examined(FileFacts(path, size, 0), format_of(path), fault, pages=1)


def grouped(*paths: str, named: tuple[str, ...] = ()) -> Inspection:
    return group([seen(path) for path in paths], named)


def filesets(found: Inspection) -> list[tuple[str, ...]]:
    return [tuple(facts.path for facts in plan.files) for plan in found.filesets]


@pytest.mark.parametrize(
    ("paths", "expected", "extras"),
    [
        (["a.czi", "a.txt"], [("a.czi",)], ["a.txt"]),
        (["b.tif", "a.tif"], [("a.tif",), ("b.tif",)], []),
        (["run/a.lif", "run/notes/a.lif.log"], [("run/a.lif",)], ["run/notes/a.lif.log"]),
        (["a.ome.tiff", "A.TIF", "x.PNG", "y.jpeg"], [("A.TIF",), ("a.ome.tiff",), ("x.PNG",), ("y.jpeg",)], []),
        (["a.fake"], [("a.fake",)], []),
        (["a.tif", "._a.tif", ".DS_Store", "Thumbs.db"], [("a.tif",)], [".DS_Store", "._a.tif", "Thumbs.db"]),
        (["a.dcm", "b/b.dcm"], [("a.dcm",), ("b/b.dcm",)], []),
        (["a.strange", "b.nd2"], [("b.nd2",)], ["a.strange"]),
        (["c.dv", "c.dv.log", "c_R3D.r3d"], [("c.dv",), ("c_R3D.r3d",)], ["c.dv.log"]),
        (
            ["a.ims", "b.oib", "c.lsm", "d.stk", "e.svs", "f.mrc"],
            [("a.ims",), ("b.oib",), ("c.lsm",), ("d.stk",), ("e.svs",), ("f.mrc",)],
            [],
        ),
    ],
)
def test_formats_of_one_file_are_one_fileset_each(paths: list[str], expected: list[tuple[str, ...]], extras: list[str]) -> None:
    for order in (paths, paths[::-1]):
        found = grouped(*order)
        assert filesets(found) == expected
        assert list(found.extras) == extras
        assert not found.bad


@pytest.mark.parametrize(
    ("paths", "refused", "left"),
    [
        (["run.nd", "run_w1.stk", "run_w2.stk", "run2.tif"], {"run.nd", "run_w1.stk", "run_w2.stk"}, [("run2.tif",)]),
        (["a.vsi", "_a_/stack1/frame_t.ets", "b.tif"], {"a.vsi", "_a_/stack1/frame_t.ets"}, [("b.tif",)]),
        (["a.oif", "a.oif.files/s_C001.tif", "a.oif.files/s_C001.pty"], {"a.oif", "a.oif.files/s_C001.tif", "a.oif.files/s_C001.pty"}, []),
        (["a.ids", "a.ics", "b.tif"], {"a.ids", "a.ics"}, [("b.tif",)]),
        (["x.ndpis", "x-DAPI.ndpi", "y.ndpi"], {"x.ndpis", "x-DAPI.ndpi"}, [("y.ndpi",)]),
        (["p/p.xdce", "p/A01.tif", "p/B02.tif", "q/c.tif"], {"p/p.xdce", "p/A01.tif", "p/B02.tif"}, [("q/c.tif",)]),
        (["p/plate.HTD", "p/TimePoint_1/A01.TIF"], {"p/plate.HTD", "p/TimePoint_1/A01.TIF"}, []),
        (["a.zarr/.zattrs", "a.zarr/0/0.0", "b.tif"], {"a.zarr/.zattrs", "a.zarr/0/0.0"}, [("b.tif",)]),
        (["Images/Index.idx.xml", "Images/r01c01.tiff"], {"Images/Index.idx.xml", "Images/r01c01.tiff"}, []),
        (["s/1.dcm", "s/2.dcm", "t.tif"], {"s/1.dcm", "s/2.dcm"}, [("t.tif",)]),
        (["m.mvd2", "data/1.dat", "data/x.tif"], {"m.mvd2", "data/1.dat", "data/x.tif"}, []),
        (["e.xlef", "e/a.lof", "e/b.xlif"], {"e.xlef", "e/a.lof", "e/b.xlif"}, []),
        (["z.oir", "z_00001", "y.oir"], {"z.oir", "z_00001"}, [("y.oir",)]),
        (["c.czi", "c (1).czi", "d.czi"], {"c.czi", "c (1).czi"}, [("d.czi",)]),
        (["001.flex"], {"001.flex"}, []),
    ],
)
def test_formats_of_several_files_are_refused_with_all_that_belongs_to_them(
    paths: list[str], refused: set[str], left: list[tuple[str, ...]]
) -> None:
    for order in (paths, paths[::-1]):
        found = grouped(*order)
        assert {path for bad in found.bad for path in bad.files} == refused
        assert {bad.code for bad in found.bad} == {Code.NEEDS_READER.value}
        assert all("Bio-Formats" in bad.sentence and bad.hint for bad in found.bad)
        assert filesets(found) == left


def test_a_name_that_only_begins_alike_is_not_drawn_into_a_set() -> None:
    found = grouped("run1.nd", "run1_w1.stk", "run10.tif", "run1b.tif")
    assert filesets(found) == [("run10.tif",), ("run1b.tif",)]


def test_no_image_at_all_is_a_mistake_that_says_so() -> None:
    found = grouped("notes.txt", "table.csv")
    assert found.bad[0].code == "no-image"
    assert found.bad[0].sentence == "There is no image in this drop, only notes.txt, table.csv."
    assert found.bad[0].files == ("notes.txt", "table.csv")
    assert found.extras == ()
    assert group([]).bad[0].code == "no-image"


def test_a_file_that_the_sidecar_names_and_no_format_wants_is_bad_not_an_extra() -> None:
    found = grouped("cells.tif", "cells.raw7", named=("cells.raw7",))
    assert [(bad.files, bad.code) for bad in found.bad] == [(("cells.raw7",), "not-an-image")]
    assert filesets(found) == [("cells.tif",)]
    assert grouped("cells.tif", "cells.raw7").extras == ("cells.raw7",)
    assert grouped("cells.tif", "notes.txt", named=("notes.txt",)).extras == ("notes.txt",)


def test_an_empty_file_that_the_sidecar_names_is_bad() -> None:
    found = group([seen("cells.tif"), seen("notes.txt", size=0)], ("notes.txt",))
    assert [(bad.files, bad.code) for bad in found.bad] == [(("notes.txt",), "empty-file")]
    assert group([seen("cells.tif"), seen("notes.txt", size=0)]).extras == ("notes.txt",)


def test_one_bad_file_does_not_stop_the_others() -> None:
    fault = ImageError(Code.CUT, "ends after 1 of the 2 bytes that it announces")
    found = group([seen("a.tif"), seen("b.tif", fault=fault), seen("c.czi", fault=fault)])
    assert filesets(found) == [("a.tif",)]
    assert [bad.sentence for bad in found.bad] == [f"{name} ends after 1 of the 2 bytes that it announces." for name in ("b.tif", "c.czi")]


def test_the_key_follows_paths_and_sizes_only() -> None:
    one, two = FileFacts("a.tif", 1, 5), FileFacts("b.tif", 2, 6)
    assert fileset_key([one, two]) == fileset_key([two, FileFacts("a.tif", 1, 99, "8:3")])
    assert len(fileset_key([one])) == 20
    assert len({fileset_key(files) for files in ([one], [two], [one, two], [FileFacts("a.tif", 2, 5)], [FileFacts("x/a.tif", 1, 5)])}) == 5
    assert fileset_key([FileFacts("\udcff.tif", 1, 5)]) != fileset_key([one])


def test_ten_thousand_files_take_no_longer_than_they_must() -> None:
    for pattern in ("f/{:05}.tif", "f/{:05}.ids", "f/{:05}.nd", "f/{:05}.dcm", "a/{:05}.zarr/0"):
        began = time.process_time()
        group([seen(pattern.format(number)) for number in range(10_000)])
        assert time.process_time() - began < 4, pattern


NAMES = st.lists(
    st.sampled_from("a.tif b.tif a.nd a_1.stk d/a.tif d/a.vsi d/_a_/x.ets d/x.htd z.zarr/0/1 n.txt u.xyz x.dcm y.dcm c.czi e.fake".split()),
    unique=True,
)


@settings(deadline=None)
@given(NAMES, st.randoms())
def test_every_member_ends_in_exactly_one_place_in_any_order(paths: list[str], chance: object) -> None:
    found = grouped(*paths)
    told = [facts.path for plan in found.filesets for facts in plan.files] + [path for bad in found.bad for path in bad.files]
    assert sorted([*told, *found.extras]) == sorted(paths)
    assert len({plan.key for plan in found.filesets}) == len(found.filesets)
    shuffled = sorted(paths, key=lambda _: chance.random())  # type: ignore[attr-defined]
    assert grouped(*shuffled) == found


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("a.ome.tif", Kind.TIFF),
        ("A.OME.BTF", Kind.TIFF),
        ("a.companion.ome", Kind.COMPANION),
        ("a.nii.gz", Kind.ONE),
        ("a.tar.gz", Kind.NEVER),
        ("a", Kind.UNKNOWN),
        ("tif", Kind.UNKNOWN),
        ("x.zarr", Kind.UNKNOWN),
        ("x.ZARR/0", Kind.MANY),
        (".hidden.tif", Kind.NEVER),
    ],
)
def test_the_longest_known_suffix_decides(path: str, kind: Kind) -> None:
    assert format_of(path).kind is kind
