"""Letters as mail: a plain text and an HTML page for one recipient, through apprise's connection to the mail server.

The message is our own: its ids are made of the letter's and the drops' ids, so a letter that is sent twice is recognised as one, and what
is said of one drop stands together in a mail program.
"""

from __future__ import annotations

import re
import smtplib
import ssl
import warnings
from dataclasses import dataclass
from datetime import datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from typing import Any

from dropbox_import.errors import TryLater
from dropbox_import.notifier.channels import CONNECT_SECONDS, NOT_DELIVERED, READ_SECONDS, REFUSED, asset
from dropbox_import.notifier.config import PORTS, MailServer, Security
from dropbox_import.notifier.harmless import harmless
from dropbox_import.notifier.secret import password_of, without
from dropbox_import.notifier.texts import Rendered
from dropbox_import.notify.message import Letter

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # of what it imports itself
    from apprise.plugins.email.base import NotifyEmail
    from apprise.plugins.email.smtp import AppriseSMTPController

_MODES: dict[Security, str] = {"none": "insecure", "starttls": "starttls", "tls": "ssl"}
_MOST_THREADS = 20
# What a server that works says of one mail: its recipient, its size, or letters in an address that it does not know.
_OF_THIS_MAIL = (smtplib.SMTPRecipientsRefused, smtplib.SMTPDataError, smtplib.SMTPNotSupportedError)
_PLAIN = re.compile(r"""([^\s@,;:<>()\[\]"\\]{1,64})@([^\s@,;:<>()\[\]"\\]{1,255})""")
_NOT_OF_AN_ID = re.compile(r"[^A-Za-z0-9.+_-]+")


@dataclass(frozen=True, slots=True)
class Seconds:
    """Patience: with the server until it has let us in, then with each of its answers, and with the one to the whole message, which it may
    look through first (RFC 5321 4.5.3.2.6 asks for ten minutes): who does not wait sends the same mail again."""

    connect: float = CONNECT_SECONDS
    read: float = READ_SECONDS
    taken: float = 600.0


def address_of(text: str, what: str) -> Address:
    """The one address in `text`. Raises TryLater, code `refused`, where that is none or more than one."""
    name, plain = parseaddr(text)
    found = _PLAIN.fullmatch(plain)
    try:
        if not found or not plain.isprintable() or not text.endswith((plain, f"<{plain}>")):
            raise ValueError
        return Address(harmless(name), found[1], _ascii(found[2]))
    except (ValueError, IndexError, MessageError):
        raise TryLater(f"The {what} {harmless(text) or '(none)'} is not a mail address.", code=REFUSED) from None


def sender_of(mail: MailServer) -> Address:
    """Who writes the mail. Raises TryLater, code `refused`, where that is no address."""
    return address_of(mail.sender or "", "sender (notify.mail.sender)")


def compose(letter: Letter, rendered: Rendered, mail: MailServer, instance: str, now: datetime) -> EmailMessage:
    """The mail as it is sent. Raises TryLater where an address is none."""
    sender = sender_of(mail)
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = address_of(letter.route.to, "recipient")
    if mail.reply_to:
        message["Reply-To"] = address_of(mail.reply_to, "address for answers (notify.mail.reply_to)")
    message["Subject"] = rendered.subject
    message["Date"] = format_datetime(now)
    message["Message-ID"] = f"<{_id(letter.id)}@{_id(_ascii(sender.domain))}>"
    drops = tuple(dict.fromkeys(_id(one.drop) for one in letter.messages if one.drop))
    if drops:
        threads = [f"<{drop}@dropbox-import.{_id(instance) or 'local'}>" for drop in drops[:_MOST_THREADS]]
        message["In-Reply-To"] = threads[0]
        message["References"] = " ".join(threads)
        message["X-Dropbox-Import-Drop"] = " ".join(drops)
    message["X-Dropbox-Import-Event"] = " ".join(dict.fromkeys(one.event for one in letter.messages))
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    message.set_content(rendered.text)
    message.add_alternative(rendered.html, subtype="html")
    return message


def send_mail(mail: MailServer, message: EmailMessage, seconds: Seconds | None = None) -> None:
    """Raises TryLater with the reason in a sentence: code `refused`, where the server works and did not want this one, `not-delivered`,
    or `no-secret`."""
    password = password_of(mail)
    way = _OneMail(mail, password, message, seconds or Seconds())
    if not way.notify(body="."):  # the message itself is ready
        reason = without((password,), way.reason or f"{mail.at} did not take the message")
        raise TryLater(f"{harmless(reason)}.", code=way.code)


