"""How long the demo waits: until all is filed, until nothing is under way any more, or until it has been too long. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

LONGEST = 75.0
STILL = 20.0  # nothing is under way and nothing was filed for so long: nothing more will come


class Verdict(Enum):
    WAIT = "wait"
    JUDGE = "judge"
    GIVE_UP = "give up"


@dataclass(slots=True)
class Patience:
    """`wanted`: how many folders are to be filed. A folder too few is an outcome to be judged like any other, not a reason to wait on."""

    wanted: int
    begun: float
    filed: int = -1
    changed: float = 0.0

    def look(self, now: float, filed: int, under_way: int) -> Verdict:
        if under_way or filed != self.filed:
            self.filed, self.changed = filed, now
        if not under_way and (filed >= self.wanted or now > self.changed + STILL):
            return Verdict.JUDGE
        return Verdict.GIVE_UP if now > self.begun + LONGEST else Verdict.WAIT
