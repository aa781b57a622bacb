"""Taking a drop out of drop/ into inprogress/ (C1-C6), and giving it back (R1).

One rename of the sidecar is the lock. Every function here may be called again after a crash
at any point in it: what is done already is seen on disk and not done twice.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from dropbox_import.clock import Clock
from dropbox_import.disk import files, seal
from dropbox_import.disk.facts import NotAPlainFile, facts, is_folder, is_there, read_below, stat_below
from dropbox_import.errors import ClaimLost, Rejected
from dropbox_import.intake.reading import LONGEST_SIDECAR
from dropbox_import.model import Candidate, FileFacts
from dropbox_import.plain import to_plain
from dropbox_import.spool import layout
from dropbox_import.spool.claim import Claim, files_below, look_at_references, members_now, remove, restore_modes, same_file, tree
from dropbox_import.spool.journal import Journal, Record
from dropbox_import.spool.layout import Layout


class Changed(Rejected):
    """A file of the drop is not the one that was seen, so it is not taken (yet)."""

    code = "file-changed"


def take(box: Layout, instance: str, candidate: Candidate, clock: Clock) -> Claim:
    """C1 and C2: make the claim folder and journal the intent. Nothing of the user's is moved yet. Raises Rejected, OSError."""
    if not is_folder(box.instance(instance)):
        files.make_dirs(box.instance(instance), 0o700)
    drop_id = layout.new_id(clock)
    path = box.instance(instance) / drop_id
    files.make_dir(path, 0o700)
    origin = box.drop / candidate.folder / candidate.refs_base
    for reference in candidate.references:
        target = path / layout.REFERENCES / reference.path
        files.make_dirs(target.parent, 0o700, base=path)
        files.copy_in(origin / reference.path, target, base=box.drop)
        files.sync_dir(target.parent)
    _as_seen(box.drop, origin, candidate.references)  # a copy of what is being written would be torn
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
        _gather_again(claim, candidate)
        return
    _take_sidecar(claim, candidate)
    try:
        _sidecar_as_seen(claim, candidate)
        _take_members(claim, candidate)
        _take_leftovers(claim, candidate)
        _close(claim)
        if is_folder(claim.origin):  # of a folder that was moved back nothing may be left
            files.sync_dir(claim.origin)
        # Between the look and the rename a user may have put something else in its place; now nobody can any more.
        _as_seen(claim.members, claim.members, candidate.members)
    except Rejected as error:
        hint = "It was put back and will be taken when it is left unchanged."
        claim.append(Record("release", {"code": error.kind, "sentence": error.sentence, "hint": hint}))
        return
    if candidate.base:
        _remove_empty(claim)
    claim.append(Record("claimed"))


def _gather_again(claim: Claim, candidate: Candidate) -> None:
    """Its user could put anything into it: what is no plain file stays where it is, and that is told.

    Of attachments none may be so, and none missing: they were looked at before it was taken back, so somebody plays tricks, and it fails.
    """
    _close(claim)
    found, odd = members_now(claim)
    texts = [f"{error.sentence} It was left out. {error.hint}".strip() for error in odd]
    told = [Record("attention", {"text": text}) for text in texts if text not in claim.drop.attention]
    if claim.drop.failure is None and (trouble := _trouble_with_references(claim, candidate)):
        told.append(Record("failed", trouble))
    claim.append(*told, Record("claimed", {"members": [to_plain(one) for one in found]}))


def _trouble_with_references(claim: Claim, candidate: Candidate) -> dict[str, object]:
    try:
        look_at_references(claim.path, candidate)
    except FileNotFoundError:
        return {
            "code": "file-vanished",
            "sentence": "An attachment of it is not there any more",
            "hint": "Drop it again with all its files.",
        }
    except NotAPlainFile as error:
        return {"code": error.kind, "sentence": error.sentence, "hint": error.hint}
    return {}


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
            facts(claim.box.drop, _below_drop(claim, claim.origin / name))
        except (FileNotFoundError, NotAPlainFile):
            continue
        if not is_there(target):
            _move_in(claim, claim.origin / name, target)


def _remove_empty(claim: Claim) -> None:
    """Remove a folder that was moved back and all of whose files were taken; with anything left in it, it stays."""
    folder = claim.origin
    for path in (*(one for one in tree(folder) if is_folder(one)), folder) if is_folder(folder) else ():
        with contextlib.suppress(OSError, NotAPlainFile):
            files.remove_dir(path, base=claim.box.drop)


def _take_sidecar(claim: Claim, candidate: Candidate) -> None:
    if is_there(claim.kept_sidecar):
        return
    try:
        files.rename(claim.origin / candidate.sidecar.path, claim.kept_sidecar, base=claim.box.drop)
    except (FileNotFoundError, NotAPlainFile):
        # A share may have done the rename and lost the reply: look before believing that a peer won.
        if not is_there(claim.kept_sidecar):
            raise ClaimLost(f"{candidate.sidecar.path} was taken by somebody else, or moved away") from None
    files.sync_dir(claim.path)


