"""What the couriers of all boxes share: the rules, the ways to people, who had how many letters lately. May be used by several threads."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from dropbox_import.clock import Clock
from dropbox_import.daemon.addresses import Addresses
from dropbox_import.daemon.channels import Channels
from dropbox_import.daemon.outage import Backoff
from dropbox_import.notify import plan
from dropbox_import.notify.message import MAIL
from dropbox_import.settings.model import Notify, Quiet
from dropbox_import.workers.protocol import Command, Role
from dropbox_import.workers.replies import Reply

DELAYS = (900.0, 1800.0, 3600.0)  # seconds before a letter that was refused is tried again, after the first quick looks
JITTER = 0.1


class Sender(Protocol):
    def submit(self, role: Role, command: Command, on_reply: Callable[[Reply], None]) -> Any: ...


class Omero(Protocol):
    """What is known of OMERO. `answered`: the last that was heard of it, if anything, was an answer."""

    @property
    def down(self) -> bool: ...

    @property
    def answered(self) -> bool: ...


class Post:
    """`draining`: nothing new is begun. `hurry`: the run is to end, so nothing waits for more of the same."""

    def __init__(self, rules: Notify, state_dir: Path, workers: Sender, omero: Omero, clock: Clock) -> None:
        self.rules = rules
        self.workers = workers
        self.clock = clock
        self.channels = Channels(clock, JITTER)
        self.backoff = Backoff(DELAYS, JITTER, clock)
        self.addresses = Addresses(state_dir, workers, lambda: omero.down, clock)
        self.omero = omero
        self.draining = False
        self.hurry = False
        self._zone = ZoneInfo(rules.time_zone) if rules.time_zone else None
        self._lock = threading.Lock()
        self._sent: defaultdict[str, list[float]] = defaultdict(list)

    @property
    def rules_say_how(self) -> bool:
        """Whether there is any way to tell somebody something."""
        return self.rules.mail is not None or bool(self.rules.channels)

    def quiet(self, channel: str) -> Quiet | None:
        known = self.rules.channels.get(channel)
        return known.quiet if known is not None else None

    def local_time(self) -> datetime:
        return self.clock.now().astimezone(self._zone)

    def reserve(self, route: str, oldest: float) -> bool:
        """Whether a letter to that recipient, about messages of which the oldest was seen then, is due; if so it is counted as written."""
        now = self.clock.monotonic()
        with self._lock:
            sent = self._sent[route]
            if not self.hurry and now < plan.due(oldest, sent, self.rules):
                return False
            kept = max(self.rules.per, self.rules.digest)
            self._sent[route] = [*(moment for moment in sent if now - moment < kept), now]
            return True

    def surely_works(self, channel: str) -> bool:
        """Whether it has taken a letter in this life of the daemon, or is not configured any more."""
        known = self.rules.mail is not None if channel == MAIL else channel in self.rules.channels
        return not known or self.channels.proven(channel)
