"""Messages to people as `notify` and `status` tell of them: words, order, which one is meant, and what a daemon last wrote."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from dropbox_import.cli.entry import cli
from dropbox_import.cli.notify.found import Lying, Place, about, as_json, in_order, pick
from dropbox_import.cli.notify.state import NOTHING, notify_lines, notify_state
from dropbox_import.cli.notify.why import known_addresses
from dropbox_import.errors import Rejected
from dropbox_import.notify.message import Letter, Message, Route
from dropbox_import.settings import Settings, parse_settings

MINE = Place(Path("/box/inprogress/lab-1/outbox"), "lab-1", True)
DONE = Message("done", "20261128-101500-abcdefghij.done", at="2026-11-28T10:15:00+00:00", drop="x", user="jdoe", sidecar="cells.yaml")
LETTER = Letter("20261128-101512-lmnopqrstu", Route("lab-chat"), "admin", "en", "2026-11-28T10:16:00+00:00", (DONE,), {})
MESSAGE = Lying("message", DONE.name, MINE, message=DONE)
READY = Lying("ready", LETTER.id, MINE, letter=LETTER)
DEAD = Lying("dead", "dead", MINE, letter=replace(LETTER, failed="2026-11-20T00:00:00+00:00"))


def settings(folder: Path) -> Settings:
    text = f"omero: {{host: o.uni.org, user: importer}}\nstate_dir: {folder}\nboxes:\n  - path: {folder.with_name('box')}\n"
    return parse_settings(text.encode(), "c.yaml")


@pytest.mark.parametrize("name", ["list", "show", "resend", "discard", "test"])
def test_each_command_teaches_by_example(name: str) -> None:
    result = CliRunner().invoke(cli, ["notify", name, "--help"])
    assert result.exit_code == 0
    assert f"dropbox-import notify {name}" in result.stdout
    assert "--debug" in result.stdout


def test_what_needs_a_person_comes_first() -> None:
    damaged = Lying("damaged", "odd", MINE)
    waits = Lying("waits", "w", MINE, letter=replace(LETTER, failed="2026-11-28T10:20:00+00:00"))
    assert in_order([MESSAGE, READY, waits, DEAD, damaged]) == [damaged, DEAD, waits, READY, MESSAGE]


@pytest.mark.parametrize(
    ("messages", "told"),
    [
        ((DONE,), "done: jdoe/cells.yaml"),
        ((DONE, DONE, replace(DONE, event="failed")), "2 done, 1 failed"),
        ((Message("alert-begins", alert="omero"),), "alert-begins: omero"),
        ((Message("waits-omero", box="/srv/a", user="jdoe"),), "waits-omero: jdoe"),
        ((Message("test"),), "test"),
        ((), ""),
    ],
)
def test_what_a_letter_tells_is_said_in_short(messages: tuple[Message, ...], told: str) -> None:
    assert about(messages) == told


def test_since_when_is_since_it_failed_or_is_there() -> None:
    assert [one.since[:10] for one in (MESSAGE, READY, DEAD)] == ["2026-11-28", "2026-11-28", "2026-11-20"]
    assert Lying("damaged", "odd", MINE).since == ""


def test_the_json_has_every_key_for_each() -> None:
    told = [as_json(one) for one in (MESSAGE, READY, DEAD, Lying("damaged", "odd", MINE, why="it is damaged"))]
    assert all(list(one) == list(told[0]) for one in told)
    assert told[0]["events"] == ["done"]
    assert json.dumps(told)


def test_a_part_of_the_id_is_enough_and_the_whole_one_wins() -> None:
    longer = replace(MESSAGE, name=f"{DONE.name}.again")
    assert pick([MESSAGE, longer], DONE.name) == [MESSAGE]
    assert pick([MESSAGE, READY], "lmno") == [READY]
    with pytest.raises(Rejected, match="fits 2 of the messages and letters"):
        pick([MESSAGE, READY], "20261128")
    with pytest.raises(Rejected, match="there is no message or letter"):
        pick([], "k")


def test_the_same_message_in_two_outboxes_is_one() -> None:
    there = replace(MESSAGE, place=replace(MINE, folder=Path("/other"), mine=False))
    assert pick([MESSAGE, there], "abcdefg") == [MESSAGE, there]


def test_addresses_that_cannot_be_read_are_not_known(tmp_path: Path) -> None:
    assert known_addresses(tmp_path) == {}
    (tmp_path / "addresses.json").write_text("[1]")
    assert known_addresses(tmp_path) == {}
    (tmp_path / "addresses.json").write_text('{"jdoe": "jdoe@example.org"}')
    assert known_addresses(tmp_path) == {"jdoe": "jdoe@example.org"}


# --- status -----------------------------------------------------------------------------


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    (tmp_path / "state").mkdir()
    return tmp_path / "state"


TROUBLE = {"channel": "mail", "since": "2026-11-28T10:15:00+00:00", "why": "relay does not accept connections."}


def test_what_a_running_daemon_wrote_is_told(state_dir: Path) -> None:
    told = {"messages": 3, "letters": 2, "dead": 1, "troubles": [TROUBLE]}
    (state_dir / "status.json").write_text(json.dumps({"running": True, "notify": told}))
    state = notify_state(settings(state_dir), runs=True)
    assert state == told
    assert list(notify_lines(state)) == [
        "Nothing goes out by mail since 2026-11-28 10:15 UTC: relay does not accept connections.",
        "1 letter could not be delivered: dropbox-import notify list",
    ]
    assert notify_state(settings(state_dir), runs=False) == NOTHING, "what an ended daemon wrote is old"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"running": true}', '{"running": true, "notify": {"dead": "x"}}', '{"running": false}'])
def test_a_status_that_cannot_be_read_or_is_of_an_older_release_is_no_trouble(state_dir: Path, text: str) -> None:
    (state_dir / "status.json").write_text(text)
    assert notify_state(settings(state_dir), runs=True) == NOTHING
    assert list(notify_lines(NOTHING)) == []
