"""Upload slots: never too many, and no owner starves another."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dropbox_import.daemon.slots import FRESH, LONGEST, Slots
from tests.support.clocks import HandClock

GB = 1_000_000_000


def test_no_more_uploads_than_slots() -> None:
    slots = Slots(2, HandClock())
    assert [slots.take(("d", str(number)), "ann", 1) for number in range(4)] == [True, True, False, False]


def test_an_import_on_the_server_makes_room_for_an_upload_but_not_without_end() -> None:
    slots = Slots(2, HandClock())
    taken = 0
    for number in range(10):
        if slots.take(("d", str(number)), "ann", 1):
            taken += 1
            slots.sent(("d", str(number)))
    assert taken == 4


def test_one_users_500_files_do_not_starve_anothers_one() -> None:
    slots = Slots(1, HandClock())
    assert slots.take(("a", "0"), "ann", GB)
    assert not slots.take(("a", "1"), "ann", GB)
    assert not slots.take(("b", "0"), "bob", 1)
    slots.give_back(("a", "0"))
    assert not slots.take(("a", "1"), "ann", GB), "bob has sent less and waits"
    assert slots.take(("b", "0"), "bob", 1)


def test_who_has_gone_away_does_not_keep_others_waiting() -> None:
    clock = HandClock()
    slots = Slots(1, clock)
    assert slots.take(("a", "0"), "ann", GB)
    assert not slots.take(("b", "0"), "bob", 1)
    slots.give_back(("a", "0"))
    assert not slots.take(("a", "1"), "ann", GB)
    clock.forward(FRESH + 1)
    assert slots.take(("a", "1"), "ann", GB)


def test_a_suspect_runs_alone() -> None:
    slots = Slots(4, HandClock())
    assert slots.take(("a", "0"), "ann", 1)
    assert not slots.take(("b", "0"), "ann", 1, alone=True)
    slots.give_back(("a", "0"))
    assert slots.take(("b", "0"), "ann", 1, alone=True)
    assert not slots.take(("c", "0"), "ann", 1)
    slots.give_back(("b", "0"))
    assert slots.take(("c", "0"), "ann", 1)


def test_a_suspect_is_next_although_its_own_owner_has_more_to_send() -> None:
    """It waited until the whole backlog of its owner was through: with a microscope that never rests, for ever."""
    slots = Slots(2, HandClock())
    assert slots.take(("a", "0"), "ann", 1)
    assert slots.take(("a", "1"), "ann", 1)
    assert not slots.take(("a", "2"), "ann", 1)
    assert not slots.take(("b", "0"), "ann", 1, alone=True)
    slots.give_back(("a", "0"))
    slots.sent(("a", "1"))
    assert not slots.take(("a", "2"), "ann", 1), "slots are free, but not all of them would ever be"
    slots.give_back(("a", "1"))
    assert not slots.take(("a", "2"), "ann", 1)
    assert slots.take(("b", "0"), "ann", 1, alone=True)
    slots.give_back(("b", "0"))
    assert slots.take(("a", "2"), "ann", 1)


def test_suspects_one_after_the_other_do_not_starve_anothers_files() -> None:
    slots = Slots(2, HandClock())
    assert slots.take(("a", "0"), "ann", 1)
    for number in range(1, 5):
        assert not slots.take(("a", str(number)), "ann", 1, alone=True)
    assert not slots.take(("b", "0"), "bob", 1, alone=True)
    slots.give_back(("a", "0"))
    order = []
    for _ in range(5):
        asking = [(("a", str(number)), "ann", True) for number in range(1, 5)] + [(("b", "0"), "bob", False)]
        (taken,) = [work for work, owner, alone in asking if work not in order and slots.take(work, owner, 1, alone=alone)]
        order.append(taken)
        slots.give_back(taken)
    assert order.index(("b", "0")) <= 1


def test_a_suspect_that_has_gone_away_keeps_nobody_waiting() -> None:
    clock = HandClock()
    slots = Slots(2, clock)
    assert slots.take(("a", "0"), "ann", 1)
    assert not slots.take(("b", "0"), "ann", 1, alone=True)
    assert not slots.take(("a", "1"), "ann", 1)
    slots.forget("b")
    assert slots.take(("a", "1"), "ann", 1), "it is held, or parked"
    slots.give_back(("a", "1"))
    assert not slots.take(("b", "0"), "ann", 1, alone=True)
    clock.forward(FRESH + 1)
    assert slots.take(("a", "2"), "ann", 1), "its box hangs, or its step waits for something else"


def test_an_upload_that_never_ends_keeps_others_waiting_for_a_suspect_only_for_a_while() -> None:
    clock = HandClock()
    slots = Slots(3, clock)
    assert slots.take(("away", "0"), "ann", 1)
    assert slots.take(("c", "0"), "bob", 10)
    slots.give_back(("c", "0"))
    clock.forward(LONGEST - 1)
    assert not slots.take(("b", "0"), "ann", 1, alone=True)
    assert not slots.take(("a", "0"), "ann", 1)
    assert not slots.take(("c", "1"), "bob", 10)
    clock.forward(1)
    assert slots.take(("a", "0"), "ann", 1)
    assert slots.take(("c", "1"), "bob", 10)
    for work in (("a", "0"), ("c", "1"), ("away", "0")):
        slots.give_back(work)
    assert not slots.take(("a", "1"), "ann", 1), "now the suspect can be alone"
    assert slots.take(("b", "0"), "ann", 1, alone=True)


@given(st.lists(st.tuples(st.integers(0, 5), st.sampled_from(["take", "alone", "sent", "back", "forget"])), max_size=60), st.integers(1, 4))
def test_whatever_happens_the_limits_hold_and_in_the_end_all_is_free(moves: list[tuple[int, str]], uploads: int) -> None:
    clock = HandClock()
    slots = Slots(uploads, clock)
    uploading: set[tuple[str, str]] = set()
    holding: set[tuple[str, str]] = set()
    for number, move in moves:
        work = (f"d{number}", "k")
        asks = move in ("take", "alone")
        if asks and slots.take(work, f"owner{number % 2}", number, alone=move == "alone") and work not in holding:
            uploading.add(work)
            holding.add(work)
        elif move == "sent":
            slots.sent(work)
            uploading.discard(work)
        elif move in ("back", "forget"):
            slots.give_back(work) if move == "back" else slots.forget(work[0])
            uploading.discard(work)
            holding.discard(work)
        assert len(uploading) <= uploads
        assert len(holding) <= 2 * uploads
    for work in holding:
        slots.give_back(work)
    clock.forward(FRESH + 1)
    assert slots.take(("last", "k"), "new", 1)
