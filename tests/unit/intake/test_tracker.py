"""For how long has a file been unchanged? For any history of changes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from dropbox_import.intake.tracker import Tracker

DAY = datetime(2026, 11, 22, tzinfo=UTC)
Step = tuple[float, int | None]
steps = st.lists(st.tuples(st.floats(0, 20), st.none() | st.integers(0, 2)), min_size=1, max_size=30)


@given(steps, st.floats(0, 30), st.integers(1, 4))
def test_quiet_means_unchanged_for_the_period_and_over_that_many_scans(history: list[Step], period: float, scans: int) -> None:
    """Against the plain reading of the rule: look back over all scans."""
    tracker, now, seen = Tracker(), 1000.0, list[tuple[float, int | None]]()
    for wait, mark in history:
        now += wait
        seen.append((now, mark))
        tracker.scan([] if mark is None else [("cells.czi", mark)], now, DAY)
        same = 0
        while same < len(seen) and mark is not None and seen[-1 - same][1] == mark:
            same += 1
        expected = same >= scans and now - seen[-same][0] >= period
        assert tracker.quiet("cells.czi", now, period, scans) is expected


@given(steps)
def test_a_file_left_alone_becomes_quiet(history: list[Step]) -> None:
    tracker, now = Tracker(), 0.0
    for wait, mark in history:
        now += wait
        tracker.scan([("cells.czi", mark)], now, DAY)
    for _ in range(3):
        now += 5
        tracker.scan([("cells.czi", "done")], now, DAY)
    assert tracker.quiet("cells.czi", now, 9.9, 3)


def test_the_day_of_the_first_sight_stays_through_changes() -> None:
    tracker = Tracker()
    tracker.scan([("cells.czi", 1)], 0, DAY)
    tracker.scan([("cells.czi", 2)], 5, DAY + timedelta(days=1))
    seen = tracker.get("cells.czi")
    assert seen is not None
    assert (seen.first, seen.since) == (DAY, 5)
    tracker.scan([], 6, DAY)
    assert tracker.get("cells.czi") is None
    assert not tracker.quiet("cells.czi", 100, 0, 0)


def test_files_do_not_disturb_each_other() -> None:
    tracker = Tracker()
    for number in range(3):
        tracker.scan([("a", 0), ("b", number)], number * 10.0, DAY)
    assert tracker.quiet("a", 20, 20, 3)
    assert not tracker.quiet("b", 20, 0, 2)
