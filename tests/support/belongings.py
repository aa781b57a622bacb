"""Whose the files of a lab are: users give theirs modes that no umask makes (and, for root, an owner), and get them back at the end."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from dropbox_import.spool import layout
from tests.support.lab import Lab
from tests.support.promises import OURS
from tests.support.trees import Mode, give, mode_of

_ROOT = os.geteuid() == 0
_USER, _GROUP = (4321, 4322) if _ROOT else (os.geteuid(), os.getegid())
FILE = Mode(0o604, _USER, _GROUP)
FOLDER = Mode(0o705, _USER, _GROUP)
_COPIED = ("outbox", layout.REFERENCES, layout.EARLIER)


def give_away(lab: Lab) -> None:
    """All that users have in drop/ is theirs."""
    for box in lab.boxes:
        for path in [path for home in (box / "drop").iterdir() for path in (home, *home.rglob("*"))]:
            give(path, FOLDER if path.is_dir() else FILE)


def not_given_back(lab: Lab, theirs: Collection[bytes]) -> list[str]:
    """What of users' files and of the folders around them is not as they gave it, wherever they can look for it. `theirs`: contents."""
    told = [f"lost: its user cannot read {path.name} in {path.parent.name}" for path in _of_ours(lab) if not path.stat().st_mode & 0o004]
    for box in lab.boxes:
        for path in [path for state in ("done", "failed", "drop") for path in (box / state).rglob("*")]:
            name = path.relative_to(box)
            wanted = _wanted(path, name, theirs)
            if wanted is not None and (now := mode_of(path.lstat())) != wanted:
                told.append(f"lost: {name} is {now}, its user had given it {wanted}")
    return told


def _of_ours(lab: Lab) -> list[Path]:
    """What we put into a filed folder for its user."""
    filed = [*lab.filed("done"), *lab.filed("failed")]
    found = [path for folder in filed for path in (*folder.iterdir(), *(folder / layout.REFERENCES).rglob("*"))]
    return [path for path in found if path.name in OURS - {layout.JOURNAL} or layout.REFERENCES in path.parts]


def _wanted(path: Path, name: Path, theirs: Collection[bytes]) -> Mode | None:
    """`name`: the path in its box."""
    if any(part in _COPIED for part in name.parts):
        return None
    if path.is_dir():
        return FOLDER if "__" in str(name) else None  # of those above a filed folder not all are the user's
    return FILE if path.read_bytes() in theirs else None


def still_open(claim: Path, *, inside: bool) -> list[str]:
    """What of a claim at work users can come at. `inside`: also for one whose hand was in there before, on another machine of a share."""
    found = [claim.parent, claim, *((claim / layout.MEMBERS).rglob("*") if inside else ())]
    seen = [(path, path.lstat()) for path in found]
    return [f"a user may change {path.name} of a claim at work" for path, one in seen if one.st_mode & 0o077 or one.st_uid != os.geteuid()]
