"""Everything an administrator can get wrong, found at once: `dropbox-import check`.

Pure where it can be; what it must try (a rename, a log-in) it tries and takes back. It never changes
what it finds: each finding says what to type. A config that cannot be read is told by the caller.
"""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from dropbox_import.daemon.check_secrets import check_secrets
from dropbox_import.daemon.findings import (
    CLOSED,
    LEASE,
    Finding,
    how_to_get_capabilities,
    me,
    missing_capabilities,
    user_name,
    user_number,
)
from dropbox_import.disk import volumes
from dropbox_import.disk.trouble import as_ours
from dropbox_import.errors import DropboxImportError
from dropbox_import.settings import Box, Settings
from dropbox_import.spool.layout import Layout, read_marker


def check_host(settings: Settings) -> Iterator[Finding]:
    """All that can be seen without OMERO."""
    yield from check_account()
    yield from check_state_dir(settings.state_dir)
    yield from check_secrets(settings)
    seen: set[Path] = set()
    for box in settings.boxes:
        yield from check_box(box)
        real = box.path.resolve()
        for other in seen:
            if real == other or real in other.parents or other in real.parents:
                yield Finding(
                    "problem", str(box.path), f"the boxes {other} and {real} lie in one another", "Give each box a folder of its own."
                )
        seen.add(real)


def check_account() -> Iterator[Finding]:
    """Who checks: rights are those of this account, and the daemon may run under another."""
    if sys.platform == "win32":
        return
    number = os.geteuid()
    name = user_name(number) or f"number {number}"
    yield Finding("ok", "account", f"checked as user {name}; the daemon must run as the same user for this to hold")
    if number == 0:
        yield Finding(
            "warning",
            "account",
            "root can do what the daemon's own account perhaps may not",
            "Check as that account: sudo -u ACCOUNT dropbox-import check ...",
        )


def check_state_dir(path: Path) -> Iterator[Finding]:
    about = f"state_dir {path}"
    if not path.exists():
        above = next(level for level in path.parents if level.exists())
        if os.access(above, os.W_OK | os.X_OK):
            yield Finding("ok", about, "will be made when the daemon starts")
        else:
            yield Finding(
                "problem", about, f"is not there and {above} may not be written", f"Type: sudo install -d -m 700 -o {me()} {path}"
            )
        return
    if not path.is_dir():
        yield Finding("problem", about, "is not a folder", "Name another path as state_dir.")
        return
    if not os.access(path, os.W_OK | os.X_OK):
        yield Finding("problem", about, "may not be written", f"Type: sudo chown -R {me()} {path}")
        return
    loose = sys.platform != "win32" and path.stat().st_mode & CLOSED
    if loose:
        yield Finding("warning", about, "others can look into it; it holds OMERO session ids", f"Type: chmod 700 {path}")
    if volumes.is_network(path):
        yield Finding("warning", about, "lies on a network share; locks are not safe there", "Choose a folder on a local disk.")
    elif not loose:
        yield Finding("ok", about, "is there, closed to others, on a local disk")


def check_box(box: Box) -> Iterator[Finding]:
    """Marker, folders, rights, one volume, free space, and each user's folder."""
    layout, about = Layout(box.path), f"box {box.path}"
    if not box.path.is_dir():
        yield Finding("problem", about, "is not there", f"Mount it, or make it: dropbox-import init {box.path}")
        return
    try:
        read_marker(box.path)
    except DropboxImportError as error:
        yield Finding("problem", about, error.sentence, error.hint)
        return
    yield Finding("ok", about, "has its marker" + ("; it is a network share" if volumes.is_network(box.path) else ""))
    usable = True
    for folder in (layout.drop, layout.inprogress, layout.done, layout.failed):
        wrong = _check_folder(folder, box.path)
        usable = usable and wrong is None
        if wrong is not None:
            yield wrong
    if not usable:
        return
    yield from _check_closed(layout.inprogress)
    wrong_volume = list(_check_volumes(layout))
    yield from wrong_volume
    if not wrong_volume:
        yield Finding("ok", about, "drop, inprogress, done and failed can be written and share a volume")
    yield _check_room(box)
    yield from _check_users(box, layout)


def _check_volumes(layout: Layout) -> Iterator[Finding]:
    for target in (layout.done, layout.failed):
        error = _try_rename(layout.inprogress, target)
        if error is not None:
            yield Finding("problem", str(target), *_rename_trouble(error, layout.inprogress, target))


def _check_folder(folder: Path, box: Path) -> Finding | None:
    if not folder.is_dir():
        return Finding("problem", str(folder), "is not there", f"Type: dropbox-import init {box}")
    if folder.is_symlink():
        return Finding("problem", str(folder), "is a symbolic link", "Put a real folder there, or mount the volume at this place.")
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return Finding("problem", str(folder), "may not be read and written", f"Type: sudo chown {me()} {folder}")
    return None


