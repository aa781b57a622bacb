"""One outage is one state: told once, one caller asks at a time, tries grow apart."""

from __future__ import annotations

import logging

import pytest

from dropbox_import.daemon.outage import QUICK_LOOKS, Backoff, Outage
from dropbox_import.errors import ServerUnavailable
from tests.support.clocks import HandClock

DELAYS = (600.0, 600.0, 1800.0, 3600.0)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def outage(clock: HandClock) -> Outage:
    return Outage(Backoff(DELAYS, 0.0, clock), clock)


def test_the_last_delay_goes_on_for_ever(clock: HandClock) -> None:
    backoff = Backoff(DELAYS, 0.0, clock)
    waits = [backoff.due(tries) - clock.monotonic() for tries in range(1, 14)]
    assert waits == [*QUICK_LOOKS, 600, 600, 1800, 3600, 3600, 3600, 3600]


def test_short_configured_delays_are_not_preceded_by_longer_looks(clock: HandClock) -> None:
    backoff = Backoff((5.0, 7.0), 0.0, clock)
    assert [backoff.due(tries) - clock.monotonic() for tries in range(1, 5)] == [2.0, 5.0, 7.0, 7.0]


def test_jitter_only_stretches(clock: HandClock) -> None:
    assert Backoff(DELAYS, 0.1, clock).due(7) - clock.monotonic() == pytest.approx(630)


def test_one_caller_asks_when_a_try_is_due(clock: HandClock, outage: Outage) -> None:
    assert outage.may_ask()
    outage.failed(ServerUnavailable("down"))
    assert not outage.may_ask()
    clock.forward(QUICK_LOOKS[0])
    assert [outage.may_ask(), outage.may_ask()] == [True, False]


def test_a_lost_connection_gets_a_quick_look_and_then_the_configured_delays(clock: HandClock, outage: Outage) -> None:
    outage.failed(ServerUnavailable("down"))
    waits = []
    for _ in range(9):
        waits.append(outage.due - clock.monotonic())
        clock.forward(waits[-1])
        assert outage.may_ask()
        outage.failed(ServerUnavailable("down"))
    assert waits == [*QUICK_LOOKS, 600, 600, 1800]


def test_a_try_that_is_wanted_now_is_one_try_now(clock: HandClock, outage: Outage) -> None:
    outage.hasten()
    assert (outage.down, outage.version) == (False, 0)
    for _ in range(7):
        outage.failed(ServerUnavailable("down"))
        clock.forward(outage.due - clock.monotonic())
        assert outage.may_ask()
    outage.failed(ServerUnavailable("down"))
    assert outage.due - clock.monotonic() == 600
    news = outage.version
    outage.hasten()
    assert outage.version > news, "whoever waits for OMERO looks again"
    assert [outage.may_ask(), outage.may_ask()] == [True, False]
    outage.hasten()
    assert not outage.may_ask(), "somebody is at it"
    outage.failed(ServerUnavailable("down"))
    assert outage.due - clock.monotonic() == 1800


def test_stragglers_of_the_same_outage_do_not_count(clock: HandClock, outage: Outage) -> None:
    for _ in range(20):
        outage.failed(ServerUnavailable("down"))
    assert outage.due - clock.monotonic() == QUICK_LOOKS[0]


def test_a_try_without_a_verdict_lets_somebody_else_try(clock: HandClock, outage: Outage) -> None:
    outage.failed(ServerUnavailable("down"))
    clock.forward(QUICK_LOOKS[0])
    assert outage.may_ask()
    outage.undecided()
    assert outage.may_ask()


def test_beginning_and_end_are_told_once(clock: HandClock, outage: Outage, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            outage.failed(ServerUnavailable("OMERO is down."))
        outage.worked()
        outage.worked()
    assert [record.message for record in caplog.records] == [
        "OMERO cannot be used: OMERO is down. Everything waits until it can.",
        "OMERO can be used again",
    ]
