"""Sidecars that lie in the drop folders and are not taken yet: what `status` shows beside the claims.

A running daemon writes why it does not take one; without a daemon they wait for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dropbox_import.model import DropState, DropSummary
from dropbox_import.sidecar import HEAD, SUFFIXES, is_sidecar
from dropbox_import.spool.layout import Layout

if TYPE_CHECKING:
    from dropbox_import.settings import Settings

STATUS_FILE = "status.json"


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


def reasons(status: Path) -> dict[tuple[str, str, str], str]:
    """(box, user, sidecar) -> why it waits, as the daemon last wrote it; empty when there is nothing to read."""
    try:
        facts: Any = json.loads(status.read_bytes())
        return {
            (str(box["path"]), str(one["user"]), str(one["sidecar"])): str(one["reason"])
            for box in facts.get("boxes", [])
            for one in box.get("waiting", [])
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def sidecars(drop: Path) -> Iterator[tuple[str, str, str]]:
    """User, path below the user's folder, time of the last change, of each sidecar."""
    try:
        users = sorted(entry for entry in drop.iterdir() if entry.is_dir() and not entry.is_symlink())
    except OSError:
        return
    for folder in users:
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() not in SUFFIXES or path.is_symlink() or not path.is_file():
                continue
            try:
                with path.open("rb") as stream:
                    verdict = is_sidecar(path.name, stream.read(HEAD))
                changed = datetime.fromtimestamp(path.stat().st_mtime, UTC)
            except OSError:
                continue
            if verdict.is_sidecar:
                yield folder.name, path.relative_to(folder).as_posix(), f"{changed:%Y-%m-%dT%H:%M:%SZ}"
