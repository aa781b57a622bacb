"""The session book: who holds what, what may be joined, and when a session is over."""

from __future__ import annotations

from pathlib import Path

import pytest

from dropbox_import.daemon.sessions import SessionBook
from tests.support.clocks import HandClock


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def book(tmp_path: Path, clock: HandClock) -> SessionBook:
    return SessionBook(tmp_path, clock)


def test_sessions_of_an_earlier_daemon_can_be_joined(tmp_path: Path, clock: HandClock) -> None:
    (tmp_path / "41.json").write_text('{"owner": "ann", "group": "lab", "uuid": "secret"}')
    (tmp_path / "half.json").write_text("{")
    book = SessionBook(tmp_path, clock)
    assert dict(book.states()) == {41: "joinable"}
    assert book.idle(frozenset(), 0, joinable=False) == (), "not before every claim has been looked at"
    assert [one.number for one in book.idle(frozenset(), 0, joinable=True)] == [41]
    assert book.open_for("ann") == {}


def test_the_default_groups_session_is_found_without_a_group(book: SessionBook) -> None:
    book.opened(7, "ann", "lab", 1, default=True)
    book.opened(8, "ann", "other", 1, default=False)
    assert book.open_for("ann") == {"lab": 7, "": 7, "other": 8}
    assert book.open_for("bob") == {}


def test_a_session_is_opened_once_for_all_who_want_it(book: SessionBook) -> None:
    assert [book.want("ann", "lab"), book.want("ann", "lab")] == [True, False]
    book.unwant("ann", "lab")
    assert book.want("ann", "lab")


def test_a_dead_worker_leaves_its_sessions_to_be_joined_and_holds_nothing(book: SessionBook) -> None:
    book.opened(7, "ann", "lab", 1, default=True)
    book.hold("d", "k", 1, 7, 1)
    book.worker_gone(1)
    assert book.states()[7] == "joinable"
    assert book.held("d") == frozenset()
    assert book.worker_of(7) is None


def test_what_has_not_been_read_can_count_on_no_session_of_this_life(tmp_path: Path, book: SessionBook) -> None:
    """Neither a lost worker nor a lost connection makes it one of an earlier daemon; being joined does not make that one of ours."""
    book.opened(7, "ann", "lab", 1, default=True)
    book.worker_gone(1)
    book.join(7, 2, [], frozenset())
    book.lost(7, 2)
    (tmp_path / "41.json").write_text('{"owner": "ann", "group": "lab", "uuid": "secret"}')
    book.look_again()
    book.join(41, 2, [], frozenset())
    book.lost(41, 2)
    assert [one.number for one in book.idle(frozenset(), 0, joinable=False)] == [7]
    assert book.idle(frozenset({7}), 0, joinable=False) == ()


def test_a_joined_session_takes_no_new_work_and_holds_only_what_is_wanted(book: SessionBook) -> None:
    attempts = [{"drop": "d", "key": key, "attempt": 1, "fileset": 5, "phase": "begun"} for key in ("k", "old")]
    book.join(7, 2, attempts, frozenset({("d", "k", 1)}))
    assert book.held("d") == {("k", 1)}
    assert book.open_for("") == {}
    assert book.worker_of(7) == 2


def test_only_the_worker_that_has_a_session_can_say_that_it_has_not(book: SessionBook) -> None:
    attempts = [{"drop": "d", "key": "k", "attempt": 1, "fileset": 5, "phase": "committed"}]
    book.join(7, 2, attempts, frozenset({("d", "k", 1)}))
    book.let_go("d", "k", 1, 1)
    book.lost(7, 1)
    assert (book.worker_of(7), book.held("d")) == (2, frozenset({("k", 1)}))
    book.let_go("d", "k", 1, 2)
    assert (book.worker_of(7), book.held("d"), book.joined("d", "k", 1)) == (2, frozenset(), None)
    book.lost(7, 2)
    assert book.states()[7] == "joinable"
    book.mark(7, "ended")
    book.lost(7, 2)
    assert book.states()[7] == "ended"


def test_a_session_with_a_started_import_is_not_idle(book: SessionBook, clock: HandClock) -> None:
    book.opened(7, "ann", "lab", 1, default=True)
    book.hold("d", "k", 1, 7, 1)
    clock.forward(1000)
    assert book.idle(frozenset(), 90, joinable=True) == ()
    assert [one.number for one in book.to_keep_alive(120)] == [7]
    book.let_go("d", "k", 1)
    assert [one.number for one in book.idle(frozenset(), 90, joinable=True)] == [7]
    assert book.idle(frozenset({7}), 90, joinable=True) == ()


def test_the_moment_of_the_end_is_kept(book: SessionBook, clock: HandClock) -> None:
    book.mark(7, "ended")
    clock.forward(30)
    book.mark(7, "ended")
    assert dict(book.ended_for()) == {7: 30.0}
