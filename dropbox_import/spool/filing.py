"""Putting a settled drop away: two parts where it has two outcomes (F0), the last rename (F1, X1)."""

from __future__ import annotations

import contextlib
import logging
import os
import stat
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from dropbox_import.clock import Clock
from dropbox_import.disk import files, seal
from dropbox_import.disk.facts import is_folder, is_there
from dropbox_import.plain import from_plain, to_plain
from dropbox_import.spool import layout, reports
from dropbox_import.spool.claim import Claim, files_below, kept_name, load, restore_modes
from dropbox_import.spool.fold import Drop, Failure
from dropbox_import.spool.journal import Journal, Record, vouch
from dropbox_import.strict_yaml import dump

log = logging.getLogger(__name__)

SPLIT_SUFFIX = ".failed"


def split(claim: Claim, clock: Clock) -> None:
    """F0: move the members that failed into a claim of their own beside this one, with the sidecar and the references.

    Repeatable at any point: the second claim counts only from its record `claimed` on, which is written when all has moved.
    """
    unwanted = claim.drop.split
    if unwanted is None:
        unwanted = reports.unwanted(claim.drop)
        claim.append(Record("split", {"members": list(unwanted)}))
    beside = claim.path.with_name(claim.path.name + SPLIT_SUFFIX)
    here = [path for path in unwanted if is_there(claim.members / path)]
    if here or is_folder(beside) or not unwanted:
        other = _second_claim(claim, beside, unwanted, clock)
        for path in here:
            target = other.members / path
            if not is_folder(target.parent):
                files.make_dirs(target.parent, 0o700)
            files.rename(claim.members / path, target)
        for folder in sorted({(base / path).parent for path in unwanted for base in (claim.members, other.members)}, key=str):
            if is_folder(folder):
                files.sync_dir(folder)
        if not other.drop.claimed:
            modes = [mode for mode in claim.drop.modes or () if _belongs(str(mode["path"]), unwanted, claim)]
            found = [Record(kind, data) for kind, data in (("resolved", claim.drop.resolved), ("target", claim.drop.target)) if data]
            # `claimed` is the last: a power cut may leave the first of these records without the others.
            other.append(Record("seal", {"modes": modes}), *found, _story(claim.drop), Record("messages"), Record("claimed"))
    claim.append(Record("split-done"))


def _belongs(path: str, unwanted: tuple[str, ...], claim: Claim) -> bool:
    below = path.removeprefix(f"{layout.MEMBERS}/")
    return path in (".", layout.MEMBERS, claim.kept_sidecar.name) or any(one == below or one.startswith(below + "/") for one in unwanted)


def _second_claim(claim: Claim, beside: Path, unwanted: tuple[str, ...], clock: Clock) -> Claim:
    if not is_folder(beside):
        files.make_dir(beside, 0o700)
    for source in (claim.kept_sidecar, claim.path / layout.REQUEST):
        _copy(source, beside / source.name)
    references = claim.path / layout.REFERENCES
    for source in sorted(references.rglob("*")) if is_folder(references) else []:
        if source.is_file() and not source.is_symlink():
            _copy(source, beside / layout.REFERENCES / source.relative_to(references))
    if not is_folder(beside / layout.MEMBERS):
        files.make_dir(beside / layout.MEMBERS, 0o700)
    other = load(claim.box, beside, clock)
    if other.journal is None:
        other = Claim(claim.box, beside, Journal.create(beside, clock))
    elif other.drop.candidate is None:
        other.journal.new_segment()  # who began the other one may still be about to write into it, if the drop was adopted since
    elif other.drop.instance != claim.drop.instance:
        other.begin_epoch(Record("adopted", {"from": other.drop.instance, "by": claim.drop.instance}))
    if other.drop.candidate is None:
        candidate = claim.drop.candidate
        assert candidate is not None
        wrong = frozenset(unwanted)
        elsewhere = (*candidate.elsewhere, *(one.path for one in candidate.members if one.path not in wrong))
        members = tuple(one for one in candidate.members if one.path in wrong)
        mine = replace(candidate, members=members, whole_folders=(), elsewhere=elsewhere)
        first = claim.drop
        parent = {"part_of": first.id, "tried": first.taken_back}
        other.append(Record("intent", {"instance": first.instance, "seen": first.seen, "candidate": to_plain(mine), **parent}))
    return other


