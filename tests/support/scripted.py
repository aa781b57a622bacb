"""Workers as plain objects, for tests of the daemon alone that must be quick and exact.

`ScriptedWorkers` has the interface of `workers.dispatcher.Workers`. *At once*: it does each command in the caller's thread, and
`Server.cut` says at which one the worker dies, and whether that is before the effect, after it, or with the effect landing when the
client is long gone. *Queued*: commands stay in flight beside each other until `deliver` takes one of them on by half a step (first
its effect, then its reply), so that workers, connections and the daemon itself can end in the middle of several.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from dropbox_import.errors import DropboxImportError, JournalDamaged, NotAllowed, OutcomeUnknown, ServerUnavailable, TryLater
from dropbox_import.spool import journal
from dropbox_import.spool.fold import Phase, fold
from dropbox_import.workers.protocol import Command
from dropbox_import.workers.replies import Reply
from tests.support.scripted_commands import Commands
from tests.support.scripted_server import Late, Server, Stored

__all__ = ["CHANGES", "ScriptedWorkers", "Server", "Stored"]

CHANGES = ("open_session", "target", "begin", "send", "commit", "annotate", "discard", "end_session")
_OUTCOME_UNKNOWN = ("begin", "commit", "discard", "open_session")  # what a lost connection leaves open
_BUSY = ServerUnavailable("OMERO is too busy for this now", code="busy")
_DOWN = ServerUnavailable("OMERO cannot be reached", code="unreachable")


def counts_on(boxes: Iterable[Path], one: Stored, key: str, attempt: int) -> bool:
    """Whether the journal of that drop, in the hands of who began this import, waits for its answer."""
    for box in boxes:
        with suppress(OSError, JournalDamaged):
            records = journal.read_newest(box / "inprogress" / one.meta["instance"] / one.meta["drop"])
            state = fold(one.meta["drop"], records).filesets.get(key)
            now = state.attempt if state is not None else None
            if now is not None and now.number == attempt and now.phase in (Phase.COMMIT, Phase.COMMITTED):
                return True
    return False


@dataclass
class Flight:
    role: str
    command: Command
    on_reply: Callable[[Reply], None]
    worker: int
    reply: Reply | None = None  # the effect has happened, and this is on its way


class ScriptedWorkers(Commands):
    """Incarnations of the two roles; a dead one is followed by a new one at the next command."""

    def __init__(self, server: Server, sessions_dir: Path, *, queued: bool = False) -> None:
        super().__init__(server, sessions_dir)
        self.queued = queued
        self.flights: list[Flight] = []
        self.answers: list[tuple[Callable[[Reply], None], Reply]] = []
        self.incarnation = 1
        self.inspector = 0  # in queued mode inspections have a worker of their own
        self.known_boxes: Callable[[], list[Path]] | None = None  # whose claims their daemon has read; None = all
        self.known_then: dict[int, list[Path]] = {}  # by session: as it was when that was joined
        self.left_alone: set[str] = set()  # drops that nobody goes on with: held, of a box that hangs, being set aside
        self._last = 1
        server.crews.append(self)

    def __getstate__(self) -> dict[str, Any]:
        """A server is kept with its crews; what asks a daemon is not."""
        return {**self.__dict__, "known_boxes": None}

    def alive(self, incarnation: int) -> bool:
        return incarnation in (self.incarnation, self.inspector)

    def snapshot(self) -> list[dict[str, Any]]:
        return []

    def submit(
        self, role: str, command: Command, on_reply: Callable[[Reply], None], *, alone: bool = False, worker: int | None = None
    ) -> None:
        if role == "notifier" or command.do == "who_is":
            on_reply(self.server.mail.do(command))
        elif self.queued:
            self._queue(role, command, on_reply, worker)
        else:
            self._at_once(role, command, on_reply, worker)

    # --- at once ------------------------------------------------------------------------

    def _at_once(self, role: str, command: Command, on_reply: Callable[[Reply], None], worker: int | None) -> None:
        incarnation = self.incarnation
        if worker is not None and worker != incarnation:
            on_reply(Reply(command, None, OutcomeUnknown("gone", code="no-such-session"), "none", 0))
            return
        self._watch_end(command)
        server = self.server
        server.commands += 1
        how = server.cut[1] if server.cut and server.cut[0] == server.commands else ""
        if command.do in server.deadly:
            how = "before"
        if command.do in server.refuse and role == "importer":
            on_reply(Reply(command, None, server.refuse[command.do], "none", incarnation))
            return
        if how == "late" and command.do in CHANGES:
            self._leave_behind(command)
        elif how != "before":
            try:
                result = self._do(command)
            except DropboxImportError as error:
                on_reply(Reply(command, None, error, "none", incarnation))
                return
            if not how:
                on_reply(Reply(command, result, None, "done", incarnation))
                return
        self.incarnation += 1
        self.holds = {}
        on_reply(Reply(command, None, OutcomeUnknown("died", code="worker-died"), "unknown", incarnation, died=True, company=0))

    # --- queued -------------------------------------------------------------------------

    def _queue(self, role: str, command: Command, on_reply: Callable[[Reply], None], worker: int | None) -> None:
        self.server.commands += 1
        if role == "inspector":
            self.inspector = self.inspector or self._hire()
            number = self.inspector
        else:
            self.incarnation = self.incarnation or self._hire()
            number = self.incarnation
        if worker is not None and worker != number:
            self.answers.append((on_reply, Reply(command, None, OutcomeUnknown("gone", code="no-such-session"), "none", 0)))
            return
        if command.do == "begin":
            self._watch_begin(command)
        self._watch_end(command)
        self.flights.append(Flight(role, command, on_reply, number))

    def _hire(self) -> int:
        self._last += 1
        return self._last

    def _watch_begin(self, command: Command) -> None:
        """Never two tries of one fileset that could both come to images.

        Drops of two hosts may begin the same: they find each other afterwards, and which of them goes on is judged by what is complete.
        """
        token, server = command.args["token"], self.server
        session = server.sessions.get(command.args["session"])
        owner = session.owner if session is not None else ""
        others = [flight for crew in server.crews if crew is not self for flight in crew.flights]
        mine = [one for one in others if one.command.drop == command.drop]  # an adopted one
        landing = [one for one in mine if one.reply is None and server.is_open(int(one.command.args.get("session") or 0))]
        for one in [*self.flights, *landing]:
            again = one.command.do == "begin" and (one.command.args["token"], self._owner(one.command)) == (token, owner)
            if again or (one.command.do == "commit" and (one.command.drop, one.command.key) == (command.drop, command.key)):
                server.broken.append(f"begin of {token} beside a {one.command.do} of it")
        if why := server.may_still_come(owner, token, command.drop, command.args["meta"]["instance"]):
            server.broken.append(f"begin of {token} although {why}")

    def _watch_end(self, command: Command) -> None:
        """Never the end of a session in which a started import can still be asked for by the drop that counts on it.

        Of a box that was away since the start, when the session was joined, nobody knows what counts on it.
        """
        if command.do == "join_session":
            self.known_then[command.args["session"]] = self.known_boxes() if self.known_boxes is not None else self.server.boxes
        session = self.server.sessions.get(command.args["session"]) if command.do == "end_session" else None
        if session is None or session.closed or not self._record(session.number).exists():
            return
        known = self.known_then.get(session.number, self.server.boxes)
        for (_, key, attempt), number in session.attempts.items():
            one = self.server.filesets.get(number)
            running = one is not None and one.committed and one.process and one.meta["drop"] not in self.left_alone
            if one is not None and running and counts_on(known, one, key, attempt):
                self.server.broken.append(f"the session {session.number} was ended although the fileset {number} is imported in it")

    def _owner(self, command: Command) -> str:
        session = self.server.sessions.get(int(command.args.get("session") or 0))
        return session.owner if session is not None else ""

    def deliver(self, rng: random.Random, trouble: float = 0.0, *, mute: bool = False) -> bool:
        """Take one thing in flight on by a step. `trouble`: how probable it is that the server says no. `mute`: nobody hears of it."""
        if mute:
            return self._unheard(rng, trouble)
        if self.answers and (not self.flights or rng.random() < 0.6):
            on_reply, reply = self.answers.pop(rng.randrange(len(self.answers)))
            on_reply(reply)
            return True
        if not self.flights:
            return False
        flight = rng.choice(self.flights)
        if flight.reply is None:
            flight.reply = self._outcome(flight, rng, trouble)
            if rng.random() < 0.4:
                return True
        self.flights.remove(flight)
        flight.on_reply(flight.reply)
        return True

    def _unheard(self, rng: random.Random, trouble: float) -> bool:
        """The daemon is stopped, its workers are not: what they were sent they do, and the answers stay in the pipe."""
        waiting = [one for one in self.flights if one.reply is None]
        if waiting:
            flight = rng.choice(waiting)
            flight.reply = self._outcome(flight, rng, trouble)
        return bool(waiting)

    def _outcome(self, flight: Flight, rng: random.Random, trouble: float) -> Reply:
        command = flight.command
        if flight.role == "importer":
            if not self.server.up:
                if command.do == "poll":
                    return self._says(flight, ServerUnavailable("The connection to OMERO was lost", code="connection-lost"))
                return self._says(flight, _DOWN)
            if command.do in self.server.refuse:
                return self._says(flight, self.server.refuse[command.do])
            if rng.random() < trouble:
                return self._trouble(flight, rng)
        try:
            return Reply(command, self._do(command), None, "done", flight.worker)
        except DropboxImportError as error:
            return self._says(flight, error)

    def _says(self, flight: Flight, error: DropboxImportError, effect: Any = "none") -> Reply:
        return Reply(flight.command, None, error, effect, flight.worker)

    def _trouble(self, flight: Flight, rng: random.Random) -> Reply:
        do = flight.command.do
        kind = rng.choice(("cut", "cut", "busy", "full", "checksum", "refused", "no-answer"))
        self.server.note(f"trouble-{kind}")
        if kind == "refused" and do in ("resolve", "target", "begin", "send", "commit", "annotate"):
            return self._says(flight, NotAllowed(f"The group does not permit {do}.", code="permission"))
        if kind == "checksum" and do in ("send", "commit"):
            return self._says(flight, TryLater("What OMERO stored is not what was sent.", code="checksum"))
        if kind == "full":
            return self._says(flight, TryLater("The disk of the OMERO server is full", code="server-disk-full"))
        if kind in ("cut", "no-answer"):
            return self._cut(flight, rng, "connection-lost" if kind == "cut" else "no-answer")
        return self._says(flight, _BUSY)

    def _cut(self, flight: Flight, rng: random.Random, code: str) -> Reply:
        """The connection is gone in the middle of the command; what changes something has no known outcome."""
        command = flight.command
        if command.do in CHANGES:
            self._half_done(command, rng)
        if command.do in _OUTCOME_UNKNOWN:
            return self._says(flight, OutcomeUnknown("The connection to OMERO was lost", code=code), "unknown")
        return self._says(flight, ServerUnavailable("The connection to OMERO was lost", code=code))

    def _half_done(self, command: Command, rng: random.Random) -> None:
        """Nobody hears of it: not done, done on the server alone, or done there later."""
        how = rng.choice(("none", "done", "late"))
        if how == "late":
            self._leave_behind(command)
        elif how == "done":
            self._server_part(command)

    def die(self, rng: random.Random, role: str, *, hung: bool = False) -> int:
        """The worker of that role ends with all that it has in flight; returns how much that was."""
        number = self.inspector if role == "inspector" else self.incarnation
        mine = [one for one in self.flights if one.worker == number]
        self.flights = [one for one in self.flights if one.worker != number]
        # Commands that it had not taken up yet have no effect, and are told so.
        begun = [one for one in mine if one.reply is not None or rng.random() < 0.8]
        guilty = rng.choice(begun) if begun and hung else None
        for one in mine:
            if one not in begun:
                reply = self._says(one, TryLater("it ended before it came to this", code="worker-died"))
            else:
                if one.reply is None and role == "importer" and one.command.do in CHANGES:
                    self._half_done(one.command, rng)
                reply = self._lost(one, len(begun) - 1, hung, one is guilty)
            self.answers.append((one.on_reply, reply))
        if role == "inspector":
            self.inspector = 0
        else:
            self.incarnation, self.holds = 0, {}
        return len(begun)

    def _lost(self, one: Flight, company: int, hung: bool, guilty: bool) -> Reply:
        if not hung:
            return Reply(one.command, None, OutcomeUnknown("died", code="worker-died"), "unknown", one.worker, True, company)
        code = "hung" if guilty else "worker-stopped"
        return Reply(one.command, None, OutcomeUnknown(code, code=code), "unknown", one.worker, guilty)

    def retire(self) -> None:
        """An importer with nothing to do for a minute is ended; nobody is told."""
        if not any(one.worker == self.incarnation for one in self.flights):
            self.incarnation, self.holds = 0, {}

    def cut_all(self, rng: random.Random) -> None:
        """The server goes away under everything that is in flight."""
        for one in self.flights:
            if one.role == "importer" and one.reply is None:
                one.reply = self._cut(one, rng, "connection-lost")

    def abandon(self, rng: random.Random) -> None:
        """The daemon is gone, and so are its workers; nobody hears of anything."""
        for one in self.flights:
            if one.reply is None and one.role == "importer" and one.command.do in CHANGES:
                self._half_done(one.command, rng)
        self.flights, self.answers = [], []
        self.server.crews.remove(self)

    def _leave_behind(self, command: Command) -> None:
        session = int(command.args.get("session") or 0)
        token, meta = str(command.args.get("token") or ""), command.args.get("meta") or {}
        number = self.holds.get(session, {}).get((command.drop, command.key, command.attempt), 0)
        if number in self.server.filesets:
            token, meta = self.server.filesets[number].token, self.server.filesets[number].meta
        effect = partial(self._server_part, command, number, self._missing(command))
        self.server.late.append(Late(session, token, command.do, effect, command.drop, meta.get("instance", "")))

    def _missing(self, command: Command) -> tuple[str, ...]:
        """What a command that looks before it makes something finds missing now."""
        if command.do == "target":
            return () if self._has_target(command.args["target"]) else ("target",)
        if command.do == "annotate":
            return tuple(one for one in self._annotations(command.args) if one not in self.server.annotated)
        return ()

    def _server_part(self, command: Command, fileset: int = 0, missing: tuple[str, ...] | None = None) -> None:
        """What a command does on the server when no worker is there to note its outcome. `missing`: what it found so when it looked."""
        missing = self._missing(command) if missing is None else missing
        server, args = self.server, command.args
        session = int(args.get("session") or 0)
        fileset = fileset or self.holds.get(session, {}).get((command.drop, command.key, command.attempt), 0)
        if not server.is_open(session):
            return
        match command.do:
            case "open_session":
                server.open(args["owner"])
            case "begin":
                server.make_fileset(session, args["token"], args["meta"], args["client_paths"])
            case "commit":
                one = server.filesets.get(fileset)
                if one is not None and one.process and one.sent:
                    server.start_import(fileset)
            case "target":
                if missing:
                    self._make_target(args["target"])  # also when it was made since
            case "annotate":
                server.made += missing
                server.annotated += [one for one in missing if one not in server.annotated]
            case "discard":
                server.remove(args["fileset"])
            case "end_session":
                server.close(session)
