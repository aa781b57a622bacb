"""What `status` and `show` tell, read from the folders and journals alone: it works when the daemon is down."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from dropbox_import.errors import JournalDamaged
from dropbox_import.model import DROP_ID, DropState, DropSummary
from dropbox_import.spool import reports
from dropbox_import.spool.claim import cut_short, without_a_story
from dropbox_import.spool.fold import Drop, FilesetState, Phase, fold, step
from dropbox_import.spool.journal import Record, decode, raw_bytes, read_newest, segments, vouched
from dropbox_import.spool.layout import Layout
from dropbox_import.spool.words import sentence

# What a line with a right checksum and a wrong shape raises.
SENSELESS = (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError)
_FOLDER = re.compile(rf"(?:^|__)({DROP_ID.pattern})(?:\.failed)?(?:-\d+)?$")


def survey(boxes: Iterable[Path], *, newest: int = 200) -> tuple[DropSummary, ...]:
    """Every claim, and the `newest` of each of done/, failed/ and discarded/. What cannot be read is told in `why`, never raised."""
    found: list[DropSummary] = []
    for box in boxes:
        for path in _claims(box):
            found.append(_summary(box, path, None))
        for paths, state in _put_away(Layout(box)):
            filed = sorted(paths, key=lambda path: path.name.rpartition("__")[2], reverse=True)
            found += [_summary(box, path, state) for path in filed[:newest]]
    return tuple(found)


def story(boxes: Iterable[Path], drop_id: str) -> tuple[dict[str, Any], ...]:
    """The journal records of one drop (both parts, where it has two), each with "says", a plain sentence. Empty when it is not found.

    Of a damaged journal whatever line can be read is told, and how many cannot.
    """
    told: list[dict[str, Any]] = []
    for box in boxes:
        places = [*_claims(box), *(path for paths, _ in _put_away(Layout(box)) for path in paths)]
        for path in places:
            if id_in(path.name) == drop_id:
                records, trouble = _records(path)
                legible = _legible(path) if trouble else records
                names = _first_files(legible)
                told += [_tell(record, path, names) for record in legible]
                if trouble:
                    told.append({"at": "", "step": "", "says": trouble, "path": str(path)})
    return tuple(told)


def id_in(name: str) -> str:
    """The drop's id in the name of a claim's, a filed or a discarded folder; "" where there is none."""
    found = _FOLDER.search(name)
    return found[1] if found else ""


def omero_of(path: Path, key: bytes | None) -> tuple[str, ...]:
    """What OMERO has, or may have, of the drop of a claim or, with the `key` that vouches for its journal, of a folder that was filed.

    There its user could write: who did that does not decide what an administrator is told here. Raises OSError.
    """
    try:
        records = read_newest(path)
        if key is None or (vouched(records, key) and id_in(Path(str(records[-1].data["to"])).name) == id_in(path.name)):
            return in_omero(records)
        why = "its journal is not as this installation left it"
    except (JournalDamaged, *SENSELESS):
        why = "its journal cannot be read"
    known = f"{id_in(path.name)}, or under the submission that its sidecar names"
    return (f"{why}, so it cannot be relied on: look in OMERO for what was imported under {known}",)


def in_omero(records: Iterable[Record]) -> tuple[str, ...]:
    """What OMERO has, or may have, of a drop, as far as its journal knows: one sentence each; () = nothing."""
    drop = fold("", records)
    told = [line for state in drop.filesets.values() if (line := _of_fileset(state))]
    target = drop.target or {}
    told += [f"{one} was made for it" for one in target.get("made", [])]
    if drop.making and not target:
        told.append("project or dataset may have been made for it")
    return tuple(told)


def _of_fileset(state: FilesetState) -> str:
    names = [one.path for one in state.plan.files]
    files = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    if state.imported is not None:
        images = ", ".join(str(image["id"]) for image in state.imported.get("images", []))
        return f"{files}: imported as Fileset:{state.imported.get('fileset')}" + (f", Image:{images}" if images else "")
    attempt = state.attempt
    if attempt is not None:
        number = f" (Fileset:{attempt.fileset})" if attempt.fileset is not None else ""
        if attempt.phase in (Phase.COMMIT, Phase.COMMITTED, Phase.ANSWERED):
            return f"{files}: the import was started{number}; OMERO may have images of it"
        return f"{files}: an import was begun{number}; OMERO may have a fileset without images of it"
    if state.discarding is not None:
        return f"{files}: Fileset:{state.discarding} without images was being removed"
    if state.fences or (state.looked or {}).get("attempts"):
        return f"{files}: an import was begun and lost; OMERO may have a fileset of it"
    return ""


def _tell(record: Record, path: Path, names: Mapping[str, str]) -> dict[str, Any]:
    try:
        says = sentence(record)
    except SENSELESS:
        says = record.kind
    if len(names) > 1 and record.key in names:
        says = f"{says} ({names[record.key]})"
    told: dict[str, Any] = {"at": record.at, "step": record.kind, "says": says, "path": str(path)}
    if record.key:
        told |= {"fileset": record.key, "attempt": record.attempt}
    return told


def _first_files(records: Iterable[Record]) -> dict[str, str]:
    """What people call each fileset: its first file."""
    names: dict[str, str] = {}
    for record in records:
        if record.kind != "inspected":
            continue
        with contextlib.suppress(*SENSELESS):
            names |= {one["key"]: one["files"][0]["path"] for one in record.data.get("filesets", []) if one.get("files")}
    return names


def _claims(box: Path) -> Iterator[Path]:
    for instance in _folders(Layout(box).inprogress):
        for path in _folders(instance):
            if id_in(path.name):
                yield path


def _put_away(box: Layout) -> tuple[tuple[list[Path], DropState], ...]:
    discarded = [path for path in _folders(box.discarded) if id_in(path.name)]
    return (
        (list(_filed(box.done)), DropState.DONE),
        (list(_filed(box.failed)), DropState.FAILED),
        (discarded, DropState.DISCARDED),
    )


def _filed(root: Path) -> Iterator[Path]:
    for user in _folders(root):
        for month in _folders(user):
            yield from _folders(month)


def _folders(path: Path) -> list[Path]:
    try:
        return sorted(one for one in path.iterdir() if one.is_dir())
    except OSError:
        return []


def _records(path: Path) -> tuple[tuple[Record, ...], str]:
    """Its records, or why they cannot be read: a filed folder belongs to its user, who may have put anything there."""
    try:
        found = read_newest(path)
        if not found:
            return found, without_a_story(path)
        drop = fold(path.name, found)
        two = path.name.endswith(".failed") or path.with_name(f"{path.name}.failed").is_dir()
        return found, cut_short(path, drop) if two else ""
    except SENSELESS:
        return (), "its journal makes no sense: somebody has changed it"
    except JournalDamaged as error:
        return (), str(error)
    except OSError as error:
        return (), f"its journal cannot be read ({error.strerror})"


def _legible(path: Path, *, beginning: bool = False) -> list[Record]:
    """Each whole line of the newest segment (`beginning`: up to the first that is not whole); for people, nothing is decided by it."""
    found: list[Record] = []
    try:
        lines = raw_bytes(segments(path)[-1]).splitlines()
    except (OSError, IndexError, JournalDamaged):
        return []
    for line in lines:
        try:
            found.append(decode(line))
        except (JournalDamaged, ValueError, KeyError, TypeError, RecursionError):
            if beginning:
                break
    return found


def _summary(box: Path, path: Path, put_away: DropState | None) -> DropSummary:
    records, trouble = _records(path)
    drop = _as_far_as_it_goes(path.name, _legible(path, beginning=True)) if trouble else fold(path.name, records)
    state = put_away or (DropState.HELD if trouble else DropState.RUNNING)
    candidate = drop.candidate
    return DropSummary(
        id=id_in(path.name) or path.name,
        state=state,
        box=str(box),
        user=candidate.user if candidate else "",
        sidecar=candidate.sidecar.path if candidate else path.name,
        owner=drop.owner,
        step=drop.last,
        why=trouble or _why(drop, put_away),
        since=drop.at,
        filesets=len(drop.filesets),
        images=sum(len((one.imported or {}).get("images", [])) for one in drop.good),
        path=str(path),
    )


def _as_far_as_it_goes(name: str, records: Iterable[Record]) -> Drop:
    drop = Drop(name)
    for record in records:
        try:
            drop = step(drop, record)
        except SENSELESS:
            break
    return drop


def _why(drop: Drop, put_away: DropState | None) -> str:
    if put_away is DropState.DISCARDED:
        return "set aside by an administrator"
    told = reports.failures(drop)
    if told and put_away is not DropState.DONE:  # what failed of it lies in failed/, and is told there
        return "; ".join(text for _, failure in told for text in (failure.sentence, *failure.mistakes))
    return "; ".join(drop.attention)
