"""One outbox: from messages to letters, from letters to the notifier process. Used by one thread; a volume that hangs stops only this one.

Each letter is written down, then its messages are settled, then it is sent, then it is removed: see notify/outbox.py for what a
crash in between does. How long a letter waits, and what it says, is decided in notify/plan.py; who hears of it in notify/who.py.
"""

from __future__ import annotations

import contextlib
import logging
import queue
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from dropbox_import.daemon.post import Post
from dropbox_import.errors import Paused, ShareUnavailable
from dropbox_import.notify import plan
from dropbox_import.notify.message import MAIL, Letter, Message, Route
from dropbox_import.notify.outbox import Kept, Outbox, Unreadable
from dropbox_import.notify.places import placed
from dropbox_import.notify.who import Heard, Listening, who_hears
from dropbox_import.plain import to_plain
from dropbox_import.settings.model import BoxNotify
from dropbox_import.spool.layout import Layout, is_claimed, new_id, read_marker
from dropbox_import.workers.protocol import Command
from dropbox_import.workers.replies import Reply

log = logging.getLogger(__name__)

LOOK = 5.0  # seconds between two looks into the folder when nobody wakes us
_BUSY = 1.0
_TIDY = 3600.0
_OF_THIS_LETTER = ("refused", "not-rendered")  # codes of the notifier that say nothing against the channel
# Seconds of trying in this life of the daemon before anything is given up: clocks jump, and servers may start later than we do.
_LEAST_TIME = 3600.0


@dataclass(slots=True)
class _Message:
    """`seen`: when it could be told for the first time (monotonic seconds), None = its drop is not filed yet.

    `heard`: whom it concerns, as it was with the addresses that were known in that `edition`.
    """

    kept: Kept
    seen: float | None = None
    heard: Heard | None = None
    edition: tuple[int, bool] = (-1, False)


@dataclass(slots=True)
class _Open:
    """A letter that is not sent. `began`: when this daemon first failed with it. `sent`: it was sent, and could not be removed."""

    letter: Letter
    due: float = 0.0
    tries: int = 0
    began: float = 0.0
    flying: bool = False
    sent: bool = False


