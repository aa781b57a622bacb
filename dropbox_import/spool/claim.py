"""Taking a drop out of drop/ into inprogress/ (C1-C6), and giving it back (R1).

One rename of the sidecar is the lock. Every function here may be called again after a crash
at any point in it: what is done already is seen on disk and not done twice.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from dropbox_import.clock import Clock
from dropbox_import.disk import files, seal
from dropbox_import.disk.facts import NotAPlainFile, facts, read_below
from dropbox_import.errors import ClaimLost
from dropbox_import.model import Candidate, FileFacts
from dropbox_import.plain import from_plain, to_plain
from dropbox_import.spool import layout
from dropbox_import.spool.fold import Drop, fold, step
from dropbox_import.spool.journal import Journal, Record
from dropbox_import.spool.layout import Layout
from dropbox_import.spool.words import DETAILS, sentence

log = logging.getLogger(__name__)

_OURS = frozenset({layout.JOURNAL, layout.REQUEST, layout.RESULT, layout.REASON, layout.ATTENTION, layout.MEMBERS, layout.REFERENCES})


def kept_name(sidecar: str) -> str:
    """The sidecar's name inside the claim: its own, unless one of our files is called so."""
    name = sidecar.rsplit("/", 1)[-1]
    return f"sidecar-{name}" if name in _OURS else name


class Claim:
    """One claim folder with its journal and the fold over it. Only `append` changes `drop`."""

    def __init__(self, box: Layout, path: Path, journal: Journal | None) -> None:
        self.box = box
        self.path = path
        self.journal = journal
        self.drop: Drop = fold(path.name, journal.records if journal else ())

    @property
    def members(self) -> Path:
        return self.path / layout.MEMBERS

    @property
    def origin(self) -> Path:
        """The sidecar's folder in drop/."""
        assert self.drop.candidate is not None
        return self.box.drop / self.drop.candidate.folder

    @property
    def kept_sidecar(self) -> Path:
        assert self.drop.candidate is not None
        return self.path / kept_name(self.drop.candidate.sidecar.path)

    def append(self, *records: Record, sync: bool = True) -> None:
        assert self.journal is not None
        before = len(self.journal.records)
        self.journal.append(records, sync=sync)
        for record in self.journal.records[before:]:
            self.drop = step(self.drop, record)
            level = logging.DEBUG if record.kind in DETAILS else logging.INFO
            log.log(level, "%s", sentence(record), extra={"drop": self.drop.id, "owner": self.drop.owner, "step": record.kind})

    def close(self) -> None:
        if self.journal is not None:
            self.journal.close()


def load(box: Layout, path: Path, clock: Clock) -> Claim:
    """A claim found on disk. Raises JournalDamaged, OSError."""
    path.stat()  # a folder that cannot be seen is no empty claim
    journal_path = path / layout.JOURNAL
    return Claim(box, path, Journal.open(journal_path, clock) if journal_path.exists() else None)


def take(box: Layout, instance: str, candidate: Candidate, clock: Clock) -> Claim:
    """C1 and C2: make the claim folder and journal the intent. Nothing of the user's is moved yet. Raises OSError."""
    if not box.instance(instance).is_dir():
        files.make_dirs(box.instance(instance), 0o700)
    drop_id = layout.new_id(clock)
    path = box.instance(instance) / drop_id
    files.make_dir(path, 0o700)
    origin = box.drop / candidate.folder
    for reference in candidate.references:
        target = path / layout.REFERENCES / reference.path
        if not target.parent.is_dir():
            files.make_dirs(target.parent, 0o700)
        files.copy_in(origin / reference.path, target, base=origin)
        files.sync_dir(target.parent)
    files.write_new(path / layout.REQUEST, json.dumps(to_plain(candidate.request), indent=1).encode() + b"\n")
    claim = Claim(box, path, Journal.create(path / layout.JOURNAL, clock))
    seen = clock.now().isoformat(timespec="seconds")
    intent: dict[str, object] = {"instance": instance, "seen": seen, "candidate": to_plain(candidate)}
    records = [Record("intent", intent)]
    if candidate.mistakes or candidate.request is None:
        records.append(Record("failed", _refusal(candidate)))
    claim.append(*records)
    return claim


