"""Taking a drop out of drop/ into inprogress/ (C1-C6), and giving it back (R1).

One rename of the sidecar is the lock. Every function here may be called again after a crash
at any point in it: what is done already is seen on disk and not done twice.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import replace
from pathlib import Path

from dropbox_import.clock import Clock
from dropbox_import.disk import files, seal
from dropbox_import.disk.facts import NotAPlainFile, facts, read_below
from dropbox_import.errors import ClaimLost
from dropbox_import.model import Candidate, FileFacts
from dropbox_import.plain import to_plain
from dropbox_import.spool import layout
from dropbox_import.spool.claim import Claim, files_below, members_now, remove, restore_modes, same_file, tree
from dropbox_import.spool.journal import Journal, Record
from dropbox_import.spool.layout import Layout


def take(box: Layout, instance: str, candidate: Candidate, clock: Clock) -> Claim:
    """C1 and C2: make the claim folder and journal the intent. Nothing of the user's is moved yet. Raises OSError."""
    if not box.instance(instance).is_dir():
        files.make_dirs(box.instance(instance), 0o700)
    drop_id = layout.new_id(clock)
    path = box.instance(instance) / drop_id
    files.make_dir(path, 0o700)
    origin = box.drop / candidate.folder / candidate.refs_base
    for reference in candidate.references:
        target = path / layout.REFERENCES / reference.path
        if not target.parent.is_dir():
            files.make_dirs(target.parent, 0o700)
        files.copy_in(origin / reference.path, target, base=origin)
        files.sync_dir(target.parent)
    files.write_new(path / layout.REQUEST, json.dumps(to_plain(candidate.request), indent=1).encode() + b"\n")
    claim = Claim(box, path, Journal.create(path, clock))
    seen = clock.now().isoformat(timespec="seconds")
    intent: dict[str, object] = {"instance": instance, "seen": seen, "candidate": to_plain(candidate)}
    records = [Record("intent", intent)]
    if _is_refused(candidate):
        records.append(Record("failed", _refusal(candidate)))
    claim.append(*records)
    return claim


def _is_refused(candidate: Candidate) -> bool:
    return bool(candidate.mistakes) or candidate.request is None


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
    """C3 to C6: the sidecar (the lock), the members, the seal. Ends with `claimed`, or with `release` journaled, or raises ClaimLost.

    Of a drop that was filed and is tried again all is here already: it is closed anew, and what is in it now counts.
    """
    candidate = claim.drop.candidate
    assert candidate is not None
    if _is_refused(candidate) and claim.drop.failure is None:  # a power cut left the intent alone
        claim.append(Record("failed", _refusal(candidate)))
    if claim.drop.again:
        _close(claim)
        found = members_now(claim) if claim.members.is_dir() else ()
        claim.append(Record("claimed", {"members": [to_plain(one) for one in found]}))
        return
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
    _take_leftovers(claim, candidate)
    _close(claim)
    if claim.origin.is_dir():  # of a folder that was moved back nothing may be left
        files.sync_dir(claim.origin)
    # Between the look and the rename a user may have put something else in its place; now nobody can any more.
    if changed := _changed(claim.members, list(candidate.members)):
        claim.append(changed)
        return
    if candidate.base:
        _remove_empty(claim.origin)
    claim.append(Record("claimed"))


def _close(claim: Claim) -> None:
    """C5: close what is in the claim to users, with the old modes in the journal first."""
    if claim.drop.modes is None:
        claim.append(Record("seal", {"modes": [to_plain(mode) for mode in seal.look(claim.path)]}))
    seal.seal(claim.path)
    files.sync_dir(claim.path)


def _take_leftovers(claim: Claim, candidate: Candidate) -> None:
    """Our own files in a folder that was moved back go along, so that the place is free; what became of them since matters to nobody."""
    for name in candidate.leftovers:
        target = claim.path / layout.EARLIER / name
        try:
            facts(claim.origin, name)
        except (FileNotFoundError, NotAPlainFile):
            continue
        if not target.exists():
            _make_parent(target)
            files.rename(claim.origin / name, target, base=claim.origin)


def _remove_empty(folder: Path) -> None:
    """Remove a folder that was moved back and all of whose files were taken; with anything left in it, it stays."""
    for path in (*(one for one in tree(folder) if one.is_dir()), folder) if folder.is_dir() else ():
        with contextlib.suppress(OSError):
            files.remove_dir(path)


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
        source, target = claim.source / folder, claim.members / folder
        if not target.exists():
            if changed := _changed(claim.source, [one for one in candidate.members if one.path.startswith(folder + "/")]):
                return changed
            _make_parent(target)
            files.rename(source, target, base=claim.origin)
            touched |= {target.parent, source.parent}
    for member in candidate.members:
        target = claim.members / member.path
        if target.exists():
            continue
        if changed := _changed(claim.source, [member]):
            return changed
        _make_parent(target)
        files.rename(claim.source / member.path, target, base=claim.origin)
        touched |= {target.parent, (claim.source / member.path).parent}
    for folder_path in sorted(touched, key=str):
        if folder_path.is_dir():
            files.sync_dir(folder_path)
    return None


def _make_parent(target: Path) -> None:
    if not target.parent.is_dir():
        files.make_dirs(target.parent, 0o700)


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
        if (claim.members / folder).is_dir() and not (claim.source / folder).exists():
            homes.append((claim.members / folder, claim.source / folder))
    whole = [path for path, _ in homes]
    for path in files_below(claim.members):
        if not any(folder in path.parents for folder in whole):
            homes.append((path, claim.source / path.relative_to(claim.members)))
    earlier = claim.path / layout.EARLIER
    ours = [(path, claim.origin / path.relative_to(earlier)) for path in files_below(earlier)]
    return homes + [(path, home) for path, home in ours if not home.exists()]
