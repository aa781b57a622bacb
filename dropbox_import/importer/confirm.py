"""What OMERO really holds of a fileset, compared with what was wanted; a missing link to the dataset is made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import omero.model

from dropbox_import.errors import DropboxImportError
from dropbox_import.importer import queries
from dropbox_import.importer.errors import calling
from dropbox_import.importer.fileset import files_of
from dropbox_import.importer.records import Sent
from dropbox_import.importer.sessions import OwnerSession


@dataclass(frozen=True, slots=True)
class Wanted:
    """`files` whose checksum is not known have "" there and are compared by size."""

    owner: str
    group: str
    dataset: int | None = None
    files: Sequence[Sent] = field(default_factory=tuple)


def confirm(session: OwnerSession, fileset: int, wanted: Wanted) -> dict[str, Any]:
    """What OMERO has of it; `problems` are sentences about what is not as wanted. `none` = no image.

    Whether the images are finished is not asked: OMERO has just said so, or a look-up has judged it.
    """
    with calling("confirming what OMERO holds"):
        rows = session.ask(queries.IMAGES_OF_FILESETS, f=[fileset])
        sizes = {int(row[0]): [int(value) for value in row[1:]] for row in session.ask(queries.SIZES_OF_IMAGES, f=fileset)}
    if not rows:
        return {"state": "none", "images": [], "problems": []}
    stored = files_of(session, fileset)
    problems = _strangers(rows, wanted) + _files(stored, wanted.files)
    if wanted.dataset is not None:
        problems += _place(session, rows, wanted.dataset)
    files = [{"client_path": path, "size": size, "sha1": sha1} for path, (size, sha1) in stored.items()]
    return {"state": "complete", "images": [_image(row, sizes) for row in rows], "problems": problems, "files": files}


def _image(row: Sequence[Any], sizes: dict[int, list[int]]) -> dict[str, Any]:
    number, name = int(row[0]), str(row[1])
    return {
        "id": number,
        "name": name,
        "series": int(row[2] or 0),
        "series_name": series_name(name),
        "size": sizes.get(number, []),
        "dataset": row[6],
    }


def series_name(name: str) -> str:
    """OMERO names an image of a file with several "file [series]"; "" if it has only the one name."""
    before, bracket, rest = name.rpartition(" [")
    return rest[:-1] if bracket and before and rest.endswith("]") else ""


def _strangers(rows: Sequence[Sequence[Any]], wanted: Wanted) -> list[str]:
    return [
        f'Image {row[0]} belongs to "{row[4]}" in the group "{row[5]}", not to "{wanted.owner}" in "{wanted.group}".'
        for row in rows
        if (row[4], row[5]) != (wanted.owner, wanted.group)
    ]


def _files(stored: Mapping[str, tuple[int | None, str | None]], sent: Sequence[Sent]) -> list[str]:
    problems = []
    for each in sent:
        size, sha1 = stored[each.client_path] if each.client_path in stored else _from_elsewhere(stored, each)
        if size != each.size or (each.sha1 and sha1 != each.sha1):
            problems.append(f'"{each.client_path}" in OMERO is not equal to the file that was dropped.')
    return problems


def _from_elsewhere(stored: Mapping[str, tuple[int | None, str | None]], sent: Sent) -> tuple[int | None, str | None]:
    """The file of that name and size under another path: the same submission had been dropped into another folder then."""
    name = sent.client_path.rpartition("/")[2]
    found = [held for path, held in stored.items() if path.rpartition("/")[2] == name and held[0] == sent.size]
    return found[0] if found else (None, None)


def _place(session: OwnerSession, rows: list[list[Any]], dataset: int) -> list[str]:
    """Links images that are in no dataset; the rows are brought up to date. One that is elsewhere was moved by somebody: told, left."""
    ids = [int(row[0]) for row in rows]
    with calling("asking which images the dataset holds"):
        inside = {int(row[0]) for row in session.ask(queries.IMAGES_IN_DATASET, d=dataset, i=ids)}
    for row in rows:
        if int(row[0]) in inside:
            row[6] = dataset
    elsewhere = [row for row in rows if row[6] is not None and row[6] != dataset]
    problems = [f"Image {row[0]} is in dataset {row[6]}, not in {dataset}." for row in elsewhere]
    orphans = [row for row in rows if row[6] is None]
    if not orphans:
        return problems
    links = []
    for row in orphans:
        link = omero.model.DatasetImageLinkI()
        link.parent, link.child = omero.model.DatasetI(dataset, False), omero.model.ImageI(int(row[0]), False)
        links.append(link)
    try:
        with calling("putting images into the dataset", changes=True):
            session.update().saveAndReturnArray(links)
    except DropboxImportError as error:
        if error.kind not in ("permission", "refused"):
            raise
        return [*problems, f"{len(orphans)} images could not be put into dataset {dataset}: {error.sentence}"]
    for row in orphans:
        row[6] = dataset
    return problems
