"""What a filed folder says of its drop: result.yaml, REASON.txt, ATTENTION.txt, the journal, and the messages; whether they say the same.

What is so on the server is compared by who knows it: promises.py for the scripted one, realrun.py for the stand-in.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from dropbox_import.errors import JournalDamaged
from dropbox_import.notify.compose import LONGEST, MOST
from dropbox_import.notify.message import OUTCOMES
from dropbox_import.spool import journal, layout, reports
from dropbox_import.spool.fold import Drop, fold

ID = len("20261122-093912-k7f3q2mzt4")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Filed:
    """A folder in done/ or failed/ (`where`) with what its result.yaml says and what its journal says."""

    folder: Path
    where: str
    said: dict[str, Any]
    drop: Drop
    records: tuple[journal.Record, ...]

    @property
    def id(self) -> str:
        return str(self.said["drop"])

    @property
    def event(self) -> str:
        """What people are told of it; a failed part is told with the part that is done."""
        return "partly" if self.drop.part_of or self.drop.two_outcomes else self.where

    @property
    def images(self) -> list[int]:
        return [image["id"] for one in self.said.get("filesets", []) for image in one["images"]]


def read_filed(folder: Path, where: str) -> Filed:
    """Raises OSError, ValueError, JournalDamaged, yaml.YAMLError where something of it is not whole."""
    said = yaml.load((folder / layout.RESULT).read_text(), _LOADER)
    records = journal.read_newest(folder)
    return Filed(folder, where, said, fold(str(said["drop"]), records), records)


def read_all(folders: Iterable[tuple[Path, str]], told: list[str]) -> list[Filed]:
    found = []
    for folder, where in folders:
        try:
            found.append(read_filed(folder, where))
        except JournalDamaged as error:
            told.append(f"the journal of {folder.name} is not readable any more: {error}")
    return found


def disagreements(one: Filed, box: Path) -> list[str]:
    """Where its files do not say the same as its place and each other."""
    name, said, drop = one.folder.name, one.said, one.drop
    told = []
    if said["state"] != one.where:
        told.append(f"the report of {name} says {said['state']}, and it lies in {one.where}/")
    if drop.candidate is None or one.records[-1].kind != "file" or drop.destination != one.folder.relative_to(box).as_posix():
        told.append(f"the journal of {name} says that it lies in {drop.destination or 'no place'}")
    if drop.candidate is not None and (said["owner"], said["user"]) != (drop.owner, one.folder.parts[-3]):
        told.append(f"the report of {name} says {said['owner']} and {said['user']}, the journal says {drop.owner}")
    if (one.where == "failed") != bool(said.get("failures")) or (one.where == "failed" and said.get("filesets")):
        told.append(f"the report of {name} in {one.where}/ says {said}")
    if one.where == "done":
        imported = [(each.imported or {}).get("fileset") for each in drop.good]
        reported = [each["fileset"] for each in said.get("filesets", [])]
        if imported != reported:
            told.append(f"the report of {name} says the filesets {reported}, the journal says {imported}")
    return told + _for_people(one)


def _for_people(one: Filed) -> list[str]:
    wanted = {
        layout.REASON: [reports.sentence(each["reason"]) for each in one.said.get("failures", [])] if one.where == "failed" else [],
        layout.ATTENTION: [reports.sentence(each) for each in reports.points(one.drop)] if one.where == "done" else [],
    }
    told = []
    for name, sentences in wanted.items():
        path = one.folder / name
        if path.exists() != bool(sentences):
            told.append(f"{one.folder.name} has {'a' if path.exists() else 'no'} {name}, its report says {sentences}")
        elif sentences:
            text = path.read_text()
            told += [f"the report {name} of {one.folder.name} does not say: {each}" for each in sentences if each not in text]
            if not text.endswith("\n") or f"Drop {one.id}, owner {one.said['owner'] or '(unknown)'}." not in text:
                told.append(f"the report {name} of {one.folder.name} is not whole, or is another drop's")
    return told


# --- messages ----------------------------------------------------------------------------


def messages_in(outboxes: Iterable[Path]) -> list[tuple[str, dict[str, Any]]]:
    """Name and content of each message that lies in these folders."""
    found = []
    for folder in outboxes:
        for path in folder.glob("*.json"):
            if not path.name.endswith((".letter.json", ".dead.json")):
                found.append((path.name.removesuffix(".json"), json.loads(path.read_bytes())))
    return found


def badly_told(filed: Sequence[Filed], messages: Iterable[tuple[str, Mapping[str, Any]]]) -> list[str]:
    """One message of its outcome for each drop and each time that it was filed, and it says what the filed folders say."""
    outcomes: dict[str, dict[int, list[tuple[str, Mapping[str, Any]]]]] = defaultdict(lambda: defaultdict(list))
    for name, content in messages:
        about, _, event = name.rpartition(".")
        if event in OUTCOMES:
            outcomes[about[:ID]][int(about.partition(".again-")[2] or 0)].append((event, content))
    again: dict[str, int] = defaultdict(int)
    for one in filed:
        again[one.id] = max(again[one.id], one.drop.taken_back)
    told = []
    for number, last in again.items():
        for time in range(last + 1):
            events = [event for event, _ in outcomes[number][time]]
            if len(events) != 1:
                told.append(f"of {number}, filed for the {time + 1}. time, people were told {events or 'nothing'}")
    # A part that failed and was tried again has parts of its own, of another time.
    parts = {(one.id, one.drop.seen): one for one in filed if one.drop.part_of}
    for one in filed:
        if one.drop.part_of:
            if not any(event == "partly" for found in outcomes[one.id].values() for event, _ in found):
                told.append(f"of {one.folder.name}, a part that failed, people were told nothing")
            continue
        for event, content in outcomes[one.id][one.drop.taken_back]:
            if event != one.event:
                told.append(f"of {one.folder.name}, which is {one.event}, people were told {event}")
            told += _misquoted(one, content, parts.get((one.id, one.drop.seen)) if one.drop.two_outcomes else one)
    return told


def _misquoted(one: Filed, content: Mapping[str, Any], failed: Filed | None) -> list[str]:
    """`failed`: the folder that says what failed; None = it is not there any more."""
    said = one.said
    wanted = {
        "owner": said["owner"],
        "user": said["user"],
        "images_in_all": len(one.images),
        "images": one.images[:MOST],
        "dataset_id": (said.get("target") or {}).get("dataset", 0) if one.images else 0,
        "points": bool(reports.points(one.drop)),
    }
    quoted = {
        "owner": content.get("owner", ""),
        "user": content.get("user", ""),
        "images_in_all": content.get("images_in_all", 0),
        "images": [image["id"] for image in content.get("images", [])],
        "dataset_id": content.get("dataset_id", 0) if one.images else 0,
        "points": bool(content.get("points")),
    }
    if failed is not None:
        wanted["failures"] = [_short(each["reason"]) for each in failed.said.get("failures", [])][:MOST]
        quoted["failures"] = [each["reason"] for each in content.get("failures", [])]
    return [
        f"of {one.folder.name} people were told {key} {quoted[key]}, its report says {value}"
        for key, value in wanted.items()
        if value != quoted[key]
    ]


def _short(reason: str) -> str:
    text = reports.sentence(reason)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
