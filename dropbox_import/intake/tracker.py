"""For how long has each file been unchanged? Counted on our own monotonic clock, from what we saw ourselves."""

from __future__ import annotations

from datetime import UTC, datetime


class Moment:
    """One scan. Its time is that of its end: every file in it was as it was seen at least from then on."""

    __slots__ = ("monotonic", "number", "today")

    def __init__(self, number: int = 0, monotonic: float = 0.0, today: datetime = datetime(1970, 1, 1, tzinfo=UTC)) -> None:
        self.number, self.monotonic, self.today = number, monotonic, today

    def ends(self, monotonic: float, today: datetime) -> None:
        """To be called once, after the look and before anything is asked about it."""
        self.monotonic, self.today = monotonic, today


NEVER = Moment()


def unchanged(since: Moment, now: Moment, period: float, scans: int) -> bool:
    """Seen as it is at `since` and in every scan up to `now`: is that `period` seconds, and at least `scans` scans?

    A file's own times are never compared with a clock: copies keep old ones, shares have other clocks.
    """
    return now.number - since.number + 1 >= scans and now.monotonic - since.monotonic >= period
