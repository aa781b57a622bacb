"""What the threads of all boxes have in common."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from dropbox_import.clock import Clock
from dropbox_import.daemon.outage import Backoff, Outage
from dropbox_import.daemon.sessions import Held, SessionBook
from dropbox_import.daemon.slots import Slots
from dropbox_import.daemon.turning import Awake
from dropbox_import.settings import Settings
from dropbox_import.spool.identity import Instance
from dropbox_import.workers.dispatcher import Workers


class Submissions:
    """One drop at a time for an owner's submission: two that arrive together are imported one after the other."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._at_work: dict[tuple[str, str], str] = {}
        self._known: dict[str, tuple[str, str]] = {}
        self._next: dict[tuple[str, str], dict[str, None]] = {}  # who was refused, in the order in which they came

    def enter(self, owner: str, submission: str, drop: str) -> bool:
        what = (owner, submission)
        with self._lock:
            self._known[drop] = what
            if self._at_work.setdefault(what, drop) == drop:
                return True
            self._next.setdefault(what, {})[drop] = None
            return False

    def leave(self, drop: str) -> str:
        """It is gone. Returns the drop that was refused because of it first, "" for none."""
        with self._lock:
            what = self._known.pop(drop, ("", ""))
            waiting = self._next.get(what, {})
            waiting.pop(drop, None)
            first = next(iter(waiting), "")
            if self._at_work.get(what) == drop:
                del self._at_work[what]
                waiting.pop(first, None)
            else:
                first = ""
            if not waiting:
                self._next.pop(what, None)
            return first


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing worth a line to whoever watches the daemon: a drop moved on, waits, or was filed."""

    drop: str
    what: str
    says: str = ""


class BoxView(Protocol):
    """What the threads of other boxes, and the service, may do with a box."""

    def wake(self, *, drop: str = "") -> None: ...

    def attempts(self) -> frozenset[Held]: ...

    def unattended(self, asking: str) -> frozenset[str]: ...


@dataclass(frozen=True, slots=True)
class Shared:
    settings: Settings
    instance: Instance
    clock: Clock
    workers: Workers
    book: SessionBook
    outage: Outage
    backoff: Backoff
    slots: Slots
    awake: Awake
    submissions: Submissions = field(default_factory=Submissions)
    draining: threading.Event = field(default_factory=threading.Event)
    tell: Callable[[Happening], None] = lambda _: None
    boxes: list[BoxView] = field(default_factory=list)

    def wake_all(self, drop: str = "") -> None:
        """Something changed that threads of other boxes may wait for; `drop`: only that one, wherever it is."""
        for box in self.boxes:
            box.wake(drop=drop)

    def news(self) -> tuple[int, int]:
        """Changes when sessions or the server's state did: then whatever waits for them is looked at again."""
        return self.book.version, self.outage.version

    def wanted(self) -> frozenset[Held]:
        """Every attempt that some drop still counts on; what a joined session holds besides them is of no use any more."""
        return frozenset().union(*(box.attempts() for box in self.boxes))

    def counted_on(self, session: int, asking: str) -> bool:
        """Whether a drop still goes on with what it has in that session, so that the drop `asking` cannot have it ended now.

        A drop that is held, and one of a box that hangs, may go on in a week or never. It keeps what it has as long as nobody needs
        the end of that session; if somebody does, it finds its attempts lost, as after any lost session, and looks up what became of them.
        """
        if not self.book.holds_anything(session):
            return False
        resting = frozenset[str]().union(*(box.unattended(asking) for box in self.boxes))
        return self.book.holds_anything(session, besides=resting)
