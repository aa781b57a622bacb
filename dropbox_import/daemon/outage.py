"""Waiting is not failing: one outage of the server is one state, told once, with tries that grow apart."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

from dropbox_import.clock import Clock
from dropbox_import.errors import DropboxImportError

log = logging.getLogger(__name__)


# Seconds. A lost connection is often no outage but a restart or a pulled cable, and OMERO ends our sessions after ten idle
# minutes: so the first looks come soon, and only then the configured tries. One look costs nothing.
QUICK_LOOKS = (2.0, 5.0, 15.0, 30.0, 60.0, 120.0)
# The codes of trouble that every drop has, and not only the one that met it.
EVERYBODY = frozenset(
    {"unreachable", "unknown-host", "connection-lost", "no-answer", "no-session", "certificate", "host", "login", "server-disk-full"}
)
# Who tries and is not heard of for so long (its box hangs) does not keep the others from trying.
_TRYING = 200.0
_WAITED_OUT = 3  # of them even by a run that ends when nothing is left to do


class Backoff:
    """When to try again: a few quick looks, then `delays` in seconds, the last one for ever; each stretched by up to `jitter`."""

    def __init__(self, delays: Sequence[float], jitter: float, clock: Clock) -> None:
        configured = tuple(delays) or (600.0,)
        quick = tuple(look for look in QUICK_LOOKS if look < configured[0])
        self.quick = len(quick)
        self._delays = (*quick, *configured)
        self._jitter = jitter
        self._clock = clock

    def due(self, tries: int) -> float:
        """The moment (monotonic seconds) of the next try after `tries` (>= 1) of them failed."""
        delay = self._delays[min(tries, len(self._delays)) - 1]
        return self._clock.monotonic() + delay * (1 + self._jitter * self._clock.jitter())


class Outage:
    """Is OMERO to be asked now? While it is down one caller at a time may try, when the next try is due."""

    def __init__(self, backoff: Backoff, clock: Clock) -> None:
        self._backoff = backoff
        self._clock = clock
        self._lock = threading.Lock()
        self._tries = 0
        self._due = 0.0
        self._probing = False
        self._since = 0.0
        self.version = 0  # grows when somebody else may ask now, or nobody any more
        self.reason = ""
        self.since = ""
        self.answered = False  # the last that was heard of OMERO, if anything, was an answer

    @property
    def ready(self) -> bool:
        """Whether the next try is due and nobody is at it."""
        return self._tries > 0 and not self._tried_now() and self._clock.monotonic() >= self._due

    def _tried_now(self) -> bool:
        return self._probing and self._clock.monotonic() < self._since + _TRYING

    @property
    def down(self) -> bool:
        return self._tries > 0

    @property
    def looking(self) -> bool:
        """Whether one of the first quick looks after the loss is still to come."""
        return 0 < self._tries <= min(_WAITED_OUT, self._backoff.quick)

    @property
    def due(self) -> float:
        return self._due

    def may_ask(self) -> bool:
        with self._lock:
            if not self._tries:
                return True
            if self._tried_now() or self._clock.monotonic() < self._due:
                return False
            self._probing = True
            self._since = self._clock.monotonic()
            return True

    def hasten(self) -> None:
        """Somebody says that it may work again: a try that is due later is due now."""
        with self._lock:
            now = self._clock.monotonic()
            if self._tries and self._due > now:
                self._due = now
                self.version += 1

    def failed(self, error: DropboxImportError) -> None:
        """A call ended because the server is not to be had."""
        with self._lock:
            first = not self._tries
            if not first and not self._probing:
                return  # a straggler of the same outage
            self._tries += 1
            self._probing = self.answered = False
            self._due = self._backoff.due(self._tries)
            self.reason = error.sentence
            self.version += 1
            if first:
                self.since = self._clock.now().isoformat(timespec="seconds")
        if first:
            log.warning("OMERO cannot be used: %s Everything waits until it can.", error.sentence, extra={"step": "outage-begins"})

    def undecided(self) -> None:
        """A try ended without saying whether OMERO is there: somebody else may try."""
        with self._lock:
            self.version += self._probing
            self._probing = False

    def worked(self) -> None:
        with self._lock:
            was, self._tries, self._probing, self.reason = self._tries, 0, False, ""
            self.answered = True
            self.version += was > 0
        if was:
            log.warning("OMERO can be used again", extra={"step": "outage-ends"})
