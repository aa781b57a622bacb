"""When the next letter to somebody is due, and what is in it. Pure; moments are monotonic seconds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from dropbox_import.notify.message import OUTCOMES, Message
from dropbox_import.settings.model import Notify, Quiet

MOST = 200  # messages in one letter; of more only the number is told
_FIRST = {"alert-begins": 0, "alert-ends": 0, "failed": 1, "partly": 2, "attention": 3, "waits-files": 4, "waits-omero": 4, "done": 5}


def due(oldest: float, sent: Sequence[float], rules: Notify) -> float:
    """When a letter about messages of which the `oldest` was seen then may be made.

    `sent`: when the last letters to that recipient were made, the newest last.
    The first one comes after `gather`; after it they come `digest` apart, and never more than `limit` of them in `per`.
    """
    moment = oldest + rules.gather
    if sent:
        moment = max(moment, sent[-1] + rules.digest)
    if len(sent) >= rules.limit:
        moment = max(moment, sent[-rules.limit] + rules.per)
    return moment


def silent_for(quiet: Quiet | None, local: datetime) -> float:
    """Seconds until a channel's quiet hours are over, by the clock on the wall; 0 = it may speak."""
    if quiet is None:
        return 0.0
    now = local.hour * 60 + local.minute
    inside = quiet.start <= now < quiet.end if quiet.start < quiet.end else now >= quiet.start or now < quiet.end
    return ((quiet.end - now) % 1440) * 60.0 - local.second if inside else 0.0


def content(messages: Sequence[Message]) -> tuple[tuple[Message, ...], dict[str, int]]:
    """What a letter tells in full, the oldest first, and how many more of each event it only counts: the least urgent, and the newest.

    Of the outcomes of one drop (it was tried again meanwhile) the newest is told.
    """
    ordered = sorted(messages, key=lambda one: (one.at, one.name))
    newest = {one.drop: one for one in ordered if one.event in OUTCOMES}
    kept = [one for one in ordered if one.event not in OUTCOMES or newest[one.drop] is one]
    full = sorted(kept, key=lambda one: _FIRST.get(one.event, 0))[:MOST]
    names = {one.name for one in full}
    folded = Counter(str(one.event) for one in kept if one.name not in names)
    return tuple(one for one in kept if one.name in names), dict(folded)
