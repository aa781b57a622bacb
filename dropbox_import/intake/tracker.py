"""For how long has each file been unchanged? Counted on our own monotonic clock, from what we saw ourselves."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Seen:
    """`since`: when it was first seen as it is now (monotonic); `scans`: how often since then; `first`: when its name was first seen."""

    print: Hashable
    since: float
    scans: int
    first: datetime


class Tracker:
    """Remembers what each scan saw. A file's own times are never compared with a clock: copies keep old ones, shares have other clocks."""

    def __init__(self) -> None:
        self._seen: dict[str, Seen] = {}

    def scan(self, prints: Iterable[tuple[str, Hashable]], now: float, today: datetime) -> None:
        """One scan: every file with what would differ if it had changed. A name that is not among them is forgotten."""
        fresh: dict[str, Seen] = {}
        for path, mark in prints:
            old = self._seen.get(path)
            if old is None:
                fresh[path] = Seen(mark, now, 1, today)
            elif old.print != mark:
                fresh[path] = Seen(mark, now, 1, old.first)
            else:
                fresh[path] = Seen(mark, old.since, old.scans + 1, old.first)
        self._seen = fresh

    def get(self, path: str) -> Seen | None:
        """What is known of a file that the last scan saw."""
        return self._seen.get(path)

    def quiet(self, path: str, now: float, period: float, scans: int) -> bool:
        """Unchanged for `period` seconds and over at least `scans` scans."""
        seen = self._seen.get(path)
        return seen is not None and seen.scans >= scans and now - seen.since >= period