def _check_closed(inprogress: Path) -> Iterator[Finding]:
    open_to_users = sys.platform != "win32" and inprogress.stat().st_mode & 0o022
    if open_to_users:
        yield Finding("problem", str(inprogress), "users can change what is being imported", f"Type: chmod 711 {inprogress}")


def _check_room(box: Box) -> Finding:
    free = volumes.free_bytes(box.path)
    if free < box.min_free:
        return Finding(
            "problem",
            f"box {box.path}",
            f"has {_gb(free)} free, less than the {_gb(box.min_free)} of min_free: drops wait",
            "Make room, or lower min_free.",
        )
    return Finding("ok", f"box {box.path}", f"has {_gb(free)} free")


def _check_users(box: Box, layout: Layout) -> Iterator[Finding]:
    folders = sorted(entry for entry in layout.drop.iterdir() if not entry.name.startswith("."))
    users = [entry for entry in folders if entry.is_dir() and not entry.is_symlink()]
    for entry in folders:
        if entry not in users:
            yield Finding("warning", str(entry), "is not a user's folder and is left alone", "Only folders belong here, one for each user.")
    if not users:
        yield Finding(
            "warning",
            str(layout.drop),
            "has no user's folder, so nobody can drop anything",
            f"Type: dropbox-import init {box.path} --user NAME",
        )
    for folder in users:
        error = _try_rename(folder, layout.inprogress)
        if error is not None:
            yield Finding("problem", str(folder), *_rename_trouble(error, folder, layout.inprogress))
            continue
        trouble = list(_check_owner(box, folder)) if box.check_file_owner else []
        yield from trouble
        if not trouble:
            yield Finding("ok", str(folder), "files can be taken from it")
    yield from _check_capabilities(box, users)


def _check_owner(box: Box, folder: Path) -> Iterator[Finding]:
    if sys.platform == "win32":
        return
    facts = folder.stat()
    wanted = user_number(folder.name)
    if wanted is None:
        yield Finding(
            "problem",
            str(folder),
            f"there is no user {folder.name} on this machine, so no file in it can be hers or his",
            f"Rename the folder, or set check_file_owner: false for the box {box.path}.",
        )
    elif facts.st_uid != wanted:
        owner = user_name(facts.st_uid) or facts.st_uid
        yield Finding("warning", str(folder), f"belongs to {owner}, not to {folder.name}", f"Type: sudo chown {folder.name} {folder}")
    if facts.st_mode & 0o002 and not facts.st_mode & stat.S_ISVTX:
        yield Finding("warning", str(folder), "everybody can write into it", f"Type: sudo chmod o-w {folder}")


def _check_capabilities(box: Box, users: list[Path]) -> Iterator[Finding]:
    """What an ordinary account needs besides, to close other people's files while they are imported and to give them back."""
    missing = missing_capabilities()
    others = [folder.name for folder in users if _is_of_another(folder, by_name=box.check_file_owner)] if missing else []
    if not others:
        return
    whose = ", ".join(others[:3]) + (f" and {len(others) - 3} others" if len(others) > 3 else "")
    lacks = f"{' '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing"
    if set(missing) - {LEASE}:
        sentence = f"this account may not close the files of {whose} while they are imported, nor give them back: {lacks}"
        yield Finding("problem", f"box {box.path}", sentence, how_to_get_capabilities())
        return
    sentence = f"whether a file of {whose} is still being written cannot be asked, so that only quiet_period tells: {lacks}"
    yield Finding("warning", f"box {box.path}", sentence, how_to_get_capabilities())


def _is_of_another(folder: Path, *, by_name: bool) -> bool:
    if sys.platform == "win32":
        return False
    me_number = os.geteuid()
    return folder.stat().st_uid != me_number or (by_name and user_number(folder.name) not in (None, me_number))


def _try_rename(source: Path, target: Path) -> OSError | None:
    try:
        volumes.probe_rename(source, target)
    except OSError as error:
        return error
    return None


def _rename_trouble(error: OSError, source: Path, target: Path) -> tuple[str, str]:
    if error.errno == errno.EXDEV:
        return (
            f"a file cannot be renamed from {source} to {target}: they are two volumes",
            "Put both on one file system; a mount inside a box does not work.",
        )
    barred = next((folder for folder in (source, target) if not os.access(folder, os.W_OK | os.X_OK)), None)
    ours = as_ours(error, f"a file cannot be moved from {source} to {target}")
    return ours.sentence, f"Type: sudo setfacl -m u:{me()}:rwx {barred}" if barred else ours.hint


def _gb(size: int) -> str:
    return f"{size / 1e9:.1f} GB"
