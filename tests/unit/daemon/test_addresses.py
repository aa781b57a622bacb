"""Mail addresses of users: learned from their sessions, asked of OMERO, remembered while it is down."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dropbox_import.daemon.addresses import FILE, Addresses
from dropbox_import.errors import NotAllowed, ServerUnavailable
from dropbox_import.workers.protocol import Command
from dropbox_import.workers.replies import Reply
from tests.support.clocks import HandClock


class Desk:
    def __init__(self, state: Path) -> None:
        self.state, self.clock = state, HandClock()
        self.down = False
        self.answer: str | Exception = "jane@example.org"
        self.questions: list[str] = []
        self.heard = 0
        self.start()

    def start(self) -> None:
        self.book = Addresses(self.state, self, lambda: self.down, self.clock)

    def submit(self, role: str, command: Command, on_reply: Callable[[Reply], None]) -> None:
        assert (role, command.do) == ("importer", "who_is")
        self.questions.append(command.args["owner"])
        error = self.answer if isinstance(self.answer, Exception) else None
        on_reply(Reply(command, None if error else {"email": self.answer}, error, "none", 1))  # type: ignore[arg-type]

    def ask(self) -> None:
        def heard() -> None:
            self.heard += 1

        self.book.ask("jdoe", heard)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_omero_is_asked_once_and_the_answer_is_kept(desk: Desk) -> None:
    desk.ask()
    assert desk.book.known() == {"jdoe": "jane@example.org"}
    assert (desk.questions, desk.heard) == (["jdoe"], 1)
    assert desk.state.joinpath(FILE).stat().st_mode & 0o077 == 0


def test_an_answer_is_asked_for_again_after_an_hour_but_serves_while_omero_is_down(desk: Desk) -> None:
    desk.ask()
    desk.clock.forward(3601)
    assert desk.book.known() == {}
    desk.down = True
    assert desk.book.known() == {"jdoe": "jane@example.org"}
    desk.start()
    assert desk.book.known() == {"jdoe": "jane@example.org"}


def test_while_omero_is_down_it_is_not_asked(desk: Desk) -> None:
    desk.down = True
    desk.ask()
    assert desk.questions == []


def test_who_is_unknown_to_omero_has_no_address(desk: Desk) -> None:
    desk.answer = NotAllowed("OMERO has no such user.")
    desk.ask()
    assert desk.book.known() == {"jdoe": ""}


def test_a_question_that_nobody_could_answer_is_asked_again_after_a_while(desk: Desk) -> None:
    desk.answer = ServerUnavailable("gone")
    desk.ask()
    desk.ask()
    assert (desk.questions, desk.book.known()) == (["jdoe"], {})
    desk.clock.forward(61)
    desk.answer = "jane@example.org"
    desk.ask()
    assert desk.book.known() == {"jdoe": "jane@example.org"}


def test_what_a_session_told_counts_at_once(desk: Desk) -> None:
    desk.ask()
    desk.book.learn("jdoe", "new@example.org")
    assert desk.book.known() == {"jdoe": "new@example.org"}


@pytest.mark.parametrize("text", [b"", b"{", b"[1]", b"\xff"])
def test_a_damaged_book_is_an_empty_one(desk: Desk, text: bytes) -> None:
    desk.state.joinpath(FILE).write_bytes(text)
    desk.start()
    desk.down = True
    assert desk.book.known() == {}
