"""Put files and their sidecar into a drop folder, in the order in which nothing can be taken half.

`submit(...)` is the command `dropbox-import submit` for programs. Members are written under
another name and renamed when complete; the sidecar comes last, by one rename, with the size of
every file, so that the daemon takes the drop at its next look. If anything goes wrong before
that rename, what was put there is taken back and the user's own files are as they were.
"""

from __future__ import annotations

import getpass
import glob
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn

from dropbox_import.clock import Clock, SystemClock
from dropbox_import.delivery import Item, Progress, bring
from dropbox_import.disk import names
from dropbox_import.disk.trouble import as_ours
from dropbox_import.errors import ConfigError, MembersMissing, Rejected, SidecarInvalid
from dropbox_import.heartbeat import require_life
from dropbox_import.intake.globs import is_glob
from dropbox_import.intake.ignored import is_never_taken
from dropbox_import.sidecar import build, parse_sidecar
from dropbox_import.spool.layout import MARKER, Layout


@dataclass(frozen=True, slots=True)
class Submitted:
    """What lies in the drop folder now: the sidecar, the files in the order given, and their bytes."""

    sidecar: Path
    files: tuple[Path, ...]
    bytes: int
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """A user's drop folder, the box it belongs to, and the box's defaults where a config told them."""

    box: Path
    folder: Path
    user: str
    defaults: Mapping[str, Any]


def submit(
    files: Sequence[str | os.PathLike[str]],
    *,
    drop: str | os.PathLike[str] | None = None,
    config: str | os.PathLike[str] | None = None,
    fields: Mapping[str, Any] | None = None,
    attachments: Sequence[str | os.PathLike[str]] = (),
    user: str | None = None,
    folder: str = "",
    name: str | None = None,
    move: bool = False,
    even_if_down: bool = False,
    on_progress: Progress | None = None,
    clock: Clock | None = None,
) -> Submitted:
    """Bring `files` (files and folders) with one sidecar into a drop folder.

    Give `drop` (a box, its drop folder or a user's folder in it) or `config` (of a daemon).
    `fields` are the keys of the sidecar, as in `{"target": {"dataset": "HeLa"}, "tags": ["live"]}`;
    `files` and `attachments` are added to them. `user` names the drop folder (default: the user of
    the system), `folder` a folder inside it, `name` the sidecar. `move` takes the files away from
    where they are. Raises a DropboxImportError, and has then changed nothing.
    """
    clock = clock or SystemClock()
    place = find_place(drop, config, user)
    items = plan(files)
    extra = plan(attachments) if attachments else ()
    base = _base(place.folder, folder)
    sidecar = f"{name or PurePosixPath(items[0].name).parts[0]}"
    sidecar = sidecar if sidecar.endswith((".yaml", ".yml")) else f"{sidecar}.yaml"
    _require_good_names([sidecar, *(item.name for item in (*items, *extra))])
    _require_target(fields or {}, place, from_config=drop is None)
    try:
        data = sidecar_text(fields or {}, files, items, extra)
        request = parse_sidecar(data, sidecar, defaults=dict(place.defaults))
    except SidecarInvalid as error:
        many = "a mistake" if len(error.mistakes) == 1 else f"{len(error.mistakes)} mistakes"
        raise SidecarInvalid(f"the sidecar would have {many}", mistakes=error.mistakes, hint="Nothing was submitted.") from error
    fresh = [item for item in extra if not _same_there(item, base / item.name)]
    _require_free(base, [sidecar, *(item.name for item in (*items, *fresh))])
    if not even_if_down:
        require_life(place.box, place.folder, clock)
    left = bring(base, place.folder, [*items, *fresh], sidecar, data, move_first=len(items) if move else 0, on_progress=on_progress)
    return Submitted(
        sidecar=base / sidecar,
        files=tuple(base / item.name for item in items),
        bytes=sum(item.size for item in items),
        notices=(*request.notices, *left),
    )


def _require_target(fields: Mapping[str, Any], place: Place, *, from_config: bool) -> None:
    if "target" in fields or "target" in place.defaults:
        return
    say = "Nothing was submitted. Name a dataset (--dataset NAME), or --orphaned for none"
    known = (
        "the box has no default for it"
        if from_config
        else "if the box has a default for it, only --config FILE in the place of --drop knows it"
    )
    raise SidecarInvalid("nothing says where the images go", hint=f"{say}; {known}.")


def find_place(drop: str | os.PathLike[str] | None, config: str | os.PathLike[str] | None, user: str | None) -> Place:
    """The drop folder that is meant. Raises ConfigError when it cannot be told."""
    defaults: Mapping[str, Any] = {}
    if drop is not None:
        given = Path(drop).absolute()
        box = next((level for level in (given, *given.parents) if (level / MARKER).exists()), None)
        if box is None:
            raise ConfigError(
                f"{given} is no drop box: there is no {MARKER} in it or above it",
                hint="Name the box, its drop folder, or your folder in it.",
            )
        below = given.relative_to(box).parts
        if user is None and len(below) >= 2 and below[0] == "drop":
            user = below[1]
    elif config is not None:
        from dropbox_import.settings import load_settings

        boxes = load_settings(Path(config)).boxes
        if len(boxes) != 1:
            raise ConfigError(
                f"the config has {len(boxes)} boxes", hint="Say which one with --drop: " + ", ".join(str(one.path) for one in boxes)
            )
        box, defaults = boxes[0].path, boxes[0].defaults
    else:
        raise ConfigError("no drop box was named", hint="Give --drop DIR (a drop folder) or --config FILE (of the daemon).")
    user = user or getpass.getuser()
    folder = Layout(box).drop / user
    if PurePosixPath(user).name != user or not folder.is_dir():
        there = _names_in(Layout(box).drop)
        raise ConfigError(
            f"there is no drop folder for {user} in {Layout(box).drop}",
            hint=f"Choose one with --user: {', '.join(there)}." if there else "Ask the administrator to make one.",
        )
    return Place(box, folder, user, defaults)


