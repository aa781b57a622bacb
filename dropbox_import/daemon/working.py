"""The claims of one box: some hundred at work, the others parked, and which of them is looked at when.

A claim is looked at when a reply for it came, when a pause of it is over, when a slot is offered to it, when something that all
share has changed, and every few seconds in any case. Nothing here costs more the more claims there are, but for the one reading
of all journals at the start.
"""

from __future__ import annotations

import logging
from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from typing import Any

from dropbox_import.daemon.active import Active, Memory
from dropbox_import.daemon.parked import ParkedClaims, parked, sessions_of
from dropbox_import.daemon.pipeline import Pipeline
from dropbox_import.daemon.sessions import Held
from dropbox_import.daemon.shared import BoxView, Shared
from dropbox_import.disk.trouble import as_ours
from dropbox_import.errors import ClaimTaken, DropboxImportError, JournalDamaged
from dropbox_import.model import Candidate
from dropbox_import.spool import claim as claims
from dropbox_import.spool.adopt import make_ours
from dropbox_import.spool.claim import Claim
from dropbox_import.spool.filing import SPLIT_SUFFIX
from dropbox_import.spool.fold import Phase
from dropbox_import.spool.layout import Layout
from dropbox_import.spool.steps import SETTLE_SECONDS

log = logging.getLogger(__name__)

AT_WORK = 200  # claims; several times what can be under way in the workers at once
LOOK = 5.0  # seconds after which each of them is looked at without any reason
SHOWN = 200  # of them in status.json
_LOADING = 0.5  # seconds at a stretch
_UNREADABLE = 30.0


def by_turns(ready: Iterable[Candidate]) -> Iterator[Candidate]:
    """One of each user, then the next one of each: who comes with one drop does not wait until ten thousand of another are taken."""
    lines: dict[str, deque[Candidate]] = {}
    for one in ready:
        lines.setdefault(one.user, deque()).append(one)
    while lines:
        for user in list(lines):
            yield lines[user].popleft()
            if not lines[user]:
                del lines[user]


