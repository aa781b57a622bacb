"""What a sync is for, told from where in the product it is made and from the place of what is synced."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

_PRODUCT = str(Path(__file__).resolve().parents[2] / "dropbox_import")
_DISK = str(Path(_PRODUCT) / "disk")
_JOURNAL = str(Path(_PRODUCT) / "spool" / "journal.py")
_CLAIM = str(Path(_PRODUCT) / "spool" / "claim.py")
_ID = re.compile(r"\d{8}-\d{6}-[a-z2-7]{10}")


@dataclass(frozen=True, slots=True)
class Site:
    """`names`: what this sync is called in the table; a journal's sync is called by each kind of record that it makes last."""

    names: frozenset[str]

    def __str__(self) -> str:
        return ", ".join(sorted(self.names))


def site_of(path: str) -> Site:
    """For the call of fsync that is under way; `path` is that of what is synced, below the root of the lab."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        where = frame.f_code.co_filename
        if where == _JOURNAL and frame.f_code.co_name == "append":
            part = " (failed part)" if ".failed/" in path else ""
            return Site(frozenset(f"journal: {record.kind}{part}" for record in frame.f_locals["fresh"]))
        if where.startswith(_PRODUCT) and not where.startswith(_DISK) and where not in (_JOURNAL, _CLAIM):
            room = Path(where).stem
            what = _whole(role(path)) if frame.f_code.co_name == "_open_to_user" else role(path)
            return Site(frozenset({f"{room}.{frame.f_code.co_name}: {what}"}))
        if where.startswith(_PRODUCT) and where == _CLAIM and frame.f_code.co_name in ("remove", "load", "restore_modes"):
            what = _whole(role(path)) if frame.f_code.co_name == "restore_modes" else role(path)
            return Site(frozenset({f"claim.{frame.f_code.co_name}: {what}"}))
        frame = frame.f_back
    return Site(frozenset({f"somebody else: {role(path)}"}))


def _whole(where: str) -> str:
    """One line of the product syncs the modes of all that is in a claim."""
    return re.sub(r"^(the claim|the failed part)/.*", r"what is in \1", where)


def role(path: str) -> str:
    """What it is in a box: `drop/jdoe`, `the claim`, `the claim/d`, `done/jdoe/MONTH` ..."""
    if not path:
        return "the folder of the state folder"
    parts = [_ID.sub("ID", part) for part in path.split("/")]
    parts = ["MONTH" if re.fullmatch(r"\d{4}-\d\d", part) else part for part in parts]
    text = "/".join(parts)
    text = re.sub(r"^box/?", "", text)
    text = re.sub(r"^(state/sessions/\.?)\d+", r"\1N", text)
    text = re.sub(r"^(state/commands/\.?\d+-\d+-order)\d+", r"\1", text)
    text = re.sub(r"^inprogress/[^/]+/ID\.failed", "the failed part", text)
    text = re.sub(r"^inprogress/[^/]+/ID", "the claim", text)
    text = re.sub(r"^inprogress/[^/]+", "the instance's folder", text)
    text = re.sub(r"^(done|failed)/([^/]+)/MONTH/[^/]*ID[^/]*", r"the filed folder in \1", text)
    return text or "the box"
