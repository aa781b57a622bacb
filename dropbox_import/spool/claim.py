"""One claim on the disk: its folder, its journal and the state that follows from it.

Every function here may be called again after a crash at any point in it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NoReturn

from dropbox_import.clock import Clock
from dropbox_import.disk import files, seal
from dropbox_import.disk.facts import NotAPlainFile, facts, is_folder, is_there, paths_in
from dropbox_import.disk.names import same_key
from dropbox_import.errors import ClaimTaken, JournalDamaged, ShareUnavailable
from dropbox_import.model import Candidate, FileFacts
from dropbox_import.plain import from_plain
from dropbox_import.spool import layout
from dropbox_import.spool.fold import Drop, ask_again, fold, seen_again, step, waiting_for
from dropbox_import.spool.journal import Journal, Record, segments
from dropbox_import.spool.layout import Layout
from dropbox_import.spool.words import DETAILS, sentence

log = logging.getLogger(__name__)

_LOOK = "look at the folder; the drop is held and nothing of it is touched"

_FOLDERS = (layout.MEMBERS, layout.REFERENCES, layout.EARLIER)
_OURS = frozenset(map(same_key, (layout.REQUEST, layout.RESULT, layout.REASON, layout.ATTENTION, *_FOLDERS)))


def kept_name(sidecar: str) -> str:
    """The sidecar's name inside the claim: its own, unless one of our files is called so, or would be where case does not count."""
    name = sidecar.rsplit("/", 1)[-1]
    return f"sidecar-{name}" if same_key(name) in _OURS else name


class Claim:
    """One claim folder with its journal and the fold over it. Only `append` changes `drop`, and what a look-up brought may be forgotten."""

    def __init__(self, box: Layout, path: Path, journal: Journal | None) -> None:
        self.box = box
        self.path = path
        self.journal = journal
        self.drop: Drop = fold(path.name, journal.records if journal else ())
        self._seen: dict[str, Any] = {}  # the attempts that a forgotten look-up brought, by fileset

    @property
    def members(self) -> Path:
        return self.path / layout.MEMBERS

    @property
    def origin(self) -> Path:
        """The sidecar's folder in drop/."""
        assert self.drop.candidate is not None
        return self.box.drop / self.drop.candidate.folder

    @property
    def source(self) -> Path:
        """What the members' paths in drop/ are relative to."""
        assert self.drop.candidate is not None
        return self.origin / self.drop.candidate.base

    @property
    def kept_sidecar(self) -> Path:
        assert self.drop.candidate is not None
        return self.path / kept_name(self.drop.candidate.sidecar.path)

    def append(self, *records: Record, sync: bool = True) -> None:
        """Journal the records. Raises OSError, and ClaimTaken when the claim is not ours any more: then nothing may be done.

        That is looked at after the sync. Who takes a claim over moves its folder first and reads the journal then; so an
        intent that was synced while the folder was still here is known to them.
        """
        assert self.journal is not None
        before = len(self.journal.records)
        try:
            self.journal.append(records, sync=sync)
            if sync:
                self.journal.path.stat()
                self._not_overtaken()
        except FileNotFoundError as error:
            raise_if_taken(self.box, self.path, error)
        self._follow(before)

    def look_again(self, session: int) -> tuple[str, ...]:
        """Forget the look-ups of filesets that wait for something in that session, which is still open; returns their keys."""
        before, self.drop = self.drop, waiting_for(self.drop, session)
        if self.drop is before:
            return ()
        forgotten = {key: state.looked for key, state in before.filesets.items() if state.looked is not self.drop.filesets[key].looked}
        self._seen |= {key: looked["attempts"] for key, looked in forgotten.items() if looked is not None}
        return tuple(forgotten)

    def looked_up(self, records: Iterable[Record]) -> None:
        """Journal a look-up, as `append` does, but for what is as it was: who waits for days looks thousands of times."""
        news: list[Record] = []
        for record in records:
            if self._seen.pop(record.key, None) == record.data["attempts"]:
                self.drop = seen_again(self.drop, record.key, record.data)
            else:
                news.append(record)
        if news:
            self.append(*news, sync=False)

    def still_ours(self) -> None:
        """Raises ClaimTaken when the claim is not in its place any more, or not as we left it; OSError when that cannot be told."""
        try:
            self.path.stat()
        except FileNotFoundError as error:
            raise_if_taken(self.box, self.path, error)
        self._not_overtaken()

    def _not_overtaken(self) -> None:
        """While this process slept another instance may have had the claim, and it came back: then it is to be read anew."""
        if self.journal is not None and self.journal.overtaken:
            raise ClaimTaken(f"another instance has had the claim {self.path.name} meanwhile")

    def begin_epoch(self, record: Record) -> None:
        """Journal a record from which on nobody else's lines count. Raises OSError."""
        assert self.journal is not None
        before = len(self.journal.records)
        self.journal.new_segment([record])
        self._follow(before)

    def _follow(self, before: int) -> None:
        assert self.journal is not None
        for record in self.journal.records[before:]:
            self.drop = step(self.drop, record)
            level = logging.DEBUG if record.kind in DETAILS else logging.INFO
            log.log(level, "%s", sentence(record), extra={"drop": self.drop.id, "owner": self.drop.owner, "step": record.kind})


