"""Passwords and addresses with tokens: read anew each time from where the config says, and removed from every text that leaves.

Nothing else in this process reads one, and none is kept.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from dropbox_import.errors import TryLater
from dropbox_import.logs import HIDDEN, redact
from dropbox_import.notifier.config import Address, MailServer

MAIL_CREDENTIAL = "mail-password"
_DIRECTORY = "CREDENTIALS_DIRECTORY"
_LONG = 6  # letters; what is shorter is hidden as a whole word only, or every sentence would be full of holes


def password_of(mail: MailServer) -> str:
    """The password of `mail.user`, "" where there is no user. Raises TryLater, code `no-secret`."""
    if not mail.user:
        return ""
    if mail.password_file:
        return _read(Path(mail.password_file), "password file")
    return _credential(MAIL_CREDENTIAL)


def url_of(address: Address) -> str:
    """The URL of a channel. Raises TryLater, code `no-secret`."""
    if address.url_file:
        return _read(Path(address.url_file), "file with the address")
    return _credential(address.credential or "")


def without(secrets: Iterable[str], text: str) -> str:
    """`text` with none of `secrets` in it, and nothing that looks like one."""
    for secret in sorted({each for each in secrets if each}, key=len, reverse=True):
        for form in {secret, quote(secret), quote(secret, safe="")}:
            found = re.escape(form) if len(form) >= _LONG else rf"(?<!\w){re.escape(form)}(?!\w)"
            text = re.sub(found, HIDDEN, text)
    return redact(text)


def parts_of(url: str) -> Iterator[str]:
    """What of a channel's URL is secret: all of it but the names of hosts and of the service itself."""
    yield url
    scheme, _, rest = url.partition("://")
    try:
        whole = urlsplit(f"{'https' if scheme else ''}://{rest}")
    except ValueError:  # letters that may not stand there: then every word of it is hidden
        yield rest
        yield from re.split(r"[/:@?&=#\s]+", rest)
        return
    host = whole.netloc.rpartition("@")[2]
    for piece in (*whole.netloc.rpartition("@")[0].split(":"), *whole.path.split("/"), *(value for _, value in parse_qsl(whole.query))):
        yield from (piece, unquote(piece))
    yield from (each for each in (whole.path, whole.query, whole.fragment) if len(each) > 1)
    if "." not in host and not host.startswith(("localhost", "[")):  # many services have a token in its place
        yield from (host, unquote(host))


def _credential(name: str) -> str:
    folder = os.environ.get(_DIRECTORY)
    if not folder or not name:
        raise TryLater(
            f"There is no credential {name}: systemd gave this service none.", hint=f"Write LoadCredential={name}:… .", code="no-secret"
        )
    return _read(Path(folder) / name, "credential")


def _read(path: Path, what: str) -> str:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        raise TryLater(
            f"The {what} {path} cannot be read: {reason}.", hint="Check its owner and its mode (0600).", code="no-secret"
        ) from None
    kept = [line.rstrip("\r") for line in lines if line.strip()]
    if len(kept) != 1:
        raise TryLater(
            f"The {what} {path} has {len(kept)} lines, and one is needed.", hint="Write it on one line, and nothing else.", code="no-secret"
        )
    return kept[0]
