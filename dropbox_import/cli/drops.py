"""All drops of a config, for `status` and `show`: claims, what is filed, and sidecars that are not taken yet.

Read from the folders and journals; a running daemon's status file adds why something does not move.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dropbox_import.clock import SystemClock
from dropbox_import.heartbeat import Heartbeat, heartbeats
from dropbox_import.intake.filed import RECORDS, records_among
from dropbox_import.intake.tree import MAX_DEPTH
from dropbox_import.model import DropState, DropSummary
from dropbox_import.sidecar import HEAD, SUFFIXES, is_sidecar
from dropbox_import.spool.layout import Layout
from dropbox_import.spool.survey import survey

if TYPE_CHECKING:
    from dropbox_import.settings import Settings

_ANSWERS_WITHIN = 5.0  # seconds
STATUS_FILE = "status.json"
SHOWN = 200
EVERY = 1_000_000_000


def reachable(settings: Settings) -> tuple[Settings, tuple[str, ...]]:
    """The settings without the boxes whose volume hangs, and which those are: a command must not hang with them.

    A thread that hangs in such a box ends with the process.
    """
    answered: set[Path] = set()

    def look(box: Path) -> None:
        for folder in (box, box / "inprogress", box / "drop"):
            try:
                _list(folder)
            except OSError:
                continue
        answered.add(box)

    threads = [threading.Thread(target=look, args=(box.path,), daemon=True) for box in settings.boxes]
    for thread in threads:
        thread.start()
    until = SystemClock().monotonic() + _ANSWERS_WITHIN
    for thread in threads:
        thread.join(max(0.0, until - SystemClock().monotonic()))
    there = frozenset(answered)
    hung = tuple(str(box.path) for box in settings.boxes if box.path not in there)
    return replace(settings, boxes=tuple(box for box in settings.boxes if box.path in there)), hung


def _list(folder: Path) -> list[str]:
    return os.listdir(folder)


def life(settings: Settings) -> dict[str, tuple[Heartbeat, ...]]:
    """The heartbeats in each box, judged by our clock, since reading must not write.

    The clock of a file server may be another one, so of our own daemon its own word counts, which it writes on this machine.
    """
    now = SystemClock().now().timestamp()
    ended = last_end(settings.state_dir / STATUS_FILE)
    seen = last_seen(settings.state_dir / STATUS_FILE, now)

    def judged(beat: Heartbeat) -> Heartbeat:
        # Not the number of the process alone: in a container it is always the same.
        if ended is not None and (beat.instance, beat.pid) == ended[:2] and not beat.accepting:
            return replace(beat, stopped=ended[2])
        if seen is None or (beat.instance, beat.pid) != seen[:2]:
            return beat
        ahead = beat.age == 0.0  # the clock of the file server: so its file looks young long after the daemon has died
        return replace(beat, age=seen[2] if ahead else min(beat.age, seen[2]))

    return {str(box.path): tuple(judged(beat) for beat in heartbeats(box.path, now)) for box in settings.boxes}


def last_end(status: Path) -> tuple[str, int, str] | None:
    """Instance, process and time of a daemon that ended in good order, as it wrote itself; None while it runs or when it was killed."""
    try:
        facts: Any = json.loads(status.read_bytes())
        return None if facts["running"] else (str(facts["instance"]), int(facts["pid"]), str(facts["at"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def last_seen(status: Path, now: float) -> tuple[str, int, float] | None:
    """Instance and process of a daemon that did not say that it ended, and how many seconds ago it wrote; None for anything else."""
    try:
        facts: Any = json.loads(status.read_bytes())
        age = abs(now - datetime.fromisoformat(facts["at"]).timestamp())
        return (str(facts["instance"]), int(facts["pid"]), age) if facts["running"] else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def all_drops(settings: Settings, beats: Mapping[str, tuple[Heartbeat, ...]], *, newest: int = SHOWN) -> list[DropSummary]:
    """Every claim and waiting sidecar, and the `newest` filed ones of each box and state."""
    alive = {box: frozenset(beat.instance for beat in found if beat.alive) for box, found in beats.items()}
    filed_and_claimed = survey([box.path for box in settings.boxes], newest=newest)
    return [*claimed(filed_and_claimed, settings, alive), *waiting(settings)]


def recent(drops: Iterable[DropSummary], hours: float) -> list[DropSummary]:
    """Without what was filed longer ago than that. What waits, runs or is held needs somebody now, however old it is."""
    oldest = f"{SystemClock().now() - timedelta(hours=hours):%Y-%m-%dT%H:%M:%S}"
    filed = (DropState.DONE, DropState.FAILED)
    return [drop for drop in drops if drop.state not in filed or not drop.since or drop.since >= oldest]


def omero_trouble(settings: Settings) -> str:
    """Why OMERO cannot be used, as the daemon last wrote it; "" when it can."""
    try:
        facts: Any = json.loads((settings.state_dir / STATUS_FILE).read_bytes())["omero"]
        return f"OMERO is down since {facts['since']}: {facts['why']}" if facts["down"] else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def notices(settings: Settings) -> tuple[str, ...]:
    """What a running daemon has noticed in the boxes and told in its log, as it last wrote it."""
    try:
        facts: Any = json.loads((settings.state_dir / STATUS_FILE).read_bytes())
        return tuple(str(one) for box in facts["boxes"] for one in box.get("notices", [])) if facts["running"] else ()
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ()


def waiting(settings: Settings) -> list[DropSummary]:
    """One for each sidecar in a drop folder, with the daemon's reason where it told one."""
    told = reasons(settings.state_dir / STATUS_FILE)
    found = []
    for box in settings.boxes:
        for user, relative, changed in sidecars(Layout(box.path).drop):
            found.append(
                DropSummary(
                    id="",
                    state=DropState.WAITING,
                    box=str(box.path),
                    user=user,
                    sidecar=relative,
                    step="in the drop folder",
                    why=told.get((str(box.path), user, relative), "not taken yet"),
                    since=changed,
                    path=str(Layout(box.path).drop / user / relative),
                )
            )
    return found


