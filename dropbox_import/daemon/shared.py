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
from dropbox_import.settings import Settings
from dropbox_import.spool.identity import Instance
from dropbox_import.workers.dispatcher import Workers


class Submissions:
    """One drop at a time for an owner's submission: two that arrive together are imported one after the other."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._at_work: dict[tuple[str, str], str] = {}

    def enter(self, owner: str, submission: str, drop: str) -> bool:
        with self._lock:
            return self._at_work.setdefault((owner, submission), drop) == drop

    def leave(self, drop: str) -> None:
        with self._lock:
            self._at_work = {what: who for what, who in self._at_work.items() if who != drop}


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing worth a line to whoever watches the daemon: a drop moved on, waits, or was filed."""

    drop: str
    what: str
    says: str = ""


class BoxView(Protocol):
    """What the threads of other boxes, and the service, may do with a box."""

    def wake(self) -> None: ...

    def attempts(self) -> frozenset[Held]: ...


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
    submissions: Submissions = field(default_factory=Submissions)
    draining: threading.Event = field(default_factory=threading.Event)
    tell: Callable[[Happening], None] = lambda _: None
    boxes: list[BoxView] = field(default_factory=list)

    def wake_all(self) -> None:
        for box in self.boxes:
            box.wake()

    def wanted(self) -> frozenset[Held]:
        """Every attempt that some drop still counts on; what a joined session holds besides them is of no use any more."""
        return frozenset().union(*(box.attempts() for box in self.boxes))
