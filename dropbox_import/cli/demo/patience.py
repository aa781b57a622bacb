"""How long the demo waits: until all is filed, until nothing is under way any more, or until what is under way is stuck. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

LONGEST = 60.0  # nothing moved for so long, but something is under way: it is stuck
STILL = 20.0  # nothing moved for so long, and nothing is under way: nothing more will come


class Verdict(Enum):
    WAIT = "wait"
    JUDGE = "judge"
    GIVE_UP = "give up"


@dataclass(slots=True)
class Patience:
    """`wanted`: how many folders are to be filed. A folder too few is an outcome to be judged like any other, not a reason to wait on."""

    wanted: int
    seen: tuple[int, int] | None = None
    moved: float = 0.0

    def look(self, now: float, filed: int, under_way: int) -> Verdict:
        if self.seen != (filed, under_way):
            self.seen, self.moved = (filed, under_way), now
        if under_way:
            return Verdict.GIVE_UP if now > self.moved + LONGEST else Verdict.WAIT
        return Verdict.JUDGE if filed >= self.wanted or now > self.moved + STILL else Verdict.WAIT
