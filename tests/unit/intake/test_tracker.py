"""For how long has a file been unchanged? For any history of looks."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from dropbox_import.intake.tracker import Moment, Watch, next_look, next_pace, unchanged, was_watched

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


@given(st.integers(0, 1000), st.integers(0, 1000), st.integers(1, 6), st.integers(0, 100), st.integers(1, 4))
def test_after_the_looks_that_are_said_to_be_missing_it_is_unchanged_and_not_before(
    period: int, passed: int, seen: int, unwatched: int, scans: int
) -> None:
    since, now = Moment(1), Moment(seen)
    since.ends(1000.0, DAY, unwatched)
    now.ends(1000.0 + passed, DAY, unwatched)
    wait = next_look(since, now, period, scans)
    later = Moment(seen + max(1, scans - seen))
    later.ends(now.monotonic + wait * max(1, scans - seen) + 1e-6, DAY, unwatched)
    assert unchanged(since, later, period, scans)
    assert (wait == 0.0) is (now.watched - since.watched >= period)


def test_time_between_two_looks_is_watched_up_to_a_few_times_what_it_is_mostly() -> None:
    assert was_watched(30.0, 10.0, 0.0)
    assert not was_watched(31.0, 10.0, 0.0)
    assert was_watched(180.0, 60.0, 0.0), "looks that are asked for less often"
    assert was_watched(1200.0, 10.0, 400.0), "looks that take long"
    assert was_watched(29.0, 0.1, 0.1), "a box that is to look often may be busy"


@given(st.floats(0.1, 3600), st.floats(0, 100_000), st.floats(0.01, 100_000))
def test_however_far_apart_all_looks_are_they_count_in_the_end(interval: float, pace: float, apart: float) -> None:
    for _ in range(10):
        pace = next_pace(apart, interval, pace)
    assert was_watched(apart, interval, pace)


def test_two_hours_without_a_look_are_both_seen() -> None:
    pace = next_pace(3600.0, 10.0, 10.0)
    assert not was_watched(3600.0, 10.0, pace)
    for _ in range(6):
        pace = next_pace(10.0, 10.0, pace)
    assert not was_watched(31.0, 10.0, pace)


@given(st.lists(st.tuples(st.floats(0.1, 20), st.booleans()), min_size=1, max_size=30))
def test_the_time_to_a_look_after_one_that_could_not_be_had_does_not_count(looks: list[tuple[float, bool]]) -> None:
    watch, now, watched, resumed = Watch(10.0), 1000.0, 0.0, 1
    first = last = Moment(1)
    watch.looked(first, now, DAY)
    for number, (passed, lost) in enumerate(looks, 2):
        if lost:
            watch.lost()
        now, last = now + passed, Moment(number)
        watch.looked(last, now, DAY)
        watched, resumed = (watched, number) if lost else (watched + passed, resumed)
    assert abs(last.watched - first.watched - watched) < 1e-6
    assert watch.resumed.number == resumed
