"""Who hears of a message. Pure: a message, what the administrator decided, and the addresses that are known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from dropbox_import.notify.message import MAIL, OUTCOMES, WORD_OF, Audience, Message, Route
from dropbox_import.settings.model import BoxNotify, Listener, Notify

ADMIN_EVENTS = ("failed", "partly", "attention", "trouble")
BOX_EVENTS = ("done", "partly", "failed")
_OF_USERS = OUTCOMES | {"waits-files", "waits-omero"}


@dataclass(frozen=True, slots=True)
class Listening:
    """One who is to hear of a message, for whom the words are chosen, and in which language."""

    route: Route
    audience: Audience
    language: str


@dataclass(frozen=True, slots=True)
class Heard:
    """`listeners`: whom a message concerns, each route once. `unknown`: logins whose address must be asked of OMERO first."""

    listeners: tuple[Listening, ...]
    unknown: tuple[str, ...] = ()


def who_hears(message: Message, notify: Notify, box: BoxNotify, addresses: Mapping[str, str]) -> Heard:
    """`addresses`: mail addresses by OMERO login, "" = has none."""
    word = WORD_OF.get(message.event, "")
    language = box.language or notify.language
    found: list[Listening] = []
    unknown: list[str] = []
    if message.event in _OF_USERS:
        for person in people(message):
            wish = notify.users.get(person, Listener())
            if word not in (notify.user_events if wish.events is None else wish.events):
                continue
            if wish.to:
                found += _all(wish.to, notify, "user", language)
            elif notify.mail is not None:
                address = message.email if person == message.owner and message.email is not None else addresses.get(person)
                if address is None:
                    unknown.append(person)
                elif address:
                    found += _all((address,), notify, "user", language)
        if message.event in OUTCOMES:
            found += _all(message.notify, notify, "user", language)
    also = box.also
    if message.event in _OF_USERS and word in (BOX_EVENTS if also.events is None else also.events):
        found += _all(also.to, notify, "box", language)
    admin = notify.admin
    if word in (ADMIN_EVENTS if admin.events is None else admin.events):
        found += _all(admin.to, notify, "admin", notify.language)
    return Heard(tuple({one.route: one for one in reversed(found)}.values())[::-1], tuple(dict.fromkeys(unknown)))


def people(message: Message) -> tuple[str, ...]:
    """Whose the images are, and who dropped them, if that is another one."""
    return tuple(dict.fromkeys(person for person in (message.owner, message.user) if person))


def _all(names: Iterable[str], notify: Notify, audience: Audience, language: str) -> Iterator[Listening]:
    """Names of channels, and mail addresses where there is a mail server."""
    for name in names:
        if name in notify.channels:
            yield Listening(Route(name), audience, language)
        elif notify.mail is not None and "@" in name:
            yield Listening(Route(MAIL, name), audience, language)
