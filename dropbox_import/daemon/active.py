"""One claim while the daemon is at work on it: the journal's state and what is only known in memory."""

from __future__ import annotations

from dataclasses import dataclass, field

from dropbox_import.daemon.commands import Order
from dropbox_import.errors import DropboxImportError
from dropbox_import.spool.claim import Claim
from dropbox_import.spool.steps import Do, Step

What = tuple[Do, str]  # a step of one fileset ("" = of the drop)


@dataclass(frozen=True, slots=True)
class Wait:
    """Not before `due` (monotonic seconds). `why` is None for a mere pause between two polls."""

    due: float
    tries: int
    why: DropboxImportError | None


@dataclass(slots=True)
class Active:
    """Mutable, and touched by the thread of its box only."""

    claim: Claim
    flying: dict[What, Order] = field(default_factory=dict)
    waits: dict[What, Wait] = field(default_factory=dict)
    suspects: set[str] = field(default_factory=set)
    begun: dict[str, int] = field(default_factory=dict)  # fileset -> attempts after which its pause was taken
    held: DropboxImportError | None = None
    unread: bool = False  # after trouble with the disk: its journal is to be read anew before anything else
    gone: bool = False

    @property
    def id(self) -> str:
        return self.claim.path.name

    def idle(self, step: Step, now: float) -> bool:
        """Whether this step may be taken: it does not wait, and nothing is under way with the same fileset."""
        what = (step.do, step.key)
        wait = self.waits.get(what)
        under_way = any(key == step.key for _, key in self.flying) if step.key else what in self.flying
        if step.do is Do.LOOK_UP:  # one answer tells of all filesets of the drop
            under_way = under_way or any(do is Do.LOOK_UP for do, _ in self.flying)
        return not under_way and (wait is None or wait.due <= now)

    def pause(self, step: Step, due: float, why: DropboxImportError | None = None) -> int:
        """Put the step off; returns how often that has happened in a row."""
        what = (step.do, step.key)
        tries = self.waits[what].tries + 1 if what in self.waits else 1
        self.waits[what] = Wait(due, tries, why)
        return tries

    def tries(self, step: Step) -> int:
        wait = self.waits.get((step.do, step.key))
        return wait.tries if wait else 0

    def succeeded(self, step: Step) -> None:
        self.waits.pop((step.do, step.key), None)

    def forget(self, key: str) -> None:
        """Pauses of an attempt that is over mean nothing for the next one."""
        for what in [what for what in self.waits if what[1] == key]:
            del self.waits[what]

    def next_due(self, now: float) -> float | None:
        """When the next pause ends."""
        ahead = [wait.due for what, wait in self.waits.items() if what not in self.flying and wait.due > now]
        return min(ahead, default=None)

    def reason(self) -> str:
        """Why nothing moves, for people; "" when something does or nothing is known."""
        if self.held is not None:
            return str(self.held)
        waiting = [wait.why for what, wait in list(self.waits.items()) if wait.why is not None and what not in self.flying]
        return waiting[0].sentence if waiting else ""
