"""check, of notifications: what an administrator gets wrong with secrets, texts and credentials, and what a notifier says."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from dropbox_import.daemon import check_notify
from dropbox_import.daemon.findings import Finding
from dropbox_import.daemon.notifier_config import notifier_config
from dropbox_import.errors import ServerUnavailable
from dropbox_import.settings import Settings, parse_settings

BASE = "omero: {host: o.uni.org, user: importer}\nstate_dir: /var/lib/x\nboxes:\n  - path: /srv/a\n"


def made(text: str) -> Settings:
    return parse_settings((BASE + text).encode(), "c.yaml")


def secret(path: Path, mode: int = 0o600) -> Path:
    path.write_text("hunter2\n", encoding="utf-8")
    path.chmod(mode)
    return path


def found(text: str, answer: Mapping[str, Any] | None = None) -> list[Finding]:
    return list(check_notify.check_notify(made(text), lambda _settings: answer or {"problems": []}))


def of_files(text: str, environment: Mapping[str, str] | None = None) -> list[tuple[str, str]]:
    return [(one.level, one.about.split(" ")[0]) for one in check_notify.check_notify_files(made(text), environment or {})]


def test_without_mail_and_channels_nobody_is_told_and_no_worker_is_asked() -> None:
    def ask(_settings: Settings) -> dict[str, Any]:
        raise AssertionError

    (finding,) = check_notify.check_notify(made(""), ask)
    assert (finding.level, finding.sentence) == ("warning", "nobody is told of anything")
    assert made(finding.hint.partition(": ")[2]).notify.mail is not None


def test_a_good_set_up_is_told(tmp_path: Path) -> None:
    file = secret(tmp_path / "chat")
    all_found = found(f"notify: {{admin: ops@x.org, mail: relay, channels: {{chat: {{url_file: {file}}}}}, templates: {tmp_path}}}")
    assert [(one.level, one.about) for one in all_found] == [
        ("ok", f"notify.channels.chat.url_file {file}"),
        ("ok", f"notify.templates {tmp_path}"),
        ("ok", "notify.channels.chat"),
        ("ok", "notify.mail"),
        ("ok", "notify.templates"),
    ]
    assert "relay as ops@x.org" in all_found[3].sentence


def test_what_the_notifier_finds_is_a_problem_and_told_once(tmp_path: Path) -> None:
    problems = [
        {"about": "channels.chat", "sentence": "its file is empty", "hint": ""},
        {"about": "channels.ops", "sentence": "apprise does not know slakc", "hint": "Write slack."},
    ]
    file = secret(tmp_path / "ops")
    channels = f"channels: {{chat: {{url_file: {tmp_path / 'none'}}}, ops: {{url_file: {file}}}, more: {{url_file: {file}}}}}"
    all_found = found(f"notify: {{admin: chat, {channels}}}", {"problems": problems})
    assert [one for one in all_found if one.level == "problem"] == [
        all_found[0],
        Finding("problem", "notify.channels.ops", "apprise does not know slakc", "Write slack."),
    ]
    assert all_found[0].sentence == "is not there"
    assert "write the address of the chat, as apprise writes it, into it" in all_found[0].hint
    assert [one.about for one in all_found if "nothing was sent" in one.sentence] == ["notify.channels.more"]


def test_a_notifier_that_cannot_be_asked_is_a_problem() -> None:
    def ask(_settings: Settings) -> dict[str, Any]:
        raise ServerUnavailable("no answer within 60 s", hint="Wait.")

    (finding,) = check_notify.check_notify(made("notify: {admin: ops@x.org, mail: relay}"), ask)
    assert finding == Finding("problem", "notify", "no answer within 60 s", "Wait.")


MAIL = "notify: {admin: ops@x.org, mail: {host: r, port: 587, user: u%s}}"


def test_the_password_of_the_mail_server(tmp_path: Path) -> None:
    here = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    about = "notify.mail.password_file"
    assert of_files(MAIL % f", password_file: {tmp_path / 'none'}") == [("problem", about)]
    assert of_files(MAIL % f", password_file: {secret(tmp_path / 'open', 0o644)}") == [("problem", about)]
    assert of_files(MAIL % f", password_file: {secret(tmp_path / 'closed')}") == [("ok", about)]
    assert of_files(MAIL % "") == [("warning", about)]
    assert of_files(MAIL % "", here) == [("problem", about)]
    secret(tmp_path / "mail-password", 0o400)
    assert of_files(MAIL % "", here) == [("ok", about)]


def test_credentials_of_channels(tmp_path: Path) -> None:
    text = "notify: {admin: chat, channels: {chat: {credential: lab}}}"
    about = "notify.channels.chat.credential"
    assert of_files(text) == [("warning", about)]
    assert of_files(text, {"CREDENTIALS_DIRECTORY": str(tmp_path)}) == [("problem", about)]
    secret(tmp_path / "lab")
    assert of_files(text, {"CREDENTIALS_DIRECTORY": str(tmp_path)}) == [("ok", about)]


def test_certificates_and_texts(tmp_path: Path) -> None:
    start = "notify: {admin: ops@x.org, mail: {host: r, port: 465"
    assert [(one.level, one.about) for one in found(start + ", insecure: true}}")] == [
        ("warning", "notify.mail.insecure"),
        ("ok", "notify.mail"),
    ]
    assert of_files(start + f", ca_file: {tmp_path / 'ca'}}}}}") == [("problem", "notify.mail.ca_file")]
    (tmp_path / "ca").write_text("-----BEGIN CERTIFICATE-----", encoding="ascii")
    assert of_files(start + f", ca_file: {tmp_path / 'ca'}}}}}") == [("ok", "notify.mail.ca_file")]
    assert of_files(f"notify: {{admin: ops@x.org, mail: r, templates: {tmp_path / 'none'}}}") == [("problem", "notify.templates")]


@pytest.mark.parametrize("user", ["", ", port: 587, user: u"])
def test_a_notifier_is_told_where_secrets_are_and_none_of_them(tmp_path: Path, user: str) -> None:
    secret(tmp_path / "mail-password")
    chat = secret(tmp_path / "chat")
    settings = made(
        f"notify: {{admin: [chat, ops@x.org], mail: {{host: r{user}}}, channels: {{chat: {{url_file: {chat}}}, b: {{credential: lab}}}},"
        " web: https://o.org, time_zone: Europe/Paris, templates: /etc/texts}"
    )
    told = notifier_config(settings, "lab1", {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert told == {
        "mail": {
            "host": "r",
            "port": 587 if user else None,
            "security": "starttls" if user else "none",
            "user": "u" if user else None,
            "password_file": str(tmp_path / "mail-password") if user else None,
            "sender": "ops@x.org",
            "reply_to": None,
            "ca_file": None,
            "insecure": False,
        },
        "channels": {"chat": {"url_file": str(chat)}, "b": {"credential": "lab"}},
        "templates": str(Path("/etc/texts")),
        "web": "https://o.org",
        "time_zone": "Europe/Paris",
        "instance": "lab1",
    }
    assert "hunter2" not in json.dumps(told)


def test_nothing_to_tell_is_a_config_too() -> None:
    told = notifier_config(made(""), "lab1", {})
    assert (told["mail"], told["channels"], told["web"]) == (None, {}, "")
