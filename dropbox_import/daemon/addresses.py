"""The mail addresses of users, as OMERO has them. They are asked for when somebody is to be told whose drop never came to OMERO.

Kept in <state>/addresses.json, so that people can be told of an outage of OMERO while it lasts. Losing that file costs nothing.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from dropbox_import.clock import Clock
from dropbox_import.disk import files
from dropbox_import.errors import Rejected
from dropbox_import.workers.protocol import Command, Role
from dropbox_import.workers.replies import Reply

log = logging.getLogger(__name__)

FILE = "addresses.json"
_FRESH = 3600.0  # seconds for which an answer of OMERO is not asked for again
_AGAIN = 60.0  # seconds after a question that nobody could answer


class Asker(Protocol):
    def submit(self, role: Role, command: Command, on_reply: Callable[[Reply], None]) -> object: ...


class Addresses:
    """May be used by several threads. `down` says whether OMERO is known not to answer now."""

    def __init__(self, state_dir: Path, workers: Asker, down: Callable[[], bool], clock: Clock) -> None:
        self._path = state_dir / FILE
        self._workers = workers
        self._down = down
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[str, str] = _read(self._path)
        self._heard = 0
        self._asked: dict[str, float] = {}  # when the answer was heard, or until when not to ask
        self._asking: dict[str, float] = {}

    def edition(self) -> tuple[int, bool]:
        """Differs whenever `known` may."""
        return self._heard, self._down()

    def known(self) -> Mapping[str, str]:
        """Those that OMERO said lately; while it is down, all that it ever said. "" = has none."""
        with self._lock:
            if self._down():
                return dict(self._known)
            now = self._clock.monotonic()
            return {login: address for login, address in self._known.items() if now - self._asked.get(login, float("-inf")) < _FRESH}

    def learn(self, login: str, address: str) -> None:
        """What was heard of it elsewhere, from the drop's own session."""
        with self._lock:
            self._heard += 1
            self._asked[login] = self._clock.monotonic()
            if self._known.get(login) == address:
                return
            self._known[login] = address
            text = json.dumps(self._known, indent=1, sort_keys=True)
            try:
                files.replace(self._path, text.encode() + b"\n", 0o600, durable=False)
            except OSError as error:
                log.debug("the addresses cannot be written: %s", error, extra={"step": "notify"})

    def ask(self, login: str, heard: Callable[[], None]) -> None:
        """Have OMERO asked, unless somebody is at it or it is down; `heard` is called, in another thread, when there is an answer."""
        now = self._clock.monotonic()
        with self._lock:
            if self._down() or now < self._asking.get(login, 0.0):
                return
            self._asking[login] = now + 10 * _AGAIN

        def answered(reply: Reply) -> None:
            if reply.error is None or isinstance(reply.error, Rejected):  # there is no such account: then it has no address
                self.learn(login, str((reply.result or {}).get("email") or ""))
            with self._lock:
                self._asking[login] = self._clock.monotonic() + _AGAIN
            heard()

        self._workers.submit("importer", Command(0, "who_is", {"owner": login}), answered)


def _read(path: Path) -> dict[str, str]:
    try:
        kept: Any = json.loads(path.read_bytes())
        return {str(login): str(address) for login, address in kept.items()}
    except (OSError, ValueError, AttributeError):
        return {}
