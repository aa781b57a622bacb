"""The part of `check` that looks at notifications: secrets, texts, and what a notifier worker says of them. Nothing is sent."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from dropbox_import.daemon.beside import worker_beside
from dropbox_import.daemon.check_secrets import check_ca_file, check_secret_file
from dropbox_import.daemon.findings import Finding, me
from dropbox_import.daemon.notifier_config import MAIL_CREDENTIAL, credential_file, mail_password_file
from dropbox_import.errors import DropboxImportError
from dropbox_import.settings import Mail, Settings

PATIENCE = 60.0
_CHAT = "the address of the chat, as apprise writes it,"


def check_notify(settings: Settings, ask: Callable[[Settings], Mapping[str, Any]]) -> Iterator[Finding]:
    """`ask(settings)` runs the notifier's `check`, which says {problems: [{about, sentence, hint}]}, or raises a DropboxImportError.

    `about` is a key below `notify`, like channels.lab-chat; what was found wrong with a file of it already is not told again.
    """
    notify = settings.notify
    if notify.mail is None and not notify.channels:
        yield Finding(
            "warning",
            "notify",
            "nobody is told of anything",
            "Write into the config: notify: {admin: ops@example.org, mail: relay.example.org}",
        )
        return
    if notify.mail is not None and notify.mail.insecure and notify.mail.security != "none":
        yield _insecure(notify.mail)
    files = list(check_notify_files(settings))
    yield from files
    try:
        answer = ask(settings)
    except DropboxImportError as error:
        yield Finding("problem", "notify", error.sentence, error.hint)
        return
    told = [finding.about for finding in files if finding.level != "ok"]
    yield from judge_answer(settings, answer, told)


def judge_answer(settings: Settings, answer: Mapping[str, Any], told: list[str]) -> Iterator[Finding]:
    """What the notifier says of mail, channels and texts. Pure."""
    problems = [
        Finding("problem", f"notify.{one.get('about', '')}".rstrip("."), str(one.get("sentence", "")), str(one.get("hint", "")))
        for one in answer.get("problems") or ()
    ]
    yield from (one for one in problems if not any(_concerns(about, one.about) for about in told))
    wrong = [*told, *(one.about for one in problems)]
    notify = settings.notify
    good = {f"notify.channels.{name}": "can be used; nothing was sent" for name in notify.channels}
    if notify.mail is not None:
        good["notify.mail"] = f"goes through {notify.mail.host} as {notify.sender}; nothing was sent"
    if notify.templates is not None:
        good["notify.templates"] = "the texts can be used"
    yield from (Finding("ok", about, sentence) for about, sentence in good.items() if not any(_concerns(one, about) for one in wrong))


def check_notify_files(settings: Settings, environment: Mapping[str, str] | None = None) -> Iterator[Finding]:
    """The files that the config names for notifications: secrets closed to others, certificate and texts readable."""
    notify = settings.notify
    if notify.mail is not None:
        yield from _check_mail(notify.mail, environment)
    for name, channel in notify.channels.items():
        about = f"notify.channels.{name}"
        if channel.url_file is not None:
            yield from check_secret_file(f"{about}.url_file", channel.url_file, _CHAT)
        elif channel.credential is not None:
            yield from _check_credential(f"{about}.credential", channel.credential, "name a file in url_file instead", environment)
    if notify.templates is not None:
        yield _check_templates(notify.templates)


def ask_notifier(settings: Settings) -> dict[str, Any]:
    """Let a notifier worker look at addresses, secrets and texts, and end it. Nothing is sent."""
    with worker_beside(settings, "notifier") as ask:
        return ask("check", patience=PATIENCE)


def _concerns(told: str, about: str) -> bool:
    """Is `told` (a key, perhaps with a path behind it) the key `about` or one below it?"""
    return told == about or told.startswith((f"{about}.", f"{about} "))


def _insecure(mail: Mail) -> Finding:
    what = "the password and all mails" if mail.user is not None else "all mails"
    return Finding(
        "warning",
        "notify.mail.insecure",
        f"the mail server's certificate is not verified: anyone in between can read {what}",
        "Set notify.mail.ca_file and remove insecure.",
    )


def _check_mail(mail: Mail, environment: Mapping[str, str] | None) -> Iterator[Finding]:
    if mail.ca_file is not None:
        yield from check_ca_file("notify.mail.ca_file", mail.ca_file)
    if mail.user is None:
        return
    path = mail_password_file(mail, environment)
    if path is not None:
        yield from check_secret_file("notify.mail.password_file", path, "the password of the mail account")
    else:
        yield from _check_credential("notify.mail.password_file", MAIL_CREDENTIAL, "name a file in notify.mail.password_file", environment)


def _check_credential(about: str, name: str, otherwise: str, environment: Mapping[str, str] | None) -> Iterator[Finding]:
    """A secret that systemd hands to the service. A check that is typed by hand does not get it."""
    path = credential_file(name, environment)
    how = f"LoadCredential={name}:/etc/dropbox-import/{name}"
    if path is None:
        sentence = f"is to be the systemd credential {name}, which only the service gets, so it was not looked at"
        yield Finding("warning", about, sentence, f"Make sure that the unit has {how}, or {otherwise}.")
    elif path.is_file():
        yield from check_secret_file(about, path, "it")
    else:
        yield Finding("problem", about, f"systemd gave no credential {name}", f"Write into the unit: {how}; or {otherwise}.")


def _check_templates(path: Path) -> Finding:
    about = f"notify.templates {path}"
    if not path.is_dir():
        return Finding("problem", about, "is no folder", f"Type: sudo install -d -m 755 {path}, or remove the key.")
    if not os.access(path, os.R_OK | os.X_OK):
        return Finding("problem", about, "may not be read", f"Type: sudo setfacl -m u:{me()}:rx {path}")
    return Finding("ok", about, "can be read")
