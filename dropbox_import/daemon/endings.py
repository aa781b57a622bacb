"""How a drop has an OMERO session ended, in which something of it may still land."""

from __future__ import annotations

from collections.abc import Collection

from dropbox_import.daemon.active import Active
from dropbox_import.daemon.commands import Order
from dropbox_import.daemon.shared import Shared
from dropbox_import.errors import TryLater
from dropbox_import.spool.steps import Do, Step

_SOON, _LATER = 1.0, 5.0  # seconds between two looks
_TELL_AFTER = 60  # of the soon ones, then the wait has its reason shown


def end_or_join(shared: Shared, number: int) -> Order:
    """End a session that a worker of ours has.

    One that none has is joined first, to learn whether started imports in it can still be asked for.
    """
    shared.book.retire(number)
    if shared.book.states().get(number) == "joinable":
        return Order("importer", "join_session", {"session": number})
    return Order("importer", "end_session", {"session": number}, number)


def put_off(shared: Shared, active: Active, step: Step, order: Order) -> bool:
    """True for the end of a session that others still count on: it waits for them, after a minute with its reason shown."""
    if order.do != "end_session" or not shared.counted_on(order.session, active.id):
        return False
    shared.outage.undecided()
    now = shared.clock.monotonic()
    if active.pauses(step) < _TELL_AFTER:
        active.pause(step, now + _SOON)
        return True
    why = TryLater(
        "the OMERO session in which it was begun has to end first, and other imports still run in it",
        hint="It goes on by itself when they are over.",
        code="session-in-use",
    )
    active.put_off(step, now + _LATER, why, counts=False)
    return True


def not_needed(active: Active, steps: Collection[Step]) -> None:
    """No end of a session is waited for that is not among the steps any more: somebody else has had it ended."""
    if not any(step.do is Do.END_SESSION for step in steps):
        active.waits.pop((Do.END_SESSION, ""), None)
