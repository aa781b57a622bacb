"""What all workers and all waiting commands are at one moment, and what to do about it: who gets which command, who starts, who ends.

No threads and no waiting. Every method is called with the dispatcher's lock held and never blocks; the effects are queueing a line for a
worker, ending it, and asking the dispatcher (`launch`) to run a new one. Replies that come about here go to `answers`.
"""

from __future__ import annotations

import logging
import os.path
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Protocol, get_args

from dropbox_import import __version__
from dropbox_import.clock import Clock
from dropbox_import.workers import replies
from dropbox_import.workers.child import Child, Start
from dropbox_import.workers.crew import Act, Flight, Member, State
from dropbox_import.workers.protocol import PROTOCOL, THREADS, Command, Done, Failed, Hello, LineError, Role
from dropbox_import.workers.replies import Answer, Ticket

ROLES: tuple[Role, ...] = get_args(Role)
MAX_ALONE = 2  # workers of a role that are kept for one piece of work each
LIGHT = 4  # commands beside the filesets in flight: polls, look-ups, sessions
LOOK = 5.0  # while workers live, somebody looks at them at least this often (seconds)


class Settings(Protocol):
    """What is asked of `settings.workers`."""

    @property
    def importers(self) -> int: ...

    @property
    def filesets_in_flight(self) -> int: ...

    @property
    def inspectors(self) -> int: ...

    @property
    def idle_after(self) -> float: ...

    @property
    def inspector_memory(self) -> int: ...