class Courier:
    """`box`: where the drops of its messages are filed; None: its messages are about no drops. `wishes`: what is special in that box."""

    def __init__(self, outbox: Outbox, post: Post, *, box: Layout | None = None, wishes: BoxNotify | None = None) -> None:
        self._outbox = outbox
        self._post = post
        self._clock = post.clock
        self._box = box
        self._wishes = wishes or BoxNotify()
        self._messages: dict[str, _Message] = {}
        self._letters: dict[str, _Open] = {}
        self._dead: list[str] = []
        self._bad: set[str] = set()
        self._replies: queue.SimpleQueue[tuple[str, Reply]] = queue.SimpleQueue()
        self._resting = False
        self._next_tidy = 0.0
        self.turns = 0
        self.wake: Callable[[], None] = lambda: None

    # --- asked from any thread ----------------------------------------------------------

    def counts(self) -> dict[str, int]:
        """For status.json."""
        return {"messages": len(self._messages), "letters": len(self._letters), "dead": len(self._dead)}

    def at_rest(self) -> bool:
        """Whether nothing could be sent now, as the last turn left it: for a run that is to end."""
        return self._resting and self._replies.empty() and not self.flying()

    def flying(self) -> bool:
        return any(one.flying for one in list(self._letters.values()))

    # --- the thread ---------------------------------------------------------------------

    def turn(self) -> float:
        """Do all that can be done now. Returns the seconds until something may be due by itself. Raises OSError."""
        self._hear()
        if self._box is not None:
            try:
                read_marker(self._box.box)
            except ShareUnavailable:
                return LOOK
        if not self._post.rules_say_how and not self._is_time_to_tidy():
            return LOOK
        if not self.turns:
            self._outbox.clear()
        self._look()
        if not self._post.draining:
            self._write_letters()
            self._send()
        self.turns += 1
        self._resting = not self._could_go_on()
        young = any(one.seen is None or self._clock.monotonic() - one.seen < 2 * self._post.rules.gather for one in self._messages.values())
        return _BUSY if young else LOOK

    def _is_time_to_tidy(self) -> bool:
        """Nobody can be told anything: it is enough to remove what is old now and then."""
        now = self._clock.monotonic()
        if now < self._next_tidy:
            return False
        self._next_tidy = now + _TIDY
        return True

    def _could_go_on(self) -> bool:
        """Whether an address is being asked for, or a letter can be sent at this moment."""
        post, now = self._post, self._clock.monotonic()
        asking = any(one.heard is not None and one.heard.unknown for one in self._messages.values()) and not post.omero.down
        return asking or any(
            one.sent or (now >= one.due and post.channels.works(one.letter.route.channel) and not self._is_silent(one.letter.route.channel))
            for one in self._letters.values()
        )

    def _is_silent(self, channel: str) -> bool:
        return plan.silent_for(self._post.quiet(channel), self._post.local_time()) > 0

    def _look(self) -> None:
        """What lies there now: others may have written, renamed or removed something."""
        messages, letters, self._dead = self._outbox.names()
        for name in self._messages.keys() - set(messages):
            del self._messages[name]
        for name in [name for name, one in self._letters.items() if name not in letters and not one.flying]:
            del self._letters[name]
        for name in messages:
            self._read(name, self._read_message)
        for name in letters:
            if name not in self._letters:
                self._read(name, self._read_letter)

    def _read(self, name: str, read: Callable[[str], None]) -> None:
        try:
            read(name)
            self._bad.discard(name)
        except FileNotFoundError:
            return
        except (Unreadable, PermissionError) as problem:
            if name not in self._bad:
                log.error("nobody can be told what is in %s: %s", name, problem, extra={"step": "notify"})
            self._bad.add(name)

    def _read_message(self, name: str) -> None:
        known = self._messages.get(name)
        if known is not None and known.seen is not None:
            return
        kept = self._outbox.message(name)
        message = kept.message
        if known is None:
            self._messages[name] = known = _Message(kept)
        known.kept = kept
        if self._is_over(message):
            known.seen = self._clock.monotonic()
            if message.email and message.owner:
                self._post.addresses.learn(message.owner, message.email)

    def _is_over(self, message: Message) -> bool:
        """A message never comes before its cause: the drop has been filed, in both parts if it has two."""
        return self._box is None or not message.drop or not is_claimed(self._box, message.drop)

    def _read_letter(self, name: str) -> None:
        self._letters[name] = _Open(self._outbox.letter(name))

    # --- letters ------------------------------------------------------------------------

    def _write_letters(self) -> None:
        """Make the letters that are due, then settle their messages: note who has one, or remove those of which all have."""
        heard = {name: self._heard(one) for name, one in self._messages.items() if one.seen is not None}
        for login in dict.fromkeys(login for one in heard.values() for login in one.unknown):
            self._post.addresses.ask(login, self.wake)
        told = self._told()
        groups: dict[Listening, list[str]] = defaultdict(list)
        for name, one in heard.items():
            for listener in one.listeners:
                if listener.route.name not in told[name]:
                    groups[listener].append(name)
        for listener, names in groups.items():
            if self._is_due(listener, names):
                self._write_letter(listener, names)
                for name in names:
                    told[name].add(listener.route.name)
        self._settle(heard, told)

    def _heard(self, one: _Message) -> Heard:
        # Thousands may wait: it is worked out once, and again only while an address is missing and others were heard of.
        message, addresses = one.kept.message, self._post.addresses
        if message.event == "waits-omero" and self._post.omero.answered:
            return Heard(())  # it is over, and nobody need hear of it any more
        if one.heard is None or (one.heard.unknown and one.edition != addresses.edition()):
            one.edition = addresses.edition()
            one.heard = who_hears(message, self._post.rules, self._wishes, addresses.known())
        if one.heard.unknown and self._asked_long_enough(one):
            # Nobody can say the address. It is told to the login, which no server takes, so that it ends among the dead letters.
            language = self._wishes.language or self._post.rules.language
            lost = tuple(Listening(Route(MAIL, login), "user", language) for login in one.heard.unknown)
            one.heard = Heard((*one.heard.listeners, *lost))
        return one.heard

    def _asked_long_enough(self, one: _Message) -> bool:
        assert one.seen is not None
        tried = self._clock.monotonic() - one.seen >= _LEAST_TIME and not self._post.omero.down
        return tried and self._is_old(one.kept.message.at)

    def _told(self) -> dict[str, set[str]]:
        """For each message the routes that have a letter, also of one that was written when an earlier daemon ended."""
        told = {name: set(one.kept.told) for name, one in self._messages.items()}
        for one in self._letters.values():
            for message in self._told_by(one.letter):
                told[message.name].add(one.letter.route.name)
        return told

    def _told_by(self, letter: Letter) -> Iterator[Message]:
        """The messages that still lie here although the letter tells of them."""
        for name, at in (*((message.name, message.at) for message in letter.messages), *letter.settled):
            known = self._messages.get(name)
            if known is not None and known.kept.message.at == at:
                yield known.kept.message

    def _is_due(self, listener: Listening, names: list[str]) -> bool:
        route, post = listener.route, self._post
        if any(one.letter.route == route for one in self._letters.values()):
            return False  # it waits for the one before it, and so more comes in one letter
        if not post.channels.works(route.channel) and self._has_a_try(route.channel):
            return False
        if self._is_silent(route.channel):
            return False
        oldest = min(seen for name in names if (seen := self._messages[name].seen) is not None)
        return post.reserve(route.name, oldest)

    def _has_a_try(self, channel: str) -> bool:
        """Whether there is a letter that has not been tried. What was refused may be to blame itself; another one must find out."""
        return any(one.letter.route.channel == channel and not one.tries for one in self._letters.values())

    def _write_letter(self, listener: Listening, names: list[str]) -> None:
        all_of_them = [self._messages[name].kept.message for name in names]
        found, folded = plan.content(all_of_them)
        full = {message.name for message in found}
        letter = Letter(
            id=new_id(self._clock),
            route=listener.route,
            audience=listener.audience,
            language=listener.language,
            at=self._clock.now().isoformat(timespec="seconds"),
            messages=tuple(placed(message, self._box) for message in found),
            folded=folded,
            settled=tuple((message.name, message.at) for message in all_of_them if message.name not in full),
        )
        self._outbox.put(letter)
        self._letters[letter.id] = _Open(letter)

    def _settle(self, heard: dict[str, Heard], told: dict[str, set[str]]) -> None:
        over: list[str] = []
        for name, one in heard.items():
            message, kept = self._messages[name].kept.message, self._messages[name].kept
            if not self._post.rules_say_how and not self._is_old(message.at):
                continue  # no way to tell anybody is configured yet
            if not one.unknown and told[name] >= {listener.route.name for listener in one.listeners}:
                over.append(name)
            elif fresh := told[name] - kept.told:
                self._messages[name].kept = self._outbox.told(name, fresh)
        self._outbox.forget(over)
        for name in over:
            del self._messages[name]

    def _is_old(self, at: str) -> bool:
        try:
            return self._clock.now() - datetime.fromisoformat(at) >= timedelta(seconds=self._post.rules.give_up_after)
        except (ValueError, TypeError):
            return False

    # --- sending ------------------------------------------------------------------------

    def _send(self) -> None:
        now, post = self._clock.monotonic(), self._post
        for name, one in sorted(self._letters.items(), key=lambda item: (item[1].tries, item[0])):
            letter = one.letter
            if one.sent:
                self._remove(name)
            elif one.flying or (now < one.due and post.channels.works(letter.route.channel)) or not self._is_settled(letter):
                continue
            elif not self._is_silent(letter.route.channel) and post.channels.take(letter.route.channel, self):
                one.flying = True
                command = Command(0, "send", {"letter": to_plain(letter)})
                try:
                    post.workers.submit("notifier", command, partial(self._answer, name, letter.route.channel))
                except Exception:
                    one.flying = False
                    post.channels.undecided(letter.route.channel)
                    raise

    def _is_settled(self, letter: Letter) -> bool:
        """Whether none of its messages would be told to this route once more, should we end now."""
        return all(letter.route.name in self._messages[message.name].kept.told for message in self._told_by(letter))

    def _answer(self, name: str, channel: str, reply: Reply) -> None:
        """In a worker's thread. What all outboxes share hears of it at once: our own thread may hang with its volume."""
        channels = self._post.channels
        if reply.error is None or reply.error.kind in _OF_THIS_LETTER:
            channels.worked(channel)
        elif isinstance(reply.error, Paused):
            channels.undecided(channel)
        else:
            channels.failed(channel, reply.error.sentence)
        self._replies.put((name, reply))
        self.wake()

    def _hear(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                name, reply = self._replies.get_nowait()
                one = self._letters.get(name)
                if one is not None:
                    one.flying = False
                    self._take(one, reply)

    def _take(self, one: _Open, reply: Reply) -> None:
        letter, error = one.letter, reply.error
        if error is None:
            one.sent = True
            log.info("told by %s: %s", letter.route.channel, _what(letter), extra={"drop": _drop_of(letter), "step": "told"})
            self._remove(letter.id)
        elif not isinstance(error, Paused):
            self._not_sent(one, error.sentence)

    def _not_sent(self, one: _Open, why: str) -> None:
        now, letter, about = self._clock.monotonic(), one.letter, {"drop": _drop_of(one.letter)}
        one.tries += 1
        one.due = self._post.backoff.due(one.tries)
        one.began = now if one.tries == 1 else one.began
        if one.tries == 1:
            log.warning("a letter waits: %s", why, extra={**about, "step": "notify-waits"})
        with contextlib.suppress(OSError):
            # Before a look at the reason: servers put a time or an id into it, so that it is another one each time.
            if now - one.began >= _LEAST_TIME and self._is_old(letter.failed):
                self._outbox.lay_aside(letter.id)
                del self._letters[letter.id]
                log.error("a letter by %s is given up: %s", letter.route.channel, why, extra={**about, "step": "notify-dead"})
            elif letter.why != why:
                failed = letter.failed or self._clock.now().isoformat(timespec="seconds")
                one.letter = replace(letter, failed=failed, why=why)
                if not self._outbox.note(one.letter):
                    del self._letters[letter.id]

    def _remove(self, name: str) -> None:
        """It has been sent. What cannot be removed now is removed later, and not sent again by us."""
        with contextlib.suppress(OSError):
            self._outbox.sent(name)
            del self._letters[name]


def _what(letter: Letter) -> str:
    events = [message.event for message in letter.messages]
    return ", ".join(f"{events.count(event)} {event}" for event in dict.fromkeys(events))


def _drop_of(letter: Letter) -> str:
    return letter.messages[0].drop if len(letter.messages) == 1 else ""
