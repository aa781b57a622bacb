"""`notify`, typed by an administrator: what lies in real outboxes, as its reader will see it, tried again, removed; and a test letter."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from dropbox_import.cli.demo.mailbox import Mailbox
from dropbox_import.cli.entry import cli
from dropbox_import.clock import SystemClock
from dropbox_import.notify.message import Letter, Message, Route, WentWrong
from dropbox_import.notify.outbox import Outbox, write_message
from dropbox_import.spool.layout import Layout, create_box
from tests.conftest import Unprivileged

MINE, OTHER = "lab-aabbccdd", "pc7-11223344"
DROP = "20261128-101500-abcdefghij"
AT = "2026-11-28T10:15:00+00:00"
FAILED = Message(
    "failed", f"{DROP}.failed", at=AT, drop=DROP, user="jdoe", owner="jdoe", sidecar="cells.yaml", email="jdoe@example.org",
    failures=(WentWrong("cells.tif is cut off.", "Copy it again.", ("cells.tif",)),), failures_in_all=1,
)  # fmt: skip
ALERT = Message("alert-begins", "20261128-101500-omero-00000000.alert-begins", at=AT, alert="omero", text="OMERO is down.", since=AT)
JDOE = Route("mail", "jdoe@example.org")
LETTER = Letter("20261128-101512-lmnopqrstu", JDOE, "user", "en", "2026-11-28T10:15:12+00:00", (FAILED,), {})
DEAD = replace(LETTER, id="20261128-101513-deaddeadde", failed="2026-11-23T08:00:00+00:00", why="the mail server does not answer")


class Site:
    """A box with outboxes, a state folder and a config; no daemon."""

    def __init__(self, folder: Path, notify: dict[str, Any] | None = None) -> None:
        self.folder = folder
        self.box, self.state, self.config = folder / "box", folder / "state", folder / "config.yaml"
        create_box(self.box, SystemClock(), ["jdoe"])
        self.state.mkdir(mode=0o700)
        (self.state / "instance.json").write_text(json.dumps({"name": "lab", "bits": "aabbccddeeff"}))
        for name in (MINE, OTHER):
            Layout(self.box).instance(name).mkdir()
        self.configure(notify if notify is not None else {"admin": "ops@example.org", "mail": "relay.example.org"})

    def configure(self, notify: dict[str, Any]) -> None:
        made = {
            "omero": {"host": "localhost", "user": "importer"},
            "state_dir": str(self.state),
            "boxes": [{"path": str(self.box)}],
            "notify": notify,
        }
        self.config.write_text(json.dumps(made))

    def outbox(self, instance: str = MINE) -> Outbox:
        folder = Layout(self.box).outbox(instance)
        folder.mkdir(mode=0o700, exist_ok=True)
        return Outbox(folder)

    def lay_aside(self, letter: Letter = DEAD, instance: str = MINE) -> None:
        outbox = self.outbox(instance)
        outbox.put(letter)
        outbox.lay_aside(letter.id)

    def run(self, *args: str | Path) -> Result:
        return CliRunner().invoke(cli, [*(str(arg) for arg in args), "--config", str(self.config)])

    def daemon_runs(self, **more: Any) -> None:
        facts = {"instance": MINE, "pid": 1, "running": True, "at": datetime.now(UTC).isoformat(), "boxes": [], **more}
        (self.state / "status.json").write_text(json.dumps(facts))

    def listed(self) -> dict[str, dict[str, Any]]:
        told = json.loads(self.run("notify", "list", "--output", "json").stdout)
        return {one["id"]: one for one in told["letters"]}


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def mailbox(tmp_path: Path) -> Iterator[Mailbox]:
    (tmp_path / "mail").mkdir()
    made = Mailbox(tmp_path / "mail")
    made.open()
    yield made
    made.close()


def through(mailbox: Mailbox, **more: Any) -> dict[str, Any]:
    return {"admin": ["ops@example.org", "boss@example.org"], "mail": {"host": "127.0.0.1", "port": mailbox.port}, **more}


# --- list -------------------------------------------------------------------------------


def test_where_all_is_told_the_list_says_so(site: Site) -> None:
    result = site.run("notify", "list")
    assert result.exit_code == 0, result.output
    assert "There is nothing that is not told yet." in result.stderr
    assert json.loads(site.run("notify", "list", "--output", "json").stdout)["letters"] == []


def test_what_lies_in_all_outboxes_is_listed_with_what_it_waits_for(site: Site) -> None:
    write_message(site.outbox().folder, FAILED)
    write_message(site.state / "outbox", ALERT)
    site.outbox().put(LETTER)
    site.outbox(OTHER).put(replace(LETTER, id="20261128-101514-otherother"))
    result = site.run("notify", "list")
    assert result.exit_code == 0, "nothing went wrong"
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines[2:]] == ["ready", "ready", "message", "message"]
    assert "failed: jdoe/cells.yaml" in result.stdout
    told = site.listed()
    assert told[FAILED.name]["to"] == ["mail:jdoe@example.org", "mail:ops@example.org"]
    assert told[FAILED.name]["why"] == told[ALERT.name]["why"] == "the daemon does not run"
    assert told[ALERT.name]["outbox"] == str(site.state / "outbox")
    assert told["20261128-101514-otherother"]["why"] == f"the daemon {OTHER} does not run"


def test_with_a_daemon_each_thing_says_its_own_reason(site: Site) -> None:
    site.daemon_runs()
    outbox = site.outbox()
    (Layout(site.box).instance(MINE) / "20261128-110000-claimedone").mkdir()
    filed_later = replace(FAILED, name="claimed.failed", drop="20261128-110000-claimedone")
    asked = replace(FAILED, name="asked.failed", owner="asmith", user="asmith", email=None, drop="")
    behind = replace(FAILED, name="behind.failed", drop="")
    for one in (filed_later, asked, behind, replace(FAILED, name="next.failed", email="other@example.org")):
        write_message(outbox.folder, one)
    outbox.put(LETTER)
    told = site.listed()
    assert told["claimed.failed"]["why"] == "its drop is not filed yet"
    assert told["asked.failed"]["why"] == "OMERO is asked for the address of asmith"
    assert told["behind.failed"]["why"] == "the letter before it, to mail:jdoe@example.org, is not sent yet"
    assert told["next.failed"]["why"] == "it goes with the next letter to mail:other@example.org, mail:ops@example.org"
    assert told[LETTER.id]["why"] == "it is sent in a moment"


def test_letters_that_could_not_be_sent_wait_and_dead_ones_need_a_person(site: Site) -> None:
    site.outbox().put(replace(LETTER, failed="2026-11-28T10:20:00+00:00", why="the mail server does not answer"))
    assert site.run("notify", "list").exit_code == 5
    site.lay_aside()
    result = site.run("notify", "list")
    assert result.exit_code == 4
    assert "notify resend --all" in result.stderr
    first = result.stdout.splitlines()[2]
    assert first.startswith("dead")
    assert "the mail server does not answer" in first
    assert "2026-11-23 08:00" in first


def test_a_damaged_file_is_listed_and_can_be_removed(site: Site) -> None:
    (site.outbox().folder / "odd.letter.json").write_text("{")
    result = site.run("notify", "list")
    assert result.exit_code == 4
    assert result.stdout.splitlines()[2].startswith("damaged")
    assert site.run("notify", "show", "odd").exit_code == 4
    assert site.run("notify", "resend", "odd").exit_code == 4
    assert site.run("notify", "discard", "odd").exit_code == 0
    assert site.listed() == {}


def test_without_mail_and_channels_the_list_says_what_to_write(tmp_path: Path) -> None:
    site = Site(tmp_path, {})
    write_message(site.outbox().folder, FAILED)
    site.daemon_runs()
    result = site.run("notify", "list")
    assert result.exit_code == 0
    assert "Nobody can be told anything" in result.stderr
    assert "notify: {admin: ops@example.org, mail: relay.example.org}" in result.stderr
    assert "the config names no mail server and no channel" in result.stdout


def test_control_characters_in_what_people_dropped_are_made_visible(site: Site) -> None:
    write_message(site.outbox().folder, replace(FAILED, sidecar="a\x1b[2J\nb.yaml"))
    result = site.run("notify", "list")
    assert "\x1b" not in result.output
    assert "jdoe/a\\x1b[2J\\nb.yaml" in result.stdout


# --- resend, discard --------------------------------------------------------------------


def test_a_dead_letter_is_tried_again_as_if_it_were_new(site: Site) -> None:
    site.lay_aside()
    site.daemon_runs()
    result = site.run("notify", "resend", "deaddead")
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{DEAD.id} to mail:jdoe@example.org: the daemon takes it up within seconds\n"
    assert site.outbox().letter(DEAD.id) == replace(DEAD, failed="", why="")
    again = site.run("notify", "resend", "deaddead")
    assert again.exit_code == 4
    assert "is no dead letter: it is tried again by itself" in again.stderr


def test_all_dead_letters_are_tried_again_also_those_of_another_daemon(site: Site) -> None:
    site.lay_aside()
    site.lay_aside(replace(DEAD, id="20261128-101514-otherother"), OTHER)
    result = site.run("notify", "resend", "--all")
    assert result.exit_code == 0
    assert f"otherother to mail:jdoe@example.org: it is tried again when the daemon {OTHER} runs" in result.stdout
    assert {one["state"] for one in site.listed().values()} == {"ready"}
    assert "There is no dead letter." in site.run("notify", "resend", "--all").stderr
    assert site.run("notify", "resend").exit_code == site.run("notify", "resend", "x", "--all").exit_code == 2


def test_what_is_discarded_is_said_first_and_only_that_goes(site: Site) -> None:
    site.lay_aside()
    site.outbox().put(LETTER)
    write_message(site.outbox().folder, FAILED)
    result = site.run("notify", "discard", "deaddead", FAILED.name)
    assert result.exit_code == 0, result.output
    assert "a letter that could not be delivered" in result.stdout
    assert "failed: jdoe/cells.yaml" in result.stdout
    assert result.stdout.count("  removed") == 2
    assert set(site.listed()) == {LETTER.id}


@pytest.mark.parametrize("command", ["show", "resend", "discard"])
def test_an_id_that_fits_nothing_or_too_much_is_told_and_nothing_is_done(site: Site, command: str) -> None:
    site.lay_aside()
    site.outbox().put(LETTER)
    none = site.run("notify", command, "xyzzy")
    assert none.exit_code == 4
    assert 'there is no message or letter "xyzzy"' in none.stderr
    many = site.run("notify", command, "20261128")
    assert many.exit_code == 4
    assert f'"20261128" fits 2 of the messages and letters: {DEAD.id}, {LETTER.id}' in many.stderr
    assert set(site.listed()) == {DEAD.id, LETTER.id}


@pytest.mark.needs_root
def test_what_root_writes_belongs_to_the_account_of_the_daemon(site: Site) -> None:
    site.lay_aside()
    folder = site.outbox().folder
    os.chown(folder, 65534, 65534)
    assert site.run("notify", "resend", "--all").exit_code == 0
    found = (folder / f"{DEAD.id}.letter.json").stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (65534, 65534, 0o600)


@pytest.mark.needs_root
@pytest.mark.parametrize("words", [("list",), ("resend", "--all"), ("discard", "x")], ids=" ".join)
def test_others_are_told_to_be_root_or_the_daemons_account(unprivileged: Unprivileged, words: tuple[str, ...]) -> None:
    place = unprivileged.folder / "-".join(words)
    place.mkdir(mode=0o755)
    site = Site(place)
    done = unprivileged.run([unprivileged.python, "-m", "dropbox_import", "notify", *words, "--config", site.config])
    assert done.returncode == 3, done.stdout + done.stderr
    assert "you may not look into" in done.stderr
    assert "sudo -u ACCOUNT" in done.stderr
    assert "Traceback" not in done.stderr


# --- a notifier worker ------------------------------------------------------------------


@pytest.mark.slow
def test_a_letter_is_shown_as_its_reader_will_see_it(site: Site, tmp_path: Path) -> None:
    site.outbox().put(replace(LETTER, failed="2026-11-28T10:20:00+00:00", why="the mail server does not answer"))
    page = tmp_path / "letter.html"
    result = site.run("notify", "show", "lmno", "--html", page)
    assert result.exit_code == 0, result.output
    for line in ("to       mail:jdoe@example.org", "failed   for the first time 2026-11-28 10:20:00", "why      the mail server does not"):
        assert f"  {line}" in result.stdout
    assert "\nSubject: " in result.stdout
    assert "cells.tif is cut off" in result.stdout
    assert "Copy it again." in result.stdout
    assert "cells.tif is cut off" in page.read_text()
    again = site.run("notify", "show", "lmno", "--html", page)
    assert again.exit_code == 3
    assert "is there already" in again.stderr


@pytest.mark.slow
def test_a_message_is_shown_as_a_letter_to_an_administrator(site: Site) -> None:
    write_message(site.outbox().folder, FAILED)
    filed = Layout(site.box).failed / "jdoe" / "2026-11" / f"cells__{DROP}"
    filed.mkdir(parents=True)
    result = site.run("notify", "show", DROP)
    assert result.exit_code == 0, result.output
    assert "Subject: " in result.stdout
    assert "cells.tif is cut off" in result.stdout
    assert str(filed) in result.stdout


@pytest.mark.slow
def test_a_test_letter_goes_to_every_administrator_or_to_who_is_named(site: Site, mailbox: Mailbox) -> None:
    site.configure(through(mailbox))
    result = site.run("notify", "test")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == ["mail:ops@example.org: sent", "mail:boss@example.org: sent"]
    assert [mail.to for mail in mailbox.got()] == [("ops@example.org",), ("boss@example.org",)]
    assert all(mail.events == ("test",) for mail in mailbox.got())
    assert site.run("notify", "test", "--to", "jdoe@example.org").exit_code == 0
    assert mailbox.got()[-1].to == ("jdoe@example.org",)


@pytest.mark.slow
def test_each_way_that_does_not_work_is_told_and_the_others_are_tried(site: Site, mailbox: Mailbox, tmp_path: Path) -> None:
    secret = tmp_path / "chat"
    secret.write_text("json://127.0.0.1:1/hook\n")
    secret.chmod(0o600)
    site.configure(through(mailbox, admin=["lab-chat", "ops@example.org"], channels={"lab-chat": {"url_file": str(secret)}}))
    result = site.run("notify", "test")
    assert result.exit_code == 4, result.output
    assert "lab-chat: not sent. " in result.stderr
    assert result.stdout == "mail:ops@example.org: sent\n"


@pytest.mark.parametrize(
    ("notify", "to", "said"),
    [
        ({}, (), "notify: {admin: ops@example.org, mail: relay.example.org}"),
        ({"admin": "ops@x.org", "mail": "relay"}, ("--to", "lab-chat"), "the config has no channel lab-chat"),
        ({"admin": "chat", "channels": {"chat": {"url_file": "/x"}}}, ("--to", "a@x.org"), "names no mail server"),
        ({"admin": "chat", "channels": {"chat": {"url_file": "/x"}}}, ("--to", "caht"), "There are: chat."),
    ],
)
def test_a_test_that_cannot_go_out_says_what_to_write(tmp_path: Path, notify: dict[str, Any], to: tuple[str, ...], said: str) -> None:
    result = Site(tmp_path, notify).run("notify", "test", *to)
    assert result.exit_code == 3, result.output
    assert said in result.stderr


# --- status -----------------------------------------------------------------------------


def test_status_tells_of_dead_letters_from_the_disk_when_no_daemon_runs(site: Site) -> None:
    assert "could not be delivered" not in site.run("status").output
    site.lay_aside()
    site.outbox().put(LETTER)
    result = site.run("status")
    assert "1 letter could not be delivered: dropbox-import notify list" in result.stderr
    told = json.loads(site.run("status", "--output", "json").stdout)
    assert told["notify"] == {"messages": 0, "letters": 1, "dead": 1, "troubles": []}