def _refusal(candidate: Candidate) -> dict[str, object]:
    """One mistake is told by itself, several in a list below one sentence."""
    if len(candidate.mistakes) == 1:
        (one,) = candidate.mistakes
        sentence = str(replace(one, hint="")) if one.line else _capital(one.sentence)
        hint, mistakes = one.hint, []
    else:
        sentence = f"{candidate.sidecar.path} has {len(candidate.mistakes)} mistakes, so nothing of it was imported"
        hint, mistakes = "", [str(mistake) for mistake in candidate.mistakes]
    return {
        "code": candidate.refusal_code or "sidecar-invalid",
        "sentence": sentence,
        "hint": hint or "Correct the sidecar.",
        "mistakes": mistakes,
    }


def _capital(text: str) -> str:
    """A sentence that begins with a word, and not with a name in a file, begins with a capital."""
    return text[:1].upper() + text[1:] if text.partition(" ")[0].isalpha() else text


def gather(claim: Claim) -> None:
    """C3 to C6: the sidecar (the lock), the members, the seal. Ends with `claimed`, or with `release` journaled, or raises ClaimLost."""
    candidate = claim.drop.candidate
    assert candidate is not None
    _take_sidecar(claim, candidate)
    try:
        sidecar = read_below(claim.path, claim.kept_sidecar.name, candidate.sidecar.size + 1)
        if hashlib.sha256(sidecar).hexdigest() != candidate.sidecar_sha256:
            claim.append(_release("sidecar-changed", f"{candidate.sidecar.path} was changed while it was being taken"))
            return
        trouble = _take_members(claim, candidate)
    except NotAPlainFile as error:
        trouble = _release("not-a-plain-file", error.sentence)
    if trouble is not None:
        claim.append(trouble)
        return
    if claim.drop.modes is None:
        claim.append(Record("seal", {"modes": [to_plain(mode) for mode in seal.look(claim.path)]}))
    seal.seal(claim.path)
    for folder in (claim.origin, claim.path):
        files.sync_dir(folder)
    # Between the look and the rename a user may have put something else in its place; now nobody can any more.
    if changed := _changed(claim.members, list(candidate.members)):
        claim.append(changed)
        return
    claim.append(Record("claimed"))


def _release(code: str, sentence: str) -> Record:
    return Record("release", {"code": code, "sentence": sentence, "hint": "It was put back and will be taken when it is left unchanged."})


def _take_sidecar(claim: Claim, candidate: Candidate) -> None:
    if claim.kept_sidecar.exists():
        return
    try:
        files.rename(claim.origin / candidate.sidecar.path, claim.kept_sidecar, base=claim.box.drop)
    except FileNotFoundError:
        # A share may have done the rename and lost the reply: look before believing that a peer won.
        if not claim.kept_sidecar.exists():
            raise ClaimLost(f"{candidate.sidecar.path} was taken by somebody else") from None
    files.sync_dir(claim.path)


def _take_members(claim: Claim, candidate: Candidate) -> Record | None:
    if not candidate.members:
        return None
    if not claim.members.is_dir():
        files.make_dir(claim.members, 0o700)
    touched = {claim.members}
    for folder in candidate.whole_folders:
        source, target = claim.origin / folder, claim.members / folder
        if not target.exists():
            if changed := _changed(claim.origin, [one for one in candidate.members if one.path.startswith(folder + "/")]):
                return changed
            _make_parent(target)
            files.rename(source, target, base=claim.origin)
            touched |= {target.parent, source.parent}
    for member in candidate.members:
        target = claim.members / member.path
        if target.exists():
            continue
        if changed := _changed(claim.origin, [member]):
            return changed
        _make_parent(target)
        files.rename(claim.origin / member.path, target, base=claim.origin)
        touched |= {target.parent, (claim.origin / member.path).parent}
    for folder_path in sorted(touched, key=str):
        if folder_path.is_dir():
            files.sync_dir(folder_path)
    return None


def _make_parent(target: Path) -> None:
    if not target.parent.is_dir():
        files.make_dirs(target.parent, 0o700)


