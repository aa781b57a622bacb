"""Find the target or make what is missing, so that one container of that name comes out even if two made it at once."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

import omero.model
from omero.rtypes import rstring

from dropbox_import.errors import DropboxImportError, TargetUnusable, TryLater
from dropbox_import.importer import queries
from dropbox_import.importer.errors import WAITS, calling
from dropbox_import.importer.resolve import Found, Kind, Place, candidates, resolve
from dropbox_import.importer.sessions import OwnerSession
from dropbox_import.importer.twins import remove_if_empty, settle
from dropbox_import.model import ContainerRef, Target

_TRIES = 5


@dataclass(frozen=True, slots=True)
class Ready:
    """Ids of what exists now; `made` names what this call made, as "Dataset:5"."""

    project: int | None
    dataset: int | None
    project_name: str | None
    dataset_name: str | None
    made: tuple[str, ...] = ()


class _Again(Exception):
    """What was made or found was one of several of its name, and has been removed in favour of another."""


def find_or_make(session: OwnerSession, target: Target) -> Ready:
    """Asked again after a crash it finds what the first call made."""
    with session.turn():
        for _ in range(_TRIES):
            with suppress(_Again):
                return _find_or_make(session, target)
    raise TryLater("The containers for the images come and go.", hint=WAITS, code="target-gone")


def _find_or_make(session: OwnerSession, target: Target) -> Ready:
    place = resolve(session, session.record.group_id, target)
    if place.doubled:
        _settle_left(session, place, target)
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


def _settle_left(session: OwnerSession, place: Place, target: Target) -> None:
    """Others make the same at this moment, or one of them has died over it."""
    if "Project" in place.doubled and target.project is not None:
        settle(session, "Project", lambda: _own(session, "Project", place, str(place.project_name), None))
    elif target.dataset is not None:
        settle(session, "Dataset", lambda: _own(session, "Dataset", place, str(place.dataset_name), place.project))


def _own(session: OwnerSession, kind: Kind, place: Place, name: str, project: int | None) -> list[int]:
    inside = Found("Project", project, str(place.project_name), session.record.owner, place.group, True) if project else None
    return [each.id for each in candidates(session, kind, place.group, name, inside) if each.owner == session.record.owner]


def _make(session: OwnerSession, kind: Kind, place: Place, ref: ContainerRef, project: int | None, made: list[str]) -> int:
    name = str(ref.name)
    try:
        with calling(f'making the {kind.lower()} "{name}"', changes=True):
            ours = _save(session, kind, ref, project)
    except DropboxImportError as error:
        if error.kind == "refused" and project is not None and not _is_there(session, project):
            raise _Again from error
        raise
    # somebody else may have made one at the same moment: all of them settle on the same one
    same = settle(session, kind, lambda: _own(session, kind, place, name, project), ours)
    if not same:
        raise _Again
    winner = min(same)
    if winner == ours:
        made.append(f"{kind}:{ours}")
    elif ours in same:
        remove_if_empty(session, kind, ours)
    return winner


def _is_there(session: OwnerSession, project: int) -> bool:
    with calling(f"looking up project {project}"):
        return bool(session.ask(queries.PROJECT_BY_ID, p=project))


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
