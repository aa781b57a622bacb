"""What is wrong now that no drop is to blame for, read from what the threads know: nothing here touches a box or OMERO."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dropbox_import.clock import Clock
from dropbox_import.daemon.alerts import AFTER, Alerts
from dropbox_import.daemon.channels import ChannelTrouble
from dropbox_import.daemon.outage import EVERYBODY, Outage
from dropbox_import.daemon.turning import Turning
from dropbox_import.disk.volumes import free_bytes
from dropbox_import.errors import AccessDenied, DiskFull, DropboxImportError, FileBusy
from dropbox_import.model import Waiting
from dropbox_import.settings import Box
from dropbox_import.workers.protocol import NO_WORKER

Waits = list[tuple[str, DropboxImportError]]  # drops, each with why it waits

_LOOK = 5.0  # seconds
_MOST_DENIED = 10  # of one box that are told one by one
_STATE_NEEDS = 20_000_000  # bytes
_OMERO_HINT = "Nothing is lost: every drop waits and goes on by itself. `dropbox-import check` says more."
_HUNG_HINT = "Look whether its volume is mounted and answers; the other boxes go on."
_FULL_HINT = "Make room there, or lower `min_free` in the config; the work goes on by itself."
_STATE_HINT = "Make room there: without it the daemon cannot work."
_NOTIFY_HINT = "The messages are kept and tried again; imports go on. `dropbox-import notify list` shows them."
_UNSENT = 600.0  # seconds
_HELD_HINT = "Nothing of it is touched until somebody has looked: `dropbox-import show {drop}` says more."
_PEER_HINT = "`dropbox-import status` says more."
_DENIED_HINT = "Give the service account the right to read, move and change it (`dropbox-import check` says what to type)."
_WAITS_HINT = "Nothing is lost, and it is tried again by itself; `dropbox-import status` and the log of the service say more."
_TOLD_ELSEWHERE = frozenset({DiskFull.code, AccessDenied.code, FileBusy.code})
_BUSY_HINT = "Close the program that has it open, or ask its user; the drop goes on by itself."


@dataclass(frozen=True, slots=True)
class Trouble:
    """`key` names the thing that is wrong; it is told when it has been so for `after` seconds."""

    key: str
    sentence: str
    hint: str
    after: float = AFTER
    drop: str = ""


class Troubled(Protocol):
    def troubles(self) -> Iterable[ChannelTrouble]: ...


class Ways(Protocol):
    """The ways to people."""

    @property
    def channels(self) -> Troubled: ...

    def surely_works(self, channel: str) -> bool: ...


class Observed(Protocol):
    """What is known of other instances."""

    silent: dict[str, str]

    def judged(self, instance: str) -> bool: ...


class Sign(Protocol):
    """Of our own life."""

    trouble: DropboxImportError | None


class Runner(Protocol):
    """What is read of a box, from another thread."""

    box: Box
    low: bool
    scans: int

    @property
    def turning(self) -> Turning: ...

    @property
    def peers(self) -> Observed: ...

    @property
    def heartbeat(self) -> Sign: ...

    @property
    def problem(self) -> DropboxImportError | None: ...

    def unclaimed(self) -> tuple[Waiting, ...]: ...

    def waits(self, *, tried: bool = False) -> list[tuple[str, DropboxImportError]]: ...

    def held(self) -> list[tuple[str, str]] | None: ...


class Watch:
    """Looks every few seconds and lets `alerts` tell. Used by the service's own thread."""

    def __init__(
        self,
        alerts: Alerts,
        outage: Outage,
        runners: Sequence[Runner],
        state_dir: Path,
        clock: Clock,
        ways: Ways | None = None,
    ) -> None:
        self._alerts = alerts
        self._outage = outage
        self._runners = runners
        self._state_dir = state_dir
        self._clock = clock
        self._ways = ways
        self._next_look = 0.0

    def tend(self) -> None:
        now = self._clock.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + _LOOK
        found = {trouble.key: trouble for trouble in self._troubles()}
        for one in found.values():
            self._alerts.begins(one.key, one.sentence, one.hint, after=one.after, drop=one.drop)
        left = self._alerts.known() - found.keys()
        answering = [runner for runner in self._runners if left and not hangs(runner)]
        tried = {one.key for runner in answering for one in of_box(runner, tried=True)}
        for key in left:
            if key in tried:  # a try may take minutes to fail like the one before it
                self._alerts.doubts(key)
            elif self._is_over(key):
                self._alerts.ends(key)
        self._alerts.tend()

    def _troubles(self) -> Iterator[Trouble]:
        if self._outage.down:
            yield Trouble("omero", f"OMERO cannot be used: {self._outage.reason}", _OMERO_HINT)
        if (free := _free(self._state_dir)) is not None and free < _STATE_NEEDS:
            yield Trouble("state", f"only {free / 1e6:.0f} MB are free on the volume of the state folder {self._state_dir}", _STATE_HINT)
        for channel in self._ways.channels.troubles() if self._ways is not None else ():
            yield Trouble(f"notify:{channel.channel}", f"no message can be sent by {channel.channel}: {channel.why}", _NOTIFY_HINT, _UNSENT)
        for runner in self._runners:
            if hangs(runner):
                yield Trouble(f"hung:{runner.box.path}", f"the box {runner.box.path} has not answered for two minutes", _HUNG_HINT, 0.0)
            else:
                yield from of_box(runner)

    def _is_over(self, key: str) -> bool:
        """Whether it is known to be, and not only not seen: after a start nothing is known yet."""
        if key == "omero":
            return self._outage.answered
        if key.startswith("notify:"):
            return self._ways is None or self._ways.surely_works(key.removeprefix("notify:"))
        for runner in self._runners:
            kind, _, rest = key.partition(":")
            path = str(runner.box.path)
            if rest == path or rest.startswith(f"{path}:"):
                seen = runner.scans > 0 and not hangs(runner)
                if kind == "peer":
                    return seen and runner.peers.judged(rest.removeprefix(f"{path}:"))
                if kind == "held":
                    return seen and runner.held() is not None
                return seen and (kind in ("box", "hung") or runner.problem is None)
        return True


