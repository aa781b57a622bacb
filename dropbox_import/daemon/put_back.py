"""Which ready drops are left alone for a while: they were taken and put back, or could not be taken. One box's thread."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from dropbox_import.clock import Clock
from dropbox_import.daemon.begun import name_of
from dropbox_import.daemon.outage import Backoff
from dropbox_import.errors import DropboxImportError, FileBusy
from dropbox_import.model import Candidate, Waiting
from dropbox_import.spool.steps import MOST_TRIES

_PAUSE = 30.0  # seconds before a drop that was put back is taken again


@dataclass(frozen=True, slots=True)
class _Left:
    """Left alone until then (monotonic seconds). `times`: how often it was put back. `waits`: how it is shown meanwhile."""

    until: float
    times: int
    waits: Waiting


class PutBack:
    """By the names that drops have before they are taken.

    A claim that is put back takes its journal with it, so this is known in memory only: a restart is a fresh try.
    """

    def __init__(self, backoff: Backoff, clock: Clock) -> None:
        self._backoff = backoff
        self._clock = clock
        self._left: dict[str, _Left] = {}
        self._shown: dict[str, Waiting] = {}

    def waiting(self) -> tuple[Waiting, ...]:
        """Those that lie ready and are left alone, with the reason. May be asked from any thread."""
        return tuple(self._shown.values())

    def again(self, candidate: Candidate, why: str) -> None:
        """It was put back, since it is still changed. The more often, the longer it is left alone."""
        times, now = self._times(candidate) + 1, self._clock.monotonic()
        until = self._backoff.due(99) if times >= MOST_TRIES else now + _PAUSE
        often = f" {times} times" if times > 1 else ""
        reason = f"{why.rstrip('.')}, so it was put back{often}; it is taken again after {_words(until - now)}"
        self._leave(candidate, until, times, reason, FileBusy.code)

    def cannot(self, candidate: Candidate, trouble: DropboxImportError, pause: float) -> None:
        """It could not be taken."""
        self._leave(candidate, self._clock.monotonic() + pause, self._times(candidate), trouble.sentence, trouble.kind)
        self.holds(name_of(candidate))

    def _times(self, candidate: Candidate) -> int:
        left = self._left.get(name_of(candidate))
        return left.times if left is not None else 0

    def _leave(self, candidate: Candidate, until: float, times: int, reason: str, kind: str) -> None:
        name = name_of(candidate)
        before = self._left.get(name)
        since = before.waits.since if before is not None else self._clock.monotonic()
        self._left[name] = _Left(until, times, Waiting(candidate.user, name.partition("/")[2], reason, since, kind))

    def holds(self, name: str) -> bool:
        """Whether this one, which lies ready, is left alone now. Then it is shown with the reason."""
        left = self._left.get(name)
        if left is None or left.until <= self._clock.monotonic():
            return False
        self._shown[name] = left.waits
        return True

    def begun(self, name: str) -> None:
        """It is being taken."""
        self._shown.pop(name, None)

    def taken(self, candidate: Candidate) -> None:
        """It was taken for good: the next one of its name is another one."""
        self._left.pop(name_of(candidate), None)

    def scanned(self, ready: Collection[str], waiting: Iterable[Waiting]) -> None:
        """What lies there. What does not, and need not be left alone any more, has been seen to by its user."""
        now = self._clock.monotonic()
        there = {*ready, *(f"{one.user}/{one.sidecar}" for one in waiting)}
        self._shown = {name: waits for name, waits in self._shown.items() if name in ready}
        self._left = {name: left for name, left in self._left.items() if name in there or left.until > now}


def _words(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
