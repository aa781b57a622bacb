"""What a notifier worker is told before its first letter: where things are, never a secret."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dropbox_import.settings import Channel, Mail, Settings
from dropbox_import.settings.secrets import CREDENTIALS_DIRECTORY

MAIL_CREDENTIAL = "mail-password"


def notifier_config(settings: Settings, instance: str, environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The arguments of a notifier's `configure`, as plain values. Nothing is opened."""
    notify = settings.notify
    return {
        "mail": _mail(notify.mail, notify.sender, environment) if notify.mail is not None else None,
        "channels": {name: _channel(channel) for name, channel in notify.channels.items()},
        "templates": _text(notify.templates),
        "web": notify.web,
        "time_zone": notify.time_zone,
        "instance": instance,
    }


def mail_password_file(mail: Mail, environment: Mapping[str, str] | None = None) -> Path | None:
    """Where the password of the mail server is: the file that the config names, or systemd's credential. None = nowhere, or no user."""
    if mail.user is None:
        return None
    if mail.password_file is not None:
        return mail.password_file
    path = credential_file(MAIL_CREDENTIAL, environment)
    return path if path is not None and path.is_file() else None


def credential_file(name: str, environment: Mapping[str, str] | None = None) -> Path | None:
    """Where systemd puts a credential of that name, whether it is there or not; None = this process got none at all."""
    folder = (os.environ if environment is None else environment).get(CREDENTIALS_DIRECTORY)
    return Path(folder) / name if folder else None


def _mail(mail: Mail, sender: str | None, environment: Mapping[str, str] | None) -> dict[str, Any]:
    return {
        "host": mail.host,
        "port": mail.port,
        "security": mail.security,
        "user": mail.user,
        "password_file": _text(mail_password_file(mail, environment)),
        "sender": sender,
        "reply_to": mail.reply_to,
        "ca_file": _text(mail.ca_file),
        "insecure": mail.insecure,
    }


def _channel(channel: Channel) -> dict[str, str]:
    if channel.url_file is not None:
        return {"url_file": str(channel.url_file)}
    return {"credential": channel.credential or ""}


def _text(path: Path | None) -> str | None:
    return str(path) if path is not None else None
