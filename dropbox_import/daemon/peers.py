"""The other daemons of a box: which of them live, and what lies there for one that does not.

Life is a heartbeat that was seen to change, measured by our own monotonic clock: the clocks of two machines are never compared.
Silence permits nothing by itself. It is told, and an administrator decides (`dropbox-import adopt`).
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from dropbox_import.clock import Clock
from dropbox_import.disk import files
from dropbox_import.errors import ShareUnavailable
from dropbox_import.spool import layout
from dropbox_import.spool.identity import Instance
from dropbox_import.spool.layout import Layout

log = logging.getLogger(__name__)

_PREFIX = ".heartbeat-"
_INTERVAL = 10.0  # where a heartbeat does not say its own
_MISSED = 3  # beats that did not come: no accident, but a busy box or share may still explain it
_TELL_AFTER = 120.0  # seconds of silence before people hear of it
_OLD = 6  # beats that did not come under our own name: nobody writes that one any more, it came back with the volume
_UNTIL_STOPPED = "Stop one of the two for good, give it an empty state_dir of its own, and start this one again."
_UNTIL_SILENT = "If the box was restored from a backup or a snapshot, its work goes on by itself in a minute or two."


@dataclass(slots=True)
class _Peer:
    """What was observed of one instance. `silent`: seconds for which we looked and saw no change; `since`: when that began, to be shown."""

    seen: bytes | None
    since: datetime
    silent: float = 0.0
    moved: bool = False
    interval: float = _INTERVAL
    host: str = ""
    stopped: bool = False


@dataclass(slots=True)
class _Foreign:
    """A heartbeat under our name that is not ours. `silent`: seconds for which we looked, last at `looked`, and it was not written anew."""

    run: str
    raw: bytes | None
    looked: float
    interval: float
    silent: float = 0.0


class Peers:
    """For one box and its thread; `look` at each scan. `alive` and `silent` may be asked from any thread."""

    def __init__(self, box: Layout, instance: Instance, clock: Clock) -> None:
        self._box = box
        self._instance = instance
        self._clock = clock
        self._peers: dict[str, _Peer] = {}
        self._last: float | None = None
        self._told: frozenset[str] = frozenset()
        self._run = f"{clock.token_bits(40):010x}"
        self._beaten = False
        self._foreign: _Foreign | None = None
        self.doubt: ShareUnavailable | None = None  # a heartbeat lies there that a twin wrote, or that came back with the volume
        self._twin: ShareUnavailable | None = None
        self.silent: dict[str, str] = {}  # what people should know of an instance, by its name

    def beat(self, facts: Mapping[str, object]) -> None:
        """Write our own heartbeat. Raises OSError, and ShareUnavailable, with nothing written, where another process may write it too.

        It is to be called on while there is only the `doubt`: by this it ends, in one way or the other.
        """
        path = self._box.heartbeat(self._instance.name)
        if self._beaten:  # what lies there before our first one is our predecessor's
            with contextlib.suppress(OSError):
                self._compare(_read(path))
        self.alone()
        files.replace(path, json.dumps({**facts, "run": self._run}).encode(), durable=False)
        self._beaten = True

    def alone(self) -> None:
        """Raises ShareUnavailable when another daemon was seen at work under our name: then this one touches nothing until it is restarted.

        It happens where a whole machine was copied. Who sees it first stops; the other one goes on, and somebody must decide.
        One foreign heartbeat may also have come back with a volume that was restored: it raises too, until that one has been silent.
        """
        error = self._twin or self.doubt
        if error is not None:
            raise error.with_traceback(None)

    def _compare(self, raw: bytes | None) -> None:
        """A living twin writes again, since nothing is written over its heartbeat while there is doubt; an old one stays as it is."""
        now, known, (run, who) = self._clock.monotonic(), self._foreign, _writer(raw or b"")
        if run in ("", self._run) or (known is not None and raw == known.raw):
            if known is not None:
                known.silent += min(now - known.looked, known.interval)
                known.looked = now
                if known.silent >= _OLD * known.interval:
                    self._foreign = self.doubt = None
            return
        interval, name, box = _facts(raw or b"")[0], self._instance.name, self._box.box
        # Who has not looked for long cannot tell whether it was written meanwhile, or the volume was restored once more.
        if known is not None and known.run == run and now - known.looked <= _MISSED * interval:
            sentence = f"another daemon with our identity {name} works in {box} ({who}); two would import twice"
            self._twin = ShareUnavailable(sentence, hint=_UNTIL_STOPPED, code="identity-twice")
            return
        self._foreign = _Foreign(run, raw, now, interval)
        sentence = (
            f"another daemon with our identity {name} may work in {box} ({who}), since a heartbeat of it lies there; two would import twice"
        )
        self.doubt = ShareUnavailable(sentence, hint=_UNTIL_SILENT, code="identity-in-doubt")

    def alive(self, instance: str) -> bool | None:
        """Whether that instance gives signs of life in this box; None before it was observed for three of its intervals."""
        peer = self._peers.get(instance)
        if peer is None:
            return None
        if peer.silent >= _MISSED * peer.interval:
            return False
        return True if peer.moved else None

    def judged(self, instance: str) -> bool:
        """Whether we have looked for so long that its silence would be told by now."""
        peer = self._peers.get(instance)
        return self._last is not None and (peer is None or peer.moved or peer.silent >= max(_TELL_AFTER, _MISSED * peer.interval))

    def look(self) -> tuple[str, ...]:
        """Read all heartbeats once; returns what people should know, and logs each of it once. Raises OSError."""
        now = self._clock.monotonic()
        passed = 0.0 if self._last is None else now - self._last
        self._last = now
        names = {path.name.removeprefix(_PREFIX) for path in self._box.box.glob(f"{_PREFIX}*")}
        if self._box.inprogress.is_dir():
            names |= {path.name for path in self._box.inprogress.iterdir()}
        names.discard(self._instance.name)
        self._peers = {name: self._observe(name, passed) for name in sorted(names)}
        told = {name: notice for name, peer in self._peers.items() if (notice := self._notice(name, peer))}
        for name, notice in told.items():
            if name not in self._told:
                log.warning("%s", notice, extra={"step": "peers"})
        for name in self._told - told.keys():
            if self.alive(name):
                log.warning("the instance %s gives signs of life again", name, extra={"step": "peers"})
        self._told = frozenset(told)
        self.silent = told
        return tuple(told.values())

    def _observe(self, name: str, passed: float) -> _Peer:
        peer = self._peers.get(name)
        try:
            raw = _read(self._box.heartbeat(name))
        except OSError:  # a share, and it is just being replaced: that says neither life nor silence
            return peer or _Peer(None, self._clock.now())
        if peer is None:
            peer = _Peer(raw, self._clock.now())
        elif raw != peer.seen:
            peer.seen, peer.since, peer.silent, peer.moved = raw, self._clock.now(), 0.0, raw is not None
        else:
            # Only time in which we could have seen it counts: if we slept, or the share was away, so perhaps did its writer.
            peer.silent += min(passed, peer.interval)
        if raw is not None:
            peer.interval, peer.host, peer.stopped = _facts(raw)
        return peer

    # --- what people are told -----------------------------------------------------------

    def _notice(self, name: str, peer: _Peer) -> str:
        if peer.silent < max(_TELL_AFTER, _MISSED * peer.interval):
            return ""
        folder = self._box.instance(name)
        what = _left_in(folder, self._box.outbox(name))
        if not what:
            return ""
        who = f"the instance {name}" + (f" on {peer.host}" if peer.host else "")
        silent = "was stopped and has not come back" if peer.stopped else f"gives no sign of life{self._since(name, peer)}"
        if self._is_earlier_self(name):
            return (
                f"{what} in {folder} for {who}, which has the same name in its config as this daemon ({self._instance.name}) and {silent};"
                f" if it was this installation, before {self._instance.state_dir} was lost or replaced: dropbox-import adopt {name}"
            )
        return f"{what} in {folder} for {who}, which {silent}; if it is gone for good: dropbox-import adopt {name}"

    def _is_earlier_self(self, name: str) -> bool:
        """The same configured name, another random part, and nobody else who lives."""
        own, theirs = self._instance.name.rpartition("-")[0], name.rpartition("-")[0]
        return own == theirs and all(self.alive(other) is False for other in self._peers)

    def _since(self, name: str, peer: _Peer) -> str:
        """For people alone: the time that the file system gave the last beat, or since when we look."""
        try:
            stamped = datetime.fromtimestamp(self._box.heartbeat(name).stat().st_mtime, UTC)
        except (OSError, ValueError, OverflowError):
            return f" since this daemon looks for it ({peer.since:%Y-%m-%d %H:%M} UTC)"
        return f" since {stamped:%Y-%m-%d %H:%M} UTC"


def _read(path: Path) -> bytes | None:
    """None: there is none. Raises OSError when that cannot be told."""
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _writer(raw: bytes) -> tuple[str, str]:
    """Which run of a daemon wrote it, and who that is, as people are told; "" where it does not say."""
    try:
        facts = json.loads(raw)
        return str(facts.get("run", "")), f"process {facts.get('pid')} on {facts.get('host')}"
    except (ValueError, AttributeError):
        return "", ""


def _facts(raw: bytes) -> tuple[float, str, bool]:
    """Interval, host, and whether it was told to stop; a beat that cannot be read may still be seen to change."""
    try:
        facts = json.loads(raw)
        interval = float(facts.get("interval", _INTERVAL))
        return (interval if 0 < interval < 3600 else _INTERVAL), str(facts.get("host", "")), facts.get("accepting") is False
    except (ValueError, TypeError, AttributeError):
        return _INTERVAL, "", False


def _left_in(folder: Path, outbox: Path) -> str:
    """`3 drops wait`, `1 drop and 2 messages wait`; "" for nothing. A folder that we may not read is no reason to keep silent."""
    try:
        drops = sum(layout.is_id(path.name) for path in folder.iterdir())
        messages = sum(path.suffix == ".json" for path in outbox.iterdir()) if outbox.is_dir() else 0
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError:
        return "drops may wait"
    told = [f"{count} {word}{'' if count == 1 else 's'}" for count, word in ((drops, "drop"), (messages, "message")) if count]
    return f"{' and '.join(told)} wait{'s' if drops + messages == 1 else ''}" if told else ""
