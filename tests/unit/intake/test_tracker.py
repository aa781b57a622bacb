"""For how long has a file been unchanged? For any history of looks."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from dropbox_import.intake.tracker import Moment, unchanged

DAY = datetime(2026, 11, 22, tzinfo=UTC)


@given(st.lists(st.floats(0, 20), min_size=1, max_size=30), st.integers(0, 29), st.floats(0, 30), st.integers(1, 4))
def test_unchanged_means_for_the_period_and_over_that_many_looks(waits: list[float], first: int, period: float, scans: int) -> None:
    moments, now = list[Moment](), 1000.0
    for number, wait in enumerate(waits, 1):
        now += wait
        moments.append(Moment(number))
        moments[-1].ends(now, DAY)
    same = moments[min(first, len(moments) - 1) :]
    assert unchanged(same[0], same[-1], period, scans) is (len(same) >= scans and same[-1].monotonic - same[0].monotonic >= period)
