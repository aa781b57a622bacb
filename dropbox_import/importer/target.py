"""Find the target or make what is missing, so that one container of that name comes out even if two made it at once."""

from __future__ import annotations

from dataclasses import dataclass

import omero.model
from omero.rtypes import rstring

from dropbox_import.errors import DropboxImportError, TargetUnusable
from dropbox_import.importer import queries
from dropbox_import.importer.discard import delete
from dropbox_import.importer.errors import calling
from dropbox_import.importer.resolve import Found, Kind, Place, candidates, resolve
from dropbox_import.importer.sessions import OwnerSession
from dropbox_import.model import ContainerRef, Target

_CHILDREN = {"Project": (queries.CHILDREN_OF_PROJECT, "p"), "Dataset": (queries.CHILDREN_OF_DATASET, "d")}


@dataclass(frozen=True, slots=True)
class Ready:
    """Ids of what exists now; `made` names what this call made, as "Dataset:5"."""

    project: int | None
    dataset: int | None
    project_name: str | None
    dataset_name: str | None
    made: tuple[str, ...] = ()


def find_or_make(session: OwnerSession, target: Target) -> Ready:
    """Asked again after a crash it finds what the first call made."""
    with session.making:
        return _find_or_make(session, target)


def _find_or_make(session: OwnerSession, target: Target) -> Ready:
    place = resolve(session, session.record.group_id, target)
    if place.group.id != session.record.group_id:
        raise TargetUnusable("The target is in another group than the session.", hint="Resolve it again.", code="other-group")
    made: list[str] = []
    project = place.project
    if target.project is not None and project is None:
        project = _make(session, "Project", place, target.project, None, made)
    dataset = place.dataset
    if target.dataset is not None and dataset is None:
        dataset = _make(session, "Dataset", place, target.dataset, project, made)
    return Ready(project, dataset, place.project_name, place.dataset_name, tuple(made))


def _make(session: OwnerSession, kind: Kind, place: Place, ref: ContainerRef, project: int | None, made: list[str]) -> int:
    name = str(ref.name)
    with calling(f'making the {kind.lower()} "{name}"', changes=True):
        ours = _save(session, kind, ref, project)
    inside = Found("Project", project, str(place.project_name), session.record.owner, place.group, True) if project else None
    # somebody else may have made one at the same moment: all of them settle on the lowest id
    same = [each.id for each in candidates(session, kind, place.group, name, inside) if each.owner == session.record.owner]
    winner = min([*same, ours])
    if winner == ours:
        made.append(f"{kind}:{ours}")
    else:
        _remove_if_empty(session, kind, ours)
    return winner


def _save(session: OwnerSession, kind: Kind, ref: ContainerRef, project: int | None) -> int:
    new = omero.model.ProjectI() if kind == "Project" else omero.model.DatasetI()
    new.name = rstring(ref.name)
    if ref.description is not None:
        new.description = rstring(ref.description)
    if kind == "Dataset" and project is not None:
        # one save for dataset and link: a crash leaves no dataset outside its project
        link = omero.model.ProjectDatasetLinkI()
        link.parent = omero.model.ProjectI(project, False)
        link.child = new
        return int(session.update().saveAndReturnObject(link).child.id.val)
    return int(session.update().saveAndReturnObject(new).id.val)


def _remove_if_empty(session: OwnerSession, kind: Kind, number: int) -> None:
    text, parameter = _CHILDREN[kind]
    try:
        with calling("looking into a container that was made twice"):
            filled = session.ask(text, **{parameter: number})[0][0]
        if not filled:
            delete(session, kind, number)
    except DropboxImportError as error:
        if error.kind not in ("permission", "refused", "delete-refused"):
            raise
