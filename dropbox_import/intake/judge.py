"""What is wrong with the files of a drop, as far as their names, kinds and owners show. Pure."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from dropbox_import.disk.names import problem_with, same_key, shown
from dropbox_import.intake.members import Problem
from dropbox_import.intake.tree import MAX_DEPTH, Entry, Kind, below

_MOST_TOLD = 20


def problems_of(entries: Iterable[Entry], folder: str, *, owner_uid: int | None, device: int | None) -> list[Problem]:
    """Each mistake of these members and references, paths as seen from `folder`. None switches a check off."""
    found: list[Problem] = []
    names: dict[str, str] = {}
    for entry in entries:
        path = below(folder, entry.path)
        problem = _problem(entry, path, owner_uid, device)
        if problem is not None:
            found.append(problem)
        elif (other := _collision(names, path)) is not None:
            found.append(
                Problem(
                    f'"{shown(path)}" and "{shown(other)}" are the same name on Windows and macOS, and maybe on the OMERO server.',
                    "Rename one of them.",
                    path,
                )
            )
    if len(found) > _MOST_TOLD:
        rest = len(found) - _MOST_TOLD
        found = [*found[:_MOST_TOLD], Problem(f"{rest} more files of this drop have a problem.", "Correct these first.")]
    return found


def _problem(entry: Entry, path: str, owner_uid: int | None, device: int | None) -> Problem | None:
    name = shown(path)
    if (sentence := problem_with(path)) is not None:
        return Problem(sentence, "Give it another name: letters, digits, - and _ are always fine.", path)
    if entry.kind is Kind.TOO_DEEP:
        return Problem(f'"{name}" lies more than {MAX_DEPTH} folders deep.', "Put the files into fewer folders.", path)
    if entry.kind is not Kind.FILE:
        return Problem(f'"{name}" is {entry.kind.value}, not a regular file.', "Put a copy of the file itself there.", path)
    if entry.links > 1:
        return Problem(
            f'"{name}" has {entry.links} names (hard links), so it could be changed from elsewhere.',
            "Put a copy there that has no other name.",
            path,
        )
    if owner_uid is not None and entry.uid != owner_uid:
        return Problem(
            f'"{name}" belongs to {user_name(entry.uid)}, and the drop folder to {user_name(owner_uid)}.',
            "Save the file as the user of the drop folder; on a share where all files belong to one account, the administrator "
            "can set check_file_owner: false for the box.",
            path,
        )
    if device is not None and entry.device != device:
        return Problem(f'"{name}" lies on another volume than the drop folder.', "Copy it into the drop folder itself.", path)
    return None


def _collision(names: dict[str, str], path: str) -> str | None:
    """The path that was seen before under the same name (folders too), where upper and lower case are one."""
    parts = path.split("/")
    for count in range(1, len(parts) + 1):
        part = "/".join(parts[:count])
        other = names.setdefault(same_key(part), part)
        if other != part:
            return other
    return None


if sys.platform == "win32":
    OUR_UID = 0

    def user_name(uid: int) -> str:
        """The name of a system user, or its number."""
        return f"user {uid}"

else:
    import os
    import pwd

    OUR_UID = os.geteuid()

    def user_name(uid: int) -> str:
        """The name of a system user, or its number."""
        try:
            return f'the user "{pwd.getpwuid(uid).pw_name}"'
        except KeyError:
            return f"user number {uid}"
