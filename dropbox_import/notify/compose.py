"""From what became of a drop, or of trouble, to the message about it. Pure; what is long is cut short here."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dropbox_import.notify.message import Event, ImageMade, Message, WentWrong
from dropbox_import.spool import reports
from dropbox_import.spool.fold import Drop, Failure

MOST = 10  # of images, failures, mistakes, points
MOST_ADDRESSES = 20  # of the sidecar; what a box adds to them may be more than a sidecar may have
MOST_FILES = 5  # of one failure
LONGEST = 600  # characters of one text


def outcome(drop: Drop, box: str) -> Message:
    """What became of it. The same drop gives the same message, whenever it is asked."""
    event: Event = reports.outcome(drop)
    target, resolved = drop.target or {}, drop.resolved or {}
    imported = [state.imported or {} for state in drop.good]
    images = [image for one in imported for image in one.get("images", [])]
    sent = [each for one in imported for each in one.get("files", [])]
    wrong = reports.failures(drop) if drop.has_failures else []
    request = drop.candidate.request if drop.candidate else None
    return Message(
        event=event,
        name=_name(drop, event),
        **_about(drop, box),
        email=None if "email" not in resolved else str(resolved["email"] or ""),
        notify=request.notify[:MOST_ADDRESSES] if request else (),
        project=_short(target.get("project_name") or resolved.get("project_name")),
        project_id=int(target.get("project") or 0),
        dataset=_short(target.get("dataset_name") or resolved.get("dataset_name")),
        dataset_id=int(target.get("dataset") or 0),
        images=tuple(ImageMade(int(one["id"]), _short(one["name"])) for one in images[:MOST]),
        images_in_all=len(images),
        files_in_all=len(sent),
        bytes_in_all=sum(int(one.get("size") or 0) for one in sent),
        failures=tuple(_wrong(files, failure) for files, failure in wrong[:MOST]),
        failures_in_all=len(wrong),
        sidecar_only=not (drop.claimed and drop.candidate and drop.candidate.members),
        points=tuple(_short(reports.sentence(one)) for one in reports.points(drop)[:MOST]),
    )


def attention(drop: Drop, box: str) -> Message | None:
    """For administrators, where something of what was imported needs a look; None where nothing does."""
    points = reports.points(drop)
    if not points:
        return None
    return Message(
        event="attention",
        name=_name(drop, "attention"),
        **_about(drop, box),
        points=tuple(_short(reports.sentence(one)) for one in points[:MOST]),
    )


def _name(drop: Drop, event: Event) -> str:
    """A drop that was tried again has another outcome: then what was written of the first one is not written over."""
    return f"{drop.id}.again-{drop.taken_back}.{event}" if drop.taken_back else f"{drop.id}.{event}"


def _about(drop: Drop, box: str) -> dict[str, Any]:
    candidate = drop.candidate
    return {
        "at": drop.at,
        "drop": drop.id,
        "box": box,
        "user": candidate.user if candidate else "",
        "owner": drop.owner,
        "sidecar": _short(candidate.sidecar.path) if candidate else "",
    }


def _wrong(paths: tuple[str, ...], failure: Failure) -> WentWrong:
    return WentWrong(
        reason=_short(reports.sentence(failure.sentence)),
        hint=_short(reports.sentence(failure.hint[:1].upper() + failure.hint[1:]) if failure.hint else ""),
        files=tuple(_short(path) for path in paths[:MOST_FILES]),
        more=max(0, len(paths) - MOST_FILES),
        mistakes=tuple(_first(failure.mistakes)),
    )


def _first(mistakes: Iterable[str]) -> list[str]:
    told = [_short(one) for one in mistakes]
    return told if len(told) <= MOST else [*told[:MOST], f"... and {len(told) - MOST} more"]


def _short(text: object) -> str:
    """A text of bounded length; None is "". JSON keeps names that are not UTF-8 as they are."""
    found = "" if text is None else str(text)
    return found if len(found) <= LONGEST else found[: LONGEST - 1] + "…"
