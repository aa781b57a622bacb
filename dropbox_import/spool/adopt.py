"""Taking over the claims of an instance that is gone for good, by order of an administrator.

A claim is taken by moving its folder, and then known to be ours by a new epoch in a new segment of its journal. What the
other instance does after the move finds no claim: each intent is synced first and its claim looked at then, so either we
read that intent, or it is never acted on. Its OMERO sessions are seen ended before anything that may come of them is
judged: that is `next_steps`, as for any attempt that nobody holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dropbox_import.disk import files
from dropbox_import.spool import layout
from dropbox_import.spool.claim import Claim
from dropbox_import.spool.identity import Instance
from dropbox_import.spool.journal import Record
from dropbox_import.spool.layout import Layout


@dataclass(frozen=True, slots=True)
class Adopted:
    """How much was taken over: `claims` and `messages` by name; `left` could not be moved, each with the reason."""

    claims: tuple[str, ...] = ()
    messages: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


def claims_of(box: Layout, instance: str) -> tuple[Path, ...]:
    """The claims in an instance's folder, each failed part before the drop that fills it. Raises OSError."""
    folder = box.instance(instance)
    return tuple(sorted((path for path in folder.iterdir() if layout.is_id(path.name)), reverse=True)) if folder.is_dir() else ()


def adopt(box: Layout, old: str, instance: Instance) -> Adopted:
    """Move every claim and message of `old` to `instance`; the claims are then picked up by the next scan. Repeatable. Raises OSError."""
    mine, theirs = box.instance(instance.name), box.instance(old)
    if not mine.is_dir():
        files.make_dirs(mine, 0o700)
    claims, left = _move(claims_of(box, old), mine)
    messages: list[str] = []
    if box.outbox(old).is_dir():
        if not box.outbox(instance.name).is_dir():
            files.make_dir(box.outbox(instance.name), 0o700)
        messages, unsent = _move(sorted(box.outbox(old).glob("*.json"), key=_letters_first), box.outbox(instance.name))
        left += unsent
    for folder in (mine, theirs):
        if folder.is_dir():
            files.sync_dir(folder)
    return Adopted(tuple(claims), tuple(messages), tuple(left))


def _letters_first(path: Path) -> bool:
    """A letter says which messages have been told: they must not come into our hands without it."""
    return not path.name.endswith((".letter.json", ".dead.json"))


def _move(paths: tuple[Path, ...] | list[Path], folder: Path) -> tuple[list[str], list[str]]:
    moved, left = [], []
    for path in paths:
        try:
            files.rename(path, folder / path.name)
            moved.append(path.name)
        except FileNotFoundError:
            continue  # its instance is not as dead as it seemed, or filed it a moment ago
        except FileExistsError:
            left.append(f"{path}: there is one of that name in {folder}")
    return moved, left


def make_ours(claim: Claim, instance: Instance) -> bool:
    """Begin a new epoch in a claim that another instance had; one that is ours stays as it is. Raises OSError."""
    if claim.drop.candidate is None or claim.drop.instance == instance.name:
        return False
    claim.begin_epoch(Record("adopted", {"from": claim.drop.instance, "by": instance.name}))
    return True
