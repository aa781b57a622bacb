"""One thread per box: scans it, claims what is ready, drives its claims. A hung mount stops only its own box."""

from __future__ import annotations

import logging
import os
import queue
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from dropbox_import.clock import Clock
from dropbox_import.daemon.active import Active
from dropbox_import.daemon.begun import Begun, name_of
from dropbox_import.daemon.commands import Order
from dropbox_import.daemon.heartbeat import Heartbeat
from dropbox_import.daemon.orders import AdminOrder, Errand, OrderAnswer, carry_out
from dropbox_import.daemon.peers import Peers
from dropbox_import.daemon.pipeline import Pipeline
from dropbox_import.daemon.sessions import Held
from dropbox_import.daemon.shared import Shared
from dropbox_import.daemon.troubles import hangs
from dropbox_import.daemon.turning import Turning
from dropbox_import.daemon.unread import Unread
from dropbox_import.daemon.working import SHOWN, WorkingSet, by_turns
from dropbox_import.disk.facts import is_there
from dropbox_import.disk.trouble import as_ours
from dropbox_import.disk.volumes import free_bytes
from dropbox_import.errors import ClaimTaken, DropboxImportError, JournalDamaged, Rejected, ShareUnavailable, TryLater
from dropbox_import.intake import Intake
from dropbox_import.model import Candidate, Waiting
from dropbox_import.settings import Box
from dropbox_import.spool import claim as claims
from dropbox_import.spool import layout, taking
from dropbox_import.spool.adopt import make_ours
from dropbox_import.spool.identity import Instance
from dropbox_import.spool.layout import Layout, read_marker
from dropbox_import.spool.steps import Step
from dropbox_import.workers.replies import Reply

log = logging.getLogger(__name__)

_LONGEST_SLEEP, _SHARE_PAUSE = 5.0, 30.0
_CLAIMING = 0.5  # seconds at a stretch
_SCAN_SHARE = 9  # a scan takes at most a tenth of the time: after one comes nine times its length without, but
_LONGEST_SCAN_PAUSE = 300.0  # no more than this: one that a share held up for an hour says nothing of the next one


