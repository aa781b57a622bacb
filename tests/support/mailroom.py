"""What people have got: a notifier of plain objects. It outlives daemons, as mail servers do, and notes what must never be sent.

It does what docs/worker-protocol.md says of the notifier: `send` puts a letter into `got`, or refuses it, or loses the answer.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dropbox_import.errors import NotAllowed, OutcomeUnknown, TryLater
from dropbox_import.notify.message import OUTCOMES, Letter, Message
from dropbox_import.plain import from_plain
from dropbox_import.spool import layout
from dropbox_import.workers.protocol import Command
from dropbox_import.workers.replies import Reply


@dataclass
class Mailroom:
    """`down`: channels that do not work, "" for all. `cut`: at which delivery the worker dies, and "before" or "after" its effect.

    `addresses`: what OMERO says of people. `boxes`: to see whether a message comes before its cause.
    """

    boxes: list[Path] = field(default_factory=list)
    addresses: dict[str, str] = field(default_factory=dict)
    down: set[str] = field(default_factory=set)
    refuses: set[str] = field(default_factory=set)  # addresses
    cut: tuple[int, str] | None = None
    got: list[Letter] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    tries: int = 0
    wrong: list[str] = field(default_factory=list)

    def do(self, command: Command) -> Reply:
        if command.do == "who_is":
            self.asked.append(command.args["owner"])
            address = self.addresses.get(command.args["owner"])
            if address is None:
                return Reply(command, None, NotAllowed("OMERO has no such user."), "none", 1)
            return Reply(command, {"email": address}, None, "done", 1)
        self.tries += 1
        letter = from_plain(Letter, command.args["letter"])
        how = self.cut[1] if self.cut is not None and self.cut[0] == self.tries else ""
        if letter.route.to in self.refuses:
            return Reply(command, None, TryLater("the mail server refused the recipient.", code="refused"), "none", 1)
        if {letter.route.channel, ""} & self.down:
            return Reply(command, None, TryLater("the mail server does not answer.", code="not-delivered"), "none", 1)
        if how != "before":
            self._deliver(letter)
        if how:
            return Reply(command, None, OutcomeUnknown("died", code="worker-died"), "unknown", 1, died=True)
        return Reply(command, {}, None, "done", 1)

    def _deliver(self, letter: Letter) -> None:
        earlier = [one for one in self.got if one.id == letter.id]
        if any((one.messages, one.route) != (letter.messages, letter.route) for one in earlier):
            self.wrong.append(f"the letter {letter.id} was told again in other words")
        self.wrong += [f"{message.name} was told before it was so" for message in letter.messages if self._too_early(message)]
        self.got.append(letter)

    def _too_early(self, message: Message) -> bool:
        if message.event not in OUTCOMES or not self.boxes:
            return False
        claims = {
            path.name.removesuffix(".failed") for box in self.boxes for path in (box / "inprogress").glob("*/*") if layout.is_id(path.name)
        }
        return message.drop in claims

    # --- looking ------------------------------------------------------------------------

    def told(self) -> Counter[tuple[str, str]]:
        """How often each message was told to each route; the same letter once more counts once."""
        letters = {one.id: one for one in self.got}
        return Counter((message.name, letter.route.name) for letter in letters.values() for message in letter.messages)

    def again(self) -> int:
        """Letters that came once more."""
        return len(self.got) - len({one.id for one in self.got})

    def names(self) -> list[str]:
        """The messages that anybody was told of, each once for each recipient."""
        return sorted(name for name, _ in self.told().elements())


def facts(letter: Letter) -> dict[str, Any]:
    """What it tells, in short."""
    return {message.name: message.event for message in letter.messages}
