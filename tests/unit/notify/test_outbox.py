"""The outbox on the disk: what it keeps, what it refuses to guess, and what anybody can do with it by hand."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path

import pytest

from dropbox_import.notify.message import Letter, Message, Route
from dropbox_import.notify.outbox import Kept, Outbox, Unreadable, write_message

FAILED = Message(
    "failed", "20261128-101500-abcdefghij.failed", at="2026-11-28T10:15:00+00:00", drop="20261128-101500-abcdefghij", user="jdoe"
)
ROUTE = Route("mail", "jdoe@example.org")
LETTER = Letter("20261128-101512-lmnopqrstu", ROUTE, "user", "en", "2026-11-28T10:15:12+00:00", (FAILED,), {"done": 3})


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    write_message(tmp_path / "outbox", FAILED)
    return Outbox(tmp_path / "outbox")


def test_a_message_is_kept_as_it_is_and_closed_to_others(outbox: Outbox) -> None:
    assert outbox.message(FAILED.name) == Kept(FAILED)
    path = outbox.folder / f"{FAILED.name}.json"
    assert json.loads(path.read_text())["user"] == "jdoe"
    assert sys.platform == "win32" or stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_name_that_is_not_utf8_is_kept(tmp_path: Path) -> None:
    odd = Message("done", "x.done", sidecar=b"caf\xe9.yaml".decode("utf-8", "surrogateescape"))
    write_message(tmp_path / "outbox", odd)
    assert Outbox(tmp_path / "outbox").message("x.done").message == odd


def test_where_no_outbox_is_nothing_is_waiting(tmp_path: Path) -> None:
    assert Outbox(tmp_path / "none").names() == ([], [], [])


def test_messages_letters_and_dead_letters_are_told_apart(outbox: Outbox) -> None:
    outbox.put(LETTER)
    assert outbox.names() == ([FAILED.name], [LETTER.id], [])
    assert outbox.letter(LETTER.id) == LETTER
    outbox.lay_aside(LETTER.id)
    assert outbox.names() == ([FAILED.name], [], [LETTER.id])
    assert outbox.dead(LETTER.id) == LETTER


def test_who_has_a_letter_is_noted_with_the_message(outbox: Outbox) -> None:
    outbox.told(FAILED.name, [ROUTE.name])
    outbox.told(FAILED.name, ["lab-chat"])
    assert outbox.message(FAILED.name).told == {ROUTE.name, "lab-chat"}


def test_a_dead_letter_that_is_sent_again_is_as_good_as_new(outbox: Outbox) -> None:
    outbox.put(Letter(**{**{name: getattr(LETTER, name) for name in LETTER.__slots__}, "failed": "2026-11-28T10:16:00+00:00", "why": "no"}))
    outbox.lay_aside(LETTER.id)
    outbox.take_up(LETTER.id)
    assert outbox.letter(LETTER.id) == LETTER


def test_what_is_done_with_goes(outbox: Outbox) -> None:
    outbox.put(LETTER)
    outbox.forget([FAILED.name, "never.was"])
    outbox.sent(LETTER.id)
    outbox.sent(LETTER.id)
    assert outbox.names() == ([], [], [])


def test_an_administrator_can_discard_anything(outbox: Outbox) -> None:
    outbox.put(LETTER)
    assert outbox.discard(LETTER.id)
    assert outbox.discard(FAILED.name)
    assert not outbox.discard("never.was")
    assert outbox.names() == ([], [], [])


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b'{"event": "dancing"}', b'{"event": 3}', b"\xff"])
def test_what_cannot_be_understood_is_no_message(outbox: Outbox, text: bytes) -> None:
    (outbox.folder / "odd.done.json").write_bytes(text)
    with pytest.raises(Unreadable):
        outbox.message("odd.done")


def test_what_a_newer_version_adds_is_ignored(outbox: Outbox) -> None:
    path = outbox.folder / f"{FAILED.name}.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "later": 1}))
    assert outbox.message(FAILED.name).message == FAILED


def test_halves_of_letters_go_and_all_else_stays(outbox: Outbox) -> None:
    """A new letter has a name of its own, so nothing would ever replace the half of one."""
    outbox.put(LETTER)
    half, other = outbox.folder / ".20261122-093912-k7f3q2mzt4.letter.json.new", outbox.folder / f".{FAILED.name}.json.new"
    for path in (half, other):
        path.write_bytes(b"{")
    outbox.clear()
    assert other.exists() and not half.exists()
    assert outbox.names()[1] == [LETTER.id]


def test_half_written_files_are_left_alone(outbox: Outbox) -> None:
    (outbox.folder / f".{FAILED.name}.json.new").write_bytes(b"{")
    assert outbox.names() == ([FAILED.name], [], [])