def plan(files: Sequence[str | os.PathLike[str]]) -> tuple[Item, ...]:
    """Every regular file to bring, folders opened, in a fixed order. Raises when one is missing, a link, or two have one name."""
    found: list[Item] = []
    for given in files:
        source = Path(given)
        if source.is_dir() and not source.is_symlink():
            inside = [path for path in _inside(source) if not is_never_taken(path.relative_to(source).as_posix())]
            if not inside:
                raise MembersMissing(f"the folder {source} is empty", hint="Hidden and temporary files do not count.")
            found += [_item(path, f"{source.absolute().name}/{path.relative_to(source).as_posix()}") for path in inside]
        elif is_never_taken(source.name):
            raise Rejected(f"{source} has the name of a hidden or temporary file", hint="Rename it.", code="bad-name")
        else:
            found.append(_item(source, source.name))
    if not found:
        raise MembersMissing("no file was named", hint="Name at least one image file or folder.")
    seen: dict[str, Item] = {}
    for item in found:
        other = seen.setdefault(names.same_key(item.name), item)
        if other is not item:
            raise Rejected(
                f"{other.source} and {item.source} would both become {item.name}",
                hint="Rename one of them, or submit them apart.",
                code="name-taken",
            )
    return tuple(found)


def _inside(folder: Path) -> list[Path]:
    """All in it that is no folder. Raises AccessDenied for a folder that cannot be looked into: a part would be taken for the whole."""

    def denied(error: OSError) -> NoReturn:
        raise as_ours(error, f"looking into {error.filename}") from error

    found = []
    for top, folders, files in os.walk(folder, onerror=denied):
        links = [name for name in folders if Path(top, name).is_symlink()]
        found += [Path(top, name) for name in (*files, *links)]
    return sorted(found)


def sidecar_text(
    fields: Mapping[str, Any], given: Sequence[str | os.PathLike[str]], items: Sequence[Item], attachments: Sequence[Item] = ()
) -> bytes:
    """The sidecar: what the user asks for, exactly these files, and their sizes."""
    # A folder by its plain name is taken whole, with one rename.
    include = [_literal(Path(one).absolute().name, folder=Path(one).is_dir()) for one in given]
    text: dict[str, Any] = {"schema": 1, **fields}
    text["files"] = {"include": include, "expect": {"count": len(items), "size": {item.name: item.size for item in items}}}
    if attachments:
        text["attachments"] = [*fields.get("attachments", ()), *({"file": item.name} for item in attachments)]
    text["end"] = True
    return build(text)


def _literal(name: str, *, folder: bool) -> str:
    if not is_glob(name):
        return name
    return glob.escape(name) + ("/**" if folder else "")


def _item(source: Path, name: str) -> Item:
    if source.is_symlink() or (source.exists() and not source.is_file()):
        raise Rejected(f"{source} is not a regular file", hint="Submit the file itself, not a link or a device.", code="not-a-file")
    try:
        return Item(source.absolute(), name, source.stat().st_size)
    except FileNotFoundError as error:
        raise MembersMissing(f"there is no file {source}", hint="Check the name; nothing was submitted.") from error
    except OSError as error:
        raise as_ours(error, f"looking at {source}") from error


def _names_in(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in folder.iterdir() if entry.is_dir())
    except OSError:
        return []


def _base(folder: Path, below: str) -> Path:
    if below:
        _require_good_names([below])
    return folder / below


def _require_good_names(wanted: Sequence[str]) -> None:
    for name in wanted:
        problem = names.problem_with(name)
        if problem:
            raise Rejected(f"{name}: {problem}", hint="Rename it; nothing was submitted.", code="bad-name")


def _same_there(item: Item, target: Path) -> bool:
    """Whether an attachment lies there already, byte for byte: several sidecars may share one, and it stays."""
    try:
        return target.is_file() and target.stat().st_size == item.size and target.read_bytes() == item.source.read_bytes()
    except OSError:
        return False


def _require_free(base: Path, wanted: Sequence[str]) -> None:
    on_the_way = (f"{name}.part" for name in wanted)
    taken = [name for name in (*wanted, *on_the_way) if os.path.lexists(base / name)]
    if taken:
        more = f" and {len(taken) - 1} more" if len(taken) > 1 else ""
        raise Rejected(
            f"{taken[0]}{more} is already in {base}",
            hint="Nothing was submitted. Wait until it is taken, rename yours, or put them into a folder of their own with --folder.",
            code="name-taken",
        )
