"""What an administrator is to be told of trouble that is nobody's drop's fault: once when it has lasted, once when it is over.

An open alert outlives the daemon in <state>/alerts.json, its messages lie in <state>/outbox/ until they
are sent. Promises after a crash: a message is written again under the same name, never a second one.
"""

from __future__ import annotations

import json
import logging
import re
import threading
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from dropbox_import.clock import Clock
from dropbox_import.disk import files
from dropbox_import.notify.message import Message
from dropbox_import.notify.outbox import write_message

log = logging.getLogger(__name__)

AFTER = 120.0  # seconds; what is over sooner was a blip
CALM = 30.0  # seconds without it before its end is told, so that trouble that comes and goes is one alert
FILE = "alerts.json"
OUTBOX = "outbox"
_TELLING, _TOLD, _ENDING = "telling", "told", "ending"


@dataclass(frozen=True, slots=True)
class Alert:
    """One trouble that people were told of, or are to be. `drop` is its id where it concerns one; times are UTC."""

    key: str
    id: str
    sentence: str
    hint: str
    since: str
    drop: str = ""
    state: str = _TELLING
    until: str = ""


@dataclass(slots=True)
class _Seen:
    """Trouble that is so now: since when (monotonic seconds and UTC), how long before it is told, since when it is over."""

    sentence: str
    hint: str
    drop: str
    since: float
    at: str
    after: float
    calm: float | None = None


class Alerts:
    """May be used by several threads. Only `tend` writes; it is called now and then by one of them."""

    def __init__(self, state_dir: Path, clock: Clock) -> None:
        self._path = state_dir / FILE
        self._outbox = state_dir / OUTBOX
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: dict[str, _Seen] = {}
        self._over: set[str] = set()
        self._alerts: dict[str, Alert] = {one.key: one for one in read_alerts(state_dir, all_states=True)}
        self._unwritable = False

    def begins(self, key: str, sentence: str, hint: str = "", *, after: float = AFTER, drop: str = "") -> None:
        """It is so now; to be called again and again while it is. Told when it has lasted `after` seconds."""
        now = self._clock.monotonic()
        with self._lock:
            self._over.discard(key)
            seen = self._seen.get(key)
            if seen is None:
                self._seen[key] = _Seen(sentence, hint, drop, now, self._now(), after)
            else:
                seen.sentence, seen.hint, seen.calm = sentence, hint, None

    def ends(self, key: str) -> None:
        """It is known not to be so any more; also for what an earlier daemon has told of."""
        now = self._clock.monotonic()
        with self._lock:
            seen = self._seen.get(key)
            if seen is not None and seen.calm is None:
                seen.calm = now
            elif seen is None and key in self._alerts:
                self._over.add(key)

    def doubts(self, key: str) -> None:
        """It is not known now whether it is still so: neither its start nor its end is told, and it began when it began."""
        with self._lock:
            if (seen := self._seen.get(key)) is not None:
                seen.calm = self._clock.monotonic()

    def told(self, key: str) -> Alert | None:
        """The open alert of that key, once people were told of it."""
        with self._lock:
            alert = self._alerts.get(key)
            return alert if alert is not None and alert.state == _TOLD else None

    def known(self) -> frozenset[str]:
        """The keys of all that is so, or was told and not ended."""
        with self._lock:
            return frozenset(self._seen) | frozenset(self._alerts)

    def tend(self) -> None:
        """Tell what is due. Never raises: where nothing can be written it is tried again."""
        try:
            for key in self.known():
                self._tend(key)
            self._unwritable = False
        except OSError as error:
            if not self._unwritable:
                log.warning("no alert can be written: %s", error, extra={"step": "alerts"})
            self._unwritable = True

    def _tend(self, key: str) -> None:
        now = self._clock.monotonic()
        with self._lock:
            seen, alert, over = self._seen.get(key), self._alerts.get(key), key in self._over
        if alert is None:
            if seen is not None and seen.calm is not None and now - seen.calm >= CALM:
                with self._lock:
                    self._seen.pop(key, None)
            if seen is None or seen.calm is not None or now - seen.since < seen.after:
                return
            alert = Alert(key, _alert_id(key, seen.at), seen.sentence, seen.hint, seen.at, seen.drop)
            self._keep(alert)
        if alert.state == _TELLING:
            self._message(alert, "alert-begins")
            alert = replace(alert, state=_TOLD)
            self._keep(alert)
        if alert.state == _TOLD and (over or (seen is not None and seen.calm is not None and now - seen.calm >= CALM)):
            alert = replace(alert, state=_ENDING, until=self._now())
            self._keep(alert)
        if alert.state == _ENDING:
            self._message(alert, "alert-ends")
            self._forget(key)

    def _message(self, alert: Alert, event: Literal["alert-begins", "alert-ends"]) -> None:
        message = Message(
            event=event,
            name=f"{alert.id}.{event}",
            at=alert.until or alert.since,
            drop=alert.drop,
            alert=alert.key,
            text=alert.sentence,
            hint=alert.hint,
            since=alert.since,
            until=alert.until,
        )
        write_message(self._outbox, message)

    def _keep(self, alert: Alert) -> None:
        with self._lock:
            self._alerts[alert.key] = alert
        self._write()

    def _forget(self, key: str) -> None:
        with self._lock:
            self._alerts.pop(key, None)
            self._over.discard(key)
            seen = self._seen.get(key)
            if seen is not None and seen.calm is not None:
                del self._seen[key]
        self._write()

    def _write(self) -> None:
        with self._lock:
            text = json.dumps({"alerts": [asdict(one) for one in self._alerts.values()]}, indent=1)
        files.replace(self._path, text.encode() + b"\n", 0o600)

    def _now(self) -> str:
        return self._clock.now().isoformat(timespec="seconds")


def read_alerts(state_dir: Path, *, all_states: bool = False) -> tuple[Alert, ...]:
    """The open alerts as a daemon last wrote them; () where there is nothing to read. `all_states`: also those whose end is being told."""
    try:
        kept: Any = json.loads((state_dir / FILE).read_bytes())
        return tuple(_readable(kept["alerts"], all_states))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ()


def _readable(kept: Any, all_states: bool) -> Iterator[Alert]:
    for one in kept:
        alert = Alert(**{str(name): str(value) for name, value in one.items()})
        if all_states or alert.state != _ENDING:
            yield alert


def _alert_id(key: str, at: str) -> str:
    """What its messages are called: when it began, and its key as a file name."""
    when = re.sub(r"[^0-9]", "", at[:19])
    word = re.sub(r"[^a-z0-9]+", "-", key.lower()).strip("-")[:40].strip("-")
    return f"{when[:8]}-{when[8:14]}-{word}-{zlib.crc32(key.encode('utf-8', 'surrogateescape')):08x}"
