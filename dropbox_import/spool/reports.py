"""What a filed folder says: result.yaml for programs, REASON.txt and ATTENTION.txt for people. Pure."""

from __future__ import annotations

from typing import Any, Literal

from dropbox_import.disk.names import is_utf8
from dropbox_import.model import FilesetPlan
from dropbox_import.plain import to_plain
from dropbox_import.spool.fold import Drop, Failure, FilesetState

_PATHS_SHOWN = 5


def outcome(drop: Drop) -> Literal["done", "partly", "failed"]:
    if drop.two_outcomes:
        return "partly"
    return "failed" if drop.has_failures else "done"


def unwanted(drop: Drop) -> tuple[str, ...]:
    """The members that go to failed/ when others go to done/: those of failed filesets that no imported fileset needs."""
    kept = {one.path for state in drop.good for one in state.plan.files}
    wrong = {one.path for state in drop.open for one in state.plan.files}
    if drop.inspection is not None:
        wrong |= {path for bad in drop.inspection.bad for path in bad.files}
    return tuple(sorted(wrong - kept))


def failures(drop: Drop) -> list[tuple[tuple[str, ...], Failure]]:
    """Each thing that went wrong with the files that it concerns; () = the whole drop."""
    if drop.failed_parts:
        return list(drop.failed_parts)
    found: list[tuple[tuple[str, ...], Failure]] = []
    if drop.failure is not None:
        left = tuple(one.path for state in drop.open for one in state.plan.files)
        found.append((left if drop.good else (), drop.failure))
    if drop.inspection is not None:
        found += [(bad.files, Failure(bad.code, bad.sentence, bad.hint)) for bad in drop.inspection.bad]
    found += [(_paths(state.plan), state.failure) for state in drop.bad if state.failure is not None]
    return found


def _paths(plan: FilesetPlan) -> tuple[str, ...]:
    return tuple(one.path for one in plan.files)


def result(drop: Drop, *, part: str = "") -> dict[str, Any]:
    """The content of result.yaml. `part` is "done" or "failed" for the two folders of a drop of two outcomes."""
    request = drop.candidate.request if drop.candidate else None
    resolved, target = drop.resolved or {}, drop.target or {}
    said: dict[str, Any] = {
        "drop": drop.id.removesuffix(".failed"),
        "state": part or outcome(drop),
        "submission": drop.submission,
        "user": drop.candidate.user if drop.candidate else "",
        "owner": drop.owner,
        "group": resolved.get("group", ""),
        **_first_seen(drop),
        "seen": drop.seen,
        "ended": drop.at,
    }
    if part:
        said["other_part"] = "failed" if part == "done" else "done"
    if elsewhere := [*(drop.candidate.elsewhere if drop.candidate else ()), *((drop.split or ()) if part == "done" else ())]:
        said["other_files"] = elsewhere
    if target:
        keys = ("project", "project_name", "dataset", "dataset_name")
        said["target"] = {key: target[key] for key in keys if target.get(key) is not None}
        if target.get("made"):
            said["target"]["made"] = target["made"]
    if part != "failed" and drop.good:
        said["filesets"] = [_fileset(state) for state in drop.good]
    if part != "failed" and drop.containers:
        said["annotations"] = [made for one in drop.containers.values() for made in one.get("made", [])]
    if part != "done" and drop.has_failures:
        said["failures"] = [_failed(paths, failure) for paths, failure in failures(drop)]
    if part != "failed" and drop.inspection and drop.inspection.extras:
        said["extras"] = list(drop.inspection.extras)
    if drop.attention:
        said["attention"] = list(drop.attention)
    notices = [*(request.notices if request else ()), *resolved.get("notices", [])]
    if notices:
        said["notices"] = notices
    if request is not None and request.extra:
        said["x"] = to_plain(request.extra)
    return said


