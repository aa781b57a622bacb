"""From a step to the command that a worker gets, with the intents to journal before it is sent. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dropbox_import.model import CLIENT_NAMESPACE, ImportRequest, KeyValues
from dropbox_import.plain import to_plain
from dropbox_import.sidecar import for_fileset, needs_series
from dropbox_import.spool import layout
from dropbox_import.spool.fold import Drop, FilesetState
from dropbox_import.spool.journal import Record
from dropbox_import.spool.steps import Do, Step


@dataclass(frozen=True, slots=True)
class Order:
    """What to send and to whom.

    `session` is the OMERO session whose worker must get it (0 = any worker of the role), `worker` the one that had it when it
    was sent. `ended`: for how many seconds sessions had been seen ended then. `unknown`: files in d/ that nobody saw before the claim.
    """

    role: str
    do: str
    args: dict[str, Any]
    session: int = 0
    key: str = ""
    attempt: int = 0
    intents: tuple[Record, ...] = ()
    ended: dict[int, float] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()
    worker: int = 0


def order_for(step: Step, drop: Drop, claim: Path, group_session: int, members: list[dict[str, Any]]) -> Order | None:
    """The order of a worker step. None: there is nothing to do, and the answer is empty.

    `members` are those of d/ as they are now (INSPECT only).
    """
    state = drop.filesets.get(step.key)
    match step.do:
        case Do.INSPECT:
            return Order("inspector", "inspect", {"root": str(claim / layout.MEMBERS), "members": members, "named": _named(drop)})
        case Do.OPEN_SESSION:
            return Order("importer", "open_session", {"owner": drop.owner, "group": step.group or None})
        case Do.JOIN_SESSION:
            return Order("importer", "join_session", {"session": step.number})
        case Do.ASK_SESSION:
            return Order("importer", "session_state", {"session": step.number})
        case Do.RESOLVE:
            args = {"group": _request(drop).group, "target": to_plain(_request(drop).target)}
            return Order("importer", "resolve", {"session": step.number, **args}, step.number)
        case Do.TARGET:
            args = {"session": step.number, "target": to_plain(_bound(drop))}
            return Order("importer", "target", args, step.number, intents=(Record("making", {"session": step.number}),))
        case Do.ANNOTATE:
            return _annotate(drop, state, step.group, claim, group_session)
    assert state is not None
    return _fileset_order(step, drop, state, claim, group_session)


def _fileset_order(step: Step, drop: Drop, state: FilesetState, claim: Path, group_session: int) -> Order | None:
    key, attempt = step.key, state.attempt
    number = attempt.number if attempt else 0
    own = attempt.session if attempt else 0
    match step.do:
        case Do.LOOK_UP:
            args = {"session": group_session, "submission": drop.submission}
            return Order("importer", "look_up", args, group_session, key)
        case Do.CHECK_ALONE:
            return Order("importer", "look_up", {"session": own, "submission": drop.submission}, own, key, number)
        case Do.DISCARD:
            args = {"session": group_session, "fileset": step.number}
            intents = (Record("discard", {"fileset": step.number}, key),) if state.discarding is None else ()
            return Order("importer", "discard", args, group_session, key, intents=intents)
        case Do.BEGIN:
            return _begin(drop, state, group_session)
        case Do.SEND:
            sent = [
                {"path": one.path, "client_path": path, "size": one.size}
                for one, path in zip(state.plan.files, client_paths(drop, state), strict=True)
            ]
            return Order("importer", "send", {"session": own, "root": str(claim / layout.MEMBERS), "files": sent}, own, key, number)
        case Do.COMMIT:
            return Order("importer", "commit", {"session": own}, own, key, number, (Record("commit", {}, key, number),))
        case Do.POLL:
            return Order("importer", "poll", {"session": own}, own, key, number)
        case Do.CONFIRM:
            args = {
                "session": group_session,
                "fileset": step.number,
                "dataset": (drop.target or {}).get("dataset"),
                "owner": drop.owner,
                "group": (drop.resolved or {}).get("group"),
                "files": confirmable(drop, state, step.number),
            }
            return Order("importer", "confirm", args, group_session, key)
    raise AssertionError(f"{step.do} is no step for a worker")


def _request(drop: Drop) -> ImportRequest:
    assert drop.candidate is not None and drop.candidate.request is not None
    return drop.candidate.request


def _named(drop: Drop) -> list[str]:
    """Members that the sidecar names without a wildcard: if one cannot be read that is a failure, never an extra."""
    rule = _request(drop).files
    plain = [name for name in rule.include or () if not any(mark in name for mark in "*?[")]
    return sorted({*plain, *rule.expect.size, *rule.expect.sha256})


def _bound(drop: Drop) -> dict[str, Any]:
    """The target with the ids that were found already, so that it is only made where it is missing."""
    target = to_plain(_request(drop).target)
    resolved = drop.resolved or {}
    for kind in ("project", "dataset"):
        if target.get(kind) and resolved.get(kind) is not None:
            target[kind] = {"id": resolved[kind]}
    return dict(target)


def client_paths(drop: Drop, state: FilesetState) -> tuple[str, ...]:
    """What OMERO shows as the origin: `<instance>/<user>/<path as dropped>`, never a path of the claim."""
    assert drop.candidate is not None
    return tuple(f"{drop.instance}/{drop.candidate.home}/{one.path}" for one in state.plan.files)


def token(drop: Drop, state: FilesetState) -> str:
    return f"{drop.submission}/{state.plan.key}"


def _begin(drop: Drop, state: FilesetState, session: int) -> Order:
    number = state.attempts + 1
    image = for_fileset(_request(drop).image, state.plan.files[0].path)
    args = {
        "session": session,
        "token": token(drop, state),
        "meta": {"drop": drop.id, "instance": drop.instance, "session": session, "attempt": number},
        "client_paths": list(client_paths(drop, state)),
        "dataset": (drop.target or {}).get("dataset"),
        "name": None if needs_series(image.name) else image.name,
        "description": image.description if not image.append else None,
        "reader": state.plan.reader,
    }
    intent = Record("begin", {"session": session, "token": args["token"]}, state.plan.key, number)
    return Order("importer", "begin", args, session, state.plan.key, number, (intent,))


def confirmable(drop: Drop, state: FilesetState, fileset: int) -> list[dict[str, Any]]:
    """What the server must hold: sizes and checksums as uploaded; sizes alone where a fileset was there before us."""
    if fileset in state.sent:
        return list(state.sent[fileset])
    paths = client_paths(drop, state)
    return [{"client_path": path, "size": one.size} for path, one in zip(paths, state.plan.files, strict=True)]


def _annotate(drop: Drop, state: FilesetState | None, container: str, claim: Path, session: int) -> Order | None:
    """Annotations of one fileset's images, or (no fileset) of the dataset or the project. None when nothing is asked for."""
    request = _request(drop)
    wanted = _parts(request, container or "image", claim)
    if state is None:
        objects = [{"id": (drop.target or {})[container]}]
    else:
        assert state.imported is not None
        objects = state.imported["images"]
        image = for_fileset(request.image, state.plan.files[0].path)
        if needs_series(image.name) or image.append:
            wanted["image"] = to_plain(image)
    if not wanted:
        return None
    args = {"session": session, "marker": drop.submission, "on": container or "image", "objects": objects, **wanted}
    if state is not None:
        args["file"] = state.plan.files[0].path
    key = state.plan.key if state else ""
    return Order("importer", "annotate", args, session, key, intents=(Record("making", {"session": session}, key),))


