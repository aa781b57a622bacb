"""The careful part of `submit`: files into a folder, the sidecar last, and everything taken back on trouble."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from dropbox_import.disk import files as disk
from dropbox_import.disk.trouble import as_ours
from dropbox_import.errors import AccessDenied

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Item:
    """One file to bring: from `source` to `name` below the folder of the sidecar."""

    source: Path
    name: str
    size: int


def bring(
    base: Path, folder: Path, items: Sequence[Item], sidecar: str, data: bytes, *, move_first: int, on_progress: Progress | None
) -> list[str]:
    """Steps that can each be taken back, and the sidecar's rename as the last one. Returns what could not be tidied up after it."""
    undo: list[Callable[[], None]] = []
    leave: list[Path] = []
    total, so_far = sum(item.size for item in items), 0
    try:
        made: set[Path] = set()
        for number, item in enumerate(items):
            target = base / item.name
            _make_parents(target.parent, folder, undo, made)
            if number < move_first and _moved(item.source, target):
                undo.append(partial(disk.rename, target, item.source))
            else:
                part = target.with_name(f"{target.name}.part")
                with _made_by_us(part, undo):
                    disk.copy_in(item.source, part)
                disk.rename(part, target)
                undo.append(partial(disk.remove_file, target))
                if number < move_first:
                    leave.append(item.source)
            so_far += item.size
            if on_progress is not None:
                on_progress(item.name, so_far, total)
        for level in sorted(made | {base}):
            disk.sync_dir(level)
        part = base / f"{sidecar}.part"
        with _made_by_us(part, undo):
            disk.write_new(part, data)
        disk.rename(part, base / sidecar)
    except BaseException as error:
        for step in reversed(undo):
            try:
                step()
            except OSError:
                # The first trouble is what the user must hear; a leftover without a sidecar is never imported.
                continue
        if isinstance(error, OSError):
            raise as_ours(error, f"writing into {base}") from error
        raise
    return _afterwards(base, leave)


@contextmanager
def _made_by_us(part: Path, undo: list[Callable[[], None]]) -> Iterator[None]:
    """What is made in it is taken back on trouble, now or later; what lay there already is somebody else's."""
    try:
        yield
    except FileExistsError:
        raise
    except BaseException:
        undo.append(partial(disk.remove_file, part))
        raise
    undo.append(partial(disk.remove_file, part))


def _afterwards(base: Path, leave: Sequence[Path]) -> list[str]:
    """The drop is submitted whatever happens here: trouble is told, not raised."""
    notices = []
    try:
        disk.sync_dir(base)
    except OSError as error:
        notices.append(f"{base} could not be synced ({error.strerror}): look there again after a power cut")
    for source in leave:
        try:
            disk.remove_file(source)
        except OSError as error:
            notices.append(f"{source} was copied but could not be removed ({error.strerror})")
    return notices


def _make_parents(wanted: Path, folder: Path, undo: list[Callable[[], None]], made: set[Path]) -> None:
    missing = [level for level in (wanted, *wanted.parents) if level != folder and folder in level.parents and not level.exists()]
    for level in reversed(missing):
        disk.make_dir(level)
        made.add(level)
        undo.append(partial(disk.remove_dir, level))


def _moved(source: Path, target: Path) -> bool:
    """Renamed there; False when it is another volume, so that it must be copied."""
    try:
        disk.rename(source, target)
    except PermissionError as error:
        raise AccessDenied(
            f"{source} may not be moved: {error.strerror}", hint="Submit without --move; the files are then copied."
        ) from error
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        return False
    return True
