"""What the daemon gets back for a command: a ticket at once, a reply later, exactly once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dropbox_import.errors import DropboxImportError, OutcomeUnknown, Paused, TryLater
from dropbox_import.workers.protocol import NO_WORKER, Command, Effect, Role

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reply:
    """The end of a command: `result` or `error`, never both.

    `worker` is the incarnation that had it, 0 = none had. `died`: the worker died by itself while it worked on this command, or was killed
    because this command hung; `company`: how many other commands it was working on when it died by itself, so that the blame is not sure.
    """

    command: Command
    result: dict[str, Any] | None
    error: DropboxImportError | None
    effect: Effect
    worker: int
    died: bool = False
    company: int = 0


OnReply = Callable[[Reply], None]


class Ticket:
    """A submitted command. `wait` is for callers without a queue of their own (`check`)."""

    def __init__(self, role: Role, command: Command, on_reply: OnReply, *, alone: bool, worker: int | None) -> None:
        self.role = role
        self.command = command
        self.alone = alone
        self.worker = worker
        self._on_reply = on_reply
        self._ended = threading.Event()
        self._reply: Reply | None = None

    def wait(self, timeout: float | None = None) -> Reply | None:
        """The reply, or None if there is none after `timeout` seconds. Not to be called in `on_reply`."""
        self._ended.wait(timeout)
        return self._reply

    def answer(self, reply: Reply) -> None:
        """For the dispatcher: hand the reply out. A mistake in the receiver must not end the thread that serves others."""
        assert self._reply is None
        self._reply = reply
        try:
            self._on_reply(reply)
        except Exception:
            log.exception("the receiver of a reply failed")
        self._ended.set()


Answer = tuple[Ticket, Reply]


def _error(ticket: Ticket, error: DropboxImportError, effect: Effect, worker: int = 0, died: bool = False, company: int = 0) -> Answer:
    return ticket, Reply(ticket.command, None, error, effect, worker, died, company)


def gone(ticket: Ticket) -> Answer:
    """The worker that held the session is no longer there; nothing was sent."""
    text = "The worker that held this session has ended."
    return _error(ticket, OutcomeUnknown(text, code="no-such-session"), "none")


def stopping(ticket: Ticket) -> Answer:
    return _error(ticket, Paused("The workers are being stopped.", code="stopping"), "none")


def unsendable(ticket: Ticket, problem: Exception) -> Answer:
    """A bug of the caller: the command cannot be written as a line."""
    return _error(ticket, DropboxImportError(f"The command {ticket.command.do} cannot be sent: {problem}", code="unsendable"), "none")


def would_not_start(ticket: Ticket, worker: int, why: str) -> Answer:
    text = f"The {ticket.role} process could not be started: {why}"
    hint = "The log of the service says more. It is tried again by itself."
    return _error(ticket, TryLater(text, hint=hint, code=NO_WORKER), "none", worker)


def never_begun(ticket: Ticket, worker: int) -> Answer:
    """The worker was lost before it took the command up."""
    return _error(ticket, TryLater(f"The {ticket.role} process ended before it came to this.", code="worker-died"), "none", worker)


def lost(ticket: Ticket, worker: int, why: str, company: int) -> Answer:
    """The worker died by itself while it was on this command."""
    text = f"The {ticket.role} process ended while it was busy with {ticket.command.do}: {why}"
    return _error(ticket, OutcomeUnknown(text, code="worker-died"), "unknown", worker, True, company)


def hung(ticket: Ticket, worker: int, call: str, seconds: float) -> Answer:
    text = f"{ticket.command.do} gave no sign of life in {call} for {seconds:.0f} seconds, so its {ticket.role} process was ended."
    return _error(ticket, OutcomeUnknown(text, code="hung"), "unknown", worker, True)


def stopped(ticket: Ticket, worker: int) -> Answer:
    """We ended the worker for another reason than this command."""
    text = f"The {ticket.role} process was ended while it was busy with {ticket.command.do}."
    return _error(ticket, OutcomeUnknown(text, code="worker-stopped"), "unknown", worker)
