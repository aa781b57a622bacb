"""What single keys of `notify:` take.

What stands where the address of a chat or a password may stand by mistake is never repeated in a message.
"""

from __future__ import annotations

import re
import zoneinfo
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BeforeValidator, Field

from dropbox_import.settings.fields import Folder, secret_file
from dropbox_import.settings.model import Language, Quiet
from dropbox_import.sidecar.checks import Typed, Whole, as_name, between, guess, is_empty, no_value, one_of, told
from dropbox_import.strict_yaml import shown

Word = Literal["done", "partly", "failed", "attention", "waits", "trouble"]
"""What people can hear of: the words of `notify.message`, which is a room above this one."""
WORDS: tuple[Word, ...] = get_args(Word)

SECRET_ADDRESS = (
    "an address of a chat is a secret and never stands in the config",
    "put it into a file of mode 0600 and write below channels: lab-chat: {url_file: /etc/dropbox-import/lab-chat}",
)
SECRET_IN_CHANNEL = (SECRET_ADDRESS[0], "put it into a file of mode 0600 and write url_file: /etc/dropbox-import/lab-chat")
PASSWORD = (
    "a password never stands in the config",
    "put it into a file of mode 0600 and write password_file: /etc/dropbox-import/mail-password",
)


def one_or_many(value: object) -> object:
    """A single text for a list of one."""
    if is_empty(value):
        raise no_value()
    return [value] if isinstance(value, str) else value


def as_recipient(value: object) -> str:
    """An address or the name of a channel; which, and whether it exists, is judged with the other keys."""
    text = as_name(value)
    if ":" in text:
        raise told(*SECRET_ADDRESS)
    return text


def as_listener(value: object) -> object:
    if is_empty(value):
        raise no_value()
    return {"to": value} if isinstance(value, (str, list)) else value


def as_mail_server(value: object) -> object:
    """A mapping, or "host" or "host:port" for one."""
    if is_empty(value):
        raise no_value()
    if not isinstance(value, str):
        return value
    if "://" in value or "@" in value:
        raise told("the name of a mail server is expected here", "write it like smtp.example.org or smtp.example.org:587")
    host, colon, port = value.rpartition(":")
    return {"host": Typed(host), "port": Typed(port)} if colon and ":" not in host else {"host": value}


def as_channel(value: object) -> object:
    if is_empty(value):
        raise no_value()
    if isinstance(value, str):
        raise told(
            "this channel is no mapping", "write {url_file: /etc/dropbox-import/lab-chat}, a file that holds the address of the chat"
        )
    return value


def as_channels(value: object) -> object:
    """Each with its name. A message about one begins with its name, so an address that stands in its place is judged here."""
    if is_empty(value):
        raise no_value()
    if isinstance(value, dict) and any(":" in name for name in value):
        raise told(*SECRET_ADDRESS)
    return value


def as_channel_name(value: object) -> str:
    text = as_name(value)
    if text == "mail":
        raise told("this name stands for mail itself", "give the channel another name, like lab-chat")
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?", text):
        raise told(f"{shown(text, 40)} cannot name a channel", "take up to 40 of a-z, 0-9 and -, like lab-chat")
    return text


def as_login(value: object) -> str:
    if isinstance(value, str) and not value.strip():
        raise told("the login of this user is empty", "write it before the colon, like jdoe: lab-chat")
    return as_name(value)


def as_credential(value: object) -> str:
    text = as_name(value)
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}", text):
        raise told("this is not the name of a systemd credential", "write the name that LoadCredential gives it, like lab-chat")
    return text


def as_quiet(value: object) -> Quiet:
    text = as_name(value)
    found = re.fullmatch(r"([01]?[0-9]|2[0-3]):([0-5][0-9])\s*-\s*([01]?[0-9]|2[0-3]):([0-5][0-9])", text)
    if not found:
        raise told(f"{shown(text, 30)} is not from one time of the day to another", 'write it like "20:00-07:00"')
    hour, minute, last_hour, last_minute = (int(one) for one in found.groups())
    quiet = Quiet(hour * 60 + minute, last_hour * 60 + last_minute)
    if quiet.start == quiet.end:
        raise told("these hours end where they begin", 'write it like "20:00-07:00"; a channel that is always silent is of no use')
    return quiet


def as_web(value: object) -> str:
    text = as_name(value)
    if not re.fullmatch(r"https?://[^\s/?#@]+(/[^\s?#]*)?", text):
        raise told("this is not an address of OMERO.web", "write it like https://omero.example.org, with https:// and without ? or #")
    return text.rstrip("/")


def as_time_zone(value: object) -> str:
    text = as_name(value)
    try:
        zoneinfo.ZoneInfo(text)
    except (OSError, ValueError, zoneinfo.ZoneInfoNotFoundError):
        zones = zoneinfo.available_timezones()
        if not zones:
            raise told("this machine has no list of time zones", "install the package tzdata, or remove time_zone") from None
        near = guess(text, zones)
        raise told(f"{shown(text, 40)} is no time zone{near}", "" if near else "write it like Europe/Paris") from None
    return text


Recipients = Annotated[
    list[Annotated[str, BeforeValidator(as_recipient, json_schema_input_type=str)]],
    Field(min_length=1),
    BeforeValidator(one_or_many, json_schema_input_type=list[str] | str),
]
Words = Annotated[
    list[Annotated[Word, BeforeValidator(one_of(*WORDS))]], BeforeValidator(one_or_many, json_schema_input_type=list[Word] | Word)
]
Tongue = Annotated[Language, BeforeValidator(one_of(*get_args(Language)))]
Security = Annotated[Literal["none", "starttls", "tls"], BeforeValidator(one_of("none", "starttls", "tls"))]
Port = Annotated[Whole, AfterValidator(between(1, 65535))]
Some = Annotated[Whole, AfterValidator(between(1, 10_000))]
PasswordFile = Annotated[Folder, secret_file("an absolute path is expected here; " + PASSWORD[0], PASSWORD[1])]
UrlFile = Annotated[Folder, secret_file("an absolute path is expected here; " + SECRET_IN_CHANNEL[0], SECRET_IN_CHANNEL[1])]
Credential = Annotated[str, BeforeValidator(as_credential, json_schema_input_type=str)]
Hours = Annotated[Quiet, BeforeValidator(as_quiet, json_schema_input_type=str)]
Web = Annotated[str, BeforeValidator(as_web, json_schema_input_type=str)]
TimeZone = Annotated[str, BeforeValidator(as_time_zone, json_schema_input_type=str)]
ChannelName = Annotated[str, BeforeValidator(as_channel_name)]
Login = Annotated[str, BeforeValidator(as_login)]
