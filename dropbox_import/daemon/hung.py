"""What the service does for the other boxes while one does not answer, because its volume hangs.

The thread of such a box waits inside the system, with whatever it holds. What all boxes share must not wait with it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

from dropbox_import.clock import Clock
from dropbox_import.daemon.box import BoxRunner
from dropbox_import.daemon.shared import Shared
from dropbox_import.daemon.troubles import hangs
from dropbox_import.intake import Wake

log = logging.getLogger(__name__)

WATCHER_LOOK = 30.0  # seconds
_NOT_WAITED_FOR = 10.0  # seconds without an answer, when the daemon is to end
JOIN = 5.0


class Wakes:
    """The watchers of all boxes, each looked after by a thread of its own: a look at a mount that hangs would hold up everybody.

    A watcher dies with its share; the scans go on without it, and now and then it is started anew.
    """

    def __init__(self, wakes: Sequence[Wake], clock: Clock) -> None:
        self._clock = clock
        self._wakes = tuple(wakes)
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        for number, wake in enumerate(self._wakes):
            thread = threading.Thread(target=self._look_after, args=(wake,), name=f"watch-{number}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """Nobody is woken any more. A watcher that hangs is left to the end of the process."""
        self._stopping.set()
        join_all(self._threads, JOIN, self._clock)

    def _look_after(self, wake: Wake) -> None:
        while not self._stopping.is_set():
            try:
                if not wake.healthy():
                    wake.start()
            except Exception:
                log.exception("a bug in looking after a watcher; the scans go on without it")
            self._stopping.wait(WATCHER_LOOK)
        wake.stop()


def join_all(threads: Sequence[threading.Thread], seconds: float, clock: Clock) -> None:
    """Wait for all of them, so many seconds together."""
    end = clock.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, end - clock.monotonic()))


class Hung:
    """Called by the service's thread, now and then."""

    def __init__(self, shared: Shared, runners: Sequence[BoxRunner]) -> None:
        self._shared = shared
        self._runners = runners
        self._told: set[BoxRunner] = set()

    def tend(self) -> None:
        """The uploads that such a box has begun do not count: the others have all slots. It asks again when it goes on."""
        for runner in self._runners:
            hung = hangs(runner)
            if hung:
                for drop in list(runner.claims.active):
                    self._shared.slots.forget(drop)
            if hung and runner not in self._told:
                self._told.add(runner)
                lasts = runner.turning.lasts()
                log.error("the box %s has not answered for %.0f seconds; the others go on", runner.box.path, lasts, extra={"step": "hung"})
            elif not hung and runner in self._told:
                self._told.remove(runner)
                log.warning("the box %s answers again", runner.box.path, extra={"step": "hung-over"})

    def flying(self) -> bool:
        """Whether something runs whose end can be seen: what a box that does not answer has begun is left as its journal says."""
        return any(runner.flying() for runner in self._runners if runner.turning.lasts() < _NOT_WAITED_FOR)
