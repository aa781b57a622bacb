"""Dead letters are tried again, and what is not wanted any more is removed. Only root and the daemon's account may."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dropbox_import.cli.notify.found import AS_WHOM, Lying
from dropbox_import.disk.trouble import as_ours
from dropbox_import.errors import ConfigError, Rejected
from dropbox_import.notify.outbox import Outbox, Unreadable


def take_up(one: Lying) -> None:
    """A dead letter is tried again, as if it were new. Raises Rejected for what is none, ConfigError without the right, TryLater."""
    if one.state != "dead":
        why = "it is tried again by itself" if one.letter is not None else "it is no letter yet" if one.message is not None else one.why
        raise Rejected(f"{one.name} is no dead letter: {why}", hint="`dropbox-import notify list` says what waits for what.")
    with _changing(one.place.folder):
        try:
            Outbox(one.place.folder).take_up(one.name)
        except (FileNotFoundError, Unreadable) as error:
            raise Rejected(f"{one.name} is not there any more", hint="Somebody else has taken it up or removed it.") from error


def remove(one: Lying) -> bool:
    """False: it had gone already. Raises ConfigError without the right, TryLater."""
    with _changing(one.place.folder):
        return Outbox(one.place.folder).discard(one.name)


@contextmanager
def _changing(folder: Path) -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise ConfigError(f"you may not change what lies in {folder}", hint=AS_WHOM) from error
    except OSError as error:
        raise as_ours(error, "changing an outbox") from error
