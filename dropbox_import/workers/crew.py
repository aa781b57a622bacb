"""One worker as the dispatcher keeps it in mind: what it is doing since when, what waits for it, and whether it may get more.

No threads and no effects: every method is called with the dispatcher's lock held, and time is given.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from enum import Enum

from dropbox_import.workers import replies
from dropbox_import.workers.limits import END_GRACE, OVER_GRACE, limit_of
from dropbox_import.workers.protocol import URGENT, Command, Event, InCall, Role, Started
from dropbox_import.workers.replies import Answer, Ticket


class State(Enum):
    STARTING = "starting"
    READY = "ready"
    ENDING = "ending"


class Act(Enum):
    """What the dispatcher is to do with a worker now."""

    NOTHING = "nothing"
    LET_GO = "let go"
    KILL = "kill"


@dataclass(slots=True)
class Flight:
    """A command that was sent. `since` is when its running call began, None = it was not taken up yet."""

    ticket: Ticket | None
    command: Command
    sent: float
    call: str
    size: int = 0
    since: float | None = None

    def due(self) -> float:
        """When it is over its limit."""
        if self.since is None:
            return self.sent + limit_of("start", 0)
        return self.since + limit_of(self.call, self.size)


@dataclass(slots=True)
class Member:
    """A worker. `alone`: it takes only commands that name it."""

    number: int
    role: Role
    alone: bool
    cap: int
    since: float  # of its state
    state: State = State.STARTING
    waiting: deque[Ticket] = field(default_factory=deque)
    flights: dict[int, Flight] = field(default_factory=dict)
    quiet_since: float = 0.0
    over_since: float | None = None
    hung: frozenset[int] = frozenset()
    killed: str = ""
    sent: int = 0

    # --- work ------------------------------------------------------------------------

    def enter(self, state: State, now: float) -> None:
        self.state, self.since, self.quiet_since = state, now, now

    def open(self) -> bool:
        """May it get work that names it?"""
        return self.state is not State.ENDING

    def lost(self, now: float) -> bool:
        """Was it killed because it hung, and is still there? Then another may take its place: an inspector holds nothing.

        A process inside a call to a dead disk or share ends only when that answers.
        """
        return self.role == "inspector" and bool(self.killed) and self.over_since is not None and now >= self.over_since + END_GRACE

    def room(self) -> int:
        """How many more commands it should get that any worker could do."""
        if not self.open() or self.alone or self.over_since is not None:
            return 0
        return self.cap - len(self.waiting) - len(self.flights)

    def next_tickets(self) -> list[Ticket]:
        """Those waiting tickets that are to be sent now, taken from the queue; urgent ones pass the others."""
        if self.state is not State.READY:
            return []
        free = self.cap - len(self.flights)
        taken: list[Ticket] = []
        kept: deque[Ticket] = deque()
        for ticket in self.waiting:
            if ticket.command.do in URGENT:
                taken.append(ticket)
            elif free > 0 and self.over_since is None:
                taken.append(ticket)
                free -= 1
            else:
                kept.append(ticket)
        self.waiting = kept
        return taken

    def fly(self, ticket: Ticket | None, command: Command, now: float) -> Command:
        """Note that a command is sent; returns it with the id that it has on this worker's wire."""
        self.sent += 1
        self.flights[self.sent] = Flight(ticket, command, now, command.do)
        return replace(command, id=self.sent)

    def land(self, wire_id: int, now: float) -> Flight | None:
        """A command has ended. None: there is none of that id."""
        flight = self.flights.pop(wire_id, None)
        self.quiet_since = now
        return flight

    def note(self, event: Event, now: float) -> None:
        """Where a running command is."""
        if isinstance(event, (Started, InCall)) and (flight := self.flights.get(event.id)) is not None:
            flight.since = now
            if isinstance(event, InCall):
                flight.call, flight.size = event.call, event.bytes

    # --- time ------------------------------------------------------------------------

    def judge(self, now: float, idle_after: float) -> tuple[Act, float]:
        """What is due now, and when to judge again at the latest."""
        if self.killed:
            return Act.NOTHING, now + END_GRACE
        if self.state is State.ENDING:
            return self._until(now, self.since + END_GRACE, "did not end when it was let go")
        if self.state is State.STARTING:
            return self._until(now, self.since + limit_of("start", 0), "did not say that it is ready")
        over = self._over(now)
        if not over:
            self.over_since = None
            if self.flights or self.waiting:
                return Act.NOTHING, min((flight.due() for flight in self.flights.values()), default=now + END_GRACE)
            if now >= self.quiet_since + idle_after:
                return Act.LET_GO, now + END_GRACE
            return Act.NOTHING, self.quiet_since + idle_after
        if self.over_since is None:
            self.over_since = now
        end = self.over_since + OVER_GRACE
        if now < end and len(over) < len(self.flights):
            return Act.NOTHING, end
        self.hung = over
        self.killed = "a call hung"
        return Act.KILL, now + END_GRACE

    def _until(self, now: float, end: float, why: str) -> tuple[Act, float]:
        if now < end:
            return Act.NOTHING, end
        self.killed = why
        return Act.KILL, now + END_GRACE

    def _over(self, now: float) -> frozenset[int]:
        # A command that waits behind others in the worker is late because of them, not by itself.
        busy = any(flight.since is not None for flight in self.flights.values())
        return frozenset(
            number for number, flight in self.flights.items() if now >= flight.due() and (flight.since is not None or not busy)
        )

    # --- end -------------------------------------------------------------------------

    def obituary(self, now: float, why: str, by_us: bool) -> list[Answer]:
        """The answers to what it had in hand when it ended; `by_us`: all of it was stopped on purpose."""
        answers: list[Answer] = []
        running = sum(flight.since is not None for flight in self.flights.values())
        for number, flight in self.flights.items():
            ticket = flight.ticket
            if ticket is None:
                continue
            if number in self.hung:
                since = flight.sent if flight.since is None else flight.since
                answers.append(replies.hung(ticket, self.number, flight.call, now - since))
            elif flight.since is None:
                answers.append(replies.never_begun(ticket, self.number))
            elif by_us or self.killed:
                answers.append(replies.stopped(ticket, self.number))
            else:
                answers.append(replies.lost(ticket, self.number, why, running - 1))
        self.flights.clear()
        return answers