class WorkingSet:
    """For the thread of one box; what is said to be so may be asked from any thread."""

    def __init__(self, box: Layout, shared: Shared, pipeline: Pipeline, me: BoxView) -> None:
        self._box = box
        self._me = me
        self._shared = shared
        self._clock = shared.clock
        self._pipeline = pipeline
        self._touched: set[str] = set()
        self._news = shared.news()
        self.active: dict[str, Active] = {}
        self.parked = ParkedClaims()
        self.more = False  # what can be done now is not all done yet
        self.unreadable: dict[str, JournalDamaged] = {}  # those that were parked, and whose journal is damaged now
        self.second_parts: list[str] = []  # claims that a drop of two outcomes has left beside it

    def __contains__(self, name: str) -> bool:
        return name in self.active or name in self.parked

    def __len__(self) -> int:
        return len(self.active) + len(self.parked)

    # --- asked from any thread ----------------------------------------------------------

    def needed_sessions(self) -> frozenset[int]:
        """The sessions that claims still refer to."""
        found = set(self.parked.sessions())
        for active in list(self.active.values()):
            found |= sessions_of(active)
            found |= {order.session for order in list(active.flying.values())}
        return frozenset(found)

    def attempts(self) -> frozenset[Held]:
        """The attempts without an answer that claims count on; a parked one has none."""
        found: set[Held] = set()
        for active in list(self.active.values()):
            filesets = active.drop.filesets
            for key in filesets.sessions_of:
                attempt = filesets[key].attempt
                if attempt is not None and attempt.phase is not Phase.ANSWERED:
                    found.add((active.id, key, attempt.number))
        return frozenset(found)

    def unattended(self, *, all_of_them: bool) -> frozenset[str]:
        """The claims at work that are held; or all of them."""
        return frozenset(one.id for one in list(self.active.values()) if all_of_them or one.held is not None)

    def flying(self) -> int:
        return sum(len(active.flying) for active in list(self.active.values()))

    def moving(self) -> bool:
        """Whether a claim is to go on by itself within moments."""
        outage = self._shared.outage
        if outage.looking and len(self):
            return True
        now = self._clock.monotonic()
        waits = (wait for active in list(self.active.values()) for wait in list(active.waits.values()))
        return (
            any(wait.why is None and wait.due > now for wait in waits) or self._settling() or self.parked.moving(now, omero=not outage.down)
        )

    def _settling(self) -> bool:
        """Whether a look-up only has to wait for the minute in which an ended session may still commit images."""
        ended = {number for number, seconds in self._shared.book.ended_for().items() if seconds < 2 * SETTLE_SECONDS}
        return bool(ended) and any(
            one["committed"] and not one["complete"] and one["session"] in ended
            for active in list(self.active.values())
            for state in active.drop.filesets.values()
            if state.looked is not None and not state.settled
            for one in state.looked["attempts"]
        )

    def rows(self) -> list[dict[str, Any]]:
        """For people: those that are held or wait for something first, and not more than can be read."""
        found = [{"id": one.id, "step": one.drop.last, "why": one.reason()} for one in list(self.active.values())]
        found += [
            {"id": one.name, "step": one.last, "why": (str(one.why) if one.held else one.why.sentence) if one.why else ""}
            for one in self.parked.records()
        ]
        return sorted(found, key=lambda row: not row["why"])[:SHOWN]

    def waits(self, *, tried: bool = False) -> list[tuple[str, DropboxImportError]]:
        """The claims that cannot go on now, each with the reason; with `tried` also those of which it is being tried once more."""
        found = [(one.id, why) for one in list(self.active.values()) if (why := one.why(tried=tried)) is not None]
        return found + [(one.name, one.why) for one in self.parked.records() if one.why is not None]

    def held(self) -> list[tuple[str, str]]:
        """The claims that are not touched until somebody has looked, each with the reason."""
        found = [(one.id, one.held.sentence) for one in list(self.active.values()) if one.held is not None]
        return found + [(one.name, one.why.sentence) for one in self.parked.records() if one.held and one.why is not None]

    def owners(self) -> Counter[str]:
        """How many claims each owner has that are not at their end."""
        owners = Counter(active.drop.owner for active in list(self.active.values()))
        owners.update(one.owner for one in self.parked.records())
        return owners

    # --- coming and going ---------------------------------------------------------------

    def begin(self, claim: Claim) -> None:
        """A claim that was just begun: its files are taken at once, whoever else is at work."""
        active = Active(claim, moved=self._clock.monotonic())
        if len(self.active) < AT_WORK:
            self.active[active.id] = active
            self._advance(active)
            return
        self._pipeline.advance(active, alone=True)
        if not active.gone:
            self._park(active)

    def found(self, claim: Claim) -> None:
        """A claim that lay there. One that has an attempt running is at work at once, because its session counts on it."""
        active = Active(claim, moved=self._clock.monotonic())
        if active.runs() or len(self.active) < AT_WORK:
            self.active[active.id] = active
        else:
            self._park(active)

    def _park(self, active: Active) -> None:
        now = self._clock.monotonic()
        self._shared.slots.forget(active.id)
        self.parked.add(parked(active, now), now)

    def at_work(self, name: str) -> Active | None:
        """The claim of that name, taken out of those that are parked if it is there; None if it is not here or cannot be read."""
        if name in self.parked:
            self._load(name)
        return self.active.get(name)

    def forget(self, name: str) -> None:
        """Its folder is not ours any more."""
        self.active.pop(name, None)
        if name in self.parked:
            self._shared.book.retire_those_of(self.parked.take(name).owner)
            self._leave_submission(name)

    def _leave_submission(self, name: str) -> None:
        """The next drop of its submission need not wait for it any more."""
        if following := self._shared.submissions.leave(name):
            self._shared.wake_all(following)

    def gone(self, names: Collection[str]) -> None:
        """Only these lie there. Those that do not, and that nobody looks at now, were taken over by somebody or moved away by hand."""
        for active in [one for one in self.active.values() if one.held is not None and one.id not in names]:
            self._pipeline.taken(active, claims.taken_or_moved(active.id))
            self.forget(active.id)
        for name in [name for name in self.parked.names() if name not in names]:
            log.warning("%s", claims.taken_or_moved(name), extra={"drop": name})
            self.forget(name)

    def touch(self, name: str) -> None:
        """Something of it has changed: it is looked at in the next turn."""
        if name in self.active:
            self._touched.add(name)
        else:
            self.parked.hasten(name)

    # --- a turn -------------------------------------------------------------------------

    def turn(self) -> None:
        """Do all that can be done now, for a moment."""
        news, now = self._shared.news(), self._clock.monotonic()
        all_of_them = news != self._news
        self._news, self.more = news, False
        touched, self._touched = self._touched, set()
        for active in list(self.active.values()):
            due = active.next_at is not None and active.next_at <= now
            if all_of_them or due or active.id in touched or now - active.looked >= LOOK:
                self._advance(active)
        self._look_at_omero()
        self._fill(now)
        self._offer_slots()
        if self._shared.news() != news:
            self._shared.wake_all()

    def due(self, now: float) -> float:
        """When something is due by itself."""
        if self.more or self._touched:
            return now
        due = [one.next_at for one in self.active.values() if one.next_at is not None]
        if (parked_due := self.parked.due(now)) is not None:
            due.append(parked_due)
        outage = self._shared.outage
        if outage.down and outage.due > now:
            due.append(outage.due)  # once it is due, the try's own answer wakes this thread
        return min(due, default=now + LOOK)

    def _advance(self, active: Active) -> None:
        self._pipeline.advance(active)
        if active.gone:
            self.active.pop(active.id, None)
            if active.drop.split_done:
                self.second_parts.append(active.id + SPLIT_SUFFIX)
        else:
            active.next_at = active.next_due(self._clock.monotonic())

    def _look_at_omero(self) -> None:
        """While OMERO is down the first one that needs it asks when that is due, and no other."""
        if self._shared.outage.ready:
            for active in list(self.active.values()):
                if active.needs_omero():
                    self._advance(active)
                    if not self._shared.outage.ready:
                        return

    def _offer_slots(self) -> None:
        """Whoever is next in line for an upload asks again; that may free the way for the one after it."""
        others, asked = False, set[str]()
        while True:
            named, elsewhere = self._shared.slots.offers(self.active.keys() - asked if asked else self.active)
            others = others or elsewhere
            if not named:
                break
            asked |= named
            for name in sorted(named):
                if name in self.active:
                    self._advance(self.active[name])
        if others:
            for box in self._shared.boxes:
                if box is not self._me:
                    box.wake()

    def _fill(self, now: float) -> None:
        """Parked ones whose turn it is take the places that are free, and of those who only wait."""
        down = self._shared.outage.down
        if not self.parked.ready(now, omero=not down or len(self.active) < AT_WORK):
            return
        until = self._clock.monotonic() + _LOADING
        resting: list[Active] | None = None
        owners = Counter(active.drop.owner for active in self.active.values())
        while True:
            room = len(self.active) < AT_WORK
            if not self.parked.ready(now, omero=room or not down):
                return
            if self._clock.monotonic() >= until:
                self.more = True
                return
            if not room:
                if resting is None:
                    resting = [one for one in self.active.values() if one.rests(now, omero_down=down)]
                if not resting:
                    return
                leaving = resting.pop()
                del self.active[leaving.id]
                owners[leaving.drop.owner] -= 1
                self._park(leaving)
            name = self.parked.next(owners, omero=not down) or self.parked.next(owners, omero=True)
            owner = self._load(name)
            owners[owner] += name in self.active

    def _load(self, name: str) -> str:
        """Back to work. What cannot be read now waits a moment; what is damaged is told and left alone. Returns its owner."""
        one, now = self.parked.take(name), self._clock.monotonic()
        try:
            claim = claims.load(self._box, self._box.instance(self._shared.instance.name) / name, self._clock)
            make_ours(claim, self._shared.instance)
        except ClaimTaken as error:
            log.warning("%s", error, extra={"drop": name, "step": "claim-taken"})
            self._leave_submission(name)
        except JournalDamaged as error:
            self.unreadable[name] = error
            self._leave_submission(name)
        except OSError as error:
            why = as_ours(error, f"reading the journal of {name}")
            if one.why is None or one.why.sentence != why.sentence:
                log.warning("%s waits: %s", name, why.sentence, extra={"drop": name, "step": "read"})
            self.parked.add(replace(one, due=now + _UNREADABLE, why=why), now)
        else:
            active = Active(claim, one.memory or Memory(), moved=now)
            self.active[name] = active
            self._advance(active)
        return one.owner
