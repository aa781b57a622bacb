"""Taking a filed drop back to be tried again, by order of an administrator.

Its journal lay where a user could write, so it is believed only if its last record vouches for it, and in the very place that
this record names: who may read a folder can copy it to a place of their own. Else, and where its sidecar was corrected meanwhile,
the folder goes back to drop/ as if its user had moved it.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath

from dropbox_import.clock import Clock
from dropbox_import.disk import files, seal
from dropbox_import.disk.facts import NotAPlainFile, is_folder, is_there, paths_in, read_below
from dropbox_import.errors import DropboxImportError, JournalDamaged
from dropbox_import.intake.ignored import is_litter
from dropbox_import.spool import layout
from dropbox_import.spool.claim import Claim, files_below, kept_name, load, look_at_references
from dropbox_import.spool.fold import Drop, fold
from dropbox_import.spool.identity import Instance
from dropbox_import.spool.journal import Record, read_newest, segments, vouched
from dropbox_import.spool.layout import Layout

_ID_IN_NAME = re.compile(r"__(\d{8}-\d{6}-[a-z2-7]{10})(?:-\d+)?$")


class NotVouched(DropboxImportError):
    """The journal of a filed folder cannot be gone on with; why is said in the sentence."""

    code = "not-vouched"


def id_of(folder: Path) -> str:
    """The drop's id in the name of a filed or discarded folder; "" where there is none."""
    if layout.is_id(folder.name):
        return folder.name.removesuffix(".failed")
    found = _ID_IN_NAME.search(folder.name)
    return found[1] if found else ""


def find_filed(box: Layout, drop_id: str) -> tuple[Path, ...]:
    """The folders of that drop below failed/, done/ and discarded/, in this order. Raises OSError."""
    found: list[Path] = []
    for root, depth in ((box.failed, "*/*/*"), (box.done, "*/*/*"), (box.discarded, "*")):
        found += sorted(path for path in root.glob(depth) if id_of(path) == drop_id and path.is_dir() and not path.is_symlink())
    return tuple(found)


