"""Performs what `next_steps` allows: disk steps at once, worker steps by command and reply.

Intent, sync, act: every record that a step needs is on the disk before the step is.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from dropbox_import.daemon import endings
from dropbox_import.daemon.active import Active
from dropbox_import.daemon.commands import Order, order_for
from dropbox_import.daemon.outcomes import why_failed
from dropbox_import.daemon.put_back import PutBack
from dropbox_import.daemon.replies import Replies
from dropbox_import.daemon.shared import Happening, Shared
from dropbox_import.disk import files
from dropbox_import.disk.trouble import as_ours
from dropbox_import.errors import ClaimLost, ClaimTaken, DropboxImportError, JournalDamaged, Rejected, TryLater
from dropbox_import.notify import compose
from dropbox_import.notify.outbox import write_message
from dropbox_import.plain import to_plain
from dropbox_import.spool import claim as claims
from dropbox_import.spool import filing, taking
from dropbox_import.spool.adopt import make_ours
from dropbox_import.spool.journal import Record
from dropbox_import.spool.steps import MOST_TRIES, Do, Step, World, next_steps
from dropbox_import.workers.protocol import Command, Role
from dropbox_import.workers.replies import Reply

log = logging.getLogger(__name__)

Post = Callable[[Active, Step, Order, Reply], None]

_BUG = DropboxImportError("an internal error stopped this drop; the log has its story", hint="Report it, and start the service again.")
_ALONE = frozenset(
    {Do.REMOVE_CLAIM, Do.GATHER, Do.RELEASE, Do.LOSE, Do.UNRESOLVE, Do.FAIL, Do.MESSAGES, Do.SPLIT, Do.FILE}
)  # what no worker is needed for


class Pipeline:
    """For one box. `post` hands a worker's reply to the box's own thread. Nothing here is called from another thread."""

    def __init__(self, shared: Shared, post: Post) -> None:
        self._shared = shared
        self._post = post
        self._replies = Replies(shared)
        self._commands = 0
        self.put_back = PutBack(shared.backoff, shared.clock)

    # --- what may be done now ---------------------------------------------------------

    def advance(self, active: Active, *, alone: bool = False) -> None:
        """Do all that can be done now for one claim; `alone`: only what no worker is needed for. Never raises.

        Of a large drop only some filesets are looked at. All are when none of those has anything to do or under way.
        """
        active.looked = self._shared.clock.monotonic()
        active.wants_slot = active.refused = False
        everything = troubled = False
        while not active.gone and active.held is None:
            try:
                if (active.unread and not self._read_again(active)) or troubled:
                    return
                among = None if everything else active.among(self._shared.clock.monotonic())
                if self._one_round(active, among, alone=alone):
                    active.moved = active.looked
                elif among is None or active.flying or active.wants_slot:
                    return
                else:
                    everything = True
            except ClaimTaken as error:
                self.taken(active, error)
            except JournalDamaged as error:
                self._hold(active, error)
            except OSError as error:  # a record between the steps
                log.warning("%s", as_ours(error, f"drop {active.id}").sentence, extra={"drop": active.id, "step": "disk"})
                active.unread = troubled = True
            except Exception:
                log.exception("a bug", extra={"drop": active.id})
                self._hold(active, _BUG)

    def _hold(self, active: Active, why: DropboxImportError) -> None:
        """A damaged journal, or a bug that shows with this drop: it is not touched until the daemon is started again."""
        active.held = why
        self._shared.slots.forget(active.id)  # others may upload meanwhile
        log.error("held: %s", why, extra={"drop": active.id, "step": "held"})

    def _one_round(self, active: Active, among: tuple[str, ...] | None, *, alone: bool) -> bool:
        """True when something changed, so that the next steps must be asked for again."""
        self._replies.reconcile(active)
        now = self._shared.clock.monotonic()
        found = next_steps(active.claim.drop, self.world(active), among)
        if among is None:
            endings.not_needed(active, found)
        steps = sorted(found, key=lambda step: (step.do, step.key, step.number))
        no_slot = False
        for step in steps:
            if not active.idle(step, now) or (no_slot and step.do is Do.BEGIN) or (alone and step.do not in _ALONE):
                continue
            try:
                if self._perform(active, step):
                    return True
                no_slot = no_slot or (step.do is Do.BEGIN and (step.do, step.key) not in active.flying)
            except OSError as error:
                self._disk_trouble(active, step, error)
                return not active.unread
            except Rejected as error:
                if active.drop.settled:  # it has its outcome, and the step would be asked for again for ever
                    self._hold(active, error)
                    return False
                self._replies.drop_rejected(active, step, error)
                return True
            except ClaimTaken:
                raise
            except ClaimLost as error:
                log.info("%s", error, extra={"drop": active.id, "step": "claim-lost"})
                claims.remove(active.claim)
                self._leave(active, "lost")
                return False
            finally:
                if step.do is Do.BEGIN and (step.do, step.key) not in active.flying:
                    self._shared.slots.not_used((active.id, step.key))  # or one that must run alone would wait for it for ever
        return False

    def taken(self, active: Active, error: ClaimTaken) -> None:
        """Nothing more is done for it here: who has it now does."""
        log.warning("%s", error, extra={"drop": active.id, "step": "claim-taken"})
        self._shared.book.retire_those_of(active.drop.owner)
        self._leave(active, "taken")

    def world(self, active: Active) -> World:
        shared, drop = self._shared, active.claim.drop
        busy = bool(drop.owner) and not shared.submissions.enter(drop.owner, drop.submission, active.id)
        active.refused = busy
        return World(
            held=shared.book.held(active.id),
            open=shared.book.open_for(drop.owner),
            sessions=shared.book.states(),
            ended_for=shared.book.ended_for(),
            submission_busy=busy,
            draining=shared.draining.is_set(),
        )

    # --- doing it ---------------------------------------------------------------------

    def _perform(self, active: Active, step: Step) -> bool:
        claim = active.claim
        match step.do:
            case Do.REMOVE_CLAIM:
                claims.remove(claim)
                self._leave(active, "removed")
            case Do.GATHER:
                taking.gather(claim)
                candidate = claim.drop.candidate
                if candidate is not None and claim.drop.claimed:
                    self.put_back.taken(candidate)
                self._tell(active, "claimed", candidate.sidecar.path if candidate else "")
            case Do.RELEASE:
                self._release(active)
            case Do.LOSE:
                self._lose(active, step.key, "no worker holds it any more")
            case Do.UNRESOLVE:
                claim.append(Record("unresolve"), Record("try-again", {}, step.key))
            case Do.FAIL:
                claim.append(Record("fileset-failed", why_failed(claim.drop.filesets[step.key]), step.key))
            case Do.MESSAGES:
                self._messages(active)
            case Do.SPLIT:
                filing.split(claim, self._shared.clock)
            case Do.FILE:
                self._file(active)
            case _:
                return self._send(active, step)
        active.succeeded(step)
        return True

    def _release(self, active: Active) -> None:
        drop = active.claim.drop
        assert drop.candidate is not None and drop.release is not None
        if taking.release(active.claim):
            self.put_back.again(drop.candidate, drop.release.sentence)
            self._leave(active, "released")

    def _messages(self, active: Active) -> None:
        """N1: one message for the drop, and one for the administrator where something needs a look."""
        claim = active.claim
        claims.compare_again(claim)
        drop = claim.drop
        outbox = claim.box.outbox(self._shared.instance.name)
        box = str(claim.box.box)
        messages = [compose.outcome(drop, box), compose.attention(drop, box)]
        written = [write_message(outbox, message) for message in messages if message is not None]
        try:
            claim.append(Record("messages"))
        except ClaimTaken:
            for path in written:  # who has the claim now tells it
                files.remove_file(path)
            raise

    def _file(self, active: Active) -> None:
        drop = active.claim.drop
        place = filing.file(active.claim, self._shared.instance.journal_key)
        outcome = "failed" if drop.has_failures and not drop.two_outcomes else "done"
        why = drop.failure.sentence if drop.failure else ""
        log.info("filed at %s", place, extra={"drop": active.id, "owner": drop.owner, "step": outcome})
        self._leave(active, outcome, why)

    def _send(self, active: Active, step: Step) -> bool:
        """Send a worker step, if sessions, slots and the server allow it. True when the journal changed without sending."""
        shared = self._shared
        active.claim.still_ours()
        if step.do is Do.COMMIT and self._members_changed(active, step):
            return True
        if not self._may_begin(active, step):
            return False
        order = self._order(active, step)
        if order is None:
            told: dict[str, object] = {"made": [], "refused": []}
            active.claim.append(Record("annotated", told if step.key else {"on": step.group, **told}, step.key))
            return True
        worker = shared.book.worker_of(order.session) if order.session else None
        if order.session and worker is None:
            return False  # its worker has just died: the session will be joined
        order = replace(order, worker=worker or 0)
        opened = step.do is Do.OPEN_SESSION and shared.book.is_wanted(active.claim.drop.owner, step.group)
        if opened or (order.do == "join_session" and shared.book.is_joined(step.number)):
            return False  # somebody is at it. Before OMERO may be asked: who asks and then does not would be news for all, on and on
        if order.role == "importer" and not shared.outage.may_ask():
            return False
        if step.do is Do.OPEN_SESSION and not shared.book.want(active.claim.drop.owner, step.group):
            shared.outage.undecided()
            return False
        if order.do == "join_session" and not shared.book.want_join(step.number):
            shared.outage.undecided()
            return False
        try:
            if order.intents:
                active.claim.append(*order.intents)
        except (OSError, ClaimTaken):
            shared.outage.undecided()
            raise
        self._dispatch(active, step, order)
        return False

    def _may_begin(self, active: Active, step: Step) -> bool:
        """Whether a slot for the upload is free, and after a try that went wrong its pause is over."""
        shared, drop = self._shared, active.claim.drop
        if step.do not in (Do.BEGIN, Do.SEND):
            return True
        state = drop.filesets[step.key]
        if step.do is Do.BEGIN and active.begun.get(step.key) != state.attempts:
            active.begun[step.key] = state.attempts
            active.forget(step.key)
            if state.tries and (state.error is not None or state.tries >= MOST_TRIES):
                why = (state.error or {}).get("sentence") or "it did not work yet; it is tried again"
                active.put_off(step, shared.backoff.due(state.tries), TryLater(why))
                return False
        alone = step.key in active.suspects or state.deaths > 0
        size = sum(one.size for one in state.plan.files)
        taken = shared.slots.take((active.id, step.key), drop.owner, size, alone=alone)
        active.wants_slot = active.wants_slot or not taken
        return taken

    def _order(self, active: Active, step: Step) -> Order | None:
        shared, drop = self._shared, active.claim.drop
        if step.do is Do.END_SESSION:
            return endings.end_or_join(shared, step.number)
        session = shared.book.open_for(drop.owner).get(drop.group, 0)
        seen, unknown = claims.to_inspect(active.claim) if step.do is Do.INSPECT else ((), ())
        order = order_for(step, drop, active.claim.path, session, [to_plain(one) for one in seen])
        if order is None:
            return None
        return replace(order, unknown=unknown, ended=dict(shared.book.ended_for()) if step.do is Do.LOOK_UP else {})

    def _dispatch(self, active: Active, step: Step, order: Order) -> None:
        if endings.put_off(self._shared, active, step, order):
            return
        self._commands += 1
        command = Command(self._commands, order.do, order.args, active.id, order.key, order.attempt)
        active.flying[(step.do, step.key)] = order
        active.moved = self._shared.clock.monotonic()
        role: Role = "inspector" if order.role == "inspector" else "importer"
        alone = role == "inspector" and active.claim.drop.deaths > 0
        extra = {"drop": active.id, "owner": active.claim.drop.owner, "step": order.do}
        log.debug("%s", order.do, extra=extra)
        on_reply = partial(self._post, active, step, order)
        self._shared.workers.submit(role, command, on_reply, worker=order.worker or None, alone=alone)

    def _members_changed(self, active: Active, step: Step) -> bool:
        """I4: the members must still be what was sent. If not: that attempt is dropped and the files are looked at again."""
        changed = claims.changed_since(active.claim, active.claim.drop.filesets[step.key].plan.files)
        if not changed:
            return False
        self._replies.members_changed(active, step.key, f"{', '.join(changed)} changed during the upload")
        return True

    def _lose(self, active: Active, key: str, why: str) -> None:
        attempt = active.claim.drop.filesets[key].attempt
        if attempt is not None:
            self._shared.book.let_go(active.id, key, attempt.number)
        active.claim.append(Record("lost", {"why": why}, key))
        self._shared.slots.give_back((active.id, key))

    # --- what came back ---------------------------------------------------------------

    def reply(self, active: Active, step: Step, order: Order, reply: Reply) -> None:
        """Take a worker's answer. The claim may have gone on meanwhile only by this very reply."""
        active.flying.pop((step.do, step.key), None)
        active.moved = self._shared.clock.monotonic()
        try:
            if not active.gone:
                self._take(active, step, order, reply)
        except ClaimTaken as error:
            self.taken(active, error)
        except JournalDamaged as error:
            self._hold(active, error)
        except Exception:
            log.exception("a bug", extra={"drop": active.id, "step": step.do.value})
            self._hold(active, _BUG)
        finally:  # when the session is known: who finds its file and nobody at it would end it
            if step.do is Do.OPEN_SESSION:
                self._shared.book.unwant(active.claim.drop.owner, step.group)
            if order.do == "join_session":
                self._shared.book.unwant_join(step.number)

    def _take(self, active: Active, step: Step, order: Order, reply: Reply) -> None:
        try:
            try:
                self._replies.take(active, step, order, reply)
            except Rejected as error:
                self._replies.drop_rejected(active, step, error)
        except OSError as error:
            self._disk_trouble(active, step, error)

    def _disk_trouble(self, active: Active, step: Step, error: OSError) -> None:
        """Nothing was done that is not journaled. Read the journal anew (its descriptor may be bad) and try later.

        Raises ClaimTaken, JournalDamaged.
        """
        if isinstance(error, FileNotFoundError):
            with contextlib.suppress(OSError):  # the volume is gone: that is a wait like any other
                active.claim.still_ours()
        trouble = as_ours(error, f"{step.do} of drop {active.id}")
        self._wait(active, step, trouble)
        self._reopen(active)

    def _reopen(self, active: Active) -> None:
        active.unread = True
        self._read_again(active)

    def _read_again(self, active: Active) -> bool:
        """What is on the disk counts; until it can be read nothing is done. Raises ClaimTaken, JournalDamaged."""
        claim = active.claim
        try:
            found = claims.load(claim.box, claim.path, self._shared.clock)
            make_ours(found, self._shared.instance)  # another instance may have had it meanwhile
        except OSError as again:
            log.debug("the claim cannot be read now: %s", again, extra={"drop": active.id})
            return False
        active.claim, active.unread = found, False
        return True

    def _wait(self, active: Active, step: Step, error: DropboxImportError) -> None:
        known = active.tells(step)
        active.put_off(step, self._shared.backoff.due(active.failures(step) + 1), error)
        if not known:
            log.warning("%s waits: %s", step.do, error.sentence, extra={"drop": active.id, "step": step.do.value}, exc_info=error)

    def abandon(self, active: Active) -> None:
        """An administrator takes the claim out of our hands. What runs of it in OMERO is left to itself."""
        self._leave(active, "discarded")

    def _leave(self, active: Active, what: str, says: str = "") -> None:
        active.gone = True
        following = self._shared.submissions.leave(active.id)
        for key, number in self._shared.book.held(active.id):
            self._shared.book.let_go(active.id, key, number)
        self._shared.slots.forget(active.id)
        self._tell(active, what, says)
        if following:
            self._shared.wake_all(following)

    def _tell(self, active: Active, what: str, says: str = "") -> None:
        self._shared.tell(Happening(active.id, what, says))
