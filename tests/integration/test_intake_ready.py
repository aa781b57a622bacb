"""When a drop is taken, and what is in it."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
import time
from pathlib import Path

import pytest

from dropbox_import.disk.facts import facts
from dropbox_import.intake import sums
from tests.integration.intake_help import Desk, HandClock, T, touch_later
from tests.unit.intake.trees import TREES, Tree

GOOD_TREES = [tree for tree in TREES if not any(gets.wrong or gets.missing for gets in tree.gets.values())]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "box")


def test_a_quiet_sidecar_with_a_quiet_image_is_ready_with_all_its_facts(desk: Desk) -> None:
    desk.save("2025/cells.tif")
    data = "target: {project: '{path1}', dataset: '{stem} of {date} in {folder}'}\nattachments: [{file: notes.pdf}]\n"
    desk.save("2025/cells.yaml", data)
    desk.save("2025/notes.pdf")
    found = desk.only()
    assert (found.user, found.owner, found.folder) == ("jdoe", "jdoe", "jdoe/2025")
    assert found.sidecar == facts(desk.home / "2025", "cells.yaml")
    assert found.members == (facts(desk.home / "2025", "cells.tif"),)
    assert found.references == (facts(desk.home / "2025", "notes.pdf"),)
    assert found.sidecar_sha256 == hashlib.sha256(data.encode()).hexdigest()
    assert found.request is not None
    assert found.request.target.project is not None
    assert found.request.target.project.name == "2025"
    assert found.request.target.dataset is not None
    local = HandClock().now().astimezone()
    assert found.request.target.dataset.name == f"cells of {local:%Y-%m-%d} in 2025"


def test_it_takes_the_quiet_period_and_three_scans(desk: Desk) -> None:
    desk.save("cells.tif")
    desk.save("cells.yaml", T)
    assert "moment ago" in desk.reason(desk.after())
    assert "moment ago" in desk.reason(desk.after(20))
    assert len(desk.after().ready) == 1
    desk.save("other.tif")
    desk.save("other.yaml", T)
    desk.after(3)
    desk.after(3)
    assert len(desk.after(3).ready) == 1
    assert len(desk.after(6).ready) == 2


def test_it_stays_ready_until_it_leaves(desk: Desk) -> None:
    desk.save("cells.tif")
    sidecar = desk.save("cells.yaml", T)
    first = desk.only()
    assert desk.after(6).ready == (first,)
    sidecar.unlink()
    assert desk.after().ready == ()


def test_old_images_need_no_more_quiet_than_their_sidecar(desk: Desk) -> None:
    desk.save("cells.tif")
    desk.settled()
    desk.save("cells.yaml", T)
    assert desk.after().ready == ()
    assert desk.settled().ready


@pytest.mark.parametrize("change", ["append", "rewrite", "touch", "replace", "new member"])
def test_any_change_starts_the_quiet_time_again(desk: Desk, change: str) -> None:
    image = desk.save("run/cells.tif")
    desk.save("run.yaml", T)
    desk.after()
    desk.after(6)
    if change == "append":
        image.write_bytes(image.read_bytes() + b"more")
    elif change == "rewrite":
        image.write_bytes(b"PIXELS")
    elif change == "touch":
        touch_later(image, -86400)
    elif change == "replace":
        seen = image.stat()
        new = desk.save("elsewhere")
        os.utime(new, ns=(seen.st_atime_ns, seen.st_mtime_ns))
        new.rename(image)
    else:
        desk.save("run/more.tif")
    assert "moment ago" in desk.reason(desk.after(6))
    assert "moment ago" in desk.reason(desk.after(6))
    assert len(desk.after(6).ready) == 1


def test_our_clock_decides_and_never_the_file_times(desk: Desk) -> None:
    for name, seconds in (("old", -1e8), ("future", 1e8)):
        touch_later(desk.save(f"{name}.tif"), seconds)
        touch_later(desk.save(f"{name}.yaml", T), seconds)
    assert desk.after().ready == ()
    assert len(desk.settled().ready) == 2


def test_with_expected_sizes_one_unchanged_scan_is_enough(desk: Desk) -> None:
    desk.save("cells.tif", b"12345")
    desk.save("cells.yaml", T + "files: {expect: {count: 1, size: {cells.tif: 5}}}\n")
    first = desk.after()
    assert first.ready == ()
    assert first.again_in is not None
    assert first.again_in < 1
    second = desk.after(first.again_in)
    assert len(second.ready) == 1
    assert second.again_in is None


def test_a_file_without_an_expected_size_keeps_the_quiet_period(desk: Desk) -> None:
    desk.save("cells.tif", b"12345")
    desk.save("cells.txt", b"12345")
    desk.save("cells.yaml", T + "files: {expect: {size: {cells.tif: 5}}}\n")
    assert desk.after().again_in == 5
    assert "moment ago" in desk.reason(desk.after(1))
    assert desk.settled().ready


def test_it_says_when_one_more_scan_may_find_a_drop_ready(desk: Desk) -> None:
    assert desk.after().again_in is None
    desk.save("cells.tif")
    desk.save("cells.yaml", T)
    scans, began, scan = 0, desk.clock.seconds, desk.after()
    while not scan.ready:
        assert scan.again_in is not None
        scans, scan = scans + 1, desk.after(scan.again_in)
    assert desk.clock.seconds - began == 10
    assert scans == 2
    assert scan.again_in is None


def test_an_expected_checksum_is_compared_and_read_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    image = desk.save("cells.tif", b"12345")
    good = hashlib.sha256(b"54321").hexdigest()
    desk.save("cells.yaml", T + f"files: {{expect: {{sha256: {{cells.tif: {good}}}}}}}\n")
    desk.after()
    assert "SHA-256" in desk.reason(desk.after())
    image.write_bytes(b"54321")
    desk.after()
    assert len(desk.after().ready) == 1
    monkeypatch.setattr(os, "read", lambda fd, size: pytest.fail("read again"))
    assert len(desk.after().ready) == 1


@pytest.mark.parametrize("gone_bad", [False, True])
def test_scans_go_on_while_the_checksum_of_a_large_file_is_computed(desk: Desk, monkeypatch: pytest.MonkeyPatch, gone_bad: bool) -> None:
    reading, go_on = threading.Event(), threading.Event()

    def slow(self: sums.Sums, path: str) -> str:
        reading.set()
        assert go_on.wait(20)
        if gone_bad:
            raise OSError(errno.EIO, "Input/output error", path)
        return hashlib.sha256(b"54321").hexdigest()

    monkeypatch.setattr(sums, "AT_ONCE", 4)
    monkeypatch.setattr(sums.Sums, "fresh", slow)
    desk.save("cells.tif", b"54321")
    desk.save("cells.yaml", T + f"files: {{expect: {{sha256: {{cells.tif: {hashlib.sha256(b'54321').hexdigest()}}}}}}}\n")
    desk.after()
    scan = desk.after()
    assert "is being computed" in desk.reason(scan)
    assert scan.again_in is not None
    assert reading.wait(20) and desk.intake.busy
    assert "is being computed" in desk.reason(desk.after())
    go_on.set()
    while desk.intake.busy:
        time.sleep(0.01)
    if gone_bad:
        assert "Input/output error" in desk.reason(desk.after())
        monkeypatch.undo()
    assert len(desk.after().ready) == 1


def test_a_checksum_for_which_the_system_gives_no_thread_is_computed_later(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """It counted as being computed from then on, and so did every large file of that user, until a restart."""

    def none_left(self: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(sums, "AT_ONCE", 4)
    desk.save("cells.tif", b"54321")
    desk.save("cells.yaml", T + f"files: {{expect: {{sha256: {{cells.tif: {hashlib.sha256(b'54321').hexdigest()}}}}}}}\n")
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", none_left)
        desk.after()
        assert "is being computed" in desk.reason(desk.after())
        assert not desk.intake.busy
    desk.after()
    while desk.intake.busy:
        time.sleep(0.01)
    assert len(desk.after().ready) == 1


def test_a_size_that_does_not_fit_is_waited_for(desk: Desk) -> None:
    image = desk.save("cells.tif", b"123")
    desk.save("cells.yaml", T + "files: {expect: {size: {cells.tif: 5}}}\n")
    desk.after()
    assert "3 bytes, and 5 are expected" in desk.reason(desk.settled())
    image.write_bytes(b"12345")
    desk.after()
    assert len(desk.after().ready) == 1


def test_missing_files_are_waited_for_then_told_then_refused(desk: Desk) -> None:
    desk.save("a.tif")
    desk.save("x.yaml", T + "files:\n  include: [a.tif, b.tif]\n")
    scan = desk.settled()
    assert "b.tif" in desk.reason(scan)
    assert scan.notices == ()
    scan = desk.looking(3600)
    assert "b.tif" in desk.reason(scan)
    assert len(scan.notices) == 1
    assert desk.looking(60).notices == scan.notices
    scan = desk.looking(86400)
    (refused,) = scan.ready
    assert refused.refusal_code == "members-missing"
    assert refused.members == ()
    assert (refused.mistakes[0].file, refused.mistakes[0].line) == ("x.yaml", 3)
    assert "b.tif" in refused.mistakes[0].sentence


def test_the_missing_file_comes(desk: Desk) -> None:
    desk.save("x.yaml", T + "files: {include: [a.tif]}\n")
    desk.settled()
    desk.after(4000)
    desk.save("a.tif")
    assert "moment ago" in desk.reason(desk.after())
    assert len(desk.settled().ready) == 1


def test_a_count_is_waited_for_and_must_fit(desk: Desk) -> None:
    desk.save("run/a.tif")
    desk.save("run.yaml", T + "files: {expect: {count: 2}}\n")
    assert "1 of 2 files" in desk.reason(desk.settled())
    desk.save("run/b.tif")
    assert len(desk.only().members) == 2
    desk.save("run/c.tif")
    assert "3 files are there, and 2 are expected" in desk.refusal()


def test_a_sidecar_without_any_file_waits_and_says_what_to_write(desk: Desk) -> None:
    desk.save("cells.yaml", T)
    assert '"cells"' in desk.reason(desk.settled())
    assert "include" in desk.looking(3600).notices[0]


def test_where_the_box_asks_for_an_end_a_sidecar_without_is_not_complete(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "box", {"require_end": True})
    desk.save("cells.tif")
    desk.save("cells.yaml", T)
    assert "end: true" in desk.reason(desk.settled())
    desk.save("cells.yaml", T + "end: true\n")
    assert desk.only().request is not None


def test_defaults_and_owners_of_the_box_count(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "box", {"defaults": {"tags": ["HeLa"]}, "owners": ("boss",)})
    desk.save("cells.tif")
    desk.save("cells.yaml", T + "owner: boss\n")
    found = desk.only()
    assert found.owner == "boss"
    assert found.request is not None
    assert [tag.name for tag in found.request.tags] == ["HeLa"]


def test_an_idle_scan_reads_no_file(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(50):
        desk.save(f"img{number}.tif")
        desk.save(f"meta{number}.json", '{"a": 1}')
    desk.save("wait.yaml", T)
    desk.after()
    monkeypatch.setattr(os, "read", lambda fd, size: pytest.fail("an idle scan read a file"))
    assert len(desk.after().waiting) == 1


@pytest.mark.parametrize("order", ["sidecars last", "sidecars first"])
@pytest.mark.parametrize(
    "tree", [tree for tree in TREES if not any(gets.wrong or gets.missing for gets in tree.gets.values())], ids=lambda t: t.name
)
def test_the_table_of_trees_on_a_disk_in_both_orders(tmp_path: Path, tree: Tree, order: str) -> None:
    """A scan after each arrival may find a drop waiting, but nothing is taken before it is left alone."""
    desk = Desk(tmp_path / "box")
    data, tickets = [(path, "pixels") for path in tree.files], list(tree.sidecars.items())
    for path, text in [*data, *tickets] if order == "sidecars last" else [*tickets, *data]:
        desk.save(path, text)
        assert desk.after(1).ready == ()
    found = {f"{one.folder}/{one.sidecar.path}".removeprefix("jdoe/"): one for one in desk.settled().ready}
    expected = {path: gets for path, gets in tree.gets.items() if gets.members}
    assert set(found) == set(expected)
    for path, gets in expected.items():
        above = f"{path.rpartition('/')[0]}/" if "/" in path else ""
        assert tuple(above + member.path for member in found[path].members) == gets.members
        assert tuple(above + folder for folder in found[path].whole_folders) == gets.whole
        assert tuple(above + reference.path for reference in found[path].references) == gets.references