def raise_if_taken(box: Layout, path: Path, error: FileNotFoundError) -> NoReturn:
    """ClaimTaken when the box is there and only the claim is not; else the error itself: the volume is gone."""
    try:
        layout.read_marker(box.box)
    except ShareUnavailable:
        raise error from None
    if is_folder(path):
        raise error
    raise taken_or_moved(path.name) from error


def taken_or_moved(name: str) -> ClaimTaken:
    """What there is to say of a claim that is not in its place any more."""
    return ClaimTaken(f"the claim {name} was taken over by another instance, or moved away by hand")


def load(box: Layout, path: Path, clock: Clock) -> Claim:
    """A claim found on disk; its journal goes on in a new segment where a sync of it failed. Raises JournalDamaged, ClaimTaken, OSError."""
    try:
        journal = Journal.open(path, clock)
    except FileNotFoundError as error:  # a folder that cannot be seen is no empty claim
        raise_if_taken(box, path, error)
    if journal is not None and journal.unsure:
        journal.new_segment()
    claim = Claim(box, path, journal)
    if trouble := cut_short(path, claim.drop):
        raise JournalDamaged(trouble, hint=_LOOK)
    claim.drop = ask_again(claim.drop)
    return claim


def same_file(seen: FileFacts, now: FileFacts) -> bool:
    """Whether it is still the file that was seen; the id counts only where both have one (shares change it).

    Of the id only the inode: after a reboot, or when it was mounted anew, a volume may have another device number (btrfs, LVM, USB).
    """
    inodes = [one.file_id.rpartition(":")[2] for one in (seen, now)]
    known = not all(inodes) or inodes[0] == inodes[1]
    return known and (seen.size, seen.mtime_ns) == (now.size, now.mtime_ns)


def restore_modes(claim: Claim) -> None:
    if claim.drop.modes is not None:
        old = tuple(from_plain(seal.OldMode, mode) for mode in claim.drop.modes)
        seal.restore(claim.path, tuple(mode for mode in old if is_there(claim.path / mode.path)))


def files_below(folder: Path) -> list[Path]:
    """All in it but folders. A link is as a file, wherever it leads."""
    return [path for path in tree(folder) if not is_folder(path)] if is_folder(folder) else []


def tree(folder: Path) -> Iterator[Path]:
    """All in it, each folder after what lies in it."""
    for path in paths_in(folder):
        if is_folder(path):
            yield from tree(path)
        yield path


def remove(claim: Claim) -> None:
    """Remove a claim that holds nothing of the user's: our own files, the copies of references, empty folders.

    Raises OSError, and leaves the rest, if more is in it; JournalDamaged, and touches nothing, if the journal says nothing
    and more is in it.
    """
    if claim.drop.candidate is None and (trouble := without_a_story(claim.path)):
        raise JournalDamaged(trouble, hint=_LOOK)
    for folder in (claim.path / layout.REFERENCES, claim.path / layout.EARLIER, claim.members):
        if is_folder(folder):
            for path in tree(folder):
                if is_folder(path):
                    files.remove_dir(path)
                elif folder != claim.members:
                    files.remove_file(path)
            files.remove_dir(folder)
    for name in (layout.REQUEST, layout.RESULT, layout.REASON, layout.ATTENTION):
        files.remove_file(claim.path / name)
    for ours in (*segments(claim.path), *_half_written(claim.path)):
        files.remove_file(ours)
    files.remove_dir(claim.path)


