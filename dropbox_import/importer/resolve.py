"""Where images shall go: project and dataset by id or name, found by asking, with rights and kind checked before any upload."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from dropbox_import.errors import TargetUnusable
from dropbox_import.importer import queries
from dropbox_import.importer.errors import calling
from dropbox_import.importer.people import Group, choose_group, groups_of
from dropbox_import.importer.sessions import OwnerSession
from dropbox_import.importer.twins import without_doubles
from dropbox_import.model import ContainerRef, OnAmbiguous, Target

Kind = Literal["Project", "Dataset"]
_BY_ID = {"Project": (queries.PROJECT_BY_ID, "p"), "Dataset": (queries.DATASET_BY_ID, "d"), "Screen": (queries.SCREEN_BY_ID, "s")}
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Found:
    """A container that exists."""

    kind: Kind
    id: int
    name: str
    owner: str
    group: Group
    linkable: bool
    doubled: bool = False  # one of several that importers made at the same moment, the one to use


@dataclass(frozen=True, slots=True)
class Place:
    """The answer: ids that exist, None where something is to be made, and what people should be told.

    `doubled` names the kinds of which several were made at the same moment; the id is that of the one to use.
    """

    group: Group
    project: int | None = None
    dataset: int | None = None
    project_name: str | None = None
    dataset_name: str | None = None
    notices: tuple[str, ...] = ()
    doubled: tuple[Kind, ...] = ()


def resolve(session: OwnerSession, group: str | int | None, target: Target) -> Place:
    """Raises NotAllowed (group) and TargetUnusable (everything about the containers)."""
    if target.dataset is None and target.project is not None:
        raise _unusable("Images lie in datasets; the target names a project only.", 'Add "dataset:" to the target.', "no-dataset")
    project = _by_id(session, "Project", target.project)
    dataset = _by_id(session, "Dataset", target.dataset)
    place = _group(session, group, [each for each in (project, dataset) if each])
    if target.dataset is None:
        return Place(place, notices=("The images are in no dataset: look under Orphaned images.",))
    if target.project is not None and project is None:
        project = _by_name(session, "Project", place, target.project, None, target.on_ambiguous)
    if dataset is not None:
        _is_inside(session, dataset, project, target)
    elif target.project is None or project is not None:
        dataset = _by_name(session, "Dataset", place, target.dataset, project, target.on_ambiguous)
    if dataset is None:
        _may_be_made(session, target.dataset, project)
    elif not dataset.linkable:
        raise _not_linkable(session, dataset)
    return Place(
        place,
        project.id if project else None,
        dataset.id if dataset else None,
        project.name if project else (target.project.name if target.project else None),
        dataset.name if dataset else target.dataset.name,
        tuple(
            _echo(ref, found)
            for ref, found in ((target.project, project), (target.dataset, dataset))
            if found and ref and ref.id is not None
        ),
        tuple(each.kind for each in (project, dataset) if each and each.doubled),
    )


def _echo(ref: ContainerRef, found: Found) -> str:
    return f'{found.kind} {ref.id} is "{found.name}" of {found.owner} in the group {found.group.name}.'


def _by_id(session: OwnerSession, kind: Kind, ref: ContainerRef | None) -> Found | None:
    if ref is None or ref.id is None:
        return None
    text, parameter = _BY_ID[kind]
    with calling(f"looking up {kind.lower()} {ref.id}"):
        rows = session.ask(text, **{parameter: ref.id})
    if not rows:
        raise _missing_id(session, kind, ref.id)
    number, name, owner, group_id, group = rows[0]
    return Found(kind, int(number), str(name), str(owner), Group(int(group_id), str(group)), _linkable(session, kind, ref.id))


def _missing_id(session: OwnerSession, kind: Kind, number: int) -> TargetUnusable:
    for other, (text, parameter) in _BY_ID.items():
        with calling("looking for a target of another kind"):
            rows = session.ask(text, **{parameter: number}) if other != kind else []
        if rows:
            return _unusable(
                f'{number} is not a {kind.lower()}, but the {other.lower()} "{rows[0][1]}".',
                f"Give the id of a {kind.lower()}." + (" Screens are not supported yet." if other == "Screen" else ""),
                "wrong-kind",
            )
    owner = session.record.owner
    return _unusable(
        f'There is no {kind.lower()} {number} that "{owner}" can see.',
        f'Check the id. What lies in a group of which "{owner}" is no member, or belongs to others in a private group, cannot be used. '
        f'If a name is meant, write {{name: "{number}"}}.',
        "missing-target",
    )


def _group(session: OwnerSession, wanted: str | int | None, found: Sequence[Found]) -> Group:
    own = Group(session.record.group_id, session.record.group)
    if not found:
        if wanted is None or wanted in (own.id, own.name):
            return own
        session.tell()
        own_groups = groups_of(session.client, session.record.owner)
        session.tell()
        return choose_group(session.client, session.record.owner, own_groups, wanted)
    group = found[0].group
    for each in found:
        if wanted is not None and wanted not in (each.group.id, each.group.name):
            raise _unusable(
                f'{each.kind} {each.id} is in the group "{each.group.name}", but the sidecar says "{wanted}".',
                'Leave "group:" out: it follows from the target.',
                "group-contradiction",
            )
        if each.group != group:
            raise _unusable("The project and the dataset are in different groups.", "Choose a dataset of that project.", "two-groups")
    return group


def _by_name(
    session: OwnerSession, kind: Kind, group: Group, ref: ContainerRef, project: Found | None, on_ambiguous: OnAmbiguous
) -> Found | None:
    """The one of that name; None if there is none and it may be made. A dataset with a project is looked up inside it only."""
    found = candidates(session, kind, group, str(ref.name), project)
    usable = [each for each in found if each.linkable]
    if not usable:
        if ref.create:
            return None
        if found and kind == "Dataset":
            raise _not_linkable(session, found[0])
        if found:
            usable = found  # a dataset inside may still be open to the owner
        else:
            where = f'the project "{project.name}"' if project else f'the group "{group.name}"'
            raise _unusable(
                f'There is no {kind.lower()} "{ref.name}" in {where} that "{session.record.owner}" can see.',
                f'Check the name, or have it made: {kind.lower()}: {{name: "{ref.name}", create: true}}.',
                "missing-target",
            )
    doubled = False
    if len(usable) > 1:

        def own() -> list[int]:
            return [each.id for each in candidates(session, kind, group, str(ref.name), project) if each.owner == session.record.owner]

        left, doubled = without_doubles(session, kind, own)
        usable = [each for each in usable if each.owner != session.record.owner or each.id in left]
    if not usable:  # they went away while they were looked at
        return _by_name(session, kind, group, ref, project, on_ambiguous)
    if len(usable) > 1 and on_ambiguous == "fail":
        ids = ", ".join(f"{each.id} (of {each.owner})" for each in usable[:_SHOWN]) + (", …" if len(usable) > _SHOWN else "")
        raise _unusable(
            f'There are {len(usable)} {kind.lower()}s named "{ref.name}": {ids}.',
            f'Give the id, like {kind.lower()}: {{id: {usable[0].id}}}, or write "on_ambiguous: newest" (or oldest) below target.',
            "ambiguous",
        )
    found_one = usable[-1] if on_ambiguous == "newest" else usable[0]
    return replace(found_one, doubled=doubled)


def candidates(session: OwnerSession, kind: Kind, group: Group, name: str, project: Found | None = None) -> list[Found]:
    """Containers of that name, lowest id first."""
    with calling(f'looking for the {kind.lower()} "{name}"'):
        if kind == "Dataset" and project is not None:
            rows = session.ask(queries.DATASETS_IN_PROJECT, p=project.id, n=name)
        else:
            rows = session.ask(queries.DATASETS_IN_GROUP if kind == "Dataset" else queries.PROJECTS_IN_GROUP, n=name, g=group.id)
    owners = {int(row[0]): str(row[1]) for row in rows}
    return [Found(kind, number, name, owners[number], group, _linkable(session, kind, number)) for number in sorted(owners)]


def _linkable(session: OwnerSession, kind: Kind, number: int) -> bool:
    text, parameter = (queries.DATASET_PERMISSIONS, "d") if kind == "Dataset" else (queries.PROJECT_PERMISSIONS, "p")
    with calling(f"asking for the rights on {kind.lower()} {number}"):
        rows = session.ask(text, **{parameter: number})
    if not rows:
        return False
    rights: dict[str, Any] = next((value for name, value in rows[0][0].items() if name.endswith("_details_permissions")), {})
    return bool(rights.get("canLink"))


def _is_inside(session: OwnerSession, dataset: Found, project: Found | None, target: Target) -> None:
    if target.project is None:
        return
    with calling("asking which project holds the dataset"):
        inside = project is not None and bool(session.ask(queries.DATASET_IS_IN_PROJECT, p=project.id, d=dataset.id)[0][0])
    if not inside:
        label = f'"{project.name}"' if project else f'"{target.project.name}"'
        raise _unusable(
            f"Dataset {dataset.id} is not in the project {label}.",
            'Leave "project:" out, or name the project that holds it.',
            "not-inside",
        )


def _may_be_made(session: OwnerSession, ref: ContainerRef, project: Found | None) -> None:
    if not ref.create:
        raise _unusable(
            f'The dataset "{ref.name}" does not exist, because its project does not.',
            'Add "create: true" to the dataset too.',
            "missing-target",
        )
    if project is not None and not project.linkable:
        raise _not_linkable(session, project)


def _not_linkable(session: OwnerSession, found: Found) -> TargetUnusable:
    return _unusable(
        f'"{session.record.owner}" may not put anything into the {found.kind.lower()} "{found.name}" (id {found.id}) of "{found.owner}".',
        f'Choose one of your own, or ask for rights in the group "{found.group.name}".',
        "not-linkable",
    )


def _unusable(sentence: str, hint: str, code: str) -> TargetUnusable:
    return TargetUnusable(sentence, hint=hint, code=code)
