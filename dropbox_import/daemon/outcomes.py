"""From a worker's result to the records that the journal gets. Pure: a reply and what was known become records."""

from __future__ import annotations

from typing import Any

from dropbox_import.daemon.commands import Order, token
from dropbox_import.errors import DropboxImportError, TryLater
from dropbox_import.spool.fold import Drop, FilesetState
from dropbox_import.spool.journal import Record
from dropbox_import.spool.steps import Do, Step


def records_of(step: Step, drop: Drop, result: dict[str, Any], order: Order) -> list[Record]:
    """The records of a step that a worker has done. Empty for what is only known in memory (sessions, a poll that still runs)."""
    key, attempt = step.key, order.attempt
    match step.do:
        case Do.INSPECT:
            return [Record("inspected", {**result, "extras": [*result.get("extras", []), *order.unknown]})]
        case Do.RESOLVE:
            return [Record("resolved", result)]
        case Do.TARGET:
            return [Record("target", result)]
        case Do.LOOK_UP:
            return _looked_up(drop, key, result, order.ended)
        case Do.DISCARD:
            return [Record("discarded", {"fileset": step.number}, key)]
        case Do.BEGIN:
            return _begun(result["fileset"], result["beside"], key, attempt)
        case Do.CHECK_ALONE:
            return _checked(drop, result, key, attempt)
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


def _begun(fileset: int, beside: list[int], key: str, attempt: int) -> list[Record]:
    """Whoever begins looks afterwards, so of two at least the later one sees the other, and takes its own back."""
    begun = Record("begun", {"fileset": fileset, "alone": not beside}, key, attempt)
    if not beside:
        return [begun]
    sentence = "another drop with the same submission is being imported at this moment, maybe by another instance"
    hint = "Nothing needs to be done: what OMERO has of it in the end is not imported again."
    # As if OMERO had refused it: what was made is removed, and what the other one brings is looked for.
    told = {"state": "error", "class": TryLater.__name__, "code": "begun-elsewhere", "sentence": sentence, "hint": hint}
    return [begun, Record("answered", told, key, attempt)]


def _checked(drop: Drop, result: dict[str, Any], key: str, attempt: int) -> list[Record]:
    known = drop.filesets[key].attempt
    if known is None or known.fileset is None:
        return []
    same = token(drop, drop.filesets[key])
    beside = [one["fileset"] for one in result["attempts"] if one["token"] == same and one["fileset"] != known.fileset]
    return _begun(known.fileset, beside, key, attempt)


_LOOKED = ("fileset", "drop", "instance", "session", "attempt", "committed", "complete", "doubtful", "images")


def _looked_up(drop: Drop, key: str, result: dict[str, Any], ended: dict[int, float]) -> list[Record]:
    """What OMERO has of each fileset, told by its token. One answer serves all filesets that wait for one."""
    asked = [name for name, one in drop.filesets.items() if name == key or (one.looked is None and one.attempt is None and not one.settled)]
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in asked}
    for one in result["attempts"]:
        name = str(one["token"]).rpartition("/")[2]
        if name in found:
            # What somebody else wrote into a token's text may be anything; a session that nobody knows is asked about.
            session = one.get("session")
            told = {field: one.get(field) for field in _LOOKED}
            found[name].append({**told, "session": session if isinstance(session, int) else 0})
    seconds = {str(number): round(since, 1) for number, since in ended.items()}
    return [Record("looked-up", {"attempts": attempts, "ended": seconds}, name) for name, attempts in found.items()]


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


_IN_DOUBT = (
    "another drop has imported these files before, as fileset {fileset}, and OMERO does not show whether it finished that; the images are"
    " kept. Open them in OMERO; if that is not possible, delete them there and drop the files again"
)


def _confirmed(step: Step, drop: Drop, result: dict[str, Any]) -> list[Record]:
    if result["state"] == "none":
        return [Record("lost", {"why": "the fileset has no image"}, step.key)]
    state = drop.filesets[step.key]
    files = list(state.sent.get(step.number, ())) or result.get("files", [])
    problems = [str(problem) for problem in result.get("problems", [])]
    found = (state.looked or {}).get("attempts", ())
    if any(one["fileset"] == step.number and not one["complete"] for one in found):
        problems.append(_IN_DOUBT.format(fileset=step.number))
    twice = [str(one["fileset"]) for one in found if one["complete"]]
    if len(twice) > 1:
        problems.append(f"OMERO has these files more than once, as filesets {', '.join(twice)}; all are kept")
    records = [Record("imported", {"fileset": step.number, "images": result["images"], "files": files}, step.key)]
    return [*(Record("attention", {"text": problem}) for problem in problems), *records]


def why_failed(state: FilesetState) -> dict[str, Any]:
    """Why a fileset is given up, as it is journaled."""
    files = ", ".join(one.path for one in state.plan.files)
    if state.error is not None:
        said = state.error
        return {"code": said.get("code", "rejected"), "sentence": said.get("sentence", ""), "hint": said.get("hint", "")}
    if state.refused:
        sentence = f"OMERO's checksum of {files} differed from ours {state.refused} times"
        hint = "Ask the administrator to look at the storage; the file may also be changing."
        return {"code": "checksum", "sentence": sentence, "hint": hint}
    sentence = f"the importer died {state.deaths} times while it worked on {files}"
    return {"code": "poison", "sentence": sentence, "hint": "Ask the administrator to look at the log of the service for this drop."}


def left_out(drop: Drop) -> list[Record]:
    """For people: what is not put on project and dataset when a drop ends as a whole of which some is imported already."""
    request = drop.candidate.request if drop.candidate else None
    if request is None or not drop.good:
        return []
    told = []
    for kind in drop.open_containers:
        what = ["key-values"] if any(one.on == kind for one in request.key_values) else []
        what += [f'attachment "{one.file.rpartition("/")[2]}"' for one in request.attachments if one.on == kind]
        ref = getattr(request.target, kind)
        name = f'"{ref.name}"' if ref.id is None else f"{ref.id}"
        told.append(f"{', '.join(what)} on the {kind} {name}")
    why = "not put there, because the rest of the drop could not be imported; that is done when the rest is tried again and imported"
    return [Record("attention", {"text": f"{'; '.join(told)}: {why}"})] if told else []


def failure_data(error: DropboxImportError) -> dict[str, Any]:
    return {
        "class": type(error).__name__,
        "code": error.kind,
        "sentence": error.sentence,
        "hint": error.hint,
        "mistakes": [str(mistake) for mistake in error.mistakes],
    }