def _copy(source: Path, target: Path) -> None:
    """Copy one of our own files; a half-made copy of an earlier try is made anew."""
    if not is_folder(target.parent):
        files.make_dirs(target.parent, 0o700)
    files.remove_file(target)
    files.copy_in(source, target)
    files.sync_dir(target.parent)


def _story(drop: Drop) -> Record:
    """What the second part's journal has to tell: each failure with its files."""
    told = reports.failures(drop)
    first = told[0][1]
    parts = [{"files": list(paths), **_data(failure)} for paths, failure in told]
    if len(told) == 1:
        return Record("failed", {**_data(first), "parts": parts})
    return Record("failed", {"code": first.code, "sentence": "; ".join(failure.sentence for _, failure in told), "parts": parts})


def _data(failure: Failure) -> dict[str, object]:
    return {"code": failure.code, "sentence": failure.sentence, "hint": failure.hint, "mistakes": list(failure.mistakes)}


def file(claim: Claim, key: bytes) -> Path:
    """F1: write what the folder is to say, give the modes back, rename it to done/ or failed/. Returns its new place.

    The last record vouches, with the instance's `key`, for the journal: from now on users may write in the folder.
    """
    drop = claim.drop
    candidate = drop.candidate
    assert candidate is not None
    part = "failed" if drop.id.endswith(SPLIT_SUFFIX) else ("done" if drop.two_outcomes else "")
    failed = part == "failed" or (not part and drop.has_failures)
    if not drop.destination:
        if claim.kept_sidecar.name != kept_name(candidate.sidecar.path) or not is_there(claim.kept_sidecar):
            raise FileNotFoundError(f"{claim.kept_sidecar} should be in the claim")
        _write_reports(claim, part, failed)
        _choose_place(claim, failed, key)
    target = claim.box.box / claim.drop.destination
    # Somebody made that name since it was recorded; or the drop was adopted since, and whoever adopted it vouches for its journal.
    if _in_use(target) or claim.drop.last != "file":
        _choose_place(claim, failed, key)
        target = claim.box.box / claim.drop.destination
    claim.still_ours()  # nothing is made where the box cannot be seen
    _make_month(claim, target.parent)  # somebody may have tidied up the empty month
    _open_to_user(claim, candidate.user)
    files.rename(claim.path, target)
    try:
        files.sync_dir(target.parent)
        files.sync_dir(claim.path.parent)
    except OSError as error:  # it is filed all the same; where a power cut undoes that, it is filed once more
        log.warning("it is filed, but that may not last through a power cut: %s", error.strerror, extra={"drop": drop.id, "step": "disk"})
    return target


def _choose_place(claim: Claim, failed: bool, key: bytes) -> None:
    assert claim.journal is not None
    to = _free_place(claim, failed)
    claim.append(Record("file", {"to": to, "mac": vouch(claim.journal.records, to, key)}))


def _write_reports(claim: Claim, part: str, failed: bool) -> None:
    drop = claim.drop
    candidate = drop.candidate
    assert candidate is not None
    files.replace(claim.path / layout.RESULT, dump(reports.result(drop, part=part)).encode("utf-8", "backslashreplace"))
    told = {
        layout.REASON: reports.reason(drop, f"drop/{candidate.home}", bool(files_below(claim.members))) if failed else "",
        layout.ATTENTION: "" if failed else reports.attention(drop),
    }
    for name, text in told.items():
        if text:
            files.replace(claim.path / name, text.encode("utf-8", "backslashreplace"))
        elif is_there(claim.path / name):  # of an earlier filing
            files.remove_file(claim.path / name)


