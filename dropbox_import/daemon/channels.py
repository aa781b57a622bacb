"""Which ways to people work now. One that does not is tried by one letter at a time, with pauses that grow; the others wait meanwhile."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Protocol

from dropbox_import.clock import Clock
from dropbox_import.daemon.outage import Backoff

log = logging.getLogger(__name__)

AT_ONCE = 2  # letters on their way by one channel: one that hangs leaves room for the others
_TURN = 10.0  # seconds for which the next one is waited for
DELAYS = (300.0, 600.0, 900.0)  # seconds, after the first quick looks


@dataclass(frozen=True, slots=True)
class ChannelTrouble:
    """A channel that does not work, and `since` when, in UTC."""

    channel: str
    why: str
    since: str


class Sender(Protocol):
    """Who may have letters for a channel. `wake` may be called from any thread."""

    wake: Callable[[], None]


@dataclass(slots=True)
class _State:
    """`waiting`: who asked and had no place, in order, and since when they could have come."""

    flying: int = 0
    tries: int = 0
    due: float = 0.0
    proven: bool = False
    trouble: ChannelTrouble | None = None
    waiting: dict[Sender, float] = field(default_factory=dict)


class Channels:
    """May be used by several threads."""

    def __init__(self, clock: Clock, jitter: float) -> None:
        self._clock = clock
        self._backoff = Backoff(DELAYS, jitter, clock)
        self._lock = threading.Lock()
        self._states: dict[str, _State] = {}

    def take(self, channel: str, who: Sender) -> bool:
        """Whether `who` may send a letter now; if so it counts as being on its way, until `worked`, `failed` or `undecided`.

        Those who may not have their turn in the order in which they asked, and are woken when a place is free. Who then does not come (it
        hangs, or has nothing left) holds nobody up for long.
        """
        now = self._clock.monotonic()
        with self._lock:
            state = self._states.setdefault(channel, _State())
            state.waiting.setdefault(who, now)
            state.waiting = {one: since for one, since in state.waiting.items() if one is who or now - since < _TURN}
            most = 1 if state.tries else AT_ONCE
            if state.flying >= most or now < state.due or next(iter(state.waiting)) is not who:
                return False
            del state.waiting[who]
            state.flying += 1
            return True

    def _landed(self, state: _State) -> list[Sender]:
        """With the lock held: one letter less is on its way. Those who wait, and have their time for coming from now on."""
        state.flying = max(0, state.flying - 1)
        state.waiting = dict.fromkeys(state.waiting, self._clock.monotonic())
        return list(state.waiting)

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
            state.tries, state.due, state.proven = 0, 0.0, True
            waiting = self._landed(state)
        _wake(waiting)
        if was is not None:
            log.warning("messages go out by %s again", channel, extra={"step": "notify-works"})

    def failed(self, channel: str, why: str) -> None:
        with self._lock:
            state = self._states.setdefault(channel, _State())
            first = state.trouble is None
            waiting = self._landed(state)
            state.tries += 1
            state.due = self._backoff.due(state.tries)
            state.trouble = ChannelTrouble(channel, why, state.trouble.since if state.trouble is not None else self._now())
        _wake(waiting)
        if first:
            log.warning("messages cannot be sent by %s: %s They are kept and tried again.", channel, why, extra={"step": "notify-fails"})

    def undecided(self, channel: str) -> None:
        """A letter was not sent for a reason of our own."""
        with self._lock:
            waiting = self._landed(self._states.setdefault(channel, _State()))
        _wake(waiting)

    def troubles(self) -> tuple[ChannelTrouble, ...]:
        with self._lock:
            return tuple(state.trouble for state in self._states.values() if state.trouble is not None)

    def _now(self) -> str:
        return self._clock.now().isoformat(timespec="seconds")


def _wake(waiting: Iterable[Sender]) -> None:
    for one in waiting:
        one.wake()
