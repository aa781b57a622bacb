"""Which ways to people work now. One that does not is tried by one letter at a time, with pauses that grow; the others wait meanwhile."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass

from dropbox_import.clock import Clock
from dropbox_import.daemon.outage import Backoff

log = logging.getLogger(__name__)

AT_ONCE = 2  # letters on their way by one channel: one that hangs leaves room for the others
DELAYS = (300.0, 600.0, 900.0)  # seconds, after the first quick looks


@dataclass(frozen=True, slots=True)
class ChannelTrouble:
    """`since` in UTC; `began` in monotonic seconds."""

    channel: str
    why: str
    since: str
    began: float


@dataclass(slots=True)
class _State:
    flying: int = 0
    tries: int = 0
    due: float = 0.0
    proven: bool = False
    trouble: ChannelTrouble | None = None


class Channels:
    """May be used by several threads."""

    def __init__(self, clock: Clock, jitter: float) -> None:
        self._clock = clock
        self._backoff = Backoff(DELAYS, jitter, clock)
        self._lock = threading.Lock()
        self._states: dict[str, _State] = {}

    def take(self, channel: str) -> bool:
        """Whether a letter may be sent now; if so it counts as being on its way, until `worked`, `failed` or `undecided`."""
        with self._lock:
            state = self._states.setdefault(channel, _State())
            most = 1 if state.tries else AT_ONCE
            if state.flying >= most or self._clock.monotonic() < state.due:
                return False
            state.flying += 1
            return True

    def works(self, channel: str) -> bool:
        """As far as is known. While it does not, what is to be told is collected."""
        with self._lock:
            state = self._states.get(channel)
            return state is None or not state.tries

    def proven(self, channel: str) -> bool:
        """Whether it has taken a letter since the start, and works."""
        with self._lock:
            state = self._states.get(channel)
            return state is not None and state.proven and not state.tries

    def worked(self, channel: str) -> None:
        with self._lock:
            state = self._states.setdefault(channel, _State())
            was, state.trouble = state.trouble, None
            state.flying, state.tries, state.due, state.proven = max(0, state.flying - 1), 0, 0.0, True
        if was is not None:
            log.warning("messages go out by %s again", channel, extra={"step": "notify-works"})

    def failed(self, channel: str, why: str) -> None:
        now = self._clock.monotonic()
        with self._lock:
            state = self._states.setdefault(channel, _State())
            first = state.trouble is None
            state.flying = max(0, state.flying - 1)
            state.tries += 1
            state.due = self._backoff.due(state.tries)
            since, began = (state.trouble.since, state.trouble.began) if state.trouble is not None else (self._now(), now)
            state.trouble = ChannelTrouble(channel, why, since, began)
        if first:
            log.warning("messages cannot be sent by %s: %s They are kept and tried again.", channel, why, extra={"step": "notify-fails"})

    def undecided(self, channel: str) -> None:
        """A letter was not sent for a reason of our own."""
        with self._lock:
            state = self._states.setdefault(channel, _State())
            state.flying = max(0, state.flying - 1)

    def troubles(self) -> tuple[ChannelTrouble, ...]:
        with self._lock:
            return tuple(state.trouble for state in self._states.values() if state.trouble is not None)

    def _now(self) -> str:
        return self._clock.now().isoformat(timespec="seconds")
