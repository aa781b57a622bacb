"""For how long a box's thread has been at one thing: what tells a volume that hangs from a daemon that stood still as a whole."""

from __future__ import annotations

import threading

from dropbox_import.clock import Clock

_LONGEST = 5.0  # seconds between two looks that the process can have run through: the service's thread looks several times a second


class Awake:
    """The seconds this process has run, of any thread.

    Time in which the whole of it stood still (it was stopped, its machine paused) does not count: no box was slow in it.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._last = clock.monotonic()
        self._seconds = 0.0

    def seconds(self) -> float:
        with self._lock:
            now = self._clock.monotonic()
            self._seconds += min(now - self._last, _LONGEST)
            self._last = now
            return self._seconds


class Turning:
    """Kept by the box's thread, read by any."""

    def __init__(self, awake: Awake) -> None:
        self._awake = awake
        self._since: float | None = None

    def begins(self) -> None:
        """The thread is at something."""
        self._since = self._awake.seconds()

    def rests(self) -> None:
        """It waits for something to happen."""
        self._since = None

    def lasts(self) -> float:
        """Seconds for which it has been at what it is at, 0 where it waits for something to happen."""
        since, now = self._since, self._awake.seconds()
        return 0.0 if since is None else max(0.0, now - since)
