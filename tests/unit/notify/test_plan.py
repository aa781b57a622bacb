"""When a letter is due, and what it tells."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from dropbox_import.notify import plan
from dropbox_import.notify.message import Event, Message
from dropbox_import.settings.model import Notify, Quiet

RULES = Notify(gather=10.0, digest=180.0, limit=4, per=3600.0)


def letters(arrivals: list[float], until: float, rules: Notify = RULES) -> list[tuple[float, int]]:
    """When letters are made, and how many messages each has, of messages that come at these moments."""
    made: list[tuple[float, int]] = []
    waiting: list[float] = []
    now = 0.0
    while now < until:
        waiting += [one for one in arrivals if now - 1 < one <= now]
        if waiting and now >= plan.due(min(waiting), [moment for moment, _ in made], rules):
            made.append((now, len(waiting)))
            waiting = []
        now += 1.0
    return made


def test_the_first_is_told_within_a_minute() -> None:
    assert letters([100.0], 1000.0) == [(110.0, 1)]


def test_what_ends_together_is_told_together() -> None:
    assert letters([100.0, 103.0, 109.0], 1000.0) == [(110.0, 3)]


def test_what_follows_within_minutes_is_a_digest() -> None:
    assert letters([100.0, *map(float, range(120, 200, 10))], 1000.0) == [(110.0, 1), (290.0, 8)]


def test_after_a_pause_the_next_one_is_told_soon_again() -> None:
    assert letters([100.0, 2000.0], 3000.0) == [(110.0, 1), (2010.0, 1)]


def test_five_hundred_at_once_are_a_handful_of_letters() -> None:
    found = letters([100.0 + number for number in range(500)], 4000.0)
    assert sum(count for _, count in found) == 500
    assert len(found) <= 5


def test_nobody_has_more_letters_than_the_limit_and_all_are_told_in_the_end() -> None:
    found = letters([float(number) for number in range(0, 7000, 20)], 20000.0)
    for start in range(0, 20000, 100):
        assert sum(start <= moment < start + 3600 for moment, _ in found) <= 4
    assert sum(count for _, count in found) == 350


@pytest.mark.parametrize(
    ("now", "seconds"),
    [("19:59:59", 0), ("20:00:00", 11 * 3600), ("23:30:10", 7.5 * 3600 - 10), ("06:59:00", 60), ("07:00:00", 0), ("12:00:00", 0)],
)
def test_quiet_hours_go_over_midnight(now: str, seconds: float) -> None:
    local = datetime.fromisoformat(f"2026-11-28T{now}").replace(tzinfo=UTC)
    assert plan.silent_for(Quiet(20 * 60, 7 * 60), local) == seconds
    assert plan.silent_for(None, local) == 0


def test_quiet_hours_within_a_day() -> None:
    quiet = Quiet(12 * 60, 13 * 60)
    assert plan.silent_for(quiet, datetime(2026, 11, 28, 12, 45, tzinfo=UTC)) == 900
    assert plan.silent_for(quiet, datetime(2026, 11, 28, 13, 0, tzinfo=UTC)) == 0


def message(number: int, event: Event, drop: str = "") -> Message:
    drop = drop or f"drop{number}"
    return Message(event, f"{drop}.{number}.{event}", at=f"2026-11-28T10:{number // 60:02}:{number % 60:02}", drop=drop)


def test_a_letter_tells_the_oldest_first() -> None:
    found, folded = plan.content([message(3, "done"), message(1, "failed"), message(2, "done")])
    assert [one.drop for one in found] == ["drop1", "drop2", "drop3"]
    assert folded == {}


def test_of_a_drop_that_was_tried_again_only_the_last_outcome_is_told() -> None:
    found, folded = plan.content([message(1, "failed", "a"), message(2, "attention", "a"), message(3, "done", "a")])
    assert [one.event for one in found] == ["attention", "done"]
    assert folded == {}


def test_of_very_many_only_the_number_is_told_and_what_went_wrong_comes_first() -> None:
    many = [message(number, "done") for number in range(300)] + [message(number, "failed") for number in range(300, 450)]
    found, folded = plan.content(many)
    assert len(found) == plan.MOST
    assert sum(one.event == "failed" for one in found) == 150
    assert folded == {"done": 250}
