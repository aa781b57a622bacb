"""A free slot is offered to who is next, so that hundreds need not ask in vain at each reply."""

from __future__ import annotations

from dropbox_import.daemon.slots import FRESH, Slots
from tests.support.clocks import HandClock

EVERYBODY = frozenset({"a", "b", "c", "d", "e"})


def full(uploads: int = 1) -> Slots:
    slots = Slots(uploads, HandClock())
    for number in range(uploads):
        assert slots.take((f"first{number}", "k"), "ann", 10)
    return slots


def test_nothing_is_offered_while_no_slot_is_free() -> None:
    slots = full()
    assert not slots.take(("a", "k"), "ann", 10)
    assert slots.offers(EVERYBODY) == (frozenset(), False)


def test_as_many_are_named_as_there_are_slots_and_the_first_to_ask_first() -> None:
    slots = full(2)
    for drop in "abc":
        assert not slots.take((drop, "k"), "ann", 10)
    slots.give_back(("first0", "k"))
    assert slots.offers(EVERYBODY) == (frozenset("a"), False)
    assert slots.take(("a", "k"), "ann", 10)
    slots.give_back(("first1", "k"))
    assert slots.offers(EVERYBODY) == (frozenset("b"), False)


def test_the_owner_who_has_sent_the_least_is_named_first() -> None:
    slots = full()
    assert not slots.take(("a", "k"), "ann", 10)
    assert not slots.take(("b", "k"), "bob", 10)
    slots.give_back(("first0", "k"))
    assert slots.offers(EVERYBODY) == (frozenset("b"), False)


def test_who_does_not_ask_again_does_not_keep_others_waiting() -> None:
    slots = full()
    assert not slots.take(("a", "k"), "ann", 10)
    assert not slots.take(("b", "k"), "ann", 10)
    slots.give_back(("first0", "k"))
    assert slots.offers(EVERYBODY) == (frozenset("a"), False)
    assert slots.offers(EVERYBODY) == (frozenset("b"), False)
    assert slots.take(("b", "k"), "ann", 10)


def test_who_was_named_and_refused_keeps_its_place_in_the_line() -> None:
    slots = full()
    for drop in "abc":
        assert not slots.take((drop, "k"), "ann", 10)
    slots.give_back(("first0", "k"))
    assert slots.offers(EVERYBODY)[0] == {"a"}
    assert slots.take(("d", "k"), "ann", 10), "it came in between"
    assert not slots.take(("a", "k"), "ann", 10)
    slots.give_back(("d", "k"))
    assert slots.offers(EVERYBODY)[0] == {"a"}


def test_it_is_told_when_the_next_one_is_of_another_box() -> None:
    slots = full()
    assert not slots.take(("b", "k"), "ann", 10)
    slots.give_back(("first0", "k"))
    assert slots.offers({"a"}) == (frozenset(), True)
    assert slots.offers({"b"}) == (frozenset("b"), False)


def test_a_box_that_hangs_does_not_keep_others_waiting() -> None:
    clock = HandClock()
    slots = Slots(1, clock)
    assert slots.take(("first", "k"), "ann", 10)
    assert not slots.take(("hung", "k"), "bob", 10)
    clock.forward(FRESH + 1)
    assert not slots.take(("a", "k"), "ann", 10)
    slots.give_back(("first", "k"))
    assert slots.offers({"a"}) == (frozenset("a"), False)
    assert slots.take(("a", "k"), "ann", 10)


def test_a_suspect_is_named_only_when_it_can_be_alone() -> None:
    slots = full(2)
    assert not slots.take(("a", "k"), "ann", 10, alone=True)
    slots.give_back(("first0", "k"))
    assert slots.offers(EVERYBODY) == (frozenset(), False)
    slots.give_back(("first1", "k"))
    assert slots.offers(EVERYBODY) == (frozenset("a"), False)
    assert slots.take(("a", "k"), "ann", 10, alone=True)


def test_nobody_behind_a_suspect_is_named_until_it_had_its_turn() -> None:
    """Or boxes would wake each other in vain, or be quicker than the box of the suspect."""
    slots = full(2)
    assert not slots.take(("a", "k"), "ann", 10)
    assert not slots.take(("b", "k"), "ann", 10, alone=True)
    assert not slots.take(("c", "k"), "bob", 10)
    slots.give_back(("first0", "k"))
    assert slots.offers(EVERYBODY) == (frozenset("c"), False), "bob has sent less"
    assert slots.take(("c", "k"), "bob", 30)
    slots.give_back(("first1", "k"))
    assert slots.offers(EVERYBODY) == (frozenset(), False)
    slots.give_back(("c", "k"))
    assert slots.offers({"a"}) == (frozenset(), True), "the suspect is another box's"
    assert slots.offers({"b"}) == (frozenset("b"), False)
    assert slots.offers({"a"}) == (frozenset(), False)
    assert not slots.take(("a", "k"), "ann", 10)
    assert slots.take(("b", "k"), "ann", 10, alone=True)
    slots.give_back(("b", "k"))
    assert slots.offers({"a"}) == (frozenset("a"), False)


def test_a_suspect_that_was_named_and_does_not_ask_again_keeps_others_waiting_only_for_a_moment() -> None:
    clock = HandClock()
    slots = Slots(2, clock)
    assert slots.take(("first", "k"), "ann", 10)
    assert not slots.take(("b", "k"), "ann", 10, alone=True)
    slots.give_back(("first", "k"))
    assert slots.offers(EVERYBODY) == (frozenset("b"), False)
    clock.forward(FRESH / 2)
    assert not slots.take(("c", "k"), "ann", 10)
    clock.forward(FRESH / 2)
    assert slots.offers(EVERYBODY) == (frozenset("c"), False)
    assert slots.take(("c", "k"), "ann", 10)