def reopen(box: Layout, instance: Instance, path: Path, clock: Clock, order: str = "") -> Claim:
    """Take a filed folder back into inprogress/ and begin it anew with the files that are in it now, by that order.

    Its user may still stand in it with a shell. So it is closed in discarded/, where it is no claim, before it is believed; one that
    is not believed then goes back where it was. A discarded claim was never open, and goes on where it was. A crash in between leaves
    a folder that is found again, or a claim that files itself where it was: the order is to be given again.
    Raises NotVouched (nothing is changed), FileExistsError when it is at work, OSError.
    """
    aside = path.parent == box.discarded
    target = box.instance(instance.name) / (path.name if aside and layout.is_id(path.name) else id_of(path))
    if not target.parent.is_dir():
        files.make_dirs(target.parent, 0o700)
    if aside and layout.is_id(path.name):
        return load(box, _move(path, target), clock)
    try:
        _believe(box, path, path, instance.journal_key)
    except JournalDamaged as error:
        raise NotVouched(error.sentence) from error
    if is_there(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    here, was = path, tuple[seal.OldMode, ...]()
    try:
        if not aside:
            closed = _place_aside(box, path.name)
            files.rename(path, closed)
            here = closed
            _sync_names(path, closed)
        if here.is_symlink():
            raise NotVouched("a link lies in its place")
        was = seal.close(here)
        _believe(box, path, here, instance.journal_key)
        before = here
        files.rename(before, target)
        here = target
        _sync_names(before, target)
        claim = load(box, target, clock)
    except Exception as error:
        with contextlib.suppress(FileNotFoundError):  # a share may have done a rename and lost the reply: then it is found where it is
            if was:
                seal.restore(here, was)
            if here != path:
                _back(here, path)
        if isinstance(error, JournalDamaged):
            raise NotVouched(error.sentence) from error
        raise
    begin_anew(claim, instance, clock, order)
    return claim


def put_aside(box: Layout, path: Path, name: str) -> Path:
    """Move a folder to discarded/, which only the service account may enter, under that name or the next free one. Raises OSError."""
    return _move(path, _place_aside(box, name))


def _place_aside(box: Layout, name: str) -> Path:
    if not box.discarded.is_dir():
        files.make_dir(box.discarded, 0o700)
    target, again = box.discarded / name, 1
    while target.exists():
        again += 1
        target = box.discarded / (f"{name}{again}" if name.endswith("-0") else f"{name}-{again}")
    return target


def _move(path: Path, target: Path) -> Path:
    files.rename(path, target)
    _sync_names(path, target)
    return target


def _sync_names(path: Path, target: Path) -> None:
    for folder in (target.parent, path.parent):
        files.sync_dir(folder)


def _back(here: Path, path: Path) -> None:
    try:
        _move(here, path)
    except FileExistsError as error:  # its user was quick
        raise OSError(errno.ENOTEMPTY, f"another folder has its name now, so it lies in {here.parent}", str(path)) from error


def begin_anew(claim: Claim, instance: Instance, clock: Clock, order: str) -> None:
    """The drop is tried again with the files that are in the claim; what its journal knows of OMERO stays known. Raises OSError."""
    seen = clock.now().isoformat(timespec="seconds")
    claim.begin_epoch(Record("reopened", {"instance": instance.name, "seen": seen, "order": order}))


def was_reopened(path: Path, order: str) -> bool:
    """Whether that very order had this filed drop tried again. Raises OSError."""
    try:
        return reopened_by(read_newest(path), order)
    except JournalDamaged:
        return False


def reopened_by(records: Iterable[Record], order: str) -> bool:
    return any(record.kind == "reopened" and record.data.get("order") == order for record in records)


def as_filed(box: Layout, path: Path, key: bytes) -> bool:
    """Whether this is, by its journal, the folder that the holder of `key` filed in this place. Raises OSError."""
    try:
        records = read_newest(path)
    except JournalDamaged:
        return False
    return vouched(records, key) and _filed_as(box, path, records)


def _filed_as(box: Layout, place: Path, records: Sequence[Record]) -> bool:
    """Whether a journal that is vouched for belongs to that place; in discarded/, which is closed to users, to that name."""
    to, here = str(records[-1].data["to"]), place.relative_to(box.box).as_posix()
    if place.parent == box.discarded:
        to, here = PurePosixPath(to).name, place.name
    return unicodedata.normalize("NFC", to) == unicodedata.normalize("NFC", here)  # some file systems tell names in another form


def _believe(box: Layout, place: Path, path: Path, key: bytes) -> None:
    """Raises NotVouched unless the filed folder found at `place`, which is at `path` now, is as it was filed; its files may differ."""
    records = read_newest(path)
    if not vouched(records, key):
        raise NotVouched("its journal is not as this installation left it")
    if not _filed_as(box, place, records):
        raise NotVouched("it does not lie where it was filed")
    drop = fold(path.name, records)
    candidate = drop.candidate
    if candidate is None or candidate.request is None or not drop.claimed:
        raise NotVouched("its sidecar could not be used, so its files were never taken")
    try:
        sidecar = read_below(path, kept_name(candidate.sidecar.path), candidate.sidecar.size + 1)
    except (NotAPlainFile, FileNotFoundError) as error:
        raise NotVouched("its sidecar is not there any more") from error
    if hashlib.sha256(sidecar).hexdigest() != candidate.sidecar_sha256:
        raise NotVouched("its sidecar was changed")
    try:
        look_at_references(path, candidate)
    except FileNotFoundError as error:
        raise NotVouched("an attachment of it is not there any more") from error
    except NotAPlainFile as error:
        raise NotVouched(error.sentence.rstrip(".")) from error


def left_in(path: Path) -> tuple[bool, bool]:
    """Whether a sidecar, or another file of its user in the place of that, is in a filed folder; and any file in its d/. Raises OSError."""
    ours = {layout.REQUEST, layout.RESULT, layout.REASON, layout.ATTENTION, *(one.name for one in segments(path))}
    beside = [one.name for one in paths_in(path) if one.name not in ours and not is_folder(one)]
    members = [one.name for one in files_below(path / layout.MEMBERS)]
    return not all(map(is_litter, beside)), not all(map(is_litter, members))


def give_back(box: Layout, path: Path, key: bytes) -> Path:
    """Put a filed folder back to where its user drops, and return its new place.

    Where no files are in it, only the sidecar goes back, to its files; what else there is of the folder goes where those had never
    been taken, and tells what became of them where they had. Raises FileExistsError when the name is in use there, NotVouched, OSError.
    """
    try:
        if not is_folder(path / layout.MEMBERS):
            return _give_back_sidecar(box, path, key)
        target = box.drop / path.parent.parent.name / path.name
        files.rename(path, target, base=box.box, into=box.drop)
    except NotAPlainFile as error:  # users may put links into both places
        raise NotVouched(f"it cannot be put back: {error.sentence}") from error
    for folder in (target.parent, path.parent):
        files.sync_dir(folder)
    return target


def _give_back_sidecar(box: Layout, path: Path, key: bytes) -> Path:
    """A crash leaves the sidecar in one of the two places, and at last an empty folder: it may be called again."""
    if not paths_in(path):
        _remove_for_good(path, box.box)
        return box.drop / path.parent.parent.name
    drop = _said(box, path, key)
    if drop.candidate is None:
        raise NotVouched("it is not as this installation left it, so its sidecar has to be put back by hand, to its files")
    source = path / kept_name(drop.candidate.sidecar.path)
    target = box.drop / drop.candidate.folder / drop.candidate.sidecar.path
    if is_there(source):
        files.rename(source, target, base=box.box, into=box.drop)
        files.sync_dir(target.parent)
    if drop.claimed and drop.candidate.members:
        files.sync_dir(path)
        return target
    for name in (layout.REQUEST, layout.RESULT, layout.REASON, layout.ATTENTION):
        files.remove_file(path / name, base=box.box)
    files.sync_dir(path)  # without its journal nothing tells any more what the rest was
    for segment in segments(path):
        files.remove_file(segment, base=box.box)
    _remove_for_good(path, box.box)
    return target


def _remove_for_good(path: Path, box: Path) -> None:
    """Once the order is answered, nobody would remove what a power cut brings back."""
    files.remove_dir(path, base=box)
    files.sync_dir(path.parent)


def _said(box: Layout, path: Path, key: bytes) -> Drop:
    records = read_newest(path)
    return fold(path.name, records if vouched(records, key) and _filed_as(box, path, records) else ())
