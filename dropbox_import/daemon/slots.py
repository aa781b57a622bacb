"""Who may upload next: a fixed number of slots, shared among owners by bytes."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from dropbox_import.clock import Clock

FRESH = 30.0  # seconds for which somebody who asked in vain counts as waiting

Work = tuple[str, str]  # drop, fileset key


@dataclass(frozen=True, slots=True)
class _Holding:
    owner: str
    uploading: bool


class Slots:
    """`uploads` filesets send at once, and twice that number may be on the server without an answer.

    An owner whose filesets have sent the fewest bytes so far goes first, so that 500 files of one do
    not keep another's one waiting. `alone` work runs when nothing else does.
    """

    def __init__(self, uploads: int, clock: Clock) -> None:
        self._clock = clock
        self._uploads = uploads
        self._lock = threading.Lock()
        self._holding: dict[Work, _Holding] = {}
        self._waiting: dict[Work, tuple[str, float]] = {}
        self._sent: dict[str, int] = {}
        self._alone: Work | None = None

    def take(self, work: Work, owner: str, size: int, *, alone: bool = False) -> bool:
        """A slot for `work`, or False: ask again when something has ended."""
        with self._lock:
            if work in self._holding:
                return True
            now = self._clock.monotonic()
            self._waiting[work] = (owner, now)
            uploading = sum(one.uploading for one in self._holding.values())
            if uploading >= self._uploads or len(self._holding) >= 2 * self._uploads or self._alone is not None:
                return False  # before the look at all who wait, because each of them comes here in every turn
            self._waiting = {other: asked for other, asked in self._waiting.items() if now - asked[1] < FRESH}
            mine = self._sent.get(owner, 0)
            rivals = any(self._sent.get(other, 0) < mine for other, _ in self._waiting.values())
            if rivals or (alone and self._holding):
                return False
            del self._waiting[work]
            self._holding[work] = _Holding(owner, uploading=True)
            self._alone = work if alone else None
            floor = min((self._sent.get(other, 0) for other, _ in self._waiting.values()), default=0)
            self._sent[owner] = max(self._sent.get(owner, 0), floor) + size
            return True

    def sent(self, work: Work) -> None:
        """The upload is over; the import on the server is not."""
        with self._lock:
            if work in self._holding:
                self._holding[work] = _Holding(self._holding[work].owner, uploading=False)

    def give_back(self, work: Work) -> None:
        with self._lock:
            self._holding.pop(work, None)
            self._waiting.pop(work, None)
            if self._alone == work:
                self._alone = None
            if not self._holding and not self._waiting:
                self._sent.clear()

    def forget(self, drop: str) -> None:
        """The drop is gone, or waits for something else."""
        with self._lock:
            mine = [work for work in (*self._holding, *self._waiting) if work[0] == drop]
        for work in mine:
            self.give_back(work)
