"""What a letter tells, and in which order, before a template puts it into words. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

from dropbox_import.notifier.harmless import harmless_message
from dropbox_import.notify.message import WORD_OF, WORDS, Letter, Message, WentWrong

_URGENCY = ("failed", "partly", "attention", "alert-begins", "waits-omero", "waits-files", "alert-ends", "test", "done")
_FILES_SHOWN = 5
_CUT = "…"


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is told at most: letters of one text, things of one kind in a message, messages of a digest."""

    length: int
    items: int
    entries: int


@dataclass(frozen=True, slots=True)
class Contents:
    """A letter as the templates see it, every text in it harmless.

    `single`: one message, told in `full`. A digest tells some messages in full and its successes in one line each (`short`); of `folded`,
    `folded_in_all` of them, only the number is told. `counts` are all of them, by group. `done`, `failed`: where the folded drops lie.
    """

    single: bool
    full: tuple[Message, ...]
    short: tuple[Message, ...]
    counts: tuple[tuple[str, int], ...]
    folded: tuple[tuple[str, int], ...]
    folded_in_all: int
    folded_done: bool
    folded_failed: bool


def arrange(letter: Letter, bounds: Bounds) -> Contents:
    """What `letter` tells within `bounds`; what they leave out is folded."""
    messages = sorted(_outages_joined(letter.messages), key=lambda one: _URGENCY.index(one.event))
    single = len(messages) == 1 and not any(letter.folded.values())
    kept = messages[: bounds.entries]
    if not single:
        bounds = replace(bounds, items=min(bounds.items, 3))
    shown = [harmless_message(_within(one, bounds), bounds.length) for one in kept]
    events = Counter(letter.folded)
    folded = Counter(dict(letter.folded)) + Counter(one.event for one in messages[bounds.entries :])
    events += Counter(one.event for one in messages)
    return Contents(
        single=single,
        full=tuple(one for one in shown if single or one.event != "done"),
        short=tuple(one for one in shown if not single and one.event == "done"),
        counts=_counts(events),
        folded=_counts(folded),
        folded_in_all=sum(folded.values()),
        folded_done=bool(folded["done"] or folded["partly"]),
        folded_failed=bool(folded["failed"] or folded["partly"]),
    )


def _counts(events: Counter[str]) -> tuple[tuple[str, int], ...]:
    """By what the config calls them, in its order. A test is no event of the config."""
    counts = ((word, sum(count for event, count in events.items() if WORD_OF.get(event) == word)) for word in WORDS)
    return tuple((word, count) for word, count in counts if count)


def _outages_joined(messages: tuple[Message, ...]) -> list[Message]:
    """The beginning of what is over meanwhile is told by the message of its end."""
    over = {(one.alert, one.since) for one in messages if one.event == "alert-ends"}
    return [one for one in messages if one.event != "alert-begins" or (one.alert, one.since) not in over]


def _within(message: Message, bounds: Bounds) -> Message:
    items = bounds.items
    return replace(
        message,
        images=message.images[:items],
        images_in_all=max(message.images_in_all, len(message.images)),
        failures=tuple(_short(one, items) for one in message.failures[:items]),
        failures_in_all=max(message.failures_in_all, len(message.failures)),
        points=_first(message.points, items),
        waiting=message.waiting[:items],
        waiting_in_all=max(message.waiting_in_all, len(message.waiting)),
    )


def _short(wrong: WentWrong, items: int) -> WentWrong:
    shown = min(items, _FILES_SHOWN)
    return replace(
        wrong, files=wrong.files[:shown], more=wrong.more + max(0, len(wrong.files) - shown), mistakes=_first(wrong.mistakes, items)
    )


def _first(texts: tuple[str, ...], items: int) -> tuple[str, ...]:
    return texts if len(texts) <= items else (*texts[:items], _CUT)