def claimed(drops: Iterable[DropSummary], settings: Settings, alive: Mapping[str, frozenset[str]]) -> Iterator[DropSummary]:
    """The claims as the daemon sees them: one that it cannot go on with waits, and so do all of a daemon that does not run."""
    stuck = reasons_of_claims(settings.state_dir / STATUS_FILE)
    mine = own_instance(settings.state_dir)
    for drop in drops:
        if drop.state is not DropState.RUNNING:
            yield drop
        elif instance_of(drop) not in alive.get(drop.box, frozenset()):
            whose = "the daemon" if instance_of(drop) == mine else f"the daemon {instance_of(drop)}"
            yield replace(drop, state=DropState.WAITING, why=drop.why or f"goes on when {whose} runs again")
        elif stuck.get(drop.id):
            yield replace(drop, state=DropState.WAITING, why=stuck[drop.id])
        else:
            yield drop


def instance_of(drop: DropSummary) -> str:
    """Whose claim it is; for one that is not in inprogress/ it means nothing."""
    return Path(drop.path).parent.name


def own_instance(state_dir: Path) -> str:
    """What the installation with this state folder is called; "" where that cannot be read."""
    try:
        kept: Any = json.loads((state_dir / "instance.json").read_bytes())
        return f"{kept['name']}-{str(kept['bits'])[:8]}"
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def reasons_of_claims(status: Path) -> dict[str, str]:
    """Drop id -> why nothing moves, as the daemon last wrote it."""
    try:
        facts: Any = json.loads(status.read_bytes())
        return {str(one["id"]): str(one["why"]) for box in facts.get("boxes", []) for one in box.get("active", [])}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def reasons(status: Path) -> dict[tuple[str, str, str], str]:
    """(box, user, sidecar) -> why it waits, as the daemon last wrote it; empty when there is nothing to read."""
    try:
        facts: Any = json.loads(status.read_bytes())
        return {
            (str(box["box"]), str(one["user"]), str(one["sidecar"])): str(one["reason"])
            for box in facts.get("boxes", [])
            for one in box.get("waiting", [])
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _files(folder: Path) -> Iterator[Path]:
    """Those that can be seen, as deep as a scan looks: what one user's folders are like must not keep anybody from seeing the others'."""
    for top, folders, names in os.walk(folder):
        folders.sort()
        if len(Path(top).relative_to(folder).parts) >= MAX_DEPTH:
            folders.clear()
        yield from (Path(top, name) for name in sorted(names))


def sidecars(drop: Path) -> Iterator[tuple[str, str, str]]:
    """User, path below the user's folder, time of the last change, of each sidecar."""
    try:
        users = sorted(entry for entry in drop.iterdir() if entry.is_dir() and not entry.is_symlink())
    except OSError:
        return
    for folder in users:
        for path in _files(folder):
            if path.suffix.lower() not in SUFFIXES:
                continue
            try:
                if path.is_symlink() or not path.is_file():
                    continue
                if path.name in RECORDS and path.name in records_among(os.listdir(path.parent)):
                    continue
                with path.open("rb") as stream:
                    verdict = is_sidecar(path.name, stream.read(HEAD))
                changed = datetime.fromtimestamp(path.stat().st_mtime, UTC)
            except OSError:
                continue
            if verdict.is_sidecar:
                yield folder.name, path.relative_to(folder).as_posix(), f"{changed:%Y-%m-%dT%H:%M:%SZ}"
