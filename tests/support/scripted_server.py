"""An OMERO of plain objects, for tests of the daemon alone: sessions, filesets, running imports and effects that land late.

It outlives daemons and workers, as OMERO does. What it must never be asked to do is noted in `broken`, so that no handler in the
daemon can swallow it. Facts it follows were recorded from a real server: a session idles out after ten minutes, an import that was
started goes on for a while when its session ends, or never finishes and may leave half-done images; starting one twice imports twice.
"""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dropbox_import.errors import DropboxImportError, OutcomeUnknown
from tests.support.clocks import HandClock
from tests.support.mailroom import Mailroom

IDLE_SECONDS = 600.0
AFTERLIFE = 59.0  # a started import whose session has ended is over within a minute
NEVER = float("inf")
_WRONG = ("TargetUnusable", "UnreadableImage", "ServerUnavailable", "OutcomeUnknown", "images-all-the-same", "lost")


@dataclass
class Stored:
    """One fileset. `images` are there from `half_at` on, and complete from `full_at` on; `answer` is what the import will say."""

    number: int
    session: int
    token: str
    meta: dict[str, Any]
    paths: list[str]
    owner: str = "jdoe"
    sizes: dict[str, int] = field(default_factory=dict)
    contents: set[str] = field(default_factory=set)
    sent: bool = False
    committed: bool = False
    images: int = 0
    process: bool = True
    half_at: float = NEVER
    full_at: float = NEVER
    over_at: float = NEVER
    answer: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return self.token.rpartition("/")[2]

    @property
    def held(self) -> tuple[str, str, int]:
        return self.meta["drop"], self.key, self.meta["attempt"]


@dataclass
class Session:
    number: int
    owner: str
    used: float
    closed: bool = False
    attempts: dict[tuple[str, str, int], int] = field(default_factory=dict)  # what that file says
    needed: bool = False  # something was done in it


@dataclass
class Late:
    """An effect that is still inside the server although its client is gone; the end of its session prevents it."""

    session: int
    token: str
    do: str
    effect: Callable[[], Any]
    drop: str = ""
    instance: str = ""


