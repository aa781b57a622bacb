"""What `status` and `show` tell, read from the folders and journals alone: it works when the daemon is down."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from dropbox_import.errors import JournalDamaged
from dropbox_import.model import DropState, DropSummary
from dropbox_import.spool import layout, reports
from dropbox_import.spool.fold import Drop, fold
from dropbox_import.spool.journal import Record, read
from dropbox_import.spool.layout import Layout
from dropbox_import.spool.words import sentence


def survey(boxes: Iterable[Path], *, newest: int = 200) -> tuple[DropSummary, ...]:
    """Every claim, and the `newest` filed drops of each of done/ and failed/. What cannot be read is told in `why`, never raised."""
    found: list[DropSummary] = []
    for box in boxes:
        for path in _claims(box):
            found.append(_summary(box, path, None))
        for root, state in ((Layout(box).done, DropState.DONE), (Layout(box).failed, DropState.FAILED)):
            filed = sorted(_filed(root), key=lambda path: path.name.rpartition("__")[2], reverse=True)
            found += [_summary(box, path, state) for path in filed[:newest]]
    return tuple(found)


def story(boxes: Iterable[Path], drop_id: str) -> tuple[dict[str, Any], ...]:
    """The journal records of one drop (both parts, where it has two), each with "says", a plain sentence. Empty when it is not found."""
    told: list[dict[str, Any]] = []
    for box in boxes:
        layout_of_box = Layout(box)
        places = [*_claims(box), *_filed(layout_of_box.done), *_filed(layout_of_box.failed)]
        for path in places:
            if path.name.removesuffix(".failed") == drop_id or f"__{drop_id}" in path.name:
                records, trouble = _records(path)
                told += [_tell(record, path) for record in records]
                if trouble:
                    told.append({"at": "", "step": "", "says": trouble, "path": str(path)})
    return tuple(told)


def _tell(record: Record, path: Path) -> dict[str, Any]:
    told: dict[str, Any] = {"at": record.at, "step": record.kind, "says": sentence(record), "path": str(path)}
    if record.key:
        told |= {"fileset": record.key, "attempt": record.attempt}
    return told


def _claims(box: Path) -> Iterator[Path]:
    for instance in _folders(Layout(box).inprogress):
        for path in _folders(instance):
            if layout.is_id(path.name):
                yield path


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
    try:
        return read((path / layout.JOURNAL).read_bytes())[0], ""
    except JournalDamaged as error:
        return (), str(error)
    except OSError as error:
        return (), f"its journal cannot be read ({error.strerror})"


def _summary(box: Path, path: Path, filed: DropState | None) -> DropSummary:
    records, trouble = _records(path)
    drop = fold(path.name, records)
    state = filed or (DropState.HELD if trouble else DropState.RUNNING)
    candidate = drop.candidate
    return DropSummary(
        id=_id_of(path, drop),
        state=state,
        box=str(box),
        user=candidate.user if candidate else "",
        sidecar=candidate.sidecar.path if candidate else path.name,
        owner=drop.owner,
        step=drop.last,
        why=trouble or _why(drop, filed),
        since=drop.at,
        filesets=len(drop.filesets),
        images=sum(len((one.imported or {}).get("images", [])) for one in drop.good),
        path=str(path),
    )


def _id_of(path: Path, drop: Drop) -> str:
    name = drop.id.rpartition("__")[2] if "__" in drop.id else path.name
    return name.removesuffix(".failed")


def _why(drop: Drop, filed: DropState | None) -> str:
    told = reports.failures(drop)
    if told and filed is not DropState.DONE:  # what failed of it lies in failed/, and is told there
        return "; ".join(text for _, failure in told for text in (failure.sentence, *failure.mistakes))
    return "; ".join(drop.attention)
