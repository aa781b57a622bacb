"""What must be true of a lab whatever has happened: after every step, and when all is at rest. Each function tells what is not so."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import yaml

from dropbox_import.spool import layout
from tests.support.lab import Lab, is_ours
from tests.support.scripted_server import Stored

_ID = len("20261122-093912-k7f3q2mzt4")


def always(lab: Lab, places: list[Path]) -> list[str]:
    """`places`: where the boxes are now (a share that is gone lies elsewhere)."""
    told = list(lab.server.broken)
    found = Counter(data for place in places for data in _bytes_of_users(place))
    for data, count in lab.user_bytes.items():
        if not count <= found[data] or (found[data] > count and not data.startswith(b"target:")):
            told.append(f"{data!r} is there {found[data]} times")
    complete = Counter((one.owner, one.token) for one in lab.server.complete())
    told += [f"{token} of {owner} was imported {count} times" for (owner, token), count in complete.items() if count > 1]
    stored = Counter(data for one in lab.server.complete() for data in one.contents)
    told += [f"{digest} was imported {count} times" for digest, count in stored.items() if count > 1 and digest not in lab.dropped_again]
    return told


def _bytes_of_users(place: Path) -> Iterator[bytes]:
    """Not copies of references, of which there may be more."""
    for top, folders, names in os.walk(place):
        folders[:] = [name for name in folders if name not in ("outbox", layout.REFERENCES)]
        for name in names:
            if not is_ours(name):
                with open(f"{top}/{name}", "rb") as file:
                    yield file.read()


def at_rest(lab: Lab, late: Collection[bytes] = (), retried: Collection[str] = ()) -> list[str]:
    """`late`: contents that nobody can have noticed. `retried`: drops that may have had several outcomes."""
    told = []
    aside = {path.name[:_ID] for box in lab.boxes for path in (box / "discarded").glob("*")}
    for claim in lab.claims():
        told.append(f"stuck in inprogress/: {claim} ({_why(lab, claim)})")
    for one in lab.server.filesets.values():
        if not lab.server.is_complete(one) and one.meta["drop"] not in aside:
            told.append(f"left on the server: {one}")
    messages = [path.name for box in lab.boxes for path in (box / "inprogress").glob("*/outbox/*.json")]
    for folder in lab.filed("done"):
        said = _said(folder)
        told += [*_done(lab, folder, said, late), *_unsaid(messages, said, retried, "done", "partly")]
    for folder in lab.filed("failed"):
        said = _said(folder)
        told += [*_failed(lab, folder, said), *_unsaid(messages, said, retried, "failed", "partly")]
    running = [daemon for daemon in lab.daemons if daemon.running]
    idle = [one for daemon in running for one in daemon.shared.book.idle(frozenset(), 150.0, joinable=True)]
    return [*told, *(f"the session {one.number} of {one.owner} is kept open for nothing ({one.state})" for one in idle)]


def _why(lab: Lab, claim: str) -> str:
    found = [one for runner in lab.runners for one in runner.state()["active"] if one["id"] == claim]
    return f"after {found[0]['step']}: {found[0]['why']}" if found else "nobody drives it"


def _said(folder: Path) -> dict[str, Any]:
    said: dict[str, Any] = yaml.load((folder / layout.RESULT).read_text(), getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    return said


def _images(folder: Path) -> list[str]:
    root = folder / layout.MEMBERS
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*.tif")) if root.is_dir() else []


def _holds(one: Stored, path: str) -> bool:
    return any(each.split("/", 2)[2] == path for each in one.paths)


def _done(lab: Lab, folder: Path, said: dict[str, Any], late: Collection[bytes]) -> list[str]:
    numbers = [one["fileset"] for one in said.get("filesets", [])]
    stored = [lab.server.filesets[number] for number in numbers if number in lab.server.filesets]
    told = [f"{folder.name} is done, but not in OMERO: {number}" for number in numbers if number not in lab.server.filesets]
    told += [f"{folder.name} is done, but not complete in OMERO: {one}" for one in stored if not lab.server.is_complete(one)]
    told += [f"{folder.name} is done without {path}" for path in _images(folder) if not any(_holds(one, path) for one in stored)]
    told += [f"{folder.name} is done for {said['owner']}, its images are {one.owner}'s" for one in stored if one.owner != said["owner"]]
    if not (folder / layout.ATTENTION).exists():
        told += [f"nobody was told that {folder.name} has another {path} than OMERO" for path in _others(folder, stored, said, late)]
    return told


def _others(folder: Path, stored: list[Stored], said: dict[str, Any], late: Collection[bytes]) -> list[str]:
    """The images that are not what this very drop brought into OMERO."""
    found = []
    for path in _images(folder):
        data = (folder / layout.MEMBERS / path).read_bytes()
        mine = [one for one in stored if _holds(one, path) and one.meta["drop"] == said["drop"]]
        if mine and data not in late and not any(hashlib.sha1(data).hexdigest() in one.contents for one in mine):
            found.append(path)
    return found


def _failed(lab: Lab, folder: Path, said: dict[str, Any]) -> list[str]:
    mine = [one for one in lab.server.complete() if one.meta["drop"] == said["drop"]]
    told = [f"{folder.name} failed, but {path} is in OMERO" for path in _images(folder) if any(_holds(one, path) for one in mine)]
    if not (folder / layout.REASON).exists():
        told.append(f"{folder.name} has no {layout.REASON}")
    return told


def _unsaid(messages: list[str], said: dict[str, Any], retried: Collection[str], *events: str) -> list[str]:
    """One message of its outcome, wherever the outboxes are."""
    outcomes = [name.split(".")[-2] for name in messages if name.startswith(f"{said['drop']}.") and not name.endswith(".attention.json")]
    if (len(outcomes) == 1 or said["drop"] in retried) and set(events) & set(outcomes):
        return []
    return [f"of {said['drop']}, which is {said['state']}, people were told {outcomes or 'nothing'}"]
