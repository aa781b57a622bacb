"""The OMERO sessions of this instance: which are open, who holds them, which are over.

Shared by the threads of all boxes. A session outlives its worker: then it is "joinable", since its
secret lies in the state folder. It is ended when nobody needs it, or to fence a call whose
outcome is unknown, and never while a started import in it can still be asked for (by a drop that goes on).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Container, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from dropbox_import.clock import Clock

Held = tuple[str, str, int]  # drop, fileset key, attempt

# Seconds. Who reserved the opening or joining of a session and is not heard of for so long (its box hangs) does not keep others from it.
_RESERVED = 300.0


@dataclass(frozen=True, slots=True)
class Session:
    """`state`: held, joinable, ending, ended or unknown (only its number is known here).

    `since`: when it came into that state, or was used last (monotonic seconds). `ours`: it was opened in this life of the daemon.
    """

    number: int
    owner: str
    group: str
    state: str
    worker: int = 0
    default: bool = False
    since: float = 0.0
    retired: bool = False
    ours: bool = False


class SessionBook:
    def __init__(self, folder: Path, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._sessions: dict[int, Session] = {}
        self._held: dict[Held, tuple[int, int]] = {}  # -> session, worker
        self._joined: dict[Held, dict[str, Any]] = {}
        self._opening: dict[tuple[str, str], float] = {}
        self._joining: dict[int, float] = {}
        self.version = 0  # grows with each change of a session's state, of who opens one, and of what a joined one holds
        self._folder = folder
        self.look_again()

    def look_again(self) -> None:
        """Take up sessions that lie in the folder and are not known: of an earlier daemon, or of a worker that died before it told.

        Not while one is being opened, which is known when its worker answers.
        """
        with self._lock:
            now = self._clock.monotonic()
            if any(now < until for until in self._opening.values()):
                return
            for path in sorted(self._folder.glob("*.json")):
                try:
                    number = int(path.stem)
                    if number in self._sessions:
                        continue
                    kept = json.loads(path.read_bytes())
                    self._sessions[number] = Session(number, str(kept["owner"]), str(kept["group"]), "joinable", since=now)
                except (OSError, ValueError, KeyError, TypeError):
                    continue
                self.version += 1

    # --- asking ---------------------------------------------------------------------

    def open_for(self, owner: str) -> dict[str, int]:
        """Usable sessions of an owner by group; the default group's also under ""."""
        with self._lock:
            found: dict[str, int] = {}
            for session in self._sessions.values():
                if session.owner == owner and session.state == "held" and not session.retired:
                    found[session.group] = session.number
                    if session.default:
                        found[""] = session.number
            return found

    def states(self) -> Mapping[int, str]:
        with self._lock:
            return MappingProxyType({number: session.state for number, session in self._sessions.items()})

    def ended_for(self) -> Mapping[int, float]:
        now = self._clock.monotonic()
        with self._lock:
            return MappingProxyType({one.number: now - one.since for one in self._sessions.values() if one.state == "ended"})

    def worker_of(self, number: int) -> int | None:
        with self._lock:
            session = self._sessions.get(number)
            return session.worker if session is not None and session.state == "held" else None

    def held(self, drop: str) -> frozenset[tuple[str, int]]:
        with self._lock:
            return frozenset((key, attempt) for name, key, attempt in self._held if name == drop)

    def joined(self, drop: str, key: str, attempt: int) -> dict[str, Any] | None:
        """What a joined session said of an attempt: its fileset and phase."""
        with self._lock:
            return self._joined.get((drop, key, attempt))

    def holds_anything(self, number: int, besides: Container[str] = ()) -> bool:
        """Whether an attempt is held in that session; those of the drops `besides` do not count."""
        with self._lock:
            return any(session == number and held[0] not in besides for held, (session, _) in self._held.items())

    def idle(self, needed: frozenset[int], seconds: float, *, joinable: bool) -> tuple[Session, ...]:
        """Sessions that nobody needs any more: held ones unused for `seconds`, and those that no worker has.

        `joinable`: all claims are known. Until then those of an earlier daemon do not count: what has not been read may count on them,
        and on one of this life only what was read in it can.
        """
        now = self._clock.monotonic()
        with self._lock:
            busy = {session for session, _ in self._held.values()} | needed
            return tuple(
                one
                for one in self._sessions.values()
                if one.number not in busy
                and ((one.state == "held" and now - one.since > seconds) or (one.state == "joinable" and (joinable or one.ours)))
            )

    def ending(self) -> int:
        """How many are being ended right now."""
        with self._lock:
            return sum(one.state == "ending" for one in self._sessions.values())

    def to_keep_alive(self, seconds: float) -> tuple[Session, ...]:
        now = self._clock.monotonic()
        with self._lock:
            busy = {session for session, _ in self._held.values()}
            return tuple(one for one in self._sessions.values() if one.number in busy and one.state == "held" and now - one.since > seconds)

    # --- telling --------------------------------------------------------------------

    def is_wanted(self, owner: str, group: str) -> bool:
        """Whether somebody is at the opening of that session."""
        with self._lock:
            return self._clock.monotonic() < self._opening.get((owner, group), 0.0)

    def is_joined(self, number: int) -> bool:
        """Whether somebody is at the joining of that session."""
        with self._lock:
            return self._clock.monotonic() < self._joining.get(number, 0.0)

    def want(self, owner: str, group: str) -> bool:
        """Reserve the opening of a session; False when somebody is at it."""
        now = self._clock.monotonic()
        with self._lock:
            if now < self._opening.get((owner, group), 0.0):
                return False
            self._opening[(owner, group)] = now + _RESERVED
            return True

    def unwant(self, owner: str, group: str) -> None:
        with self._lock:
            self._opening.pop((owner, group), None)
            self.version += 1

    def want_join(self, number: int) -> bool:
        """Reserve the joining of a session; False when another drop is at it, whose answer serves all."""
        now = self._clock.monotonic()
        with self._lock:
            if now < self._joining.get(number, 0.0):
                return False
            self._joining[number] = now + _RESERVED
            return True

    def unwant_join(self, number: int) -> None:
        with self._lock:
            self._joining.pop(number, None)
            self.version += 1

    def opened(self, number: int, owner: str, group: str, worker: int, *, default: bool) -> None:
        self._put(Session(number, owner, group, "held", worker, default, self._clock.monotonic(), ours=True))

    def touch(self, number: int) -> None:
        with self._lock:
            session = self._sessions.get(number)
            if session is not None and session.state == "held":
                self._sessions[number] = replace(session, since=self._clock.monotonic())

    def retire(self, number: int) -> None:
        """No new work in it: it will be ended."""
        with self._lock:
            session = self._sessions.get(number)
            if session is not None and not session.retired:  # said again and again while OMERO is away, it is no news
                self._sessions[number] = replace(session, retired=True)
                self.version += 1

    def retire_those_of(self, owner: str) -> None:
        """No new work in any session of this owner: who took a drop over waits for the end of the one that it was in."""
        with self._lock:
            for session in list(self._sessions.values()):
                if session.owner == owner and session.state == "held":
                    self._sessions[session.number] = replace(session, retired=True)
            self.version += 1

    def mark(self, number: int, state: str) -> None:
        """A change of state. An ended session holds nothing, and keeps the moment it was first seen ended."""
        with self._lock:
            session = self._sessions.get(number, Session(number, "", "", "unknown"))
            if session.state == "ended" and state == "ended":
                return
            self.version += 1
            self._sessions[number] = replace(session, state=state, since=self._clock.monotonic())
            if state in ("ended", "joinable"):
                self._held = {held: place for held, place in self._held.items() if place[0] != number}

    def hold(self, drop: str, key: str, attempt: int, number: int, worker: int) -> None:
        """A worker holds that attempt. Not if its session was found lost meanwhile: who joins it is told of the attempt."""
        with self._lock:
            session = self._sessions.get(number)
            if session is None or (session.state, session.worker) != ("held", worker):
                return
            self._held[(drop, key, attempt)] = (number, worker)

    def let_go(self, drop: str, key: str, attempt: int, worker: int | None = None) -> None:
        """Nobody holds the attempt any more. With a `worker`: that one does not, and one that has joined its session meanwhile may."""
        with self._lock:
            held = (drop, key, attempt)
            if worker is None or self._held.get(held, (0, worker))[1] == worker:
                self._held.pop(held, None)
                self._joined.pop(held, None)

    def lost(self, number: int, worker: int) -> None:
        """That worker does not have the session (any more): it can be joined, unless another one has done so meanwhile."""
        with self._lock:
            session = self._sessions.get(number)
            has_it = session is not None and session.state in ("held", "ending") and session.worker == worker
        if has_it:
            self.mark(number, "joinable")

    def join(self, number: int, worker: int, attempts: list[dict[str, Any]], wanted: frozenset[Held]) -> None:
        """A worker has joined a session and holds these attempts of it, of which the `wanted` ones go on.

        The session takes no new work: it is ended when they are done.
        """
        with self._lock:
            self.version += 1
            session = self._sessions.get(number, Session(number, "", "", "unknown"))
            self._sessions[number] = replace(session, state="held", worker=worker, since=self._clock.monotonic(), retired=True)
            for one in attempts:
                held = (one["drop"], one["key"], one["attempt"])
                if held not in wanted:
                    continue
                self._held[held] = (number, worker)
                self._joined[held] = one

    def forget_ended(self, needed: frozenset[int], seconds: float) -> None:
        """Those that ended so long ago and that no claim refers to; who meets their number again asks OMERO."""
        now = self._clock.monotonic()
        with self._lock:
            for one in [one for one in self._sessions.values() if one.state == "ended" and now - one.since > seconds]:
                if one.number not in needed:
                    del self._sessions[one.number]

    def worker_gone(self, worker: int) -> None:
        with self._lock:
            self.version += 1
            self._held = {held: place for held, place in self._held.items() if place[1] != worker}
            for session in list(self._sessions.values()):
                if session.worker == worker and session.state in ("held", "ending"):
                    self._sessions[session.number] = replace(session, state="joinable", worker=0, since=self._clock.monotonic())

    def _put(self, session: Session) -> None:
        with self._lock:
            self.version += 1
            self._sessions[session.number] = session
