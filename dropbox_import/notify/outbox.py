"""The outbox: inprogress/<instance>/outbox/, which outlives this host, with one JSON file for each message and each letter.

    <id>.<event>.json    a message: what happened. Gone when everybody who is to hear of it has a letter about it
    <id>.letter.json     a letter: some messages for one recipient, as they are (or were just) sent. Gone when it was sent
    <id>.dead.json       a letter that could not be sent for so long that it is not tried any more

Promises after a crash: a letter is on the disk before any of its messages goes, and before it is sent. So nothing is lost, and
what may come twice is only what was just being sent, under the same id and with the same words.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from dropbox_import.disk import files
from dropbox_import.notify.message import Letter, Message
from dropbox_import.plain import from_plain, to_plain

SUFFIX = ".json"
LETTER = ".letter.json"
DEAD = ".dead.json"
T = TypeVar("T")
_MODE = 0o600  # what people dropped is nobody else's


class Unreadable(ValueError):
    """A file of the outbox that is damaged, or of a newer version."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A message as it lies there. `told`: the routes, by name, for which a letter about it exists or has been sent."""

    message: Message
    told: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Told:
    told: tuple[str, ...]


def write_message(folder: Path, message: Message) -> Path:
    """Write `<name>.json`, durable; writing it again changes nothing. Returns its path. Raises OSError."""
    if not folder.is_dir():
        files.make_dir(folder, 0o700)  # beside claims: where its parent is missing, the box is not there
    path = folder / f"{message.name}{SUFFIX}"
    _write(path, to_plain(message))
    return path


class Outbox:
    """One folder. Every method raises OSError; what is read raises Unreadable, and FileNotFoundError when it has gone meanwhile."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def names(self) -> tuple[list[str], list[str], list[str]]:
        """The names (without endings) of messages, letters and dead letters, each sorted."""
        try:
            found = sorted(name for name in os.listdir(self.folder) if name.endswith(SUFFIX) and not name.startswith("."))
        except FileNotFoundError:
            return [], [], []
        letters = [name.removesuffix(LETTER) for name in found if name.endswith(LETTER)]
        dead = [name.removesuffix(DEAD) for name in found if name.endswith(DEAD)]
        return [name.removesuffix(SUFFIX) for name in found if not name.endswith((LETTER, DEAD))], letters, dead

    def message(self, name: str) -> Kept:
        values = _read(self.folder / f"{name}{SUFFIX}")
        told = _fit(_Told, {"told": values.pop("told", [])}).told
        return Kept(_fit(Message, {**values, "name": name}), frozenset(told))

    def letter(self, name: str) -> Letter:
        return _fit(Letter, _read(self.folder / f"{name}{LETTER}"))

    def dead(self, name: str) -> Letter:
        return _fit(Letter, _read(self.folder / f"{name}{DEAD}"))

    def clear(self) -> None:
        """Remove halves of letters, which a daemon left that was killed: a new letter has another name, so that nothing replaces them."""
        for path in self.folder.glob(f".*{LETTER}.new"):
            files.remove_file(path)

    def put(self, letter: Letter) -> None:
        """Write a letter, durable; one of the same id is replaced."""
        _write(self.folder / f"{letter.id}{LETTER}", to_plain(letter))

    def note(self, letter: Letter) -> bool:
        """Write what became of a try of a letter that lies there. False: somebody took it away meanwhile, and it stays away."""
        if not (self.folder / f"{letter.id}{LETTER}").exists():
            return False
        self.put(letter)
        return True

    def told(self, name: str, routes: Iterable[str]) -> Kept:
        """Note, durable, that letters to these routes about the message exist."""
        kept = self.message(name)
        told = kept.told | frozenset(routes)
        _write(self.folder / f"{name}{SUFFIX}", {**to_plain(kept.message), "told": sorted(told)})
        return Kept(kept.message, told)

    def forget(self, names: Iterable[str]) -> None:
        """Remove messages of which everybody is told, with one sync for all."""
        gone = [self.folder / f"{name}{SUFFIX}" for name in names]
        for path in gone:
            files.remove_file(path)
        if gone:
            files.sync_dir(self.folder)

    def sent(self, name: str) -> None:
        """The letter has been sent: remove it."""
        files.remove_file(self.folder / f"{name}{LETTER}")
        files.sync_dir(self.folder)

    def lay_aside(self, name: str) -> None:
        """It is not tried any more."""
        self._rename(f"{name}{LETTER}", f"{name}{DEAD}")

    def take_up(self, name: str) -> None:
        """A dead letter is tried again, as if it were new."""
        letter = self.dead(name)
        fresh = {**to_plain(letter)}
        fresh.pop("failed", None)
        fresh.pop("why", None)
        _write(self.folder / f"{name}{DEAD}", fresh)
        self._give(self.folder / f"{name}{DEAD}")
        self._rename(f"{name}{DEAD}", f"{name}{LETTER}")

    def discard(self, name: str) -> bool:
        """Remove a message or letter, dead or not. False: there is none of that name."""
        found = [self.folder / f"{name}{ending}" for ending in (LETTER, DEAD, SUFFIX)]
        found = [path for path in found if path.exists()]
        for path in found:
            files.remove_file(path)
        if found:
            files.sync_dir(self.folder)
        return bool(found)

    def _give(self, path: Path) -> None:
        """Where root has written it: the daemon, whose folder this is, must be able to read it."""
        if sys.platform != "win32" and (owner := self.folder.stat()).st_uid != os.geteuid():
            files.give_dir(path, owner.st_uid, owner.st_gid)

    def _rename(self, old: str, new: str) -> None:
        files.rename(self.folder / old, self.folder / new)
        files.sync_dir(self.folder)


def _write(path: Path, values: dict[str, Any]) -> None:
    files.replace(path, json.dumps(values, indent=1).encode() + b"\n", _MODE)


def _read(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_bytes())
    except ValueError as problem:
        raise Unreadable(f"{path} is damaged: {problem}") from problem
    if not isinstance(values, dict):
        raise Unreadable(f"{path} is damaged: it holds no mapping")
    return values


def _fit(kind: type[T], values: dict[str, Any]) -> T:
    try:
        return from_plain(kind, values)
    except (TypeError, ValueError) as problem:
        raise Unreadable(f"this is no {kind.__name__.lower()} of this version: {problem}") from problem