class Floor:
    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        log: logging.Logger,
        how: Mapping[Role, Start],
        configs: Mapping[Role, Mapping[str, Any]],
        launch: Callable[[Member, Child], None],
    ) -> None:
        self.crew: dict[int, tuple[Member, Child]] = {}
        self.answers: deque[Answer] = deque()
        self.closed = False
        self.stopping = False
        self._waiting: dict[Role, deque[Ticket]] = {role: deque() for role in ROLES}
        self._hung: set[str] = set()  # places (see `_place_of`) of which the last inspection hung
        self._settings = settings
        self._clock = clock
        self._log = log
        self._how = how
        self._configs = {role: dict(config) for role, config in configs.items() if config}
        self._launch = launch
        self._started = 0

    # --- what is there ---------------------------------------------------------------

    def open(self, number: int) -> bool:
        """Does that worker live, and may it still get work?"""
        return number in self.crew and self.crew[number][0].open()

    def flying(self) -> int:
        return sum(len(member.flights) for member, _ in self.crew.values())

    def busy(self) -> int:
        queued = sum(len(each) for each in self._waiting.values()) + sum(len(member.waiting) for member, _ in self.crew.values())
        return queued + len(self.answers) + self.flying()

    # --- work ------------------------------------------------------------------------

    def take(self, ticket: Ticket) -> None:
        """A new command."""
        number = ticket.worker
        if self.closed:
            self.answers.append(replies.stopping(ticket))
        elif number is None:
            self._waiting[ticket.role].append(ticket)
        elif self.open(number) and self.crew[number][0].role == ticket.role:
            self.crew[number][0].waiting.append(ticket)
        else:
            self.answers.append(replies.gone(ticket))
        self.assign()

    def assign(self) -> None:
        """Give the waiting commands to workers with room, start workers for the rest, send what may be sent."""
        now = self._clock.monotonic()
        dead = {place for member, _ in self.crew.values() if member.lost(now) for place in _places(member)}
        for role in ROLES:
            # After the hang of a share the other boxes go first; and while one holds a lost inspector it gets no other.
            waiting = deque(sorted(self._waiting[role], key=lambda each: _place_of(each.command) in self._hung))
            self._waiting[role] = waiting
            for _ in range(len(waiting)):
                ticket = waiting.popleft()
                try:
                    member = None if _place_of(ticket.command) in dead else self._place(role, ticket.alone)
                except RuntimeError as trouble:  # the system gives no more threads
                    self._log.warning("no %s can be started: %s", role, trouble)
                    self.answers.append(replies.would_not_start(ticket, 0, str(trouble)))
                    continue
                (waiting if member is None else member.waiting).append(ticket)
        for member, child in self.crew.values():
            for ticket in member.next_tickets():
                self._send(member, child, ticket, ticket.command)

    def land(self, member: Member, wire_id: int, now: float) -> Flight | None:
        """A worker has answered a command. None: there is none of that id."""
        flight = member.land(wire_id, now)
        if flight is not None:
            self._hung.discard(_place_of(flight.command))
        return flight

    def close(self) -> None:
        """No more work: what has not begun is answered."""
        self.closed = True
        for tickets in [*self._waiting.values(), *(member.waiting for member, _ in self.crew.values())]:
            self.answers.extend(replies.stopping(ticket) for ticket in tickets)
            tickets.clear()

    def _place(self, role: Role, alone: bool) -> Member | None:
        now = self._clock.monotonic()
        same = [member for member, _ in self.crew.values() if member.role == role and member.alone == alone and not member.lost(now)]
        with_room = [member for member in same if member.room() > 0]
        if with_room:
            return max(with_room, key=Member.room)
        most = MAX_ALONE if alone else self._most(role)
        # One that is ending counts: its successor starts when it is gone, so that no two of them are at one piece of work.
        return self._start(role, alone) if len(same) < most else None

    def _most(self, role: Role) -> int:
        return {"inspector": self._settings.inspectors, "importer": self._settings.importers, "notifier": 1}[role]

    def _start(self, role: Role, alone: bool) -> Member:
        self._started += 1
        cap = min(THREADS[role], self._settings.filesets_in_flight + LIGHT) if role == "importer" else THREADS[role]
        member = Member(self._started, role, alone, cap, self._clock.monotonic())
        child = Child(self._how[role], member.number, self._log)
        self._launch(member, child)
        self.crew[member.number] = (member, child)
        return member

    def _send(self, member: Member, child: Child, ticket: Ticket | None, command: Command) -> None:
        now = self._clock.monotonic()
        on_wire = member.fly(ticket, command, now)
        try:
            child.send(on_wire)
        except LineError as problem:
            member.land(on_wire.id, now)
            if ticket is not None:
                self.answers.append(replies.unsendable(ticket, problem))

    # --- life of a worker ------------------------------------------------------------

    def greeted(self, member: Member, child: Child, hello: Hello) -> None:
        """A worker has said its first line: configure it, or let it work."""
        if hello.protocol != PROTOCOL or hello.role != member.role:
            member.killed = f"it is a {hello.role} of protocol {hello.protocol}; the program was replaced, so the service must be restarted"
            child.kill()
            return
        if hello.package != __version__:
            self._log.warning("%s %d is of version %s, the service of %s", member.role, member.number, hello.package, __version__)
        if member.role in self._configs:
            self._send(member, child, None, Command(0, "configure", self._configs[member.role]))
        else:
            self._ready(member)

    def configured(self, member: Member, child: Child, answer: Done | Failed) -> None:
        if isinstance(answer, Failed):
            member.killed = answer.sentence
            child.kill()
        else:
            self._ready(member)

    def _ready(self, member: Member) -> None:
        if member.state is State.STARTING:
            member.enter(State.READY, self._clock.monotonic())
            self.assign()

    def judge(self) -> float | None:
        """Let go who is idle, kill who hangs, do without who is lost.

        Returns for how many seconds nobody need look, None = until something changes.
        """
        now = self._clock.monotonic()
        soonest = now + LOOK
        for member, child in self.crew.values():
            # An inspector holds nothing between two commands; a dedicated importer holds the session that it was started for.
            spent = member.alone and member.role == "inspector"
            act, again = member.judge(now, 0.0 if spent else self._settings.idle_after)
            soonest = min(soonest, again)
            if act is Act.LET_GO:
                member.enter(State.ENDING, now)
                child.let_go()
            elif act is Act.KILL:
                self._log.warning("killing %s %d: %s", member.role, member.number, member.killed)
                self._hung |= _places(member)
                child.kill()
        self.assign()  # one that is lost has made room
        return max(0.05, soonest - now) if self.crew else None

    def bury(self, member: Member, why: str) -> list[Answer]:
        """A worker has ended: the answers to what it had in hand. What others could do goes back to the queue."""
        del self.crew[member.number]
        expected = self.stopping or member.state is State.ENDING
        why = member.killed or why
        answers = member.obituary(self._clock.monotonic(), why, self.stopping)
        waiting, queue = [*member.waiting], self._waiting[member.role]
        member.waiting.clear()
        if member.state is State.STARTING and not self.stopping:
            # All of them, or each would start a worker that fails in the same way.
            answers += [replies.would_not_start(ticket, member.number, why) for ticket in [*waiting, *queue]]
            queue.clear()
        else:
            answers += [replies.gone(ticket) for ticket in waiting if ticket.worker is not None]
            queue.extendleft(ticket for ticket in reversed(waiting) if ticket.worker is None)
        if not expected:
            self._log.warning("%s %d has ended: %s", member.role, member.number, why)
        self.assign()
        return answers

    def snapshot(self) -> list[dict[str, Any]]:
        now = self._clock.monotonic()
        return [
            {
                "worker": member.number,
                "role": member.role,
                "pid": child.pid,
                "state": "lost" if member.lost(now) else member.state.value,
                "alone": member.alone,
                "waiting": len(member.waiting),
                "commands": [
                    {"do": flight.command.do, "drop": flight.command.drop, "call": flight.call, "seconds": round(now - flight.sent, 1)}
                    for flight in member.flights.values()
                ],
            }
            for member, child in self.crew.values()
        ]


def _place_of(command: Command) -> str:
    """The folder of the claims of a box, where one of them is to be inspected: they are on one share. Empty for other commands."""
    return os.path.dirname(os.path.dirname(str(command.args.get("root", "")))) if command.do == "inspect" else ""


def _places(member: Member) -> set[str]:
    return {place for flight in member.flights.values() if (place := _place_of(flight.command))}
