"""Is every outcome the right one? Compares what was wanted with what OMERO holds and what lies in the folders. Pure, but for reading."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dropbox_import.cli.demo.scenario import PROJECT, USER, Case, Image
from dropbox_import.spool.layout import MEMBERS, REASON, Layout, is_id


@dataclass(frozen=True, slots=True)
class Held:
    """An image as OMERO holds it."""

    id: int
    project: str
    dataset: str
    owner: str
    image: Image


@dataclass(frozen=True, slots=True)
class Filed:
    """A folder in `done/` or `failed/`: the sidecar it is named after, its members, its reason."""

    state: str
    stem: str
    path: Path
    members: tuple[str, ...]
    reason: str


def held_images(holdings: dict[str, Any]) -> list[Held]:
    """From the JSON of `python -m dropbox_import.standin.holdings`."""
    return [
        Held(
            id=int(one["id"]),
            project=str(one.get("project") or ""),
            dataset=str(one.get("dataset") or ""),
            owner=str(one["owner"]),
            image=Image(
                dataset=str(one.get("dataset") or ""),
                name=str(one["name"]),
                size=_size(one["size"]),
                tags=tuple(one.get("tags", ())),
                key_values=tuple((str(key), str(value)) for key, value in one.get("key_values", ())),
                comments=tuple(one.get("comments", ())),
                rating=one.get("rating"),
                attachments=tuple(one.get("attachments", ())),
            ),
        )
        for one in holdings["images"]
    ]


def _size(given: Sequence[int]) -> tuple[int, int, int, int, int]:
    x, y, z, c, t = (int(number) for number in given)
    return x, y, z, c, t


def filed_folders(box: Path) -> list[Filed]:
    """All that lies in done/ and failed/."""
    layout = Layout(box)
    found = []
    for state, root in (("done", layout.done), ("failed", layout.failed)):
        for path in sorted(root.glob("*/*/*")):
            members = path / MEMBERS
            reason = path / REASON
            found.append(
                Filed(
                    state=state,
                    stem=path.name.rpartition("__")[0],
                    path=path,
                    members=tuple(sorted(one.relative_to(members).as_posix() for one in members.rglob("*") if one.is_file())),
                    reason=reason.read_text(encoding="utf-8") if reason.exists() else "",
                )
            )
    return found


def wrong(cases: Iterable[Case], held: Sequence[Held], filed: Sequence[Filed], in_drop: Iterable[str], claims: Iterable[str]) -> list[str]:
    """Every difference as a sentence; empty = all is right."""
    found: list[str] = []
    left_images, left_folders, left_files = list(held), list(filed), set(in_drop)
    for case in cases:
        for image in case.images:
            found += _wrong_image(case, image, left_images)
        for state, members in (("done", case.done), ("failed", case.failed)):
            found += _wrong_folder(case, state, members, left_folders)
        for name in case.stay:
            if name not in left_files:
                found.append(f"{case.sidecar}: {name} is no longer in the drop folder")
            left_files.discard(name)
    found += [f"OMERO holds {one.dataset}/{one.image.name}, which nobody asked for" for one in left_images]
    found += [f"{one.path} was not to be expected" for one in left_folders]
    found += [f"{name} is still in the drop folder" for name in sorted(left_files)]
    found += [f"{name} is still in progress" for name in claims]
    return found


def _wrong_image(case: Case, wanted: Image, left: list[Held]) -> list[str]:
    found = next((one for one in left if (one.dataset, one.image.name) == (wanted.dataset, wanted.name)), None)
    label = f"{case.sidecar}: image {wanted.dataset}/{wanted.name}"
    if found is None:
        return [f"{label} is not in OMERO"]
    left.remove(found)
    pairs: list[tuple[str, object, object]] = [
        ("project", PROJECT, found.project),
        ("owner", USER, found.owner),
        ("size", wanted.size, found.image.size),
        ("tags", sorted(wanted.tags), sorted(found.image.tags)),
        ("key-values", wanted.key_values, found.image.key_values),
        ("comments", wanted.comments, found.image.comments),
        ("rating", wanted.rating, found.image.rating),
        ("attachments", wanted.attachments, found.image.attachments),
    ]
    return [f"{label}: {what} should be {should!r}, is {value!r}" for what, should, value in pairs if should != value]


def _wrong_folder(case: Case, state: str, members: tuple[str, ...] | None, left: list[Filed]) -> list[str]:
    stem = case.sidecar.rpartition(".")[0]
    found = next((one for one in left if (one.state, one.stem) == (state, stem)), None)
    if found is not None:
        left.remove(found)
    if members is None:
        return [] if found is None else [f"{case.sidecar}: nothing should be in {state}/, but there is {found.path}"]
    if found is None:
        return [f"{case.sidecar}: there is no folder in {state}/"]
    label = f"{case.sidecar}: {found.path}"
    problems = []
    if found.members != tuple(sorted(members)):
        problems.append(f"{label} should hold {sorted(members)}, holds {list(found.members)}")
    if state == "failed":
        problems += [f'{label}: the reason does not say "{word}"' for word in case.reasons if word not in found.reason]
    elif found.reason:
        problems.append(f"{label} has a reason for a failure")
    if not (found.path / case.sidecar).is_file():
        problems.append(f"{label} does not hold the sidecar")
    return problems


def dropped(folder: Path) -> list[str]:
    """The files that lie in a user's drop folder."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def claims(box: Path) -> list[str]:
    """What is in progress."""
    return sorted(path.name for path in Layout(box).inprogress.glob("*/*") if is_id(path.name))
