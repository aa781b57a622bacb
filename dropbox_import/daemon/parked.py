"""Claims that are not at work now: a small record of each, no journal in memory and nothing open.

All that lies ready is claimed at once, so that users may log out; but only some hundred claims are worked
on. The others are parked here: new ones wait for their turn, some wait for a moment, for OMERO or for another drop.
"""

from __future__ import annotations

import heapq
import itertools
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from dropbox_import.daemon.active import STALLED, Active, Memory
from dropbox_import.errors import DropboxImportError

ANOTHER = 600.0  # seconds after which one that waits for another drop looks again by itself
_AGAIN = 30.0  # the same for one of which nothing is known but that nothing went on


@dataclass(frozen=True, slots=True)
class Parked:
    """`due`: not before (monotonic seconds). `sessions`: those it still refers to. `omero`: its next step needs OMERO.

    `why`: the trouble that it waits for. `memory`: what no journal tells of it, None for nothing.
    """

    name: str
    owner: str
    last: str
    due: float
    sessions: frozenset[int] = frozenset()
    omero: bool = False
    held: bool = False
    why: DropboxImportError | None = None
    memory: Memory | None = None


def parked(active: Active, now: float) -> Parked:
    """The record of a claim that leaves the work for a while. It has no attempt running."""
    drop, memory = active.drop, active.memory
    if active.held is not None:
        due = float("inf")
    elif active.refused:
        due = now + ANOTHER
    elif (pause := active.next_due(now)) is not None:
        due = pause
    else:
        due = now + _AGAIN if now - active.moved > STALLED and not active.needs_omero() else now
    return Parked(
        name=active.id,
        owner=drop.owner,
        last=drop.last,
        due=due,
        sessions=sessions_of(active),
        omero=active.needs_omero(),
        held=active.held is not None,
        why=active.why(),
        memory=memory if memory.waits or memory.suspects or memory.begun else None,
    )


def sessions_of(active: Active) -> frozenset[int]:
    """The sessions that its filesets still refer to."""
    filesets = active.drop.filesets
    found: set[int] = set()
    for key in filesets.sessions_of:
        state = filesets[key]
        found |= set(state.fences) | ({state.attempt.session} if state.attempt is not None else set())
    return frozenset(found)


@dataclass(slots=True)
class _Line:
    """Those of one owner whose time has come, by whether they need OMERO."""

    here: dict[str, None] = field(default_factory=dict)
    omero: dict[str, None] = field(default_factory=dict)

    def first(self, *, omero: bool) -> str:
        return next(iter(self.here), "") or (next(iter(self.omero), "") if omero else "")


class ParkedClaims:
    """Changed by the thread of its box only; `sessions` and `records` may be asked from any."""

    def __init__(self) -> None:
        self._known: dict[str, Parked] = {}
        self._later: list[tuple[float, int, Parked]] = []
        self._lines: dict[str, _Line] = {}
        self._count = itertools.count()
        self._ready = {False: 0, True: 0}  # by whether they need OMERO
        self._refer: Counter[int] = Counter()

    def __len__(self) -> int:
        return len(self._known)

    def __contains__(self, name: object) -> bool:
        return name in self._known

    def names(self) -> Collection[str]:
        return self._known.keys()

    def records(self) -> list[Parked]:
        return list(self._known.values())

    def sessions(self) -> frozenset[int]:
        return frozenset(list(self._refer))

    # --- coming and going ---------------------------------------------------------------

    def add(self, one: Parked, now: float) -> None:
        assert one.name not in self._known
        self._known[one.name] = one
        self._refer.update(one.sessions)
        if one.due <= now:
            self._line_up(one)
        elif one.due < float("inf"):
            heapq.heappush(self._later, (one.due, next(self._count), one))

    def take(self, name: str) -> Parked:
        """Out of here, by its name."""
        one = self._known.pop(name)
        for number in one.sessions:
            self._refer[number] -= 1
            if not self._refer[number]:
                del self._refer[number]
        line = self._lines.get(one.owner)
        if line is not None:
            row = line.omero if one.omero else line.here
            if name in row:
                del row[name]
                self._ready[one.omero] -= 1
            if not line.here and not line.omero:
                del self._lines[one.owner]
        return one

    def hasten(self, name: str) -> None:
        """What it waited for has come, or may have."""
        one = self._known.get(name)
        if one is not None and not one.held:
            self._line_up(one)

    def _line_up(self, one: Parked) -> None:
        line = self._lines.setdefault(one.owner, _Line())
        row = line.omero if one.omero else line.here
        if one.name not in row:
            row[one.name] = None
            self._ready[one.omero] += 1

    # --- whose turn it is ---------------------------------------------------------------

    def ready(self, now: float, *, omero: bool) -> bool:
        """Whether one may go on now; `omero`: also one that needs OMERO."""
        while self._later and self._later[0][0] <= now:
            _, _, one = heapq.heappop(self._later)
            if self._known.get(one.name) is one:
                self._line_up(one)
        return bool(self._ready[False] or (omero and self._ready[True]))

    def next(self, at_work: Mapping[str, int], *, omero: bool) -> str:
        """Whose turn it is: one of the owner who has the fewest at work, and of several such the one who came longest ago. "" for none."""
        owners = [owner for owner, line in self._lines.items() if line.first(omero=omero)]
        if not owners:
            return ""
        owner = min(owners, key=lambda one: at_work.get(one, 0))
        line = self._lines.pop(owner)
        self._lines[owner] = line  # the last of those who are equal, the next time
        return line.first(omero=omero)

    def due(self, now: float) -> float | None:
        """When the next one's time comes; None: nobody waits for a moment."""
        while self._later and self._known.get(self._later[0][2].name) is not self._later[0][2]:
            heapq.heappop(self._later)
        return max(now, self._later[0][0]) if self._later else None

    def moving(self, now: float, *, omero: bool) -> bool:
        """Whether one is to go on by itself: it is its turn, or it waits a moment without any trouble."""
        if self._ready[False] or (omero and self._ready[True]):
            return True
        return any(one.why is None and now < one.due < now + 2 * _AGAIN and (omero or not one.omero) for one in self.records())
