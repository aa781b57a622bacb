"""A single message or letter in words, and the recipients that can be named."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dropbox_import.cli import terminal
from dropbox_import.cli.notify.found import Lying, about
from dropbox_import.disk import files
from dropbox_import.disk.trouble import as_ours
from dropbox_import.errors import ConfigError
from dropbox_import.notify.message import MAIL, Letter, Route
from dropbox_import.notify.places import placed
from dropbox_import.settings.model import is_address
from dropbox_import.spool.layout import Layout

if TYPE_CHECKING:
    from dropbox_import.settings import Settings

WORDS = {
    "damaged": "a file that cannot be read",
    "dead": "a letter that could not be delivered and is not tried any more",
    "waits": "a letter that could not be sent yet; it is tried again",
    "ready": "a letter that is to be sent",
    "message": "a message that is in no letter yet, or not in all",
}


def route_to(settings: Settings, name: str) -> Route:
    """Raises ConfigError for a name that is neither an address that can be used nor a channel."""
    channels = settings.notify.channels
    if name in channels:
        return Route(name)
    if not is_address(name):
        there = f"There are: {', '.join(channels)}." if channels else "Write it below notify.channels."
        raise ConfigError(f"the config has no channel {terminal.clean(name)}", hint=there)
    if settings.notify.mail is None:
        raise ConfigError(
            f"{terminal.clean(name)} is a mail address, but the config names no mail server",
            hint="Write below notify: mail: relay.example.org",
        )
    return Route(MAIL, name)


def head(one: Lying) -> None:
    """What it is, to whom it goes, since when and why."""
    terminal.say(terminal.paint(terminal.visible(f"{one.name}  {WORDS[one.state]}"), "bold"))
    letter = one.letter
    for name, value in (
        ("to", ", ".join(one.to) or ("" if one.state == "damaged" else "nobody")),
        ("told", ", ".join(sorted(one.told))),
        ("about", about(one.messages)),
        ("written", terminal.moment(letter.at if letter is not None else one.since)),
        ("failed", f"for the first time {terminal.moment(letter.failed)}" if letter is not None and letter.failed else ""),
        ("why", one.why),
        ("outbox", str(one.place.folder)),
    ):
        if value:
            terminal.say(f"  {name:<8} {terminal.visible(value)}")


def letter_of(one: Lying, settings: Settings) -> Letter | None:
    """The letter; a message as a letter to an administrator; None for what cannot be read."""
    if one.letter is not None or one.message is None:
        return one.letter
    box = Layout(one.place.box.path) if one.place.box is not None else None
    to = Route((*settings.notify.admin.to, "admin")[0])
    return Letter(one.name, to, "admin", settings.notify.language, one.message.at, (placed(one.message, box),), {})


def write_html(path: Path, text: str) -> None:
    """Into a new file, closed to others: what people dropped is nobody else's. Raises ConfigError, TryLater."""
    try:
        files.write_new(path.absolute(), text.encode(), 0o600)
    except FileExistsError as error:
        raise ConfigError(f"{path} is there already", hint="Name a new file for --html.") from error
    except OSError as error:
        raise as_ours(error, "writing the HTML") from error


def line(text: object) -> str:
    """A line of a letter; its spaces that do not break are spaces here."""
    return terminal.visible("".join(" " if char.isspace() else char for char in str(text or "")))