def _free_place(claim: Claim, failed: bool) -> str:
    """The folder's name below the box: the first of `<stem>__<id>`, `…-2`, … that is not in use. Makes the month's folder."""
    candidate = claim.drop.candidate
    assert candidate is not None
    root = claim.box.failed if failed else claim.box.done
    month = root / candidate.user / layout.month_of(claim.drop.id)
    _make_month(claim, month)
    again = 1
    while _in_use(month / layout.filed_name(candidate.sidecar.path, claim.drop.id, again)):
        again += 1
    place = month / layout.filed_name(candidate.sidecar.path, claim.drop.id, again)
    return place.relative_to(claim.box.box).as_posix()


def _in_use(place: Path) -> bool:
    """Whether there is anything of that name; users may put a link that leads nowhere into their folders."""
    return os.path.lexists(place)


def _make_month(claim: Claim, month: Path) -> None:
    """Make the folder of a user's month, and the one above it, which shows no more than months and stays ours.

    In failed/ the month belongs to whom the drop folder does, who may take things out of it again; in done/ too where the drop
    folder is private, since its user could not enter it otherwise.
    """
    candidate = claim.drop.candidate
    assert candidate is not None
    home = claim.box.drop / candidate.user
    mode = _user_mode(home)
    if not month.is_dir():
        if not month.parent.is_dir():
            files.make_dirs(month.parent, 0o755)
        files.make_dirs(month, mode)
    if mode & 0o005 != 0o005 or claim.box.failed in month.parents:
        with contextlib.suppress(OSError):  # without the right to give it away its user can copy what may be read
            whose, now = home.stat(), month.stat()
            if (now.st_uid, now.st_gid) != (whose.st_uid, whose.st_gid):
                files.give_dir(month, whose.st_uid, whose.st_gid)


def _user_mode(folder: Path) -> int:
    """The mode of the user's drop folder: who may look in there may look at what became of it."""
    try:
        return stat.S_IMODE(folder.stat().st_mode) & 0o777 | 0o700
    except OSError:
        return 0o755


def _open_to_user(claim: Claim, user: str) -> None:
    """The old modes again; and the folders that we made go to the one who wrote the sidecar, where this account may give them."""
    restore_modes(claim)
    modes = [from_plain(seal.OldMode, mode) for mode in claim.drop.modes or ()]
    mode = _user_mode(claim.box.drop / user)
    writer = next((one for one in modes if one.path == claim.kept_sidecar.name), None)
    mine = claim.path.stat()
    made = _made_by_us(claim, modes, mine.st_uid)
    if writer is not None:
        try:
            seal.restore(claim.path, tuple(seal.OldMode(path, mode, writer.uid, writer.gid) for path in made))
            return
        except PermissionError:
            pass  # without the right to give files away the folders stay ours, readable by the user
    seal.restore(claim.path, tuple(seal.OldMode(path, mode, mine.st_uid, mine.st_gid) for path in made))


def _made_by_us(claim: Claim, modes: Iterable[seal.OldMode], us: int) -> tuple[str, ...]:
    """The claim's folder and those in it that no user made: closed from their beginning, so that no older mode is known of them."""
    candidate = claim.drop.candidate
    assert candidate is not None
    whole = tuple(f"{layout.MEMBERS}/{folder}/" for folder in candidate.whole_folders)
    theirs = {one.path for one in modes if (one.mode, one.uid) != (0o700, us)}
    folders = [path for path in sorted(claim.path.rglob("*")) if path.is_dir() and not path.is_symlink()]
    names = [path.relative_to(claim.path).as_posix() for path in folders]
    return (".", *(name for name in names if name not in theirs and not f"{name}/".startswith(whole)))
