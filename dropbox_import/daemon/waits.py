"""Users are told once when something of theirs waits for long: a sidecar for its files, or drops for OMERO.

What was told is kept in <state>/told.json. Promises after a crash: a message is written before that is noted, under a name made of
what it is about; so it is told at least once, and hardly ever twice.
"""

from __future__ import annotations

import json
import threading
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from dropbox_import.clock import Clock
from dropbox_import.daemon.alerts import Alert
from dropbox_import.disk import files
from dropbox_import.errors import FileBusy
from dropbox_import.model import Waiting
from dropbox_import.notify.message import Message, Waiter
from dropbox_import.notify.outbox import write_message
from dropbox_import.settings import Box

FILE = "told.json"
LOOK = 15.0  # seconds
_MOST = 20  # sidecars that one message names
_FILES = ("", FileBusy.code)  # kinds of waiting that the user can end; the others are the administrator's


class Owned(Protocol):
    def owners(self) -> Counter[str]: ...


class Runner(Protocol):
    box: Box
    scans: int

    @property
    def claims(self) -> Owned: ...

    def unclaimed(self) -> tuple[Waiting, ...]: ...


class Told:
    """What was told, by keys; one file for all boxes of an installation. May be used by several threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._keys = _read(path)

    def __contains__(self, key: str) -> bool:
        return key in self._keys

    def keep(self, told: Iterable[str], over: Callable[[str], bool]) -> None:
        """Note these, and forget all for which `over` holds. Durable. Raises OSError."""
        with self._lock:
            keys = frozenset(key for key in self._keys | frozenset(told) if not over(key))
            if keys != self._keys:
                files.replace(self._path, json.dumps(sorted(keys)).encode(), 0o600)
                self._keys = keys


class Waits:
    """For one box, used by the thread of its courier. `outage`: the alert that OMERO cannot be used, while it is so."""

    def __init__(self, runner: Runner, outbox: Path, told: Told, outage: Callable[[], Alert | None], after: float, clock: Clock) -> None:
        self._runner = runner
        self._outbox = outbox
        self._told = told
        self._outage = outage
        self._after = after
        self._clock = clock
        self._box = f"files:{runner.box.path}:"
        self._since: dict[str, float] = {}  # whose drops wait, and since when (monotonic seconds), while OMERO is away
        self._next_look = 0.0

    def tend(self) -> None:
        """Write what is to be told now. Raises OSError."""
        now = self._clock.monotonic()
        if now < self._next_look or not self._runner.scans:
            return
        self._next_look = now + LOOK
        lying = {f"{self._box}{one.user}/{one.sidecar}": one for one in self._runner.unclaimed() if one.kind in _FILES}
        after = self._runner.box.wait_for_files.tell_after
        late = {key: one for key, one in lying.items() if now - one.since >= after and key not in self._told}
        by_user: defaultdict[str, list[Waiting]] = defaultdict(list)
        for one in late.values():
            by_user[one.user].append(one)
        for user, found in by_user.items():
            self._tell_of_files(user, found)
        alert = self._outage()
        owners = self._tell_owners(now, alert) if alert is not None else []
        current = f"omero:{alert.id}:" if alert is not None else ""

        def is_over(key: str) -> bool:
            if key.startswith("omero:"):
                return not current or not key.startswith(current)
            return key.startswith(self._box) and key not in lying

        if alert is None:
            self._since.clear()
        self._told.keep((*late, *owners), is_over)

    def _tell_owners(self, now: float, alert: Alert) -> list[str]:
        """Tell those whose drops have waited for so long while OMERO was away; returns their keys."""
        owners = self._runner.claims.owners()
        self._since = {owner: self._since.get(owner, now) for owner in owners}
        told = []
        for owner, since in self._since.items():
            key = f"omero:{alert.id}:{owner}"
            if now - since >= self._after and key not in self._told:
                self._tell_of_omero(owner, owners[owner], alert)
                told.append(key)
        return told

    def _tell_of_files(self, user: str, found: list[Waiting]) -> None:
        named = tuple(Waiter(one.sidecar, one.reason) for one in found[:_MOST])
        which = zlib.crc32("\n".join(sorted(one.sidecar for one in found)).encode("utf-8", "surrogateescape"))
        self._write(
            Message("waits-files", f"waits-{_safe(user)}-{which:08x}.waits-files", waiting=named, waiting_in_all=len(found), user=user)
        )

    def _tell_of_omero(self, owner: str, drops: int, alert: Alert) -> None:
        name = f"{alert.id}-{_safe(owner)}.waits-omero"
        message = Message("waits-omero", name, since=alert.since, text=alert.sentence, waiting_in_all=drops, user=owner)
        self._write(message)

    def _write(self, message: Message) -> None:
        at = self._clock.now().isoformat(timespec="seconds")
        write_message(self._outbox, replace(message, at=at, owner=message.user, box=str(self._runner.box.path)))


def _safe(user: str) -> str:
    """A user's name as a part of a file's name."""
    return f"{zlib.crc32(user.encode('utf-8', 'surrogateescape')):08x}"


def _read(path: Path) -> frozenset[str]:
    try:
        kept: Any = json.loads(path.read_bytes())
        return frozenset(str(one) for one in kept)
    except (OSError, ValueError, TypeError):
        return frozenset()
