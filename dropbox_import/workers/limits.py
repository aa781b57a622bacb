"""How long each call may take, by its name and the bytes it handles. The same table is in docs/worker-protocol.md (a test compares)."""

from __future__ import annotations

import sys
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limit:
    """`seconds` for any call of that name, and one more second for each `bytes_per_second` bytes (0 = size does not count)."""

    seconds: float
    bytes_per_second: int = 0

    def allows(self, size: int) -> float:
        return self.seconds + (size / self.bytes_per_second if self.bytes_per_second else 0.0)


LIMITS: dict[str, Limit] = {
    "start": Limit(120),  # from the start of the process to its first line; and a sent command that is not taken up
    "inspect": Limit(600),  # each file anew: of the largest, too, only a few places are read
    "login": Limit(60),
    "hash": Limit(600, 20_000_000),  # reading a file that the server has in part already
    "begin": Limit(400),  # a server whose database pool is used up may take 215 s
    "write": Limit(600),
    "close": Limit(120, 5_000_000),  # OMERO hashes the whole file inside close()
    "commit": Limit(4500),  # OMERO's queue of files to verify may hold it for an hour
    "poll": Limit(120),
    "send": Limit(600),  # until its first call: opening the files
    "deliver": Limit(900),
    "discard": Limit(600),  # OMERO deletes row by row
}
OTHERS = Limit(120)
"""Every call that is not in the table."""

COMPUTING_IS_LIMITED = sys.platform != "win32"
"""Whether the system ends an inspector that computes for too long. Then one that is over its limit was waiting for a disk or a share."""

OVER_GRACE = 30.0
"""Seconds that the other commands of a worker get when one of them is over its limit; then it is killed."""

END_GRACE = 10.0
"""Seconds from the end of stdin, at which a worker ends at once, to its kill."""


def limit_of(call: str, size: int) -> float:
    """Seconds that `call` may take with `size` bytes."""
    return LIMITS.get(call, OTHERS).allows(size)


def computing_limit() -> int:
    """Seconds of a processor that the inspection of a file may use: half the time it has, so that this limit is met first."""
    return int(limit_of("inspect", 0) / 2)