class BoxRunner:
    """`run` is the thread. `wake` may be called from anywhere."""

    def __init__(self, box: Box, shared: Shared) -> None:
        self.box = box
        self.layout = Layout(box.path)
        self._shared = shared
        self._clock = shared.clock
        self._intake = Intake(box, shared.clock)
        self.peers = Peers(self.layout, shared.instance, shared.clock)
        self.heartbeat = Heartbeat(box.path, self.peers, shared)
        self._pipeline = Pipeline(shared, self._post)
        self._inbox: queue.SimpleQueue[tuple[Active, Step, Order, Reply] | Errand | str | bool] = queue.SimpleQueue()
        self._errands: list[Errand] = []
        self.claims = WorkingSet(self.layout, shared, self._pipeline, self)
        self._unread = Unread(shared.clock)
        self._here: tuple[ShareUnavailable | None] | None = None
        self._ready: deque[Candidate] = deque()
        self._waiting: tuple[Waiting, ...] = ()
        self._notices: tuple[str, ...] = ()
        self._trouble: DropboxImportError | None = None
        self._begun = Begun()
        self.low = False  # less than min_free is free on its volume
        self.turning = Turning(shared.awake)
        self._stop = threading.Event()
        self._next_scan = self._scan_pause = 0.0
        self.scans = 0
        self.loaded = False  # every claim of this box has been read since the start
        shared.boxes.append(self)

    # --- from other threads -------------------------------------------------------------

    def wake(self, *, scan: bool = False, drop: str = "") -> None:
        if drop:
            self._inbox.put(drop)
        self._inbox.put(scan)  # for the thread: a time written here could be lost while it sets that of its next scan

    def stop(self) -> None:
        self._stop.set()
        self._inbox.put(False)

    def order(self, order: AdminOrder, answer: Callable[[OrderAnswer], None]) -> None:
        """Have an administrator's order carried out by this thread, which calls `answer` when its effect is on the disk."""
        self._inbox.put(Errand(order, answer))

    def state(self) -> dict[str, Any]:
        """For status.json: what waits in drop/, what is at work and why it does not move; of each no more than can be read."""
        waiting = self.unclaimed()
        return {
            "box": str(self.box.path),
            "trouble": self.trouble,
            "waiting": [asdict(one) for one in waiting[:SHOWN]],
            "waiting_in_all": len(waiting),
            "notices": list(self._notices),
            "active": self.claims.rows(),
            "active_in_all": self.busy(),
            "parked": len(self.claims.parked),
        }

    @property
    def problem(self) -> DropboxImportError | None:
        """Why the box as a whole cannot be used now."""
        return self._trouble

    def unclaimed(self) -> tuple[Waiting, ...]:
        """What lies in drop/ and is not taken, each with the reason."""
        return (*self._waiting, *self._pipeline.put_back.waiting())

    def waits(self, *, tried: bool = False) -> list[tuple[str, DropboxImportError]]:
        """The claims that cannot go on now, each with the reason; with `tried` also those of which it is being tried once more."""
        return self.claims.waits(tried=tried) + self._unread.waits()

    def held(self) -> list[tuple[str, str]] | None:
        """The claims that somebody must look at before anything is done with them, and why. None: not all have been read yet."""
        return None if self._unread.names or not self.scans else [*self._unread.damaged(), *self.claims.held()]

    def needed_sessions(self) -> frozenset[int]:
        """The sessions that claims of this box still refer to."""
        return self.claims.needed_sessions()

    def attempts(self) -> frozenset[Held]:
        """The attempts without an answer that claims of this box count on."""
        return self.claims.attempts()

    def unattended(self, asking: str) -> frozenset[str]:
        """The claims that do not go on now: those that are held, and all of a box that hangs. One whose own drop is `asking` does not."""
        return self.claims.unattended(all_of_them=asking not in self.claims and hangs(self))

    def moving(self) -> bool:
        """Whether a claim is to go on by itself within moments: a poll, a look after a lost connection."""
        at_hand = self._ready or self._unread.names or self._errands or not self._inbox.empty()
        return self.claims.moving() or self._intake.busy or bool(at_hand)

    def busy(self) -> int:
        return len(self.claims) + len(self._unread.names)

    def waiting(self) -> int:
        """How many drops were seen that cannot be taken yet."""
        return len(self.unclaimed())

    @property
    def trouble(self) -> str:
        return self._trouble.sentence if self._trouble else ""

    def flying(self) -> int:
        return self.claims.flying()

    # --- the thread ---------------------------------------------------------------------

    def run(self) -> None:
        while not self._stop.is_set():
            try:
                self.turn(self.pause())
            except Exception as error:  # a bug must not end the box
                log.exception("a bug in the box %s; it goes on in a moment", self.box.path)
                self._trouble = DropboxImportError(f"an internal error ({type(error).__name__}); the log has its story")
                self.turning.rests()
                self._stop.wait(_LONGEST_SLEEP)
        self._heartbeat(self._clock.monotonic(), accepting=False)

    def turn(self, timeout: float) -> None:
        """Take what has happened (waiting for it up to `timeout` seconds), then do all that can be done now."""
        self.turning.rests()
        self._drain_inbox(timeout)
        self.turning.begins()
        if self._stop.is_set():
            return
        self._here = None
        self._errands = [one for one in self._errands if self._gone() is not None or not carry_out(self, one)]
        now = self._clock.monotonic()
        if now >= self.heartbeat.due:
            self._heartbeat(now)
        if now >= max(self._next_scan, self._scan_pause) and not self._trouble_of_share():
            self._next_scan = now + self.box.scan_interval
            self._scan()
            ended = self._clock.monotonic()
            self._scan_pause = ended + min(_SCAN_SHARE * (ended - now), _LONGEST_SCAN_PAUSE)
            if ended >= self.heartbeat.due:  # a slow share: others may take us for silent, and it may be gone
                self._here = None
                self._heartbeat(ended)
        if (self._ready or self._unread.names or len(self.claims)) and self._gone() is not None:
            self._ready.clear()
            return
        self._read_some()
        if self._unread.names and not self.loaded:
            return  # who knows only some of the claims might give up what the others count on
        self._claim_some()
        self.claims.turn()
        self._unread.names += self.claims.second_parts
        self.claims.second_parts.clear()
        for name, error in self.claims.unreadable.items():
            self._unread.cannot(name, error)
        self.claims.unreadable.clear()

    def pause(self) -> float:
        """Seconds until something is due by itself."""
        now = self._clock.monotonic()
        due = [max(self._next_scan, self._scan_pause), self.heartbeat.due, now + _LONGEST_SLEEP]
        if self._here is None or self._here[0] is None:  # else nothing is done but to look whether the box is back
            if self._ready or self._unread.names:
                return 0.0
            due.append(self.claims.due(now))
        return max(0.0, min(due) - now)

    def _drain_inbox(self, timeout: float) -> None:
        """Wait for one thing to happen, then take all that has."""
        try:
            item = self._inbox.get(timeout=timeout) if timeout > 0 else self._inbox.get_nowait()
            self.turning.begins()
            while True:
                if isinstance(item, Errand):
                    self._errands.append(item)
                elif isinstance(item, str):
                    self.claims.touch(item)
                elif item is True:
                    self._next_scan = 0.0
                elif item is not False:
                    self._pipeline.reply(*item)
                    self.claims.touch(item[0].id)
                item = self._inbox.get_nowait()
        except queue.Empty:
            return

    def _post(self, active: Active, step: Step, order: Order, reply: Reply) -> None:
        self._inbox.put((active, step, order, reply))

    # --- for orders of administrators ---------------------------------------------------

    @property
    def instance(self) -> Instance:
        return self._shared.instance

    @property
    def clock(self) -> Clock:
        return self._clock

    def at_work(self, name: str) -> Active | None:
        self.claims.touch(name)
        return self.claims.at_work(name)

    def let_go(self, active: Active) -> None:
        self._pipeline.abandon(active)
        self.claims.forget(active.id)

    def look_again(self, name: str = "") -> None:
        self._unread.read(name)
        self._next_scan = self._scan_pause = 0.0

    def ask_omero(self) -> None:
        self._shared.outage.hasten()

    def alive(self, instance: str) -> bool | None:
        return self.peers.alive(instance)

    # --- the box ------------------------------------------------------------------------

    def _gone(self) -> ShareUnavailable | None:
        """Why the box is not to be touched now: its marker is missing, or somebody has our name. Looked at once in each turn.

        A claim that cannot be seen must not be taken for an empty one, nor anything be made in its place.
        """
        if self._here is None:
            try:
                read_marker(self.box.path)
                self.peers.alone()
                self._here = (None,)
            except ShareUnavailable as error:
                self._here = (error,)
        return self._here[0]

    def _trouble_of_share(self) -> bool:
        """Whether the box is not to be touched now. Told once at start and end."""
        error = self._gone()
        if error is not None:
            if self._trouble is None or self._trouble.kind != error.kind:
                log.error("%s", error.sentence, extra={"step": "share-gone"})
            self._trouble = error
            for drop in self.claims.active:
                self._shared.slots.forget(drop)  # the other boxes have all slots; it asks again when it is back
            self._ready.clear()
            self._intake.lost_sight()
            self._next_scan = self._clock.monotonic() + min(_SHARE_PAUSE, 3 * self.box.scan_interval)
            return True
        if isinstance(self._trouble, ShareUnavailable):
            self._usable_again()
        return False

    def _usable_again(self) -> None:
        if self._trouble is not None:
            log.warning("the box %s can be used again", self.box.path, extra={"step": "share-back"})
        self._trouble = None

    def _heartbeat(self, now: float, *, accepting: bool = True) -> None:
        self.heartbeat.begins(now)
        if self._gone() not in (None, self.peers.doubt):  # the doubt ends by looking on
            return
        try:
            self.heartbeat.beat(accepting=accepting)
            self._here = (None,)
        except ShareUnavailable as error:
            self._here = (error,)

    def _scan(self) -> None:
        try:
            self._pick_up_claims()
            found = self._intake.scan()
            self.low = free_bytes(self.box.path) < self.box.min_free
            others = self.peers.look()
        except (OSError, TryLater) as error:
            self._ready.clear()
            self._intake.lost_sight()
            trouble = error if isinstance(error, TryLater) else as_ours(error, f"scanning {self.box.path}")
            if self._trouble is None or self._trouble.sentence != trouble.sentence:
                log.warning("%s", trouble.sentence, extra={"step": "scan"})
            self._trouble = trouble
            return
        self._usable_again()
        self.scans += 1
        if found.again_in is not None:
            self._next_scan = min(self._next_scan, self._clock.monotonic() + found.again_in)
        self._waiting = found.waiting
        low = ("less than min_free is free on the volume of the box, so nothing new is taken",) if self.low else ()
        for notice in (*found.notices, *low):
            if notice not in self._notices:
                log.warning("%s", notice, extra={"step": "scan"})
        self._notices = (*found.notices, *low, *others)
        self._ready = deque(by_turns(found.ready))
        self._begun.scanned(names := {name_of(one) for one in found.ready})
        self._pipeline.put_back.scanned(names, found.waiting)

    def _claim_some(self) -> None:
        """Take what is ready, for a moment: with hundreds of drops, the answers to the first ones must not wait for the last one."""
        if self._shared.draining.is_set():
            self._ready.clear()
        until = self._clock.monotonic() + _CLAIMING
        while self._ready and self._clock.monotonic() < until:
            self._claim(self._ready.popleft())

    def _pick_up_claims(self) -> None:
        """Claims of this instance that nobody drives: after a start, one that an administrator moved back. Only names are read here."""
        folder = self.layout.instance(self._shared.instance.name)
        names = {name for name in os.listdir(folder) if layout.is_id(name)} if folder.is_dir() else set()
        self.claims.gone(names)
        self._unread.scanned(names, self.claims)
        self.loaded = self.loaded or not self._unread

    def _read_some(self) -> None:
        """Read the journals of claims that are not known yet, for a moment: with thousands, the signs of life go on between."""
        until = self._clock.monotonic() + _CLAIMING
        while self._unread.names and self._clock.monotonic() < until:
            name = self._unread.names.pop(0)
            if name in self.claims:
                continue
            try:
                claim = claims.load(self.layout, self.layout.instance(self._shared.instance.name) / name, self._clock)
                make_ours(claim, self._shared.instance)
            except ClaimTaken:
                continue
            except (JournalDamaged, OSError) as error:
                self._unread.cannot(name, error)
                continue
            self._unread.read(name)
            self._begun.add(claim)
            self.claims.found(claim)
        self.loaded = self.loaded or not (self._unread or not self.scans)

    def _claim(self, candidate: Candidate) -> None:
        name = name_of(candidate)
        if self._pipeline.put_back.holds(name) or name in self._begun:
            return
        try:
            if not is_there(self.layout.drop / name):
                return  # another daemon was quicker; without this look a claim would be made and removed for each of its drops
            if free_bytes(self.box.path) < self.box.min_free:
                return  # the scan tells it
            claim = taking.take(self.layout, self._shared.instance.name, candidate, self._clock)
        except ClaimTaken as error:  # by an adopt, while this process slept
            log.warning("%s", error, extra={"owner": candidate.owner, "step": "claim-taken"})
            return
        except (FileNotFoundError, taking.Changed):
            return  # it left the folder or was changed since the scan; what was begun of the claim is removed at the next one
        except (OSError, Rejected) as error:
            trouble = error if isinstance(error, Rejected) else as_ours(error, f"taking {candidate.sidecar.path}")
            self._pipeline.put_back.cannot(candidate, trouble, self._shared.settings.retry.delays[0])
            log.warning("%s waits: %s", candidate.sidecar.path, trouble.sentence, extra={"owner": candidate.owner, "step": "claim"})
            return
        self._pipeline.put_back.begun(name)
        self._begun.add(claim)
        self.claims.begin(claim)
