"""Programs that are still writing: none of their files is taken, whatever size and time say."""

from __future__ import annotations

import mmap
import os
import shutil
from pathlib import Path

import pytest

from tests.integration.intake_help import Desk, T, touch_later


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "box")


def test_a_file_that_is_held_open_is_not_taken_however_long_it_is_quiet(desk: Desk) -> None:
    desk.save("cells.yaml", T)
    with (desk.home / "cells.tif").open("wb") as file:
        file.write(b"half")
        file.flush()
        desk.settled()
        assert "open for writing" in desk.reason(desk.looking(5000))
    assert len(desk.after().ready) == 1


def test_a_preallocated_file_is_not_taken_while_it_is_filled(desk: Desk) -> None:
    desk.save("cells.yaml", T)
    fd = os.open(desk.home / "cells.tif", os.O_RDWR | os.O_CREAT)
    os.posix_fallocate(fd, 0, 1 << 20)
    size = (desk.home / "cells.tif").stat().st_size
    assert "open for writing" in desk.reason(desk.settled())
    os.pwrite(fd, b"x", 1 << 19)
    os.close(fd)
    # Closed now, but changed in between: the time says so.
    scan = desk.after(6)
    assert scan.ready == ()
    assert (desk.home / "cells.tif").stat().st_size == size
    assert len(desk.settled().ready) == 1


def test_expected_sizes_do_not_overrule_an_open_writer(desk: Desk) -> None:
    with (desk.home / "cells.tif").open("wb") as file:
        file.truncate(1000)
        desk.save("cells.yaml", T + "files: {expect: {size: {cells.tif: 1000}}}\n")
        desk.after()
        assert "open for writing" in desk.reason(desk.after())
        file.write(b"x" * 1000)
    scan = desk.after()
    assert "moment ago" in desk.reason(scan)
    assert scan.again_in is not None
    assert len(desk.after().ready) == 1


def test_a_mapped_file_counts_as_open(desk: Desk) -> None:
    image = desk.save("cells.tif", b"x" * 5000)
    desk.save("cells.yaml", T)
    with image.open("r+b") as file:
        mapped = mmap.mmap(file.fileno(), 0)
    assert "open for writing" in desk.reason(desk.settled())
    mapped.close()
    assert len(desk.after().ready) == 1


def test_a_copy_that_restores_the_old_time_is_waited_for(desk: Desk) -> None:
    source = desk.save("../../source.tif", b"x" * 100)
    touch_later(source, -1e6)
    desk.save("cells.yaml", T)
    desk.save("cells.tif", b"x" * 100)
    desk.settled()
    shutil.copystat(source, desk.home / "cells.tif")
    assert "moment ago" in desk.reason(desk.after(6))
    assert len(desk.settled().ready) == 1


def test_a_slow_writer_is_waited_for_between_its_pages(desk: Desk) -> None:
    desk.save("scan.yaml", T)
    for page in range(5):
        desk.save("scan.tif", b"page" * (page + 1))
        assert desk.after(6).ready == ()
    assert len(desk.settled().ready) == 1


def test_a_copy_in_progress_in_a_member_folder_holds_the_drop(desk: Desk) -> None:
    desk.save("run/a.tif")
    desk.save("run.yaml", T)
    for size in range(1, 5):
        desk.save("run/b.tif.part", b"x" * size)
        assert desk.after(6).ready == ()
    assert "copied" in desk.reason(desk.after())
    (desk.home / "run" / "b.tif.part").rename(desk.home / "run" / "b.tif")
    assert [member.path for member in desk.only().members] == ["run/a.tif", "run/b.tif"]


def test_a_copy_that_was_given_up_is_left_and_told(desk: Desk) -> None:
    desk.save("run/a.tif")
    desk.save("run/b.tif.part")
    desk.save("run.yaml", T)
    scan = desk.settled()
    (found,) = scan.ready
    assert [member.path for member in found.members] == ["run/a.tif"]
    assert found.whole_folders == ()
    assert "b.tif.part" in scan.notices[0]


def test_a_sidecar_that_is_held_open_is_not_read_for_good(desk: Desk) -> None:
    desk.save("cells.tif")
    with (desk.home / "cells.yaml").open("w") as file:
        file.write(T)
        file.flush()
        assert "open for writing" in desk.reason(desk.settled())
        file.write("tags: [HeLa]\n")
    found = desk.only()
    assert found.request is not None
    assert [tag.name for tag in found.request.tags] == ["HeLa"]


def test_a_sidecar_by_rename_is_seen_whole(desk: Desk) -> None:
    desk.save("cells.tif")
    part = desk.save("cells.yaml.part", T)
    assert desk.settled().ready == ()
    part.rename(desk.home / "cells.yaml")
    assert desk.only().request is not None


def test_a_tree_that_is_moved_in_is_found(desk: Desk) -> None:
    desk.save("../../ready/run/a.tif")
    desk.save("../../ready/run.yaml", T)
    (desk.root / "ready").rename(desk.home / "2025")
    assert desk.only().folder == "jdoe/2025"


def test_an_empty_image_is_taken_so_that_its_failure_is_told(desk: Desk) -> None:
    desk.save("cells.tif", b"")
    desk.save("cells.yaml", T)
    assert desk.only().members[0].size == 0
