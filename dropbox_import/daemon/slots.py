"""Who may upload next: a fixed number of slots, shared among owners by bytes."""

from __future__ import annotations

import heapq
import itertools
import math
import threading
from collections.abc import Container
from dataclasses import dataclass, replace

from dropbox_import.clock import Clock

FRESH = 30.0  # seconds for which somebody who asked in vain counts as waiting
LONGEST = 3600.0  # seconds that an upload, or its import on the server, is waited for by others on behalf of one that must run alone

Work = tuple[str, str]  # drop, fileset key
Place = tuple[float, bool, int]  # in the line: by the bytes of its owner, then who must run alone, then who asked first

_END: Place = (math.inf, True, 0)


@dataclass(frozen=True, slots=True)
class _Holding:
    """Since when it is uploaded, or imported on the server."""

    owner: str
    uploading: bool
    since: float


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
    not keep another's one waiting. `alone` work runs when nothing else does, and before all else of its owner: nobody behind it
    is given a slot until all are free. Who asked in vain is named by `offers` when a slot is free, and need not ask before; but it
    must ask now and then to count as waiting.
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
        self._offered: dict[Work, _Asker] = {}  # those named, until they have asked again or are gone

    def take(self, work: Work, owner: str, size: int, *, alone: bool = False) -> bool:
        """A slot for `work`, or False: ask again when something has ended."""
        with self._lock:
            if work in self._holding:
                return True
            now = self._clock.monotonic()
            before = self._waiting.get(work) or self._offered.pop(work, None)
            me = _Asker(owner, alone, next(self._places) if before is None else before.place, now)
            self._waiting[work] = me
            if not self._free():
                return False  # before the look at all who wait
            self._waiting = {other: one for other, one in self._waiting.items() if now - one.asked < FRESH}
            mine = self._sent.get(owner, 0)
            rivals = any(self._sent.get(one.owner, 0) < mine for one in self._waiting.values() if not one.alone)
            if rivals or self._stands(me) > self._first_alone(now) or (alone and self._holding):
                return False
            del self._waiting[work]
            self._holding[work] = _Holding(owner, uploading=True, since=now)
            self._alone = work if alone else None
            floor = min((self._sent.get(one.owner, 0) for one in self._waiting.values()), default=0)
            self._sent[owner] = max(self._sent.get(owner, 0), floor) + size
            return True

    def _free(self) -> int:
        if self._alone is not None:
            return 0
        uploading = sum(one.uploading for one in self._holding.values())
        return min(self._uploads - uploading, 2 * self._uploads - len(self._holding))

    def _stands(self, one: _Asker) -> Place:
        return self._sent.get(one.owner, 0), not one.alone, one.place

    def _first_alone(self, now: float) -> Place:
        """Where the first one stands that must run alone, the end of the line for none. Behind it nobody is given a slot.

        Also one that was named and has not asked again yet, or others would be quicker. None while a slot is held for so long that
        nobody can say when all will be free: what a box that is away has begun may hold its own for days.
        """
        if any(now - one.since >= LONGEST for one in self._holding.values()):
            return _END
        waiting = itertools.chain(self._waiting.values(), self._offered.values())
        return min((self._stands(one) for one in waiting if one.alone and now - one.asked < FRESH), default=_END)

    def offers(self, mine: Container[str]) -> tuple[frozenset[str], bool]:
        """Which drops should ask again now, of those that are `mine`; and whether others should too.

        Each of mine is named once for each time that it asked: who does not ask again does not keep others waiting.
        """
        with self._lock:
            free = self._free()
            if free <= 0 or not self._waiting:
                return frozenset(), False
            now = self._clock.monotonic()
            last = self._first_alone(now)
            line = (
                (self._stands(one), work)
                for work, one in self._waiting.items()
                if now - one.asked < FRESH and not (one.alone and self._holding) and self._stands(one) <= last
            )
            first = [work for _, work in heapq.nsmallest(free, line)]
            named = [work for work in first if work[0] in mine]
            for work in named:
                self._offered[work] = self._waiting.pop(work)
            return frozenset(work[0] for work in named), len(named) < len(first)

    def sent(self, work: Work) -> None:
        """The upload is over; the import on the server is not."""
        with self._lock:
            if work in self._holding:
                self._holding[work] = replace(self._holding[work], uploading=False, since=self._clock.monotonic())

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
