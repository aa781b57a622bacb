"""Users are told once when something of theirs waits for long: a sidecar for its files, or drops for OMERO.

What was told is kept in <state>/told-<box>.json. Promises after a crash: a message is written before that is noted, under a name made of
what it is about; so it is told at least once, and hardly ever twice.
"""

from __future__ import annotations

import json
import logging
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
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

log = logging.getLogger(__name__)

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


class Waits:
    """For one box, used by the thread of its courier. `outage`: the alert that OMERO cannot be used, while it is so."""

    def __init__(
        self, runner: Runner, outbox: Path, state_dir: Path, outage: Callable[[], Alert | None], after: float, clock: Clock
    ) -> None:
        self._runner = runner
        self._outbox = outbox
        self._path = state_dir / f"told-{zlib.crc32(str(runner.box.path).encode('utf-8', 'surrogateescape')):08x}.json"
        self._outage = outage
        self._after = after
        self._clock = clock
        self._told = _read(self._path)
        self._next_look = 0.0

    def tend(self) -> None:
        """Write what is to be told now. Raises OSError."""
        now = self._clock.monotonic()
        if now < self._next_look or not self._runner.scans:
            return
        self._next_look = now + LOOK
        keys = [*self._for_files(now), *self._for_omero()]
        still = {key for key in self._told if key in keys}
        fresh = [key for key in keys if key not in self._told]
        if fresh or still != self._told:
            self._tell(fresh)
            self._told = still | set(fresh)
            files.replace(self._path, json.dumps(sorted(self._told)).encode(), 0o600)

    def _for_files(self, now: float) -> Iterable[str]:
        self._waiting = {
            f"files:{one.user}/{one.sidecar}": one
            for one in self._runner.unclaimed()
            if one.kind in _FILES and now - one.since >= self._runner.box.wait_for_files.tell_after
        }
        return self._waiting

    def _for_omero(self) -> Iterable[str]:
        alert = self._outage()
        self._alert = alert if alert is not None and self._lasts(alert) else None
        self._owners = self._runner.claims.owners() if self._alert is not None else Counter()
        told = {key for key in self._told if self._alert is not None and key.startswith(f"omero:{self._alert.id}:")}
        return told | {f"omero:{self._alert.id}:{owner}" for owner in self._owners if self._alert is not None}

    def _lasts(self, alert: Alert) -> bool:
        return (self._clock.now() - datetime.fromisoformat(alert.since)).total_seconds() >= self._after

    def _tell(self, keys: Iterable[str]) -> None:
        by_user: defaultdict[str, list[Waiting]] = defaultdict(list)
        for key in keys:
            if key in self._waiting:
                by_user[self._waiting[key].user].append(self._waiting[key])
            elif self._alert is not None:
                self._tell_of_omero(key.rpartition(":")[2], self._alert)
        for user, found in by_user.items():
            self._tell_of_files(user, found)

    def _tell_of_files(self, user: str, found: list[Waiting]) -> None:
        named = tuple(Waiter(one.sidecar, one.reason) for one in found[:_MOST])
        which = zlib.crc32("\n".join(sorted(one.sidecar for one in found)).encode("utf-8", "surrogateescape"))
        self._write(
            Message("waits-files", f"waits-{_safe(user)}-{which:08x}.waits-files", waiting=named, waiting_in_all=len(found), user=user)
        )

    def _tell_of_omero(self, owner: str, alert: Alert) -> None:
        name = f"{alert.id}-{_safe(owner)}.waits-omero"
        message = Message("waits-omero", name, since=alert.since, text=alert.sentence, waiting_in_all=self._owners[owner], user=owner)
        self._write(message)

    def _write(self, message: Message) -> None:
        at = self._clock.now().isoformat(timespec="seconds")
        write_message(self._outbox, replace(message, at=at, owner=message.user, box=str(self._runner.box.path)))


def _safe(user: str) -> str:
    """A user's name as a part of a file's name."""
    return f"{zlib.crc32(user.encode('utf-8', 'surrogateescape')):08x}"


def _read(path: Path) -> set[str]:
    try:
        kept: Any = json.loads(path.read_bytes())
        return {str(one) for one in kept}
    except (OSError, ValueError, TypeError):
        return set()
