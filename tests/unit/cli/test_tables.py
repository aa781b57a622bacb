"""Tables fit the width that they are given; what is piped stays one line a row, unless it is made for reading."""

from __future__ import annotations

import shutil
from os import terminal_size

import pytest

from dropbox_import.cli import status, terminal
from dropbox_import.cli.demo import show
from dropbox_import.cli.demo.checks import Held
from dropbox_import.cli.demo.scenario import Image
from dropbox_import.model import DropState, DropSummary

LONG = "one thing and another thing " * 12


def held() -> Held:
    image = Image("HeLa", "HeLa control", (96, 64, 1, 1, 1), ("demo", "control"), comments=(LONG,))
    return Held(1, "Demo", "HeLa", "alice", image)


def screen(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr(shutil, "get_terminal_size", lambda *_: terminal_size((columns, 40)))


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


def test_the_table_of_the_demo_can_be_read_in_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    show.holdings([held()])
    out = lines(capsys)
    assert max(map(len, out)) <= show.READABLE
    assert out[3].startswith("Demo / HeLa / HeLa control")


@pytest.mark.parametrize("columns", [80, 100, 200])
def test_the_table_of_the_demo_fits_a_terminal(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    screen(monkeypatch, columns)
    show.holdings([held()])
    assert max(map(len, lines(capsys))) <= min(columns, show.READABLE)


@pytest.mark.parametrize("columns", [80, 100, 160])
def test_status_leaves_room_for_the_reason(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    screen(monkeypatch, columns)
    drop = DropSummary("20261122-093912-aaaaaaaaaa", DropState.FAILED, "/box", "jdoe", "cells.yaml", why=LONG, since="2026-11-22T09:00:00Z")
    status._show([drop], {}, everything=True)
    out = lines(capsys)
    assert max(map(len, out)) <= columns
    assert "20261122-093912-aaaaaaaaaa" in out[2]
    assert len(out) <= 14, "the column with the reason is wide enough"


def test_a_piped_table_has_one_line_for_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.table(["a", "b"], [["x", LONG], ["y", LONG]])
    assert len(lines(capsys)) == 4


def test_a_name_cannot_move_the_cursor_or_make_a_row_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.table(("id", "drop"), [("1", "jdoe/a\x1b]52;c;x\x07\x1b[2J.yaml"), ("\x9b2J", "jdoe/b\nheld  c.yaml\u2028d")])
    out = lines(capsys)
    assert all(line.isprintable() for line in out)
    assert len([line for line in out if "jdoe/" in line or "held" in line]) == 2