class Server:
    """With `chance` imports take their time and end in many ways; without it each is complete at once."""

    def __init__(self, clock: HandClock | None = None) -> None:
        self.clock = clock or HandClock()
        self.chance: random.Random | None = None
        self.faults = False
        self.up = True
        self.sessions: dict[int, Session] = {}
        self.filesets: dict[int, Stored] = {}
        self.targets: dict[tuple[str, str], int] = {}
        self.annotated: list[str] = []
        self.made: list[str] = []  # every annotation and container, each time that it was made
        self.commands = 0
        self.cut: tuple[int, str] | None = None  # (number of the command, "before" | "after" | "late")
        self.late: list[Late] = []
        self.refuse: dict[str, DropboxImportError] = {}
        self.deadly: set[str] = set()  # commands of which a worker dies each time
        self.broken: list[str] = []
        self.happened: dict[str, int] = {}
        self.mail = Mailroom()
        self.crews: list[Any] = []  # the workers of every daemon
        self.boxes: list[Path] = []  # where the journals of those who use it are
        self._next = 100

    # --- time ---------------------------------------------------------------------------

    def tick(self) -> None:
        """Let happen what is due: sessions idle out, imports go on."""
        now = self.clock.monotonic()
        for session in list(self.sessions.values()):
            running = any(one.committed and one.process and one.over_at > now for one in self._of(session.number))
            if running:
                session.used = max(session.used, now - 60.0)  # the server itself touches the session of a running import
            if not session.closed and now - session.used > IDLE_SECONDS:
                self.note("session-idled-out")
                self.close(session.number)
        for one in self.filesets.values():
            if one.half_at <= now or one.full_at <= now:
                one.images = max(one.images, 1)

    def land(self, which: random.Random | None = None) -> None:
        """Effects that were under way when their client went: they still happen, unless their session has been ended."""
        waiting, self.late = self.late, []
        for late in waiting:
            if which is not None and which.random() < 0.5:
                self.late.append(late)
            elif self.is_open(late.session) and self.up:
                self.note(f"late-{late.do}")
                with contextlib.suppress(DropboxImportError, OSError):
                    late.effect()

    def note(self, what: str) -> None:
        self.happened[what] = self.happened.get(what, 0) + 1

    # --- looking ------------------------------------------------------------------------

    def number(self) -> int:
        self._next += 1
        return self._next

    def is_open(self, session: int) -> bool:
        """0 = no session is needed."""
        return session == 0 or (session in self.sessions and not self.sessions[session].closed)

    def is_complete(self, one: Stored) -> bool:
        return one.committed and one.images > 0 and one.full_at <= self.clock.monotonic()

    def complete(self) -> list[Stored]:
        return [one for one in self.filesets.values() if self.is_complete(one)]

    def may_still_come(self, owner: str, token: str, drop: str, instance: str) -> str:
        """Why an import of this token may still happen without anybody doing more for it; "" when none can.

        What another drop of another instance has begun is not looked at.
        """
        for late in self.late:
            if late.drop != drop and late.instance != instance:
                continue
            session = self.sessions.get(late.session)
            mine = session is not None and session.owner == owner  # two owners may have chosen one submission
            if mine and late.token == token and late.do in ("begin", "commit") and self.is_open(late.session):
                return f"a {late.do} in the open session {late.session} may still land"
        now = self.clock.monotonic()
        for one in self.filesets.values():
            if one.meta["drop"] != drop and one.meta["instance"] != instance:
                continue
            if (one.owner, one.token) == (owner, token) and one.committed and now < one.full_at < NEVER:
                return f"the import of the fileset {one.number} still runs"
        return ""

    # --- sessions -----------------------------------------------------------------------

    def open(self, owner: str) -> Session:
        session = Session(self.number(), owner, self.clock.monotonic())
        self.sessions[session.number] = session
        return session

    def close(self, number: int, *, killed: bool = False) -> None:
        """The session is over: uploads in it are dead, and a started import ends within a minute, or never."""
        session = self.sessions.get(number)
        if session is None or session.closed:
            return
        session.closed = True
        now = self.clock.monotonic()
        for one in self._of(number):
            one.process = False
            if not one.committed or one.full_at <= now:
                continue
            if one.full_at < NEVER and not killed and self.chance is not None and self.chance.random() < 0.5:
                one.full_at = min(one.full_at, now + self.chance.uniform(0.0, AFTERLIFE))
                self.note("import-outlived-its-session")
            else:
                one.full_at = NEVER
                self.note("import-died-with-its-session")
            if one.half_at > one.full_at or (one.full_at == NEVER and one.half_at > now):
                one.half_at = one.full_at

    def restart(self) -> None:
        """It was killed and is back: no session and no running import is left."""
        self.late = []
        for number in list(self.sessions):
            self.close(number, killed=True)

    def _of(self, session: int) -> list[Stored]:
        return [one for one in self.filesets.values() if one.session == session]

    # --- filesets -----------------------------------------------------------------------

    def make_fileset(self, session: int, token: str, meta: dict[str, Any], paths: list[str]) -> Stored:
        owner = self.sessions[session].owner
        one = Stored(self.number(), session, token, meta, paths, owner)
        self.filesets[one.number] = one
        return one

    def start_import(self, number: int) -> None:
        """verifyUpload."""
        one = self.filesets.get(number)
        if one is None or not one.process:
            raise OutcomeUnknown("the process is gone", code="session-gone")
        if one.committed:
            self.broken.append(f"verifyUpload twice on the fileset {number}")
        if set(one.sizes) != set(one.paths):
            self.broken.append(f"verifyUpload of the fileset {number} before all files were there")
        one.committed = True
        self._plan(one)

    def _plan(self, one: Stored) -> None:
        now = self.clock.monotonic()
        one.answer = {"state": "done"}
        if self.chance is None or self.chance.random() < 0.3:
            one.half_at = one.full_at = one.over_at = now
            one.images = 1
            return
        takes = self.chance.choice((1.0, 10.0, 100.0, 400.0)) * self.chance.random()
        one.half_at, one.full_at = now + takes / 2, now + takes
        one.over_at = one.full_at + self.chance.choice((0.0, 3.0))
        if self.faults and self.chance.random() < 0.25:
            self._goes_wrong(one, now, takes)

    def _goes_wrong(self, one: Stored, now: float, takes: float) -> None:
        assert self.chance is not None
        kind = self.chance.choice(
            ("TargetUnusable", "UnreadableImage", "ServerUnavailable", "OutcomeUnknown", "images-all-the-same", "lost")
        )
        self.note(f"answer-{kind}")
        one.over_at = now + takes
        if kind == "lost":  # started, and then nothing is ever heard of it
            one.half_at = one.full_at = NEVER
            one.process = False
            return
        if kind != "images-all-the-same":
            one.full_at = NEVER
            if self.chance.random() < 0.5:
                one.half_at = NEVER
        told = kind if kind != "images-all-the-same" else "OutcomeUnknown"
        one.answer = {"state": "error", "class": told, "sentence": f"it went wrong ({kind})", "hint": "", "log": "log"}

    def remove(self, number: int) -> None:
        one = self.filesets.pop(number, None)
        if one is not None and self.is_complete(one):
            self.broken.append(f"the fileset {number} with complete images was discarded")
        elif one is not None and one.committed and one.full_at < NEVER and not one.process:
            self.broken.append(f"the fileset {number} was discarded while its import still ran")
