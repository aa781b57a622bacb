"""From a worker's result to the records that the journal gets. Pure: a reply and what was known become records."""

from __future__ import annotations

from typing import Any

from dropbox_import.errors import DropboxImportError
from dropbox_import.spool.fold import Drop
from dropbox_import.spool.journal import Record
from dropbox_import.spool.steps import Do, Step


def records_of(step: Step, drop: Drop, result: dict[str, Any], *, attempt: int, ended: dict[int, float]) -> list[Record]:
    """The records of a step that a worker has done. Empty for what is only known in memory (sessions, a poll that still runs)."""
    key = step.key
    match step.do:
        case Do.INSPECT:
            return [Record("inspected", result)]
        case Do.RESOLVE:
            return [Record("resolved", result)]
        case Do.TARGET:
            return [Record("target", result)]
        case Do.LOOK_UP:
            return [Record("looked-up", _looked_up(drop, key, result, ended), key)]
        case Do.DISCARD:
            return [Record("discarded", {"fileset": step.number}, key)]
        case Do.BEGIN:
            return [Record("begun", {"fileset": result["fileset"]}, key, attempt)]
        case Do.SEND:
            return [Record("uploaded", {"files": result["files"]}, key, attempt)]
        case Do.COMMIT:
            return [Record("committed", {}, key, attempt)]
        case Do.POLL:
            return _answered(result, key, attempt)
        case Do.CONFIRM:
            return _confirmed(step, drop, result)
        case Do.ANNOTATE:
            told = {"made": result.get("made", []), "refused": result.get("refused", [])}
            return [Record("annotated", told if key else {"on": step.group, **told}, key)]
    return []


def _looked_up(drop: Drop, key: str, result: dict[str, Any], ended: dict[int, float]) -> dict[str, Any]:
    """Of all attempts of the submission those that concern this fileset.

    These have the same token, or are dead leftovers of this drop whose files have changed since.
    """
    mine = []
    for one in result["attempts"]:
        name = str(one["token"]).rpartition("/")[2]
        orphan = one.get("drop") == drop.id and name not in drop.filesets and not one["complete"]
        if name == key or (orphan and key == next(iter(drop.filesets))):
            mine.append(
                {
                    field: one.get(field)
                    for field in ("fileset", "drop", "instance", "session", "attempt", "committed", "complete", "images")
                }
            )
    return {"attempts": mine, "ended": {str(number): round(seconds, 1) for number, seconds in ended.items()}}


def _answered(result: dict[str, Any], key: str, attempt: int) -> list[Record]:
    match result["state"]:
        case "done":
            return [Record("answered", {"state": "done"}, key, attempt)]
        case "error":
            told = {name: result[name] for name in ("class", "code", "sentence", "hint", "name", "message", "log") if result.get(name)}
            return [Record("answered", {"state": "error", **told}, key, attempt)]
        case "gone":
            return [Record("lost", {"why": "OMERO does not know the import process any more"}, key, attempt)]
    return []


def _confirmed(step: Step, drop: Drop, result: dict[str, Any]) -> list[Record]:
    """`none` and `incomplete` give no record: it is looked up, or asked again."""
    if result["state"] == "none":
        return [Record("lost", {"why": "the fileset has no image"}, step.key)]
    if result["state"] != "complete":
        return []
    state = drop.filesets[step.key]
    files = list(state.sent.get(step.number, ())) or result.get("files", [])
    records = [Record("imported", {"fileset": step.number, "images": result["images"], "files": files}, step.key)]
    return [*(Record("attention", {"text": problem}) for problem in result.get("problems", [])), *records]


def failure_data(error: DropboxImportError) -> dict[str, Any]:
    return {
        "class": type(error).__name__,
        "code": error.kind,
        "sentence": error.sentence,
        "hint": error.hint,
        "mistakes": [str(mistake) for mistake in error.mistakes],
    }
