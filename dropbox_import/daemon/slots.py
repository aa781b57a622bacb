"""Who may upload next: a fixed number of slots, shared among owners by bytes."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Container
from dataclasses import dataclass

from dropbox_import.clock import Clock

FRESH = 30.0  # seconds for which somebody who asked in vain counts as waiting

Work = tuple[str, str]  # drop, fileset key


@dataclass(frozen=True, slots=True)
class _Holding:
    owner: str
    uploading: bool


@dataclass(frozen=True, slots=True)
class _Asker:
    """Who waits for a slot: since which place in the line, and when it asked last."""

    owner: str
    alone: bool
    place: int
    asked: float


class Slots:
    """`uploads` filesets send at once, and twice that number may be on the server without an answer.

    An owner whose filesets have sent the fewest bytes so far goes first, so that 500 files of one do
    not keep another's one waiting. `alone` work runs when nothing else does. Who asked in vain is named by `offers`
    when a slot is free, and need not ask before; but it must ask now and then to count as waiting.
    """

    def __init__(self, uploads: int, clock: Clock) -> None:
        self._clock = clock
        self._uploads = uploads
        self._lock = threading.Lock()
        self._holding: dict[Work, _Holding] = {}
        self._waiting: dict[Work, _Asker] = {}
        self._sent: dict[str, int] = {}
        self._alone: Work | None = None
        self._places = itertools.count()
        self._offered: dict[Work, int] = {}  # those named, with their place, until they have asked again or are gone

    def take(self, work: Work, owner: str, size: int, *, alone: bool = False) -> bool:
        """A slot for `work`, or False: ask again when something has ended."""
        with self._lock:
            if work in self._holding:
                return True
            now = self._clock.monotonic()
            before = self._waiting.get(work)
            place = before.place if before is not None else self._offered.pop(work, None)
            self._waiting[work] = _Asker(owner, alone, next(self._places) if place is None else place, now)
            if not self._free():
                return False  # before the look at all who wait
            self._waiting = {other: one for other, one in self._waiting.items() if now - one.asked < FRESH}
            mine = self._sent.get(owner, 0)
            rivals = any(self._sent.get(one.owner, 0) < mine for one in self._waiting.values())
            if rivals or (alone and self._holding):
                return False
            del self._waiting[work]
            self._holding[work] = _Holding(owner, uploading=True)
            self._alone = work if alone else None
            floor = min((self._sent.get(one.owner, 0) for one in self._waiting.values()), default=0)
            self._sent[owner] = max(self._sent.get(owner, 0), floor) + size
            return True

    def _free(self) -> int:
        if self._alone is not None:
            return 0
        uploading = sum(one.uploading for one in self._holding.values())
        return min(self._uploads - uploading, 2 * self._uploads - len(self._holding))

    def offers(self, mine: Container[str]) -> tuple[frozenset[str], bool]:
        """Which drops should ask again now, of those that are `mine`; and whether others should too.

        Each of mine is named once for each time that it asked: who does not ask again does not keep others waiting.
        """
        with self._lock:
            free = self._free()
            if free <= 0 or not self._waiting:
                return frozenset(), False
            now = self._clock.monotonic()
            line = (
                (self._sent.get(one.owner, 0), one.place, work)
                for work, one in self._waiting.items()
                if now - one.asked < FRESH and not (one.alone and self._holding)
            )
            first = [work for _, _, work in heapq.nsmallest(free, line)]
            named = [work for work in first if work[0] in mine]
            for work in named:
                self._offered[work] = self._waiting.pop(work).place
            return frozenset(work[0] for work in named), len(named) < len(first)

    def sent(self, work: Work) -> None:
        """The upload is over; the import on the server is not."""
        with self._lock:
            if work in self._holding:
                self._holding[work] = _Holding(self._holding[work].owner, uploading=False)

    def not_used(self, work: Work) -> None:
        """A slot that it was given is free again, since for another reason it did not begin. Its place in the line is what it was."""
        with self._lock:
            self._holding.pop(work, None)
            if self._alone == work:
                self._alone = None

    def give_back(self, work: Work) -> None:
        with self._lock:
            self._give_back(work)

    def _give_back(self, work: Work) -> None:
        self._holding.pop(work, None)
        self._waiting.pop(work, None)
        self._offered.pop(work, None)
        if self._alone == work:
            self._alone = None
        if not self._holding and not self._waiting:
            self._sent.clear()

    def forget(self, drop: str) -> None:
        """The drop is gone, or waits for something else."""
        with self._lock:
            for work in [work for work in (*self._holding, *self._waiting, *self._offered) if work[0] == drop]:
                self._give_back(work)
