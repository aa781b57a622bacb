"""A way to people that does not work is tried by one letter at a time, with pauses that grow; the others are not concerned."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dropbox_import.daemon.channels import AT_ONCE, Channels
from tests.support.clocks import HandClock


class Sender:
    def __init__(self) -> None:
        self.woken = 0
        self.wake: Callable[[], None] = self.was_woken

    def was_woken(self) -> None:
        self.woken += 1


ME = Sender()


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def channels(clock: HandClock) -> Channels:
    return Channels(clock, 0.0)


def test_a_channel_that_works_has_a_few_letters_at_once(channels: Channels) -> None:
    assert [channels.take("mail", ME) for _ in range(AT_ONCE + 1)] == [True] * AT_ONCE + [False]
    channels.worked("mail")
    assert channels.take("mail", ME)


def test_one_that_hangs_takes_nothing_from_another(channels: Channels) -> None:
    for _ in range(AT_ONCE):
        channels.take("mail", ME)
    assert channels.take("lab-chat", ME)


def test_after_a_failure_one_letter_tries_after_pauses_that_grow(channels: Channels, clock: HandClock) -> None:
    pauses = []
    for _ in range(10):
        assert channels.take("mail", ME)
        channels.failed("mail", "no answer.")
        assert not channels.works("mail")
        waited = 0.0
        while not channels.take("mail", ME):
            clock.forward(1.0)
            waited += 1.0
        assert not channels.take("mail", ME)
        channels.undecided("mail")
        pauses.append(waited)
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (2.0, 900.0)


def test_trouble_is_told_with_its_start_and_over_with_the_first_success(channels: Channels, clock: HandClock) -> None:
    for why in ("no answer.", "refused."):
        channels.take("mail", ME)
        channels.failed("mail", why)
        clock.forward(3600)
    (trouble,) = channels.troubles()
    assert (trouble.why, trouble.since) == ("refused.", "2026-11-22T09:39:12+00:00")
    assert channels.take("mail", ME)
    channels.worked("mail")
    assert channels.troubles() == ()
    assert channels.works("mail")


def test_what_was_not_sent_for_a_reason_of_our_own_says_nothing_of_the_channel(channels: Channels) -> None:
    channels.take("mail", ME)
    channels.undecided("mail")
    assert channels.works("mail")
    assert [channels.take("mail", ME) for _ in range(AT_ONCE)] == [True] * AT_ONCE


def test_who_has_one_letter_has_its_turn_beside_who_has_a_thousand(channels: Channels) -> None:
    many, one = Sender(), Sender()
    assert [channels.take("mail", many) for _ in range(AT_ONCE)] == [True] * AT_ONCE
    assert not channels.take("mail", one)
    assert not channels.take("mail", many)
    channels.worked("mail")
    assert one.woken == 1
    assert not channels.take("mail", many), "it came first, but has had its turn"
    assert channels.take("mail", one)


def test_who_does_not_come_when_it_is_its_turn_holds_nobody_up(channels: Channels, clock: HandClock) -> None:
    hanging, other = Sender(), Sender()
    for _ in range(AT_ONCE):
        channels.take("mail", other)
    channels.take("mail", hanging)
    channels.worked("mail")
    assert not channels.take("mail", other)
    clock.forward(11.0)
    assert channels.take("mail", other)