def _parts(request: ImportRequest, on: str, claim: Path) -> dict[str, Any]:
    """What is to be put on one kind of object. Tags, comments and the rating are for images."""
    wanted: dict[str, Any] = {}
    if on == "image":
        if request.tags:
            wanted["tags"] = to_plain(request.tags)
        if request.comments:
            wanted["comments"] = list(request.comments)
        if request.rating is not None:
            wanted["rating"] = request.rating
    if blocks := _blocks([one for one in request.key_values if one.on == on]):
        wanted["key_values"] = blocks
    references = claim / layout.REFERENCES
    if attached := [
        {"path": str(references / one.file), "name": one.file.rsplit("/", 1)[-1], "namespace": one.namespace, "mime": one.mime}
        for one in request.attachments
        if one.on == on
    ]:
        wanted["attachments"] = attached
    return wanted


def _blocks(asked: list[KeyValues]) -> list[dict[str, Any]]:
    """Each block a map of its own; but OMERO.web edits one map of the client's namespace on an object, so those become one, in order."""
    editable = [pair for one in asked if one.namespace == CLIENT_NAMESPACE for pair in one.pairs]
    blocks = [KeyValues(tuple(editable), on=asked[0].on)] if editable else []
    blocks += [one for one in asked if one.namespace != CLIENT_NAMESPACE]
    return [{"namespace": one.namespace, "pairs": [list(pair) for pair in one.pairs], "on": one.on} for one in blocks]
