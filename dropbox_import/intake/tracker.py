"""For how long has each file been unchanged? Counted on our own monotonic clock, from what we saw ourselves.

Time in which nobody looked does not count: if the share was away, or this process slept, so perhaps did the file's writer.
"""

from __future__ import annotations

from datetime import UTC, datetime

_FEW = 3
_SHORTEST = 10.0  # seconds; a busy box may be late by some of them, however often it is to look
_LONGEST = 600.0  # the daemon puts a look off for up to 300 s, and this may be as long itself


class Moment:
    """One scan. Its time is that of its end: every file in it was as it was seen at least from then on.

    `watched` is for differences alone: the seconds between two scans without those in which nobody looked.
    """

    __slots__ = ("monotonic", "number", "today", "watched")

    def __init__(self, number: int = 0, monotonic: float = 0.0, today: datetime = datetime(1970, 1, 1, tzinfo=UTC)) -> None:
        self.number, self.monotonic, self.today = number, monotonic, today
        self.watched = monotonic

    def ends(self, monotonic: float, today: datetime, unwatched: float = 0.0) -> None:
        """To be called once, after the look and before anything is asked about it. `unwatched`: of all time up to now."""
        self.monotonic, self.today, self.watched = monotonic, today, monotonic - unwatched


NEVER = Moment()


def unchanged(since: Moment, now: Moment, period: float, scans: int) -> bool:
    """Seen as it is at `since` and in every scan up to `now`: is that `period` watched seconds, and at least `scans` scans?

    A file's own times are never compared with a clock: copies keep old ones, shares have other clocks.
    """
    return now.number - since.number + 1 >= scans and now.watched - since.watched >= period


def next_look(since: Moment, now: Moment, period: float, scans: int) -> float:
    """Seconds to the next of the scans that are missing for `unchanged`, if they come at an even pace until the time is over."""
    seen = now.number - since.number + 1
    return max(0.0, since.watched + period - now.watched) / max(1, scans - seen)


def was_watched(passed: float, interval: float, pace: float) -> bool:
    """Whether somebody looked in the time between two looks: it is a few times as long as it is between looks at most.

    `interval`: what was asked for. `pace`: what it is here, where a look takes long or the box is busy.
    """
    return passed <= _FEW * max(interval, _SHORTEST, pace)


def next_pace(passed: float, interval: float, pace: float) -> float:
    """The pace after one more look. An hour without any makes it ten minutes; if all looks are so far apart, it grows until they count."""
    return max(pace / 2, min(passed, max(_LONGEST, _FEW * max(interval, pace))))


class Watch:
    """The looks into one folder. `resumed`: the first one, or the first one after a time in which nobody looked."""

    def __init__(self, interval: float) -> None:
        self.resumed = NEVER
        self._interval = interval
        self._last: Moment | None = None
        self._pace = _LONGEST  # nothing is known of it yet
        self._unwatched = 0.0
        self._lost = False

    def lost(self) -> None:
        """A look was due and could not be had. No look has to come between: the time from the last one to the next does not count."""
        self._lost = True

    def looked(self, moment: Moment, monotonic: float, today: datetime) -> None:
        """This is how `moment` ends."""
        last, self._last = self._last, moment
        if last is None:
            self.resumed = moment
        else:
            passed = monotonic - last.monotonic
            if self._lost or not was_watched(passed, self._interval, self._pace):
                self._unwatched += passed
                self.resumed = moment
            if not self._lost:
                self._pace = next_pace(passed, self._interval, self._pace)
        self._lost = False
        moment.ends(monotonic, today, self._unwatched)