def _sidecar_as_seen(claim: Claim, candidate: Candidate) -> None:
    """Raises Rejected if it is another one. What is longer than a sidecar may be is not read at all, but known by its facts."""
    name, seen = claim.kept_sidecar.name, candidate.sidecar
    if seen.size > LONGEST_SIDECAR:
        same = same_file(seen, facts(claim.path, name))
    else:
        same = hashlib.sha256(read_below(claim.path, name, seen.size + 1)).hexdigest() == candidate.sidecar_sha256
    if not same:
        raise Changed(f"{seen.path} was changed while it was being taken", code="sidecar-changed")


def _take_members(claim: Claim, candidate: Candidate) -> None:
    if not candidate.members:
        return
    if not is_folder(claim.members):
        files.make_dir(claim.members, 0o700)
    touched = {claim.members}
    for folder in candidate.whole_folders:
        source, target = claim.source / folder, claim.members / folder
        if not is_there(target):
            _as_seen(claim.box.drop, claim.source, [one for one in candidate.members if one.path.startswith(folder + "/")])
            _move_in(claim, source, target)
            touched |= {target.parent, source.parent}
    for member in candidate.members:
        source, target = claim.source / member.path, claim.members / member.path
        if not is_there(target):
            _as_seen(claim.box.drop, claim.source, [member])
            _move_in(claim, source, target)
            touched |= {target.parent, source.parent}
    for folder_path in sorted(touched, key=str):
        if is_folder(folder_path):
            files.sync_dir(folder_path)


def _move_in(claim: Claim, source: Path, target: Path) -> None:
    """No folder above the claim's own is made: when another instance has taken it over meanwhile, nothing may be moved there."""
    files.make_dirs(target.parent, 0o700, base=claim.path)
    files.rename(source, target, base=claim.box.drop)


def _below_drop(claim: Claim, path: Path) -> str:
    """All that lies below drop/ is looked at from there: users can swap every folder in between."""
    return path.relative_to(claim.box.drop).as_posix()


def _as_seen(base: Path, folder: Path, seen: Iterable[FileFacts]) -> None:
    """Raises Rejected unless each file below `folder` is the one that was seen. No link below `base` is followed."""
    for one in seen:
        try:
            now = facts(base, (folder / one.path).relative_to(base).as_posix())
        except FileNotFoundError:
            raise Changed(f"{one.path} vanished while the drop was being taken", code="file-vanished") from None
        if not same_file(one, now):
            raise Changed(f"{one.path} changed while the drop was being taken")


def release(claim: Claim) -> bool:
    """R1: everything back to drop/, the sidecar last. True when the claim is gone.

    False when a name there is taken meanwhile, or the way to it leads through a link: that is journaled as the drop's failure.
    """
    candidate = claim.drop.candidate
    assert candidate is not None and claim.drop.release is not None
    restore_modes(claim)
    sidecar_back = claim.origin / candidate.sidecar.path
    try:
        homes = _homes(claim, candidate)
        if is_there(claim.kept_sidecar):
            homes.append((claim.kept_sidecar, sidecar_back))
        for _, home in homes:
            if _in_use(claim, home):
                return _stays(claim, f"a new file called {home.name} is in its place, so it could not be put back")
        for path, home in homes:
            files.make_dirs(home.parent, 0o755, base=claim.box.drop)
            if path == claim.kept_sidecar:  # all else is there for good before the drop can be taken again
                for folder in sorted({place.parent for _, place in homes}, key=str):
                    files.sync_dir(folder)
            files.rename(path, home, base=claim.path, into=claim.box.drop)
    except NotAPlainFile as error:
        return _stays(claim, f"it could not be put back: {error.sentence}")
    if is_folder(sidecar_back.parent):
        files.sync_dir(sidecar_back.parent)
    remove(claim)
    return True


def _stays(claim: Claim, why: str) -> bool:
    assert claim.drop.release is not None
    hint = "Move the files from this folder back into the drop folder under another name, the sidecar last."
    claim.append(Record("failed", {"code": "name-taken", "sentence": f"{claim.drop.release.sentence}; and {why}", "hint": hint}))
    return False


def _in_use(claim: Claim, home: Path) -> bool:
    """Whether anything has that name. A link on the way is NotAPlainFile."""
    try:
        stat_below(claim.box.drop, _below_drop(claim, home))
    except FileNotFoundError:
        return False
    return True


def _homes(claim: Claim, candidate: Candidate) -> list[tuple[Path, Path]]:
    """What is to be put back, and where. A folder that was taken whole goes back whole, so that it stays the user's own."""
    homes: list[tuple[Path, Path]] = []
    for folder in candidate.whole_folders:
        if is_folder(claim.members / folder) and not _in_use(claim, claim.source / folder):
            homes.append((claim.members / folder, claim.source / folder))
    whole = [path for path, _ in homes]
    for path in files_below(claim.members):
        if not any(folder in path.parents for folder in whole):
            homes.append((path, claim.source / path.relative_to(claim.members)))
    earlier = claim.path / layout.EARLIER
    ours = [(path, claim.origin / path.relative_to(earlier)) for path in files_below(earlier)]
    return homes + [(path, home) for path, home in ours if not _in_use(claim, home)]
