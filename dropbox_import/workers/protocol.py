"""The lines between the daemon and its workers: one JSON object each, ASCII, at most 64 MiB. docs/worker-protocol.md explains them.

Pure: data, encoding and decoding. Names that are not UTF-8 travel as escaped lone surrogates, both ways. Keys that are not known are
ignored, so a newer side may say more.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Literal, cast, get_args

from dropbox_import import errors
from dropbox_import.errors import DropboxImportError, Mistake, OutcomeUnknown, by_class_name
from dropbox_import.logs import redact
from dropbox_import.plain import from_plain, to_plain

PROTOCOL = 1
MAX_LINE = 64 * 1024 * 1024

Role = Literal["inspector", "importer", "notifier"]
Effect = Literal["none", "done", "unknown"]

URGENT = frozenset({"cancel", "keep_alive"})
"""Commands that never wait behind others: a cancel that queues behind the upload it should stop would be worthless."""

THREADS: dict[Role, int] = {"inspector": 1, "importer": 12, "notifier": 4}
"""How many commands a worker of each role does at once at most; the daemon sends no more."""

NOT_HELD = frozenset({"no-such-attempt", "no-such-session"})
"""Codes of an OutcomeUnknown that had no effect: this worker does not hold what the command is about."""

NO_WORKER = "worker-would-not-start"
"""Code of a TryLater: no worker of that role can be started at all."""


class LineError(ValueError):
    """A line that is not of this protocol. Nothing after it on that pipe can be trusted."""


@dataclass(frozen=True, slots=True)
class Command:
    """What a worker is to do. `id` is the caller's; `drop`, `key` and `attempt` are there where the command concerns them."""

    id: int
    do: str
    args: dict[str, Any] = field(default_factory=dict)
    drop: str = ""
    key: str = ""
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class Hello:
    """A worker's first line: it is ready for commands."""

    protocol: int
    package: str
    role: str
    pid: int


@dataclass(frozen=True, slots=True)
class Started:
    """The command was taken from the queue: from now on its limit counts."""

    id: int


@dataclass(frozen=True, slots=True)
class InCall:
    """A call begins whose time is limited by its name and the bytes that it handles."""

    id: int
    call: str
    bytes: int = 0


@dataclass(frozen=True, slots=True)
class Progress:
    """To be shown; whatever is not known is None."""

    id: int
    step: int | None = None
    steps: int | None = None
    bytes: int | None = None
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """The command's effect is complete."""

    id: int
    result: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Failed:
    """The command ended with an error. `kind` is a class of errors.py, or "Bug"."""

    id: int
    kind: str
    code: str
    sentence: str
    hint: str = ""
    mistakes: tuple[Mistake, ...] = ()
    effect: Effect = "none"


Event = Hello | Started | InCall | Progress | Done | Failed

_NAMES: dict[str, type[Event]] = {
    "hello": Hello,
    "started": Started,
    "in-call": InCall,
    "progress": Progress,
    "done": Done,
    "error": Failed,
}
_WORDS = {kind: name for name, kind in _NAMES.items()}


def encode_command(command: Command) -> bytes:
    """The command as a line. Raises LineError when it is too long or not made of JSON values."""
    # `args` is written even if empty, so that a reader in another language need not know our defaults.
    return _line({**to_plain(command), "id": command.id, "args": to_plain(command.args)})


def decode_command(line: bytes) -> Command:
    """The command in a line. Raises LineError."""
    try:
        return from_plain(Command, _object(line))
    except (TypeError, ValueError) as problem:
        raise LineError(f"this is not a command: {problem}") from problem


def encode_event(event: Event) -> bytes:
    """The event as a line. Raises LineError when it is too long or not made of JSON values."""
    values = to_plain(event)
    if isinstance(event, Failed):
        values["class"] = values.pop("kind")
        values["effect"] = event.effect
    return _line({"event": _WORDS[type(event)], **values})


def decode_event(line: bytes) -> Event:
    """The event in a line. Raises LineError."""
    values = _object(line)
    kind = _NAMES.get(str(values.get("event")))
    if kind is None:
        raise LineError(f"there is no event {values.get('event')!r}")
    if kind is Failed:
        values["kind"] = values.pop("class", "Bug")
    try:
        return from_plain(kind, values)
    except (TypeError, ValueError) as problem:
        raise LineError(f"this is not an event {values.get('event')}: {problem}") from problem


def failure(number: int, error: BaseException) -> Failed:
    """What a worker says about an exception of a handler.

    `effect` is the exception's own attribute of that name. Without it, an error of ours means "none" (the handler knew what it did),
    except OutcomeUnknown; any other exception is a bug at an unknown place: "unknown".
    """
    effect = _effect(error)
    if not isinstance(error, DropboxImportError):
        code = "out-of-memory" if isinstance(error, MemoryError) else "bug"
        return Failed(number, "Bug", code, f"{type(error).__name__}: {_first_line(error)}", effect=effect)
    # A class that a worker derived for itself travels as the nearest one that the daemon knows.
    kind = next(each.__name__ for each in type(error).__mro__ if each.__module__ == errors.__name__)
    return Failed(number, kind, error.kind, error.sentence, error.hint, error.mistakes, effect)


def error_of(event: Failed) -> DropboxImportError:
    """The exception again, in the daemon. "Bug" becomes a plain DropboxImportError."""
    return by_class_name(event.kind)(event.sentence, hint=event.hint, code=event.code, mistakes=event.mistakes)


def _effect(error: BaseException) -> Effect:
    said = getattr(error, "effect", None)
    if said in get_args(Effect):
        return cast("Effect", said)
    if isinstance(error, OutcomeUnknown):
        return "none" if error.kind in NOT_HELD else "unknown"
    return "none" if isinstance(error, DropboxImportError) else "unknown"


def _first_line(error: BaseException) -> str:
    return redact((str(error).splitlines() or [""])[0])[:500]


def _line(values: dict[str, Any]) -> bytes:
    try:
        line = json.dumps(values, ensure_ascii=True, allow_nan=False, separators=(",", ":")).encode("ascii") + b"\n"
    except (TypeError, ValueError, RecursionError) as problem:
        raise LineError(f"this cannot be sent: {problem}") from problem
    if len(line) > MAX_LINE:
        raise LineError(f"this is too long to send: {len(line)} bytes, and {MAX_LINE} is the most")
    return line


def _object(line: bytes) -> dict[str, Any]:
    try:
        values = json.loads(line.decode("ascii"))
    except (ValueError, RecursionError) as problem:
        raise LineError(f"this is not JSON in ASCII: {line[:80]!r}") from problem
    if not isinstance(values, dict):
        raise LineError(f"this is not a JSON object: {line[:80]!r}")
    return values
