"""Looks after the OMERO sessions between the steps of the drops: those in use are kept alive, those that nobody needs are ended."""

from __future__ import annotations

from collections.abc import Sequence

from dropbox_import.daemon.box import BoxRunner
from dropbox_import.daemon.outage import EVERYBODY
from dropbox_import.daemon.sessions import Session
from dropbox_import.daemon.shared import Shared
from dropbox_import.workers.protocol import Command
from dropbox_import.workers.replies import Reply

_SESSION_IDLE = 90.0
_FORGET = 3600.0
_LOOK_AGAIN = 60.0
_SESSION_BEAT = 120.0  # OMERO ends a session of ours after 10 idle minutes
_AT_ONCE = 8  # ends that are under way: a heap of them must not stand before the drops


class SessionKeeper:
    """Called by one thread, now and then."""

    def __init__(self, shared: Shared, runners: Sequence[BoxRunner]) -> None:
        self._shared = shared
        self._runners = runners
        self._next_look = 0.0
        self._not_ended: dict[int, tuple[int, float]] = {}  # sessions whose end failed: how often, and when it is tried again

    def tend(self) -> None:
        now = self._shared.clock.monotonic()
        if now >= self._next_look:
            self._next_look = now + _LOOK_AGAIN
            self._shared.book.look_again()
        for session in self._shared.book.to_keep_alive(_SESSION_BEAT):
            self._keep_alive(session)
        # Only who knows every claim knows which session of an earlier daemon nobody needs.
        loaded = all(runner.loaded for runner in self._runners)
        idle = self._shared.book.idle(self._needed(), _SESSION_IDLE, joinable=loaded)
        idle = tuple(one for one in idle if self._not_ended.get(one.number, (0, 0.0))[1] <= now)
        for session in idle[: self._most_to_end()] if idle else ():
            self._end(session)
        self._shared.book.forget_ended(self._needed(), _FORGET)

    def _most_to_end(self) -> int:
        """While OMERO is down one is the try whether it still is, where no drop is at work that would find out."""
        if not self._shared.outage.down:
            return max(0, _AT_ONCE - self._shared.book.ending())
        return int(not any(runner.busy() for runner in self._runners) and self._shared.outage.may_ask())

    def end_all(self) -> None:
        """No session that nobody needs stays open; those of an earlier daemon are left to the next one."""
        for session in self._shared.book.idle(self._needed(), -1.0, joinable=False):
            self._end(session)

    def _needed(self) -> frozenset[int]:
        return frozenset[int]().union(*(runner.needed_sessions() for runner in self._runners))

    def _keep_alive(self, session: Session) -> None:
        self._shared.book.touch(session.number)
        command = Command(0, "keep_alive", {"session": session.number})
        self._shared.workers.submit("importer", command, lambda _: None, worker=session.worker)

    def _end(self, session: Session) -> None:
        """End a session that nobody needs. One that no worker has is ended by any: its secret lies in the state folder."""
        book = self._shared.book
        book.mark(session.number, "ending")

        def answered(reply: Reply) -> None:
            kind = reply.error.kind if reply.error is not None else ""
            # One that was over before is a success. "session-gone" is about the log-in that was to end it; what counts as ended
            # while it is open lets a call in it land beside its repetition.
            if not kind or kind == "no-such-session":  # that says: this worker is gone, and any may do it now
                self._not_ended.pop(session.number, None)
            else:
                tries = self._not_ended.get(session.number, (0, 0.0))[0] + 1
                self._not_ended[session.number] = tries, self._shared.backoff.due(tries)
            if not kind:
                book.mark(session.number, "ended")
            elif kind == "no-such-session" and worker is None:
                book.mark(session.number, "unknown")  # open, and its secret is not here: it ends by itself, who counts on that asks OMERO
            else:
                book.lost(session.number, session.worker)  # one that was joined since its worker died stays with who joined it
            self._heard_of_omero(reply)
            self._shared.wake_all()

        worker = session.worker if session.state == "held" else None
        self._shared.workers.submit("importer", Command(0, "end_session", {"session": session.number}), answered, worker=worker)

    def _heard_of_omero(self, reply: Reply) -> None:
        """An answer is the end of an outage; that there was none, the first or one more try of it that failed.

        That a session is gone only OMERO says, even if nothing was ended by it.
        """
        outage = self._shared.outage
        if reply.error is None or reply.error.kind == "session-gone":
            outage.worked()
        elif reply.error.kind in EVERYBODY and reply.worker and not reply.died:
            outage.failed(reply.error)
        outage.undecided()