def _half_written(path: Path) -> list[Path]:
    """What the end of a process in the middle of `files.replace` left in a claim."""
    return sorted(path.glob(".*.new"))


def cut_short(path: Path, drop: Drop) -> str:
    """What is wrong with a journal that tells less of a drop of two outcomes than its two claims show; "" in every other case.

    A failed part that was never filled although the first part is gone; or a first part that does not know of the one beside it:
    what it would do again, with fewer files, would be another drop for OMERO.
    """
    waits = drop.part_of and not drop.claimed and not drop.destination
    if waits and not is_folder(path.with_name(drop.part_of)):
        return "the journal is damaged: it ends before all files of this part had come, and the part that they came from is filed"
    if not drop.part_of and drop.split is None and path.with_name(f"{path.name}.failed").is_dir():
        return "the journal is damaged: it ends before a part of this drop was moved into the claim beside it"
    return ""


def without_a_story(path: Path) -> str:
    """What is wrong with a claim whose journal says nothing, if files are in it that somebody moved there; "" for an empty claim."""
    members = path / layout.MEMBERS
    known = {layout.REQUEST, layout.MEMBERS, layout.REFERENCES, *(one.name for one in (*segments(path), *_half_written(path)))}
    if files_below(members) or any(one.name not in known for one in paths_in(path)):
        return "the journal is damaged: it does not say where the files beside it came from"
    return ""


def changed_since(claim: Claim, seen: Iterable[FileFacts]) -> list[str]:
    """Which of these files in d/ are not what they were. Raises OSError other than for a file that is gone."""
    claim.members.stat()  # without d/ nothing can be said of its files
    changed = []
    for one in seen:
        try:
            if not same_file(one, facts(claim.members, one.path)):
                changed.append(one.path)
        except (FileNotFoundError, NotAPlainFile):
            changed.append(one.path)
    return changed


def compare_again(claim: Claim) -> None:
    """A write handle that was open before the seal outlives it: what changed after the upload is told, never filed as plainly done."""
    for state in claim.drop.good:
        changed = changed_since(claim, state.plan.files)
        text = f"{', '.join(changed)} changed on disk after it was imported; OMERO has what was there before"
        if changed and text not in claim.drop.attention:
            claim.append(Record("attention", {"text": text}))


def members_now(claim: Claim) -> tuple[tuple[FileFacts, ...], tuple[NotAPlainFile, ...]]:
    """Every plain file below d/ as it is now, and what is wrong with each of the others. Raises OSError."""
    found, odd = [], []
    for path in files_below(claim.members):
        try:
            found.append(facts(claim.members, path.relative_to(claim.members).as_posix()))
        except NotAPlainFile as error:
            odd.append(error)
    return tuple(found), tuple(odd)


def to_inspect(claim: Claim) -> tuple[tuple[FileFacts, ...], tuple[str, ...]]:
    """The members as they are now, and the paths of what nobody saw before the claim. Raises NotAPlainFile, OSError."""
    found, odd = members_now(claim)
    if odd and not claim.drop.again:  # of a drop that is tried again that was told when it was gathered
        raise odd[0]
    candidate = claim.drop.candidate
    known = {one.path for one in candidate.members} if candidate else set()
    return tuple(one for one in found if one.path in known), tuple(one.path for one in found if one.path not in known)


def look_at_references(path: Path, candidate: Candidate) -> None:
    """Whether the attachments are there and nothing but plain files is beside them. Raises NotAPlainFile, FileNotFoundError, OSError."""
    there = [one.relative_to(path).as_posix() for one in files_below(path / layout.REFERENCES)]
    for name in sorted({*there, *(f"{layout.REFERENCES}/{one.path}" for one in candidate.references)}):
        facts(path, name)
