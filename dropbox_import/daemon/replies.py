"""What a worker's reply means: records for the journal, news for the session book, a pause, or an end.

An error is judged by its class alone: wrong drops are filed as failed, trouble that is not the
drop's fault waits, an unknown outcome is asked for, a bug is logged and waits.
"""

from __future__ import annotations

import logging

from dropbox_import.daemon.active import Active
from dropbox_import.daemon.commands import Order
from dropbox_import.daemon.outage import EVERYBODY
from dropbox_import.daemon.outcomes import failure_data, left_out, records_of
from dropbox_import.daemon.shared import Shared
from dropbox_import.errors import ConfigError, DropboxImportError, OutcomeUnknown, Rejected, TryLater
from dropbox_import.spool.fold import Phase
from dropbox_import.spool.journal import Record
from dropbox_import.spool.steps import Do, Step
from dropbox_import.workers.limits import COMPUTING_IS_LIMITED
from dropbox_import.workers.protocol import NO_WORKER, NOT_HELD
from dropbox_import.workers.replies import Reply

log = logging.getLogger(__name__)

_POLL_FIRST, _POLL_LONGEST, _POLLS_THAT_GROW = 0.2, 5.0, 10
_ASK_AGAIN = 30.0
_UNKNOWN_PAUSE = 2.0
_MOST_INSPECTIONS = 3
_MOST_DEATHS = 3
_MOST_UNRESOLVED = 2
_TELL_AFTER = 3  # tries of an unknown outcome, then the wait has its reason shown
_MOST_WATCHED = 20  # polls of a start whose outcome is unknown: a minute
_LONGEST_QUEUED = 3900.0  # seconds in which OMERO has said nothing of a start that it has taken: after an hour in its queue it gives it up
_OF_THE_DROP = frozenset({Do.INSPECT, Do.OPEN_SESSION, Do.RESOLVE, Do.TARGET})
_OF_AN_ATTEMPT = frozenset({Do.SEND, Do.COMMIT, Do.POLL})
_BEFORE_IT_IS_SENT = frozenset({Do.CHECK_ALONE, Do.SEND})
_DEADLY = frozenset({Do.BEGIN, Do.SEND, Do.COMMIT, Do.POLL, Do.ANNOTATE})
_NOBODY_ASKED = frozenset({NO_WORKER, "worker-died", "worker-stopped", "hung", "stopping", "unsendable", *NOT_HELD})
_BEGUN_ELSEWHERE = TryLater(
    "an import of these files under this submission was begun elsewhere, and is not complete; its OMERO session is still open",
    hint="Nothing needs to be done: what is complete in the end is not imported again, and what is not is begun anew.",
    code="begun-elsewhere",
)
_CONNECTION_GONE = frozenset({"connection-lost", "no-answer", "session-gone", "unreachable"})


def poll_pause(polls: int) -> float:
    """Seconds until an import is asked about again. A long one is asked thousands of times, for which an endless power has no number."""
    return min(_POLL_LONGEST, _POLL_FIRST * 1.5 ** min(polls, _POLLS_THAT_GROW))


