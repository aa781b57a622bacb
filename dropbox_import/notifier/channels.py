"""Chats, webhooks and other services: letters as plain text through apprise.

apprise says only whether it went well and tells the reason to its log, which holds addresses and texts too. So nothing of that log is
passed on; the reason is looked for in what one call logged, and made a sentence without secrets.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import apprise

from dropbox_import.errors import TryLater
from dropbox_import.notifier.config import Address
from dropbox_import.notifier.harmless import harmless
from dropbox_import.notifier.secret import parts_of, url_of, without
from dropbox_import.notifier.texts import Rendered

CONNECT_SECONDS = 20.0
READ_SECONDS = 60.0
NOT_DELIVERED = "not-delivered"
REFUSED = "refused"  # this letter or its recipient, by a server that works
_heard: ContextVar[list[str] | None] = ContextVar("apprise_heard", default=None)
_starting = threading.Lock()

_CODE = re.compile(r"(?i)\berror\s*=\s*(\d{3})\b|\b(?:status|code)\W{1,3}(\d{3})\b")
_ERRNO = re.compile(r"\[Errno -?\d+\] ([\w ,'-]+)")
_KNOWN = (
    ("certificate verify failed", "the certificate of its server is not valid for us"),
    ("timed out", "it did not answer in time"),
    ("NameResolutionError", "the name of its server is not known"),
    ("Name or service not known", "the name of its server is not known"),
    ("Connection aborted", "it ended the connection"),
)


class _Ear(logging.Handler):
    """Hands what apprise logs to the call during which it does."""

    def emit(self, record: logging.LogRecord) -> None:
        heard = _heard.get()
        if heard is not None:
            heard.append(record.getMessage())


def listen() -> None:
    """Keep apprise's log, and that of its HTTP library, to ourselves: once for the process. It loads the services, too."""
    log = logging.getLogger("apprise")
    with _starting:
        if not any(isinstance(handler, _Ear) for handler in log.handlers):
            log.addHandler(_Ear())
            log.setLevel(logging.DEBUG)
            log.propagate = False
            logging.getLogger("urllib3").setLevel(logging.CRITICAL)  # it names whole addresses
            apprise.Apprise.instantiate("json://localhost")


def asset() -> apprise.AppriseAsset:
    """How apprise is to behave: it writes nothing to the disk, and takes texts as they are."""
    return apprise.AppriseAsset(
        app_id="dropbox-import",
        async_mode=False,
        interpret_emojis=False,
        interpret_escapes=False,
        storage_mode=apprise.PersistentStoreMode.MEMORY,
        service_timeout=0,  # the daemon's clock judges
    )


def check_channel(address: Address) -> None:
    """Raises TryLater where the URL cannot be read or is none that apprise knows. Sends nothing."""
    url = url_of(address)
    with _hearing() as heard:
        _service(url, heard)


def send_to_channel(
    name: str, address: Address, rendered: Rendered, *, connect_seconds: float = CONNECT_SECONDS, read_seconds: float = READ_SECONDS
) -> None:
    """Raises TryLater, code `not-delivered` or `no-secret`, with the reason in a sentence."""
    url = url_of(address)
    with _hearing() as heard:
        services = _service(url, heard)
        for one in services:
            one.socket_connect_timeout, one.socket_read_timeout = connect_seconds, read_seconds
        try:
            sent = services.notify(title=rendered.subject, body=rendered.text, body_format=apprise.NotifyFormat.TEXT)
        except Exception as error:  # noqa: BLE001 whatever a service of apprise raises, the letter waits
            heard.append(str(error))
            sent = False
    if not sent:
        raise TryLater(f"The channel {name} did not take the message: {_reason(heard, url)}.", code=NOT_DELIVERED)


def _service(url: str, heard: list[str]) -> apprise.Apprise:
    services = apprise.Apprise(asset=asset())
    try:
        known = services.add(url) and len(services) > 0
    except Exception as error:  # noqa: BLE001 its text may hold the address
        heard.append(str(error))
        known = False
    if not known:
        raise TryLater(
            f"Its address is none that apprise accepts: {_reason(heard, url)}.",
            hint="Compare it with the list of services at https://github.com/caronc/apprise/wiki.",
            code="bad-channel",
        )
    return services


def _reason(heard: list[str], url: str) -> str:
    """The best reason in what was heard: an answer's code, a known trouble, or the last thing that was said."""
    said = "\n".join(heard)
    if code := _CODE.search(said):
        return f"it answered with error {code[1] or code[2]}"
    for word, sentence in _KNOWN:
        if word in said:
            return sentence
    if number := _ERRNO.search(said):
        return number[1].strip().lower()
    told = [line for line in heard if not line.startswith(("Response Details", "JSON Payload"))]
    return harmless(without(parts_of(url), told[-1] if told else "no reason was given"), 300).rstrip(".")


@contextmanager
def _hearing() -> Iterator[list[str]]:
    heard: list[str] = []
    token = _heard.set(heard)
    try:
        yield heard
    finally:
        _heard.reset(token)
