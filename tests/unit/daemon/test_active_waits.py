"""The pauses of a drop's steps: looking again and again is one count, going wrong is another."""

from __future__ import annotations

from unittest.mock import Mock

import pytest

from dropbox_import.daemon.active import Active
from dropbox_import.errors import TryLater
from dropbox_import.spool.steps import Do, Step

POLL = Step(Do.POLL, "a.tif")
BUSY = TryLater("OMERO is busy", code="busy")


@pytest.fixture
def active() -> Active:
    return Active(Mock())


def test_many_polls_are_no_failures(active: Active) -> None:
    for _ in range(1000):
        active.pause(POLL, 5.0)
    assert (active.pauses(POLL), active.failures(POLL)) == (1000, 0)
    active.put_off(POLL, 5.0, BUSY)
    assert (active.pauses(POLL), active.failures(POLL)) == (1000, 1)


def test_failures_are_no_polls(active: Active) -> None:
    """Or a start that nobody could ask about for a while would count as watched for long enough, and be given up."""
    for _ in range(20):
        active.put_off(POLL, 5.0, BUSY)
    assert (active.pauses(POLL), active.failures(POLL)) == (0, 20)


def test_a_good_poll_ends_the_row_of_failures_and_keeps_the_pace(active: Active) -> None:
    active.pause(POLL, 5.0)
    active.put_off(POLL, 5.0, BUSY)
    assert active.tells(POLL)
    assert active.why() is BUSY
    active.pause(POLL, 5.0)
    assert not active.tells(POLL)
    assert active.why() is None
    assert (active.pauses(POLL), active.failures(POLL)) == (2, 0)


def test_what_does_not_count_is_shown_and_puts_the_step_off(active: Active) -> None:
    active.put_off(POLL, 5.0, BUSY, counts=False)
    assert active.failures(POLL) == 0
    assert active.tells(POLL)
    assert not active.idle(POLL, 4.0)
    assert active.idle(POLL, 5.0)


def test_a_step_that_worked_begins_anew(active: Active) -> None:
    active.pause(POLL, 5.0)
    active.put_off(POLL, 5.0, BUSY)
    active.succeeded(POLL)
    assert (active.pauses(POLL), active.failures(POLL), active.tells(POLL)) == (0, 0, False)


def test_a_step_that_is_tried_once_more_waits_for_nothing_and_its_trouble_is_not_over(active: Active) -> None:
    active.put_off(POLL, 5.0, BUSY)
    active.flying[(POLL.do, POLL.key)] = Mock()
    assert active.why() is None
    assert active.why(tried=True) is BUSY
    active.succeeded(POLL)
    assert active.why(tried=True) is None
