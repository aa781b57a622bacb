"""Two sidecars that claim one file are both refused, also when one of them leaves the folder before the other."""

from __future__ import annotations

from pathlib import Path

import pytest

from dropbox_import.intake.disputes import REMEMBERED
from tests.integration.intake_help import Desk, T

FIRST = T + 'files: {include: ["cell_*.tif"]}\n'
SECOND = T + 'files: {include: ["cell_?.tif"]}\n'


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = Desk(tmp_path / "box")
    desk.save("cell_1.tif")
    desk.save("a.yaml", FIRST)
    desk.save("b.yaml", SECOND)
    both = desk.settled().ready
    assert [one.request for one in both] == [None, None]
    desk.home.joinpath("a.yaml").unlink()  # taken, to be refused
    return desk


def test_the_second_one_does_not_get_the_file_because_it_is_alone(desk: Desk) -> None:
    (left,) = desk.after(6).ready
    assert left.request is None
    assert "a.yaml" in left.mistakes[0].sentence


def test_saved_anew_it_gets_the_file(desk: Desk) -> None:
    desk.after(6)
    desk.save("b.yaml", SECOND + "rating: 5\n")
    (ready,) = desk.settled().ready
    assert [one.path for one in ready.members] == ["cell_1.tif"]


def test_left_alone_for_long_it_gets_the_file(desk: Desk) -> None:
    (ready,) = desk.after(REMEMBERED + 6).ready
    assert ready.request is not None
