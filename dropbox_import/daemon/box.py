"""One thread per box: scans it, claims what is ready, drives its claims. A hung mount stops only its own box."""

from __future__ import annotations

import json
import logging
import os
import platform
import queue
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from dropbox_import.clock import Clock
from dropbox_import.daemon.active import Active
from dropbox_import.daemon.commands import Order
from dropbox_import.daemon.orders import AdminOrder, Errand, OrderAnswer, carry_out
from dropbox_import.daemon.peers import Peers
from dropbox_import.daemon.pipeline import Pipeline
from dropbox_import.daemon.sessions import Held
from dropbox_import.daemon.shared import Shared
from dropbox_import.disk import files
from dropbox_import.disk.trouble import as_ours
from dropbox_import.disk.volumes import free_bytes
from dropbox_import.errors import ClaimTaken, DropboxImportError, JournalDamaged, Rejected, ShareUnavailable, TryLater
from dropbox_import.intake import Intake
from dropbox_import.model import Candidate, Waiting
from dropbox_import.settings import Box
from dropbox_import.spool import claim as claims
from dropbox_import.spool import filing, layout, taking
from dropbox_import.spool.adopt import make_ours
from dropbox_import.spool.fold import Phase
from dropbox_import.spool.identity import Instance
from dropbox_import.spool.layout import Layout, read_marker
from dropbox_import.spool.steps import Step
from dropbox_import.workers.replies import Reply

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 10.0
_LONGEST_SLEEP = 5.0
_SHARE_PAUSE = 30.0
_CLAIMING = 0.5  # seconds at a stretch
_MOST_ACTIVE = 1000  # claims at work at once; more wait in drop/, where they cost nothing


