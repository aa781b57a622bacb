"""What people are told, as frozen data: a Message for each thing that happened, and Letters, each some messages for one recipient.

All texts are as they were found: names of files, sidecars and sentences of a server may hold anything. Who shows them makes them
harmless. Sizes are bounded where messages are made, so that a drop of ten thousand files makes no large one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Event = Literal["done", "partly", "failed", "attention", "waits-files", "waits-omero", "alert-begins", "alert-ends", "test"]
OUTCOMES = frozenset({"done", "partly", "failed"})
Audience = Literal["user", "box", "admin"]
"""For whom a letter is written: the drop's own user, who else hears of that box, the administrators."""

Word = Literal["done", "partly", "failed", "attention", "waits", "trouble"]
"""What the config calls the events."""
WORDS: tuple[Word, ...] = get_args(Word)
WORD_OF: dict[str, Word] = {
    "done": "done",
    "partly": "partly",
    "failed": "failed",
    "attention": "attention",
    "waits-files": "waits",
    "waits-omero": "waits",
    "alert-begins": "trouble",
    "alert-ends": "trouble",
}

MAIL = "mail"
"""The channel of mail addresses; every other name is a channel of the config."""


@dataclass(frozen=True, slots=True)
class ImageMade:
    """An image that is in OMERO now."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class WentWrong:
    """One thing that went wrong; `files` are the first of those concerned (none = the whole drop), `more` counts the others."""

    reason: str
    hint: str = ""
    files: tuple[str, ...] = ()
    more: int = 0
    mistakes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Waiter:
    """A sidecar that waits, and for what."""

    sidecar: str
    reason: str


@dataclass(frozen=True, slots=True)
class Message:
    """One thing that happened, written down before anybody is told. Which fields count depends on `event`; the others are empty.

    `name`: what its file is called; with `at` it says which one it is. Times are UTC in ISO form. `email`: the user's address in OMERO, ""
    = has none, None = not known yet. `notify`: further addresses that the sidecar names. `done_at` and `failed_at`: the folders in which
    the drop's files lie now, known when a letter is made of it. `sidecar_only`: nothing but the sidecar was taken. `points`: what somebody
    should look at. `images` and `failures` are the first of so many in all. Of a `waits-files` message `waiting` are sidecars, of `waits-
    omero` only `waiting_in_all` counts drops. Of an alert `alert` is its key, and `since`, `until` are its times.
    """

    event: Event
    name: str = ""
    at: str = ""
    drop: str = ""
    box: str = ""
    user: str = ""
    owner: str = ""
    sidecar: str = ""
    email: str | None = None
    notify: tuple[str, ...] = ()
    project: str = ""
    project_id: int = 0
    dataset: str = ""
    dataset_id: int = 0
    images: tuple[ImageMade, ...] = ()
    images_in_all: int = 0
    files_in_all: int = 0
    bytes_in_all: int = 0
    failures: tuple[WentWrong, ...] = ()
    failures_in_all: int = 0
    sidecar_only: bool = False
    points: tuple[str, ...] = ()
    done_at: str = ""
    failed_at: str = ""
    alert: str = ""
    text: str = ""
    hint: str = ""
    since: str = ""
    until: str = ""
    waiting: tuple[Waiter, ...] = ()
    waiting_in_all: int = 0


@dataclass(frozen=True, slots=True)
class Route:
    """One recipient. `channel` is "mail", then `to` is the address; or the name of a channel of the config, which knows its own."""

    channel: str
    to: str = ""

    @property
    def name(self) -> str:
        """`mail:jdoe@example.org` or `lab-chat`: for people, and as a key."""
        return f"{self.channel}:{self.to}" if self.to else self.channel


@dataclass(frozen=True, slots=True)
class Letter:
    """Some messages for one recipient, as they are sent together. Written down before it is sent, and never changed after that.

    `id` is in the Message-ID and makes a repeat recognisable. `folded`: so many more messages, by event, of which only the number is told.
    `settled`: name and time of those, and of outcomes that a later one of the same drop made old: they are told with this letter as well.
    `failed` is when it could not be sent for the first time, `why` the last reason; both "" as long as nothing went wrong.
    """

    id: str
    route: Route
    audience: Audience
    language: str
    at: str
    messages: tuple[Message, ...]
    folded: dict[str, int]
    settled: tuple[tuple[str, str], ...] = ()
    failed: str = ""
    why: str = ""