class Replies:
    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._unheard: dict[tuple[str, str, int], float] = {}  # attempts that OMERO has not begun, and since when that is known

    def reconcile(self, active: Active) -> None:
        """Bring the journal up to what a joined session says of this drop's attempts whose outcome was unknown.

        An answer to `join_session` may be older than the answer of the import: what it brought back is let go again, since it
        would keep its session from ever being ended.
        """
        for key, number in self._shared.book.held(active.id):
            known = active.claim.drop.filesets.get(key)
            if known is None or known.attempt is None or known.attempt.number != number or known.attempt.phase is Phase.ANSWERED:
                self._shared.book.let_go(active.id, key, number)
        for key in sorted(active.claim.drop.filesets.sessions_of):
            attempt = active.claim.drop.filesets[key].attempt
            if attempt is None:
                continue
            told = self._shared.book.joined(active.id, key, attempt.number)
            if told is None:
                continue
            if attempt.phase is Phase.BEGIN:
                active.claim.append(Record("begun", {"fileset": told["fileset"]}, key, attempt.number))
            elif attempt.phase is Phase.COMMIT and told["phase"] == "committed":
                active.claim.append(Record("committed", {}, key, attempt.number))

    def take(self, active: Active, step: Step, order: Order, reply: Reply) -> None:
        """Raises Rejected for what is wrong with the drop as a whole; OSError, JournalDamaged of the journal."""
        if reply.died:
            self._died(active, step, reply)
        if reply.error is None and reply.result is not None:
            if order.role == "importer":
                self._shared.outage.worked()
            self._done(active, step, order, reply, reply.result)
        elif reply.error is not None:
            self._failed(active, step, order, reply, reply.error)

    # --- it worked ----------------------------------------------------------------------

    def _done(self, active: Active, step: Step, order: Order, reply: Reply, result: dict[str, object]) -> None:
        shared, book = self._shared, self._shared.book
        if self._session_news(active, step, order, reply, result):
            return
        if order.session:
            book.touch(order.session)
        if step.do is Do.BEGIN:
            book.hold(active.id, step.key, order.attempt, order.session, reply.worker)
        if step.do is Do.SEND:
            shared.slots.sent((active.id, step.key))
        records = records_of(step, active.claim.drop, result, order)
        if step.do is Do.LOOK_UP:
            active.claim.looked_up(records)
            active.succeeded(step)
        elif records:
            # A result that a power cut takes back is a step done again, and the next intent's sync is its sync too. Not so
            # `imported`: it outranks what OMERO says later, when a user may have deleted the images there.
            active.claim.append(*records, sync=any(record.kind == "imported" for record in records))
            active.succeeded(step)
            if any(record.kind in ("answered", "lost") for record in records):
                self._let_go(active, step.key, order.attempt)
        elif step.do is Do.POLL:
            active.pause(step, shared.clock.monotonic() + poll_pause(active.pauses(step)))
            self._not_started(active, step, order, result)

    def _session_news(self, active: Active, step: Step, order: Order, reply: Reply, result: dict[str, object]) -> bool:
        """Session steps change the book, not the journal. True when it was one."""
        shared, book = self._shared, self._shared.book
        match order.do:
            case "open_session":
                number, group = int(str(result["session"])), str(result["group"])
                book.opened(number, active.claim.drop.owner, group, reply.worker, default=not step.group)
                shared.wake_all()
            case "join_session":
                number = int(str(order.args["session"]))
                if result["state"] == "joined":
                    attempts = result.get("attempts", [])
                    book.join(number, reply.worker, list(attempts) if isinstance(attempts, list) else [], shared.wanted())
                else:
                    book.mark(number, "ended")
                shared.wake_all()
            case "session_state":
                closed = result["closed"]
                book.mark(step.number, "unknown" if closed is False else "ended")
                if closed is False:
                    self._still_open(active, step)
                    return True
            case "end_session":
                book.mark(step.number, "ended")
                shared.wake_all()
            case _:
                return False
        active.succeeded(step)
        return True

    def _still_open(self, active: Active, step: Step) -> None:
        """Somebody else's session may stay open for days; what is begun in it may be complete long before, so that is looked at too."""
        due = self._shared.clock.monotonic() + _ASK_AGAIN
        active.pause(step, due)
        for key in active.claim.look_again(step.number):
            active.put_off(Step(Do.LOOK_UP, key), due, _BEGUN_ELSEWHERE, counts=False)

    def _not_started(self, active: Active, step: Step, order: Order, result: dict[str, object]) -> None:
        """The call that starts the import may never have left us, or OMERO gave it up in its queue: watched, fenced off, begun anew."""
        attempt, what = active.claim.drop.filesets[step.key].attempt, (active.id, step.key, order.attempt)
        if attempt is None or result.get("name") != "no-handle":
            self._unheard.pop(what, None)
            return
        now = self._shared.clock.monotonic()
        queued = now - self._unheard.setdefault(what, now)
        if active.pauses(step) >= _MOST_WATCHED if attempt.phase is Phase.COMMIT else queued >= _LONGEST_QUEUED:
            self._let_go(active, step.key, order.attempt)
            active.claim.append(Record("lost", {"why": "OMERO has not started the import"}, step.key))
            active.succeeded(step)

    # --- it did not ---------------------------------------------------------------------

    def _died(self, active: Active, step: Step, reply: Reply) -> None:
        """A worker died by itself with this command.

        It counts against a fileset only while that was imported, and only if nothing else was in the worker (else it runs
        alone next time). A call that is only slow, or a share that hangs, is no death of the drop's; but files that an
        inspector computes on without end are, for which the system ends it where it can.
        """
        self._shared.book.worker_gone(reply.worker)
        if reply.company:
            active.suspects.add(step.key)
            if step.do in _BEFORE_IT_IS_SENT:  # who has its slot already would not be made to wait until it is alone
                self._shared.slots.give_back((active.id, step.key))
            return
        hung = reply.error is not None and reply.error.kind == "hung"
        counts = step.do is Do.INSPECT or step.do in _DEADLY
        if counts and not (hung and (step.do in _DEADLY or COMPUTING_IS_LIMITED)):
            active.claim.append(Record("death", {"step": step.do.value}, step.key))
        if step.do is Do.INSPECT and active.claim.drop.deaths >= _MOST_DEATHS:
            raise Rejected(
                "the program that looks into image files died three times with the files of this drop",
                hint="One of the files is damaged in an unusual way; ask the administrator to look at the log of the service.",
            )
        drop = active.claim.drop
        if step.do is Do.ANNOTATE and (drop.filesets[step.key].deaths if step.key else drop.deaths) >= _MOST_DEATHS:
            error = Rejected("the importer died three times while it made them")
            active.claim.append(self._not_annotated(error, step.key, step.group))

    def _failed(self, active: Active, step: Step, order: Order, reply: Reply, error: DropboxImportError) -> None:
        shared, claim = self._shared, active.claim
        outage = order.role == "importer" and error.kind in EVERYBODY
        if outage and not reply.died and reply.worker:
            shared.outage.failed(error)
        elif order.role == "importer" and error.kind not in _NOBODY_ASKED and not isinstance(error, OutcomeUnknown):
            shared.outage.worked()  # OMERO answered, if only with a refusal
        if order.role == "importer":
            shared.outage.undecided()
        if error.kind in _CONNECTION_GONE and order.session:
            shared.book.lost(order.session, reply.worker or order.worker)
        if error.kind == NO_WORKER:
            self._later(active, step, error, False)
        elif error.kind in NOT_HELD or (reply.worker and not shared.workers.alive(reply.worker)):
            self._not_held(active, step, order, reply, error)
        elif error.kind == "checksum" and step.do in _OF_AN_ATTEMPT:
            claim.append(Record("refused", {"sentence": error.sentence}, step.key))
        elif error.kind == "committed-already":
            claim.append(Record("committed", {}, step.key, order.attempt))
        elif error.kind == "member-changed":
            self.members_changed(active, step.key, error.sentence)
        elif isinstance(error, Rejected):
            self._rejected(active, step, order, error)
        elif isinstance(error, (TryLater, ConfigError)):
            if step.do is Do.BEGIN and reply.effect == "none":
                claim.append(Record("lost", {"why": error.sentence, "fence": False}, step.key))
            self._later(active, step, error, outage)
        elif isinstance(error, OutcomeUnknown):
            self._unknown(active, step, error)
        else:
            log.error("a bug: %s", error, extra={"drop": active.id, "step": step.do.value})
            self._later(active, step, error, False)
        if step.do is Do.BEGIN:  # without its reply it may still land: its session is joined, or ended before the next one
            shared.slots.give_back((active.id, step.key))

    def members_changed(self, active: Active, key: str, sentence: str) -> None:
        """What was sent, or is to be, is not what was looked at: that attempt is given up and the files are looked at again."""
        claim, attempt = active.claim, active.claim.drop.filesets[key].attempt
        log.warning("%s", sentence, extra={"drop": active.id, "step": "members-changed"})
        if attempt is not None:
            self._let_go(active, key, attempt.number)
        records = [Record("lost", {"why": "its files changed"}, key)]
        if claim.drop.inspections >= _MOST_INSPECTIONS:
            hint = "Put it into the drop folder again when the program that writes it has ended."
            told = {"code": "file-changes", "sentence": f"the files changed again and again during the upload: {sentence}", "hint": hint}
            # As if OMERO had refused it: what is left there is removed before the failure is final.
            records = [Record("answered", {"state": "error", "class": "Rejected", **told}, key, attempt.number if attempt else 0)]
        else:
            records.append(Record("reinspect"))
        claim.append(*records)

    def _not_held(self, active: Active, step: Step, order: Order, reply: Reply, error: DropboxImportError) -> None:
        """The worker does not have what the command was about: `next_steps` joins, or notes the loss.

        Its answer may come late, when another worker has joined the session and holds the attempt.
        """
        book, asked = self._shared.book, reply.worker or order.worker
        if error.kind == "no-such-session" and order.session:
            book.lost(order.session, asked)
        if reply.worker and not self._shared.workers.alive(reply.worker):
            book.worker_gone(reply.worker)
        if order.attempt:
            book.let_go(active.id, step.key, order.attempt, asked)
        # What only was in a worker that has ended waits for its session to be joined, which has pauses of its own. A call of
        # which workers end must not follow each joining at once, or everything else in them would never come to its end.
        held_up = step.do in _OF_AN_ATTEMPT and not reply.died and not self._shared.workers.alive(asked)
        self._unknown(active, step, error, held_up=held_up)

    def _unknown(self, active: Active, step: Step, error: DropboxImportError, *, held_up: bool = False) -> None:
        """It is asked or done again (every such step may be); soon at first, and with its reason shown when that does not help.

        `held_up`: by others, so it stays soon.
        """
        failures = active.failures(step) + 1
        tell = failures >= _TELL_AFTER
        due = self._shared.backoff.due(failures) if tell and not held_up else self._shared.clock.monotonic() + _UNKNOWN_PAUSE
        active.put_off(step, due, error if tell else None, counts=failures <= _TELL_AFTER or not held_up)

    def _rejected(self, active: Active, step: Step, order: Order, error: Rejected) -> None:
        claim, data = active.claim, failure_data(error)
        if step.do is Do.TARGET and error.kind == "missing-target" and active.pauses(step) < _MOST_UNRESOLVED:
            # It was found by its name a moment ago, and is bound to its id since: somebody removed it, so it is looked for anew.
            active.pause(step, 0.0)
            claim.append(Record("unresolve"))
        elif step.do in _OF_THE_DROP:
            self.drop_rejected(active, step, error)
        elif step.do is Do.ANNOTATE:
            claim.append(self._not_annotated(error, step.key, step.group))
        elif step.do is Do.BEGIN:
            claim.append(Record("lost", {"why": error.sentence, "fence": False}, step.key), Record("fileset-failed", data, step.key))
        elif step.do in _OF_AN_ATTEMPT:
            # Something of it may be on the server: it is looked up and discarded before the failure is final.
            self._let_go(active, step.key, order.attempt)
            claim.append(Record("answered", {"state": "error", **data}, step.key, order.attempt))
        else:
            self._later(active, step, error, False)

    def drop_rejected(self, active: Active, step: Step, error: Rejected) -> None:
        """What is wrong with the drop as a whole ends it only if OMERO has nothing of it that is not settled.

        So failed/ never holds what is in OMERO. Images that only lack their annotations are done, with the refusal told.
        """
        claim, states = active.claim, list(active.claim.drop.filesets.values())
        open_keys = [state.plan.key for state in states if not state.settled]
        # Annotations of filesets, or when these are done those of project and dataset.
        lacking = [self._not_annotated(error, key, "") for key in open_keys]
        lacking = lacking or [self._not_annotated(error, "", kind) for kind in claim.drop.open_containers]
        if claim.drop.good and lacking and all(state.settled or state.imported is not None for state in states):
            claim.append(*lacking)
        elif all(state.settled or state.clean for state in states):
            claim.append(*left_out(claim.drop), Record("failed", failure_data(error)))
        else:
            self._later(active, step, error, False)

    @staticmethod
    def _not_annotated(error: Rejected, key: str, container: str) -> Record:
        refused = {"made": [], "refused": [{"what": "annotations", "why": error.sentence}]}
        return Record("annotated", refused if key else {"on": container, **refused}, key)

    def _later(self, active: Active, step: Step, error: DropboxImportError, outage: bool) -> None:
        shared = self._shared
        now = shared.clock.monotonic()
        known = active.tells(step)
        # While OMERO is down the outage itself says when to try; the step only must not spin.
        due = now + 1.0 if outage else shared.backoff.due(active.failures(step) + 1)
        active.put_off(step, due, error, counts=not outage)
        if step.do is Do.SEND:  # who waits does not keep others from sending
            shared.slots.give_back((active.id, step.key))
        if not known:
            log.warning("%s waits: %s", step.do, error.sentence, extra={"drop": active.id, "step": step.do.value})

    def _let_go(self, active: Active, key: str, attempt: int) -> None:
        self._shared.book.let_go(active.id, key, attempt)
        self._shared.slots.give_back((active.id, key))
        self._unheard.pop((active.id, key, attempt), None)