def same_file(seen: FileFacts, now: FileFacts) -> bool:
    """Whether it is still the file that was seen; the id counts only where both have one (shares change it)."""
    known = not seen.file_id or not now.file_id or seen.file_id == now.file_id
    return known and (seen.size, seen.mtime_ns) == (now.size, now.mtime_ns)


def _changed(origin: Path, members: list[FileFacts]) -> Record | None:
    for member in members:
        try:
            now = facts(origin, member.path)
        except FileNotFoundError:
            return _release("file-vanished", f"{member.path} vanished while the drop was being taken")
        except NotAPlainFile as error:
            return _release("file-changed", str(error))
        if not same_file(member, now):
            return _release("file-changed", f"{member.path} changed while the drop was being taken")
    return None


def release(claim: Claim) -> bool:
    """R1: everything back to drop/, the sidecar last. True when the claim is gone.

    False when a name there is taken meanwhile: that is journaled as the drop's failure.
    """
    candidate = claim.drop.candidate
    assert candidate is not None and claim.drop.release is not None
    restore_modes(claim)
    sidecar_back = claim.origin / candidate.sidecar.path
    homes = _homes(claim, candidate)
    if claim.kept_sidecar.exists():
        homes.append((claim.kept_sidecar, sidecar_back))
    for _, home in homes:
        if home.exists():
            why = f"{claim.drop.release.sentence}; and a new file called {home.name} is in its place, so it could not be put back"
            hint = "Move the files from this folder back into the drop folder under another name, the sidecar last."
            claim.append(Record("failed", {"code": "name-taken", "sentence": why, "hint": hint}))
            return False
    for path, home in homes:
        if path == claim.kept_sidecar:  # all else is there for good before the drop can be taken again
            for folder in sorted({place.parent for _, place in homes}, key=str):
                files.sync_dir(folder)
        if not home.parent.is_dir():
            files.make_dirs(home.parent, 0o755)
        files.rename(path, home)
    files.sync_dir(sidecar_back.parent)
    remove(claim)
    return True


def _homes(claim: Claim, candidate: Candidate) -> list[tuple[Path, Path]]:
    """What is to be put back, and where. A folder that was taken whole goes back whole, so that it stays the user's own."""
    homes: list[tuple[Path, Path]] = []
    for folder in candidate.whole_folders:
        if (claim.members / folder).is_dir() and not (claim.origin / folder).exists():
            homes.append((claim.members / folder, claim.origin / folder))
    whole = [path for path, _ in homes]
    for path in _tree(claim.members) if claim.members.is_dir() else ():
        if not path.is_dir() and not any(folder in path.parents for folder in whole):
            homes.append((path, claim.origin / path.relative_to(claim.members)))
    return homes


def restore_modes(claim: Claim) -> None:
    if claim.drop.modes is not None:
        old = tuple(from_plain(seal.OldMode, mode) for mode in claim.drop.modes)
        seal.restore(claim.path, tuple(mode for mode in old if (claim.path / mode.path).exists()))


def _tree(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.is_dir() and not path.is_symlink():
            yield from _tree(path)
        yield path


def remove(claim: Claim) -> None:
    """Remove a claim that holds nothing of the user's: our own files, the copies of references, empty folders.

    Raises OSError, and leaves the rest, if more is in it.
    """
    claim.close()
    references = claim.path / layout.REFERENCES
    for folder in (references, claim.members):
        if folder.is_dir():
            for path in _tree(folder):
                if path.is_dir():
                    files.remove_dir(path)
                elif folder == references:
                    files.remove_file(path)
            files.remove_dir(folder)
    for name in (layout.REQUEST, layout.RESULT, layout.REASON, layout.ATTENTION, layout.JOURNAL):
        files.remove_file(claim.path / name)
    files.remove_dir(claim.path)


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


def members_now(claim: Claim) -> tuple[FileFacts, ...]:
    """Every file below d/ as it is now. Raises NotAPlainFile, OSError."""
    paths = [path for path in _tree(claim.members) if not path.is_dir()]
    return tuple(facts(claim.members, path.relative_to(claim.members).as_posix()) for path in paths)
