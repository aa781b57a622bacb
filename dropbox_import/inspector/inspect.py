"""The step V1: opens each member once, judges it, and groups them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

from dropbox_import.disk.facts import NotAPlainFile, open_below
from dropbox_import.disk.trouble import as_ours
from dropbox_import.errors import FileBusy
from dropbox_import.inspector.faults import AGAIN, Code, ImageError, shown
from dropbox_import.inspector.formats import format_of
from dropbox_import.inspector.grouping import group
from dropbox_import.inspector.ometiff import Documents
from dropbox_import.inspector.source import OpenFile
from dropbox_import.inspector.whole import OPENED, Examined, examine
from dropbox_import.model import FileFacts, Inspection

Told = Callable[[int, int], None]


def _silent(_done: int, _all: int) -> None:
    return


def inspect_members(root: Path, members: Sequence[FileFacts], named: Collection[str] = (), told: Told = _silent) -> Inspection:
    """Filesets, bad files and extras of `members` below `root`.

    A file that is not fit is in the answer. Raises TryLater only where nothing is wrong with the drop: a share that does not answer,
    a file that may not be read, one that is being changed (its size differs from its facts). `told(done, all)` after each file.
    """
    asked = frozenset(named)
    documents = Documents()
    examined: list[Examined] = []
    for index, facts in enumerate(members, 1):
        examined.append(_examine(root, facts, facts.path in asked, documents))
        told(index, len(members))
    return group(examined, asked)


def _examine(root: Path, facts: FileFacts, named: bool, documents: Documents) -> Examined:
    kind = format_of(facts.path)
    if kind.kind not in OPENED and not named:
        return Examined(facts, kind)
    try:
        with _opened(root, facts) as source:
            if kind.kind in OPENED:
                return examine(facts, kind, source, documents)
            return Examined(facts, kind)
    except (FileNotFoundError, NotAPlainFile) as error:
        return Examined(facts, kind, _absent(error))
    except OSError as error:
        raise as_ours(error, f"Reading {shown(facts.path)}") from error


def _absent(error: Exception) -> ImageError:
    if isinstance(error, NotAPlainFile):
        return ImageError(Code.NOT_IMAGE, "is no plain file", error.hint)
    return ImageError(Code.MISSING, "is not there any more", AGAIN)


@contextlib.contextmanager
def _opened(root: Path, facts: FileFacts) -> Iterator[OpenFile]:
    descriptor = open_below(root, facts.path)
    try:
        size = os.fstat(descriptor).st_size
        if size != facts.size:
            raise FileBusy(
                f"{shown(facts.path)} had {facts.size:,} bytes when it was taken and has {size:,} now.",
                hint="Close the program that still writes it; the work goes on by itself.",
            )
        yield OpenFile(descriptor, size)
    finally:
        os.close(descriptor)
