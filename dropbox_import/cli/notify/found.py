"""What lies in the outboxes: read from the disk, with or without a daemon."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from dropbox_import.cli import terminal
from dropbox_import.cli.drops import own_instance
from dropbox_import.daemon.alerts import OUTBOX
from dropbox_import.disk.trouble import as_ours
from dropbox_import.errors import ConfigError, Rejected
from dropbox_import.notify.message import Letter, Message
from dropbox_import.notify.outbox import Kept, Outbox, Unreadable
from dropbox_import.spool.layout import Layout

if TYPE_CHECKING:
    from dropbox_import.settings import Settings
    from dropbox_import.settings.model import Box

AS_WHOM = "Run the command as root, or as the account of the daemon (sudo -u ACCOUNT ...)."
State = Literal["damaged", "dead", "waits", "ready", "message"]
"""Cannot be read; given up; could not be sent yet; a letter that is to be sent; a message that is in no letter yet (or not in all)."""
STATES: tuple[State, ...] = get_args(State)


@dataclass(frozen=True, slots=True)
class Place:
    """An outbox. `box` None: the one in the state folder, about no drops. `mine`: of the daemon of this config."""

    folder: Path
    instance: str
    mine: bool
    box: Box | None = None


@dataclass(frozen=True, slots=True)
class Lying:
    """One file of an outbox. `told`: routes that have a letter about a message. `to`: who is still to hear; `why`: what it waits for."""

    state: State
    name: str
    place: Place
    message: Message | None = None
    letter: Letter | None = None
    told: frozenset[str] = frozenset()
    to: tuple[str, ...] = ()
    why: str = ""

    @property
    def messages(self) -> tuple[Message, ...]:
        return self.letter.messages if self.letter is not None else () if self.message is None else (self.message,)

    @property
    def since(self) -> str:
        """Since when it could not be sent, else since when it is there."""
        if self.letter is not None:
            return self.letter.failed or self.letter.at
        return self.message.at if self.message is not None else ""


def places(settings: Settings) -> Iterator[Place]:
    """Every outbox of the config's boxes, those of other daemons too, where one may look for them; and the one in the state folder."""
    mine = own_instance(settings.state_dir)
    for box in settings.boxes:
        layout = Layout(box.path)
        try:
            instances = set(os.listdir(layout.inprogress))
        except OSError:  # others may go through that folder, but not list it
            instances = set()
        for name in sorted(instances | ({mine} - {""})):
            yield Place(layout.outbox(name), name, name == mine, box)
    yield Place(settings.state_dir / OUTBOX, mine, True)


def look(settings: Settings) -> tuple[list[Lying], list[str]]:
    """All that lies there, and sentences about outboxes of other daemons that cannot be read.

    Raises ConfigError where the own ones may not be read, TryLater where they cannot.
    """
    found: list[Lying] = []
    closed: list[str] = []
    for place in places(settings):
        try:
            found += _in(place)
        except NotADirectoryError:  # what somebody has put beside the claims
            continue
        except OSError as error:
            if not place.mine:
                closed.append(f"{place.folder} cannot be read: {error.strerror or error}")
            elif isinstance(error, PermissionError):
                raise ConfigError(f"you may not look into {place.folder}", hint=AS_WHOM) from error
            else:
                raise as_ours(error, "looking into an outbox") from error
    return found, closed


def _in(place: Place) -> Iterator[Lying]:
    """Raises OSError."""
    outbox = Outbox(place.folder)
    messages, letters, dead = outbox.names()
    yield from _each(place, dead, lambda name: Lying("dead", name, place, letter=outbox.dead(name)))
    yield from _each(place, letters, lambda name: _of_letter(place, outbox.letter(name)))
    yield from _each(place, messages, lambda name: _of_message(place, outbox.message(name)))


def _each(place: Place, names: Iterable[str], read: Callable[[str], Lying]) -> Iterator[Lying]:
    for name in names:
        try:
            yield replace(read(name), name=name)
        except FileNotFoundError:  # sent meanwhile
            continue
        except Unreadable as problem:
            yield Lying("damaged", name, place, why=str(problem))


def _of_letter(place: Place, letter: Letter) -> Lying:
    return Lying("waits" if letter.failed else "ready", letter.id, place, letter=letter)


def _of_message(place: Place, kept: Kept) -> Lying:
    return Lying("message", kept.message.name, place, message=kept.message, told=kept.told)


def in_order(lying: Iterable[Lying]) -> list[Lying]:
    """What needs a person first; of the same state the oldest first."""
    return sorted(lying, key=lambda one: (STATES.index(one.state), one.since, one.name))


def about(messages: Sequence[Message]) -> str:
    """What it tells, in short: `failed: jdoe/cells.yaml`, `2 done, 1 failed`."""
    events = [str(one.event) for one in messages]
    told = ", ".join(f"{events.count(event)} {event}" for event in dict.fromkeys(events))
    if len(messages) != 1:
        return told
    (one,) = messages
    name = "/".join(part for part in (one.user, one.sidecar) if part) or one.drop or one.alert or one.box
    return f"{one.event}: {name}" if name else str(one.event)


def as_json(one: Lying) -> dict[str, Any]:
    """For programs; every key is always there."""
    return {
        "id": one.name,
        "state": one.state,
        "to": list(one.to),
        "since": one.since,
        "why": one.why,
        "events": [str(message.event) for message in one.messages],
        "drops": list(dict.fromkeys(message.drop for message in one.messages if message.drop)),
        "about": about(one.messages),
        "instance": one.place.instance,
        "outbox": str(one.place.folder),
    }


def pick(lying: Sequence[Lying], wanted: str) -> list[Lying]:
    """What is meant: one thing, which may lie in several outboxes. Raises Rejected when there is none, or more than one."""
    found = [one for one in lying if one.name == wanted] or [one for one in lying if wanted in one.name]
    names = list(dict.fromkeys(one.name for one in found))
    if len(names) == 1:
        return found
    if names:
        shown = ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")
        raise Rejected(f'"{wanted}" fits {len(names)} of the messages and letters: {shown}', hint="Give the id.", code="ambiguous-letter")
    raise Rejected(
        f'there is no message or letter "{terminal.clean(wanted)}"; what was sent is gone from the outboxes',
        hint="`dropbox-import notify list` lists them.",
        code="no-such-letter",
    )
