"""What must be true of a lab whatever has happened: after every step, and when all is at rest. Each function tells what is not so."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Any

import yaml

from dropbox_import.spool import layout
from tests.support.lab import OURS, Lab
from tests.support.scripted_server import Stored


def always(lab: Lab, places: list[Path]) -> list[str]:
    """`places`: where the boxes are now (a share that is gone lies elsewhere)."""
    told = list(lab.server.broken)
    found = Counter(path.read_bytes() for place in places for path in lab.files_below(place) if _of_a_user(path.relative_to(place)))
    for data, count in lab.user_bytes.items():
        if not count <= found[data] or (found[data] > count and not data.startswith(b"target:")):
            told.append(f"{data!r} is there {found[data]} times")
    complete = Counter((one.owner, one.token) for one in lab.server.complete())
    told += [f"{token} of {owner} was imported {count} times" for (owner, token), count in complete.items() if count > 1]
    stored = Counter(data for one in lab.server.complete() for data in one.contents)
    told += [f"{digest} was imported {count} times" for digest, count in stored.items() if count > 1]
    return told


def _of_a_user(path: Path) -> bool:
    """Not the sidecars that lie in both parts of a drop of two outcomes, nor copies of references: these may be there more often."""
    return path.name not in OURS and not path.name.startswith(("journal", ".")) and not {"outbox", layout.REFERENCES} & set(path.parts)


def at_rest(lab: Lab, late: Collection[bytes] = ()) -> list[str]:
    """`late`: contents that nobody can have noticed."""
    told = []
    for claim in lab.claims():
        told.append(f"stuck in inprogress/: {claim} ({_why(lab, claim)})")
    for one in lab.server.filesets.values():
        if not lab.server.is_complete(one):
            told.append(f"left on the server: {one}")
    for folder in lab.filed("done"):
        told += _done(lab, folder, late)
    for folder in lab.filed("failed"):
        told += _failed(lab, folder)
    running = [daemon for daemon in lab.daemons if daemon.running]
    idle = [one for daemon in running for one in daemon.shared.book.idle(frozenset(), 100.0, joinable=True)]
    return [*told, *(f"the session {one.number} of {one.owner} is kept open for nothing" for one in idle)]


def _why(lab: Lab, claim: str) -> str:
    found = [one for runner in lab.runners for one in runner.state()["active"] if one["id"] == claim]
    return f"after {found[0]['step']}: {found[0]['why']}" if found else "nobody drives it"


def _said(folder: Path) -> dict[str, Any]:
    said: dict[str, Any] = yaml.safe_load((folder / layout.RESULT).read_text())
    return said


def _images(folder: Path) -> list[str]:
    root = folder / layout.MEMBERS
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*.tif")) if root.is_dir() else []


def _holds(one: Stored, path: str) -> bool:
    return any(each.split("/", 2)[2] == path for each in one.paths)


def _done(lab: Lab, folder: Path, late: Collection[bytes]) -> list[str]:
    said = _said(folder)
    numbers = [one["fileset"] for one in said.get("filesets", [])]
    stored = [lab.server.filesets[number] for number in numbers if number in lab.server.filesets]
    told = [f"{folder.name} is done, but not in OMERO: {number}" for number in numbers if number not in lab.server.filesets]
    told += [f"{folder.name} is done, but not complete in OMERO: {one}" for one in stored if not lab.server.is_complete(one)]
    told += [f"{folder.name} is done without {path}" for path in _images(folder) if not any(_holds(one, path) for one in stored)]
    told += [f"{folder.name} is done for {said['owner']}, its images are {one.owner}'s" for one in stored if one.owner != said["owner"]]
    if not (folder / layout.ATTENTION).exists():
        told += [f"nobody was told that {folder.name} has another {path} than OMERO" for path in _others(folder, stored, said, late)]
    return told + _unsaid(lab, said, "done", "partly")


def _others(folder: Path, stored: list[Stored], said: dict[str, Any], late: Collection[bytes]) -> list[str]:
    """The images that are not what this very drop brought into OMERO."""
    found = []
    for path in _images(folder):
        data = (folder / layout.MEMBERS / path).read_bytes()
        mine = [one for one in stored if _holds(one, path) and one.meta["drop"] == said["drop"]]
        if mine and data not in late and not any(hashlib.sha1(data).hexdigest() in one.contents for one in mine):
            found.append(path)
    return found


def _failed(lab: Lab, folder: Path) -> list[str]:
    said = _said(folder)
    mine = [one for one in lab.server.complete() if one.meta["drop"] == said["drop"]]
    told = [f"{folder.name} failed, but {path} is in OMERO" for path in _images(folder) if any(_holds(one, path) for one in mine)]
    if not (folder / layout.REASON).exists():
        told.append(f"{folder.name} has no {layout.REASON}")
    return told + _unsaid(lab, said, "failed", "partly")


def _unsaid(lab: Lab, said: dict[str, Any], *events: str) -> list[str]:
    """One message of its outcome, wherever the outboxes are."""
    outboxes = [outbox for box in lab.boxes for outbox in (box / "inprogress").glob("*/outbox")]
    names = [path.name for outbox in outboxes for path in outbox.glob(f"{said['drop']}.*.json")]
    outcomes = [name.split(".")[-2] for name in names if not name.endswith(".attention.json")]
    if len(outcomes) == 1 and outcomes[0] in events:
        return []
    return [f"of {said['drop']}, which is {said['state']}, people were told {outcomes or 'nothing'}"]
