"""One claim while the daemon is at work on it: the journal's state and what is only known in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from dropbox_import.daemon.commands import Order
from dropbox_import.errors import DropboxImportError
from dropbox_import.spool.claim import Claim
from dropbox_import.spool.fold import Drop, Phase
from dropbox_import.spool.steps import Do, Step

What = tuple[Do, str]  # a step of one fileset ("" = of the drop)

NEAR = 32  # filesets of a large drop that are looked at together; more than can be under way at once
SOON = 5.0  # seconds: who pauses for less, and not because of any trouble, keeps its place
STALLED = 15.0  # seconds without any step, for a reason that no time is known of


@dataclass(frozen=True, slots=True)
class Wait:
    """Not before `due` (monotonic seconds). `why` is None for a mere pause between two polls.

    `pauses`: how many such pauses the step has had; `failures`: how often it has gone wrong in a row. They are counted apart,
    because an import that was asked about a thousand times has not gone wrong once.
    """

    due: float
    why: DropboxImportError | None
    pauses: int
    failures: int


@dataclass(slots=True)
class Memory:
    """What no journal tells and what a drop keeps while it is parked: its pauses with their counts, and who may be poison."""

    waits: dict[What, Wait] = field(default_factory=dict)
    suspects: set[str] = field(default_factory=set)
    begun: dict[str, int] = field(default_factory=dict)  # fileset -> attempts after which its pause was taken


@dataclass(slots=True)
class Active:
    """Mutable, and touched by the thread of its box only.

    `wants_slot`, `refused`: at the last look it lacked a slot for an upload, or another drop was at work under its submission.
    `looked`, `moved`: when it was looked at, and when something of it went on (monotonic seconds).
    """

    claim: Claim
    memory: Memory = field(default_factory=Memory)
    flying: dict[What, Order] = field(default_factory=dict)
    held: DropboxImportError | None = None
    unread: bool = False  # after trouble with the disk: its journal is to be read anew before anything else
    gone: bool = False
    wants_slot: bool = False
    refused: bool = False
    looked: float = 0.0
    moved: float = 0.0
    next_at: float | None = None  # when the next of its pauses ends
    _names: Mapping[str, int] | None = None
    _far: deque[str] = field(default_factory=deque)
    _near: dict[str, None] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return self.claim.path.name

    @property
    def drop(self) -> Drop:
        return self.claim.drop

    @property
    def waits(self) -> dict[What, Wait]:
        return self.memory.waits

    @property
    def suspects(self) -> set[str]:
        return self.memory.suspects

    @property
    def begun(self) -> dict[str, int]:
        return self.memory.begun

    def idle(self, step: Step, now: float) -> bool:
        """Whether this step may be taken: it does not wait, and nothing is under way with the same fileset."""
        what = (step.do, step.key)
        wait = self.waits.get(what)
        under_way = any(key == step.key for _, key in self.flying) if step.key else what in self.flying
        if step.do is Do.LOOK_UP:  # one answer tells of all filesets of the drop
            under_way = under_way or any(do is Do.LOOK_UP for do, _ in self.flying)
        return not under_way and (wait is None or wait.due <= now)

    def pause(self, step: Step, due: float) -> None:
        """Nothing is wrong with the step, but it is not to be done again before `due`."""
        self.waits[(step.do, step.key)] = Wait(due, None, self.pauses(step) + 1, 0)

    def put_off(self, step: Step, due: float, why: DropboxImportError | None, *, counts: bool = True) -> None:
        """It went wrong; `why` is None where that is not worth showing yet. What says by itself when to try again does not count."""
        self.waits[(step.do, step.key)] = Wait(due, why, self.pauses(step), self.failures(step) + counts)

    def pauses(self, step: Step) -> int:
        wait = self.waits.get((step.do, step.key))
        return wait.pauses if wait else 0

    def failures(self, step: Step) -> int:
        wait = self.waits.get((step.do, step.key))
        return wait.failures if wait else 0

    def tells(self, step: Step) -> bool:
        """Whether a reason is shown already for which this step waits."""
        wait = self.waits.get((step.do, step.key))
        return wait is not None and wait.why is not None

    def succeeded(self, step: Step) -> None:
        self.waits.pop((step.do, step.key), None)
        if step.do is Do.LOOK_UP:  # one answer tells of all filesets of the drop
            for what in [what for what in self.waits if what[0] is Do.LOOK_UP]:
                del self.waits[what]

    def forget(self, key: str) -> None:
        """Pauses of an attempt that is over mean nothing for the next one."""
        for what in [what for what in self.waits if what[1] == key]:
            del self.waits[what]

    def next_due(self, now: float) -> float | None:
        """When the next pause ends."""
        ahead = [wait.due for what, wait in self.waits.items() if what not in self.flying and wait.due > now]
        return min(ahead, default=None)

    def why(self, *, tried: bool = False) -> DropboxImportError | None:
        """Why nothing moves; None when something does or nothing is known. `tried`: also of a step that is under way once more."""
        if self.held is not None:
            return self.held
        waits = (wait for what, wait in list(self.waits.items()) if tried or what not in self.flying)
        return next((wait.why for wait in waits if wait.why is not None), None)

    def reason(self) -> str:
        """The same for people, "" for none."""
        why = self.why()
        return "" if why is None else str(why) if why is self.held else why.sentence

    # --- which filesets of a large drop are looked at -----------------------------------

    def among(self, now: float) -> tuple[str, ...] | None:
        """The filesets to ask about: what is under way, and the next ones that are not settled and do not wait. None: all of them.

        So that a reply for one fileset of ten thousand does not cost a look at all.
        """
        filesets = self.drop.filesets
        if len(filesets) <= 2 * NEAR:
            return None
        if self._names is not filesets.names:
            self._names, self._far, self._near = filesets.names, deque(filesets), {}
        for key in [key for key in self._near if filesets[key].settled]:
            del self._near[key]
        later = {key for (_, key), wait in self.waits.items() if wait.due > now}
        asked = [key for key in self._near if key not in later]
        while len(asked) < NEAR and self._far:
            key = self._far.popleft()
            if not filesets[key].settled:
                self._near[key] = None
                asked.append(key)
        under_way = (key for key in (*sorted(filesets.sessions_of), *(key for _, key in self.flying)) if key in filesets)
        return tuple(dict.fromkeys((*under_way, *asked[:NEAR])))

    # --- whether it keeps its place -----------------------------------------------------

    def runs(self) -> bool:
        """Whether an attempt of it is on the server, or begun, without an answer."""
        states = (self.drop.filesets[key].attempt for key in self.drop.filesets.sessions_of)
        return any(attempt is not None and attempt.phase is not Phase.ANSWERED for attempt in states)

    def needs_omero(self) -> bool:
        """Whether the next thing to do with it is one with OMERO."""
        drop = self.drop
        return drop.claimed and drop.inspection is not None and not drop.settled and self.held is None

    def rests(self, now: float, *, omero_down: bool) -> bool:
        """Whether it only waits, so that another drop may have its place meanwhile."""
        if self.flying or self.unread or self.gone or self.runs():
            return False
        if self.held is not None or self.refused:
            return True
        if omero_down and self.needs_omero():
            return True
        if self.wants_slot:
            return False
        due = self.next_due(now)
        if due is not None:
            return due > now + SOON or self.why() is not None
        return now - self.moved > STALLED