def _first_seen(drop: Drop) -> dict[str, str]:
    """What intake needs so that a folder that is moved back gets the same names again."""
    if drop.candidate is None:
        return {}
    dropped = drop.candidate.dropped or f"{drop.candidate.folder}/{drop.candidate.sidecar.path}"
    told = {"dropped": dropped} if is_utf8(dropped) else {}  # YAML has no way to write another name
    return told | ({"dated": drop.candidate.dated} if drop.candidate.dated else {})


def _failed(paths: tuple[str, ...], failure: Failure) -> dict[str, Any]:
    told: dict[str, Any] = {"files": list(paths), "code": failure.code, "reason": failure.sentence}
    if failure.hint:
        told["hint"] = failure.hint
    if failure.mistakes:
        told["mistakes"] = list(failure.mistakes)
    return told


def _fileset(state: FilesetState) -> dict[str, Any]:
    imported, annotated = state.imported or {}, state.annotated or {}
    told: dict[str, Any] = {
        "fileset": imported.get("fileset"),
        "images": [{"id": image["id"], "name": image["name"]} for image in imported.get("images", [])],
        "files": imported.get("files", [{"path": one.path, "size": one.size} for one in state.plan.files]),
        "attempts": state.attempts,
    }
    if annotated.get("made"):
        told["annotations"] = annotated["made"]
    if annotated.get("refused"):
        told["refused"] = annotated["refused"]
    return told


def reason(drop: Drop, where: str, has_files: bool) -> str:
    """REASON.txt: what is wrong, why, and what to do next.

    `where` is the drop folder to put things back into; `has_files`: files of the user lie beside it in "d".
    """
    whole = not drop.part_of and not (drop.candidate and drop.candidate.elsewhere)
    name = drop.candidate.sidecar.path if drop.candidate else drop.id
    lines = [f"{name} was not imported into OMERO." if whole else f"A part of {name} was not imported into OMERO.", ""]
    for paths, failure in failures(drop):
        if paths and any(path not in failure.sentence for path in paths):
            more = len(paths) - _PATHS_SHOWN
            lines.append(", ".join(paths[:_PATHS_SHOWN]) + (f" and {more:,} more:" if more > 0 else ":"))
        lines.append(sentence(failure.sentence))
        lines += [f"  {mistake}" for mistake in failure.mistakes]
        if failure.hint:
            lines.append(f"What to do: {sentence(failure.hint[:1].upper() + failure.hint[1:])}")
        lines.append("")
    if has_files and drop.candidate:
        ways = f'or move what is in "d" and then the sidecar back into {where}' if whole else "as it is; a copy of it will do"
        user = drop.candidate.user
        lines.append(f"Nothing in this folder is in OMERO. When it is mended, put this whole folder back into drop/{user}, {ways}.")
    else:
        lines.append(
            f"Only the sidecar was taken; the images, if any, are still in {where}. When this is mended, save the sidecar there again."
        )
    if not whole:
        lines.append(
            "The other images of this drop are in OMERO, and are not waited for; "
            "their files lie in the folder of the same name under done/."
        )
    lines += ["", f"Drop {drop.id.removesuffix('.failed')}, owner {drop.owner or '(unknown)'}."]
    return "\n".join(lines) + "\n"


def sentence(text: str) -> str:
    """With a full stop at its end."""
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else text + "."


def points(drop: Drop) -> list[str]:
    """What somebody should look at, although it is imported."""
    refused = [f"{one['what']}: {one['why']}" for state in drop.good for one in (state.annotated or {}).get("refused", [])]
    refused += [f"{one['what']}: {one['why']}" for part in drop.containers.values() for one in part.get("refused", [])]
    return [*drop.attention, *refused]


def attention(drop: Drop) -> str:
    """ATTENTION.txt: imported, but somebody should look."""
    found = points(drop)
    if not found:
        return ""
    head = "The images are in OMERO, but please look at this:"
    return "\n".join([head, "", *(f"- {sentence(point)}" for point in found), "", f"Drop {drop.id}, owner {drop.owner}."]) + "\n"
