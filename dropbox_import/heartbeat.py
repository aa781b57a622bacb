"""Is a daemon looking after this box? Judged on the box's own clock, so that a share on another machine is no trouble.

A running daemon rewrites `<box>/.heartbeat-<instance>` every `interval` seconds. Its age is the
difference between its time of change and that of a file just written beside the user's files:
both are stamped by the same file system.
"""

from __future__ import annotations

import json
import os
import platform
from dataclasses import dataclass
from pathlib import Path

from dropbox_import.clock import Clock
from dropbox_import.disk import files as disk
from dropbox_import.disk.trouble import as_ours
from dropbox_import.disk.volumes import PROBE_PREFIX
from dropbox_import.errors import Paused

# A beat may come late on a busy machine; three missed ones are no accident.
BEATS_MISSED = 3


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The last sign of life of one instance. `age` in seconds of the box's clock.

    `accepting` is False from the moment it was told to stop. `stopped`: when it ended in good order, for who can read its state folder.
    """

    instance: str
    host: str
    pid: int
    age: float
    interval: float
    accepting: bool
    stopped: str = ""

    @property
    def alive(self) -> bool:
        return not self.stopped and self.age <= BEATS_MISSED * self.interval


def box_time(folder: Path, clock: Clock) -> float:
    """What the file system of `folder` takes for now. Proves on the way that one may write there."""
    probe = folder / f"{PROBE_PREFIX}{clock.token_bits(50):013x}"
    try:
        try:
            disk.write_new(probe, b"")
            return probe.stat().st_mtime
        finally:
            disk.remove_file(probe)
    except OSError as error:
        raise as_ours(error, f"writing into {folder}") from error


def sign_of_life(instance: str, interval: float, beat: int, *, accepting: bool) -> dict[str, object]:
    """What a daemon writes of itself every `interval` seconds. `accepting`: it was not told to stop."""
    return {
        "instance": instance,
        "host": platform.node(),
        "pid": os.getpid(),
        "interval": interval,
        "beat": beat,
        "accepting": accepting,
    }


def heartbeats(box: Path, now: float) -> tuple[Heartbeat, ...]:
    """All that lie in the box, the youngest first; one that cannot be read is as good as none."""
    found = []
    for path in box.glob(".heartbeat-*"):
        try:
            facts = json.loads(path.read_bytes())
            found.append(
                Heartbeat(
                    instance=str(facts["instance"]),
                    host=str(facts.get("host", "")),
                    pid=int(facts.get("pid", 0)),
                    age=max(0.0, now - path.stat().st_mtime),
                    interval=float(facts.get("interval", 10)),
                    accepting=bool(facts.get("accepting", True)),
                )
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            continue
    return tuple(sorted(found, key=lambda beat: beat.age))


def require_life(box: Path, folder: Path, clock: Clock) -> None:
    """Raises Paused unless a daemon takes drops from this box now."""
    beats = heartbeats(box, box_time(folder, clock))
    hint = "Nothing was submitted. Start the daemon, or use --even-if-down to leave the files there for when it is back."
    if not beats:
        raise Paused(f"no daemon has ever looked after {box}", hint=hint, code="daemon-down")
    if any(beat.alive and beat.accepting for beat in beats):
        return
    last = beats[0]
    if last.alive:
        raise Paused(f"the daemon {last.instance} on {last.host} was told to stop and takes nothing new", hint=hint, code="daemon-down")
    if not last.accepting:
        raise Paused(f"the daemon {last.instance} on {last.host} was stopped {ago(last.age)} ago", hint=hint, code="daemon-down")
    raise Paused(
        f"the daemon is not running: the last sign of life of {last.instance} on {last.host} is {ago(last.age)} old",
        hint=hint,
        code="daemon-down",
    )


def ago(seconds: float) -> str:
    """`40 seconds`, `12 minutes`, `3 hours`, `2 days`."""
    for unit, length in (("day", 86400), ("hour", 3600), ("minute", 60)):
        if seconds >= length:
            number = int(seconds // length)
            return f"{number} {unit}{'s' if number != 1 else ''}"
    return f"{int(seconds)} second{'s' if int(seconds) != 1 else ''}"
