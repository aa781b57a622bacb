"""Time in which nobody looked says nothing of a file, and patience is counted from the last change that was seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from dropbox_import.intake import Scan
from dropbox_import.spool.layout import MARKER
from tests.integration.intake_help import Desk, T
from tests.support.lab import Lab

HOUR, DAY = 3600.0, 86400.0
SERIES = T + "files:\n  include: ['t*.tif']\n  expect: {count: 300}\n"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "box")


def as_the_daemon(desk: Desk, most: int = 100) -> float:
    """Look as often as the intake asks for until something is ready. Returns the seconds that it took."""
    began, scan = desk.clock.seconds, desk.after()
    for _ in range(most):
        if scan.ready:
            return desk.clock.seconds - began
        scan = desk.after(min(10.0, scan.again_in or 10.0))
    raise AssertionError(f"it is never taken: {scan.waiting}")


def copying(desk: Desk) -> Path:
    """A copy is under way, and has grown at each look. The place of the file."""
    desk.save("cells.yaml", T)
    for size in range(8):
        desk.save("cells.tif", b"h" * size)
        desk.after(5)
    return desk.home / "cells.tif"


def test_half_a_file_is_not_taken_when_nobody_could_look_while_its_writer_was_blocked(desk: Desk) -> None:
    copying(desk)
    desk.clock.seconds += HOUR
    assert as_the_daemon(desk) == 10


def test_a_copy_that_goes_on_after_the_outage_is_not_taken_before_it_is_done(desk: Desk) -> None:
    image = copying(desk)
    desk.after(5)  # the server answers us for a little longer than the writer
    scan = desk.after(HOUR)
    assert "could not be looked at for a while" in desk.reason(scan)
    assert desk.after(4).ready == ()
    image.write_bytes(b"the rest of it")
    assert "moment ago" in desk.reason(desk.after(4))
    assert "moment ago" in desk.reason(desk.after(4))
    assert len(desk.after(6).ready) == 1


def test_what_was_ready_before_the_outage_is_looked_at_anew(desk: Desk) -> None:
    desk.save("cells.tif")
    desk.save("cells.yaml", T)
    desk.looking(60)
    desk.intake.lost_sight()
    scan = desk.after(1)
    assert "could not be looked at" in desk.reason(scan)
    assert scan.waiting[0].since == desk.clock.seconds, "nobody is told that it waits for long"
    assert len(desk.settled().ready) == 1


def test_expected_sizes_are_seen_twice_after_an_outage(desk: Desk) -> None:
    desk.save("cells.tif", b"12345")
    desk.looking(60)
    desk.save("cells.yaml", T + "files: {expect: {size: {cells.tif: 5}}}\n")
    desk.after()
    scan = desk.after(HOUR)
    assert scan.ready == ()
    assert scan.again_in is not None
    assert len(desk.after(scan.again_in).ready) == 1


def test_half_a_file_is_not_taken_when_the_daemon_finds_its_share_again(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.drop("a.yaml", T, {"a.tif": b"half"})
    runner = lab.start()
    runner.turn(0)
    marker, away = lab.box / MARKER, tmp_path / "away"
    marker.rename(away)
    for _ in range(10):  # a short time, of which an ordinary pause could be as long
        lab.clock.forward(1.0)
        runner.turn(0)
    away.rename(marker)
    lab.clock.forward(3.0)
    scans, began = runner.scans, lab.clock.monotonic()
    runner.turn(0)
    assert runner.scans == scans + 1
    while not lab.claims():
        lab.clock.forward(max(0.05, min(runner.pause(), 1.0)))
        runner.turn(0)
    assert lab.clock.monotonic() - began >= 1.0


def test_a_sidecar_is_not_refused_for_a_weekend_in_which_nobody_could_look(desk: Desk) -> None:
    desk.save("t0.tif")
    desk.save("run.yaml", SERIES)
    desk.after()
    desk.looking(60)
    scan = desk.after(2 * DAY)
    assert scan.ready == ()
    scan = desk.looking(HOUR - 100)
    assert "1 of 300 files" in desk.reason(scan)
    assert desk.clock.seconds - scan.waiting[0].since == HOUR - 40
    assert desk.after(20).notices == ()
    assert len(desk.after(20).notices) == 1
    assert desk.looking(DAY - HOUR - 20).ready == ()
    assert desk.after(20).ready[0].refusal_code == "members-missing"


def arrives(desk: Desk, files: int) -> list[Scan]:
    """A file every five minutes, and the scans after each."""
    scans = []
    for number in range(files):
        desk.save(f"t{number:04}.tif")
        scans.append(desk.after(300))
    return scans


def test_a_long_acquisition_is_not_refused_while_its_files_arrive(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "box", {"scan_interval": 300.0})
    desk.save("run.yaml", SERIES)
    scans = arrives(desk, 294)  # more than 24 hours
    assert [scan.ready for scan in scans if scan.ready] == []
    assert "294 of 300 files" in desk.reason(scans[-1])
    assert len(scans[-1].notices) == 1, "it has waited for more than an hour all the same"
    assert desk.looking(DAY - 100, 300.0).ready == ()
    (refused,) = desk.after(200).ready
    assert "294 of 300 files are there; this has not changed for 24 hours" in refused.mistakes[0].sentence


@pytest.mark.parametrize("change", ["a member grows", "one of two missing files comes", "the sidecar is saved anew", "a member goes"])
def test_whatever_is_seen_to_change_begins_patience_anew(desk: Desk, change: str) -> None:
    text = T + "files: {include: [a.tif, b.tif, c.tif]}\n"
    desk.save("x.yaml", text)
    desk.save("a.tif")
    desk.looking(DAY - HOUR)
    match change:
        case "a member grows":
            desk.save("a.tif", b"more pixels")
        case "one of two missing files comes":
            desk.save("b.tif")
        case "the sidecar is saved anew":
            desk.save("x.yaml", text + "rating: 3\n")
        case "a member goes":
            desk.home.joinpath("a.tif").unlink()
    assert desk.looking(DAY - 100).ready == ()
    assert desk.looking(200).ready[0].refusal_code == "members-missing"


def test_what_others_do_in_the_folder_is_no_change_of_a_drop(desk: Desk) -> None:
    desk.save("x.yaml", T + "files: {include: [a.tif, b.tif]}\n")
    desk.save("a.tif")
    desk.looking(DAY / 2)
    desk.save("other.tif")
    desk.save("other.yaml", T)
    desk.looking(DAY / 2)
    refused = [one for one in desk.after(20).ready if one.request is None]
    assert [one.sidecar.path for one in refused] == ["x.yaml"]


@pytest.mark.parametrize("apart", [40.0, 400.0, 4000.0])
def test_where_looks_take_long_drops_are_taken_all_the_same(desk: Desk, apart: float) -> None:
    desk.looking(200)
    desk.save("cells.tif")
    desk.save("cells.yaml", T)
    looks = 1
    while not desk.after(apart).ready:
        looks += 1
        assert looks < 8
    assert looks >= 3


def test_a_quiet_time_of_many_looks_is_as_long_as_it_says(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "box", {"quiet_period": 300.0})
    desk.save("cells.tif")
    desk.save("cells.yaml", T)
    assert as_the_daemon(desk) == 300


def test_a_long_quiet_time_comes_to_its_end_although_looks_are_missing_now_and_then(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "box", {"quiet_period": 300.0})
    desk.save("cells.tif")
    desk.save("cells.yaml", T)
    desk.after()
    for _ in range(3):
        assert desk.looking(80).ready == ()
        desk.intake.lost_sight()
        assert desk.after(1000).ready == ()
    assert 50 <= as_the_daemon(desk) <= 70