def hangs(runner: Runner) -> bool:
    """Whether the box's thread has been at one thing for so long that its volume must hang."""
    return runner.turning.lasts() >= AFTER


def of_box(runner: Runner, *, tried: bool = False) -> Iterator[Trouble]:
    """What is wrong with a box that answers, and with single drops of it. `tried`: also with those of which it is being tried once more."""
    path, waits = runner.box.path, runner.waits(tried=tried)
    trouble = runner.problem
    if trouble is not None:
        yield Trouble(f"box:{path}", trouble.sentence, trouble.hint)
        return
    if (lifeless := runner.heartbeat.trouble) is not None:
        sentence = f"{lifeless.sentence}; so `submit` and other instances take this daemon for dead, although it works"
        yield Trouble(f"beat:{path}", sentence, lifeless.hint)
    for drop, why in runner.held() or ():
        yield Trouble(f"held:{path}:{drop}", f"the drop {drop} is held: {why}", _HELD_HINT.format(drop=drop), 0.0, drop)
    for name, notice in list(runner.peers.silent.items()):
        yield Trouble(f"peer:{path}:{name}", notice, _PEER_HINT, 0.0)
    full = [why for _, why in waits if why.kind == DiskFull.code]
    if runner.low:
        least = f"{runner.box.min_free / 1e9:.1f} GB"
        yield Trouble(f"full:{path}", f"less than {least} (min_free) is free on the volume of {path}, so nothing new is taken", _FULL_HINT)
    elif full:
        yield Trouble(f"full:{path}", full[0].sentence, _FULL_HINT)
    denied = [*_claims(waits, AccessDenied), *_drops(runner, AccessDenied)]
    if len(denied) > _MOST_DENIED:
        sentence = f"{len(denied)} drops in {path} wait because access to them is denied, among them {denied[0][0]}: {denied[0][1]}"
        yield Trouble(f"denied:{path}", sentence, _DENIED_HINT)
    else:
        for name, why, drop in denied:
            yield Trouble(f"denied:{path}:{name}", f"{name} waits: {why}", _DENIED_HINT, drop=drop)
    long = runner.box.wait_for_files.tell_after
    for name, why, drop in (*_claims(waits, FileBusy), *_drops(runner, FileBusy)):
        yield Trouble(f"busy:{path}:{name}", f"{name} waits for long: {why}", _BUSY_HINT, after=long, drop=drop)
    yield from _other_waits(runner, waits, path, long)


def _other_waits(runner: Runner, waits: Waits, path: Path, long: float) -> Iterator[Trouble]:
    """One for each kind of reason that nothing else tells of: whatever a drop waits for, somebody hears of it in the end."""
    by_kind: dict[str, list[tuple[str, str, str, str]]] = {}
    for drop, error in waits:
        if error.kind not in _TOLD_ELSEWHERE | EVERYBODY:
            by_kind.setdefault(error.kind, []).append((drop, error.sentence, error.hint, drop))
    for one in runner.unclaimed():
        if one.kind and one.kind not in _TOLD_ELSEWHERE:
            by_kind.setdefault(one.kind, []).append((f"{one.user}/{one.sidecar}", one.reason, "", ""))
    for kind, waiting in by_kind.items():
        name, why, hint, drop = waiting[0]
        after = AFTER if kind == NO_WORKER else long
        many = f"{len(waiting)} drops in {path} wait for long, among them {name}: {why}"
        told = f"{name} waits for long: {why}" if len(waiting) == 1 else many
        yield Trouble(f"waits:{path}:{kind}", told, hint or _WAITS_HINT, after, drop if len(waiting) == 1 else "")


def _claims(waits: Waits, kind: type[DropboxImportError]) -> Iterable[tuple[str, str, str]]:
    return [(drop, why.sentence, drop) for drop, why in waits if isinstance(why, kind) and why.kind == kind.code]


def _drops(runner: Runner, kind: type[DropboxImportError]) -> Iterable[tuple[str, str, str]]:
    return [(f"{one.user}/{one.sidecar}", one.reason, "") for one in runner.unclaimed() if one.kind == kind.code]


def _free(folder: Path) -> int | None:
    try:
        return free_bytes(folder)
    except OSError:
        return None