class BoxRunner:
    """`run` is the thread. `wake` may be called from anywhere."""

    def __init__(self, box: Box, shared: Shared) -> None:
        self.box = box
        self.layout = Layout(box.path)
        self._shared = shared
        self._clock = shared.clock
        self._intake = Intake(box, shared.clock)
        self.peers = Peers(self.layout, shared.instance, shared.clock)
        self._pipeline = Pipeline(shared, self._post)
        self._inbox: queue.SimpleQueue[tuple[Active, Step, Order, Reply] | Errand | None] = queue.SimpleQueue()
        self._errands: list[Errand] = []
        self._active: dict[str, Active] = {}
        self._known: set[str] = set()
        self._ready: deque[Candidate] = deque()
        self._waiting: tuple[Waiting, ...] = ()
        self._notices: tuple[str, ...] = ()
        self._trouble: DropboxImportError | None = None
        self._stop = threading.Event()
        self._beat = 0
        self._next_beat = self._next_scan = 0.0
        self.scans = 0
        self.loaded = False  # every claim of this box has been read since the start
        shared.boxes.append(self)

    # --- from other threads -------------------------------------------------------------

    def wake(self, *, scan: bool = False, drop: str = "") -> None:
        if scan:
            self._next_scan = 0.0
        self._inbox.put(None)

    def stop(self) -> None:
        self._stop.set()
        self._inbox.put(None)

    def order(self, order: AdminOrder, answer: Callable[[OrderAnswer], None]) -> None:
        """Have an administrator's order carried out by this thread, which calls `answer` when its effect is on the disk."""
        self._inbox.put(Errand(order, answer))

    def state(self) -> dict[str, Any]:
        """For status.json: what waits in drop/, what is at work and why it does not move."""
        at_work = list(self._active.values())
        return {
            "box": str(self.box.path),
            "trouble": self._trouble.sentence if self._trouble else "",
            "waiting": [asdict(one) for one in self._waiting],
            "notices": list(self._notices),
            "active": [{"id": one.id, "step": one.claim.drop.last, "why": one.reason()} for one in at_work],
        }

    def needed_sessions(self) -> frozenset[int]:
        """The sessions that claims of this box still refer to."""
        found: set[int] = set()
        for active in list(self._active.values()):
            for state in active.claim.drop.filesets.values():
                found |= set(state.fences) | ({state.attempt.session} if state.attempt is not None else set())
            found |= {order.session for order in list(active.flying.values())}
        return frozenset(found)

    def attempts(self) -> frozenset[Held]:
        """The attempts without an answer that claims of this box count on."""
        return frozenset(
            (active.id, key, state.attempt.number)
            for active in list(self._active.values())
            for key, state in active.claim.drop.filesets.items()
            if state.attempt is not None and state.attempt.phase is not Phase.ANSWERED
        )

    def moving(self) -> bool:
        """Whether a claim is to go on by itself within moments: a poll, a look after a lost connection."""
        outage = self._shared.outage
        if outage.looking and self._active:
            return True
        now = self._clock.monotonic()
        waits = [wait for active in list(self._active.values()) for wait in list(active.waits.values())]
        return (
            any(wait.why is None and wait.due > now for wait in waits) or self._settling() or bool(self._ready) or not self._inbox.empty()
        ) or bool(self._errands)

    def _settling(self) -> bool:
        """Whether a look-up only has to wait for the minute in which an ended session may still commit images."""
        states = self._shared.book.states()
        return any(
            one["committed"] and not one["complete"] and states.get(one["session"]) == "ended"
            for active in list(self._active.values())
            for state in active.claim.drop.filesets.values()
            if state.looked is not None and not state.settled
            for one in state.looked["attempts"]
        )

    def busy(self) -> int:
        return len(self._active)

    def flying(self) -> int:
        return sum(len(active.flying) for active in list(self._active.values()))

    # --- the thread ---------------------------------------------------------------------

    def run(self) -> None:
        while not self._stop.is_set():
            try:
                self.turn(self.pause())
            except Exception as error:  # a bug must not end the box
                log.exception("a bug in the box %s; it goes on in a moment", self.box.path)
                self._trouble = DropboxImportError(f"an internal error ({type(error).__name__}); the log has its story")
                self._stop.wait(_LONGEST_SLEEP)
        self._heartbeat(self._clock.monotonic(), accepting=False)

    def turn(self, timeout: float) -> None:
        """Take what has happened (waiting for it up to `timeout` seconds), then do all that can be done now."""
        self._drain_inbox(timeout)
        if self._stop.is_set():
            return
        self._errands = [one for one in self._errands if not carry_out(self, one)]
        now = self._clock.monotonic()
        if now >= self._next_beat:
            self._heartbeat(now)
        if now >= self._next_scan and not self._trouble_of_share():
            self._next_scan = now + self.box.scan_interval
            self._scan()
        if (self._ready or self._active) and not self._is_there():
            self._ready.clear()
            return
        self._claim_some()
        for active in list(self._active.values()):
            self._pipeline.advance(active)
            if active.gone:
                del self._active[active.id]
                if active.claim.drop.split_done:
                    self._next_scan = 0.0  # its second part is next

    def pause(self) -> float:
        """Seconds until something is due by itself."""
        if self._ready:
            return 0.0
        now = self._clock.monotonic()
        due = [self._next_scan, self._next_beat, now + _LONGEST_SLEEP]
        due += [when for one in self._active.values() if (when := one.next_due(now)) is not None]
        if self._shared.outage.down and self._shared.outage.due > now:
            due.append(self._shared.outage.due)  # once it is due, the try's own answer wakes this thread
        return max(0.0, min(due) - now)

    def _drain_inbox(self, timeout: float) -> None:
        """Wait for one thing to happen, then take all that has."""
        try:
            item = self._inbox.get(timeout=timeout) if timeout > 0 else self._inbox.get_nowait()
            while True:
                if isinstance(item, Errand):
                    self._errands.append(item)
                elif item is not None:
                    active, step, order, reply = item
                    self._pipeline.reply(active, step, order, reply)
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
        return self._active.get(name)

    def let_go(self, active: Active) -> None:
        self._pipeline.abandon(active)
        self._active.pop(active.id, None)

    def look_again(self, name: str = "") -> None:
        self._known.discard(name)
        self._next_scan = 0.0

    def alive(self, instance: str) -> bool | None:
        return self.peers.alive(instance)

    # --- the box ------------------------------------------------------------------------

    def _trouble_of_share(self) -> bool:
        """Whether the box is not to be touched now: its marker is missing. Told once at start and end."""
        try:
            read_marker(self.box.path)
        except ShareUnavailable as error:
            if self._trouble is None:
                log.error("%s", error.sentence, extra={"step": "share-gone"})
            self._trouble = error
            self._ready.clear()
            self._next_scan = self._clock.monotonic() + min(_SHARE_PAUSE, 3 * self.box.scan_interval)
            return True
        if self._trouble is not None:
            log.warning("the box %s can be used again", self.box.path, extra={"step": "share-back"})
            self._trouble = None
        return False

    def _is_there(self) -> bool:
        """Asked at each turn: a claim that cannot be seen must not be taken for an empty one, nor anything be made in its place."""
        try:
            read_marker(self.box.path)
        except ShareUnavailable:
            return False
        return True

    def _heartbeat(self, now: float, *, accepting: bool = True) -> None:
        self._next_beat = now + HEARTBEAT_SECONDS
        self._beat += 1
        facts = {
            "instance": self._shared.instance.name,
            "host": platform.node(),
            "pid": os.getpid(),
            "interval": HEARTBEAT_SECONDS,
            "beat": self._beat,
            "accepting": accepting and not self._shared.draining.is_set(),
        }
        if self._trouble is None:
            try:
                read_marker(self.box.path)
                text = json.dumps(facts).encode()
                files.replace(self.layout.heartbeat(self._shared.instance.name), text, durable=False)
            except (OSError, ShareUnavailable) as error:
                log.debug("no heartbeat can be written: %s", error, extra={"step": "heartbeat"})

    def _scan(self) -> None:
        try:
            self._pick_up_claims()
            found = self._intake.scan()
            others = self.peers.look()
        except (OSError, TryLater) as error:
            self._ready.clear()
            self._trouble = error if isinstance(error, TryLater) else as_ours(error, f"scanning {self.box.path}")
            log.warning("%s", self._trouble.sentence, extra={"step": "scan"})
            return
        self.scans += 1
        if found.again_in is not None:
            self._next_scan = min(self._next_scan, self._clock.monotonic() + found.again_in)
        self._waiting = found.waiting
        for notice in found.notices:
            if notice not in self._notices:
                log.warning("%s", notice, extra={"step": "scan"})
        self._notices = (*found.notices, *others)
        self._ready = deque(found.ready)

    def _claim_some(self) -> None:
        """Take what is ready, for a moment: with hundreds of drops, the answers to the first ones must not wait for the last one."""
        if self._shared.draining.is_set():
            self._ready.clear()
        until = self._clock.monotonic() + _CLAIMING
        while self._ready and self._clock.monotonic() < until:
            self._claim(self._ready.popleft())

    def _pick_up_claims(self) -> None:
        """Claims of this instance that nobody drives: after a start, the second part of a drop, one that an administrator moved back."""
        folder = self.layout.instance(self._shared.instance.name)
        names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
        unread = 0
        for name in names:
            first_part = name.removesuffix(filing.SPLIT_SUFFIX)
            if not layout.is_id(name) or name in self._active or (first_part != name and first_part in names):
                continue
            try:
                claim = claims.load(self.layout, folder / name, self._clock)
                make_ours(claim, self._shared.instance)
                self._active[name] = Active(claim)
            except ClaimTaken:
                continue
            except (JournalDamaged, OSError) as error:
                unread += 1
                if name not in self._known:
                    log.error("%s", error, extra={"drop": name, "step": "held"})
                self._known.add(name)
        self._known &= set(names)
        self.loaded = self.loaded or not unread

    def _claim(self, candidate: Candidate) -> None:
        now = self._clock.monotonic()
        name = f"{candidate.folder}/{candidate.sidecar.path}"
        if self._pipeline.put_back.get(name, 0.0) > now or len(self._active) >= _MOST_ACTIVE:
            return
        try:
            if free_bytes(self.box.path) < self.box.min_free:
                self._tell_once("less than min_free is free on the volume of the box, so nothing new is taken")
                return
            claim = taking.take(self.layout, self._shared.instance.name, candidate, self._clock)
        except FileNotFoundError:
            return  # it left the folder since the scan; what was begun of the claim is removed at the next one
        except (OSError, Rejected) as error:
            trouble = error if isinstance(error, Rejected) else as_ours(error, f"taking {candidate.sidecar.path}")
            self._pipeline.put_back[name] = now + self._shared.settings.retry.delays[0]
            log.warning("%s waits: %s", candidate.sidecar.path, trouble.sentence, extra={"owner": candidate.owner, "step": "claim"})
            return
        active = Active(claim)
        self._active[active.id] = active
        self._pipeline.advance(active)
        if active.gone:
            del self._active[active.id]

    def _tell_once(self, sentence: str) -> None:
        if sentence not in self._notices:
            log.warning("%s", sentence, extra={"step": "scan"})
            self._notices = (*self._notices, sentence)