class _Server(AppriseSMTPController):
    def deliver(self, message: EmailMessage, seconds: Seconds) -> None:
        """As `sendmail`, but the reason of a failure is raised, and letters that are not ASCII may stand in addresses."""
        connection: Any = self._socket
        data = connection.data

        def patiently(content: bytes) -> Any:
            connection.sock.settimeout(seconds.taken)
            return data(content)

        connection.data = patiently
        connection.sock.settimeout(seconds.read)
        connection.send_message(message)


class _OneMail(NotifyEmail):  # type: ignore[no-untyped-call]
    """One letter to one recipient; `reason` and `code` say why `notify` returned False."""

    def __init__(self, mail: MailServer, password: str, message: EmailMessage, seconds: Seconds) -> None:
        super().__init__(  # type: ignore[no-untyped-call]
            smtp_host=mail.host,
            host=mail.host,
            from_addr="nobody@example.org",  # the addresses are in the message
            asset=asset(),
        )
        self.password = password
        self.reason = ""
        self.code = NOT_DELIVERED
        self._mail = mail
        self._message = message
        self._seconds = seconds

    def send(self, *args: Any, **kwargs: Any) -> bool:
        mail, step = self._mail, "does not accept connections"
        server = _Server(
            host=mail.host,
            port=mail.port or PORTS[mail.security],
            secure_mode=_MODES[mail.security],
            user=mail.user,
            password=self.password,
            verify_certificate=not mail.insecure,
            socket_connect_timeout=self._seconds.connect,  # type: ignore[arg-type]
        )
        try:
            with server:
                step = "ended the connection"
                server.deliver(self._message, self._seconds)
        except (OSError, RuntimeError, ValueError, MessageError, smtplib.SMTPException) as error:
            self.reason = _sentence(error, mail, step)
            self.code = REFUSED if isinstance(error, _OF_THIS_MAIL) else NOT_DELIVERED
            return False
        return True


def _sentence(error: Exception, mail: MailServer, step: str) -> str:
    """Why the server did not take a mail, without a full stop."""
    match error:
        case smtplib.SMTPRecipientsRefused(recipients=refused):
            return f"the server {mail.at} refused the recipient: {'; '.join(_answer(*one) for one in refused.values())}"
        case smtplib.SMTPSenderRefused(smtp_code=code, smtp_error=said):
            return f"the server {mail.at} refused the sender: {_answer(code, said)}"
        case smtplib.SMTPAuthenticationError(smtp_code=code, smtp_error=said):
            return f"the server {mail.at} refused the log-in of {mail.user}: {_answer(code, said)}"
        case smtplib.SMTPDataError(smtp_code=code, smtp_error=said):
            return f"the server {mail.at} refused the message: {_answer(code, said)}"
        case smtplib.SMTPConnectError(smtp_code=code, smtp_error=said) | smtplib.SMTPHeloError(smtp_code=code, smtp_error=said):
            return f"the server {mail.at} lets nobody in: {_answer(code, said)}"
        case TimeoutError():
            return f"{mail.at} did not answer in time"
        case smtplib.SMTPServerDisconnected() if "timed out" in str(error):  # smtplib says it so
            return f"{mail.at} did not answer in time"
        case smtplib.SMTPServerDisconnected():
            return f"{mail.at} ended the connection in the middle"
        case smtplib.SMTPNotSupportedError():
            return f"the server {mail.at} cannot do what is asked of it: {error}"
        case ssl.SSLCertVerificationError(verify_message=said):
            return f"the certificate of {mail.at} is not accepted: {said}"
        case ssl.SSLError():
            return f"{mail.at} does not speak TLS as expected ({error.reason or 'no reason given'}); see notify.mail.security"
        case ConnectionRefusedError():
            return f"{mail.at} does not accept connections"
        case OSError():
            return f"{mail.at} {step}: {error.strerror or error}"
    return f"the mail cannot be sent through {mail.at}: {error}"


def _answer(code: int, said: bytes | str) -> str:
    text = said.decode("utf-8", "replace") if isinstance(said, bytes) else said
    return f"{code} {text}".rstrip(". \r\n")


def _ascii(domain: str) -> str:
    return domain if domain.isascii() else domain.encode("idna").decode("ascii")


def _id(text: str) -> str:
    return _NOT_OF_AN_ID.sub("-", text)[:200]
