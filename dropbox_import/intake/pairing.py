"""Which files go with which sidecar, out of a listing of the tree and of what its sidecars say. Pure.

The answer depends on what is there, never on the order in which it came.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import groupby

from dropbox_import.disk.names import shown
from dropbox_import.intake.filed import Earlier, told
from dropbox_import.intake.ignored import in_zarr, is_litter, is_never_taken
from dropbox_import.intake.members import SIDECAR_SUFFIXES, Ground, Index, Problem, Wanted, filed_ground, ground_of, member_folders, wanted
from dropbox_import.intake.tree import Entry, Folder, Kind, Listing, below, join
from dropbox_import.model import ImportRequest

# A sidecar that was saved by an editor which adds its own ending is looked at too, so that its author is told.
_LOOKED_AT = (*SIDECAR_SUFFIXES, *(f"{suffix}.txt" for suffix in SIDECAR_SUFFIXES))
_FILES_TOLD = 3
_RIVALS_KNOWN = 20  # of thousands that all claim one file


@dataclass(frozen=True, slots=True)
class Asked:
    """A file that is a sidecar. `request` None: it has mistakes."""

    request: ImportRequest | None


@dataclass(frozen=True, slots=True)
class Pair:
    """A sidecar with all that belongs to it; paths are below the user's folder.

    `missing` are names (as written) that are not there. `transfers` are unfinished copies among the members. `rivals` are
    the sidecars that claim one of its files as well, which is a problem once all of them are quiet. `unseen` are
    places that could not be looked at. `ground` says where its files are looked for.
    """

    sidecar: Entry
    request: ImportRequest | None
    ground: Ground
    members: tuple[Entry, ...] = ()
    references: tuple[Entry, ...] = ()
    whole_folders: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    transfers: tuple[Entry, ...] = ()
    problems: tuple[Problem, ...] = ()
    rivals: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    other_case: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Paired:
    """All sidecars with their files; and the folders of filed drops of which somebody should know something."""

    pairs: tuple[Pair, ...] = ()
    told: tuple[str, ...] = ()


def _unknown(_: Entry) -> Earlier | None:
    return None


def pair(
    listing: Listing, ask: Callable[[Entry], Asked | None], recall: Callable[[Entry], Earlier | None] = _unknown, user: str = ""
) -> Paired:
    """Every sidecar with its files. `ask` says what a file with a sidecar's ending is: None = ordinary data. `recall` says what a
    result.yaml says of a filed drop: None = it is none of ours.

    It is asked from the top down, and never about a file inside a folder that is a member or a *.zarr.
    """
    candidates = [entry for folder in listing.folders.values() for entry in folder.texts if _may_be_sidecar(entry)]
    if not candidates:
        return Paired()
    index = Index(listing, recall)
    asked = _recognise(index, candidates, ask)
    wants = {path: wanted(index, one.ground, one.request, asked.keys()) for path, one in asked.items() if one.request is not None}
    shares = _share_out(wants, {path: one.ground for path, one in asked.items()})
    pairs = []
    for path, one in asked.items():
        if one.request is None:
            pairs.append(Pair(one.entry, None, one.ground))
        else:
            pairs.append(_pair(index, one, one.request, wants[path], shares[path]))
    of_folders: dict[str, list[str]] = {folder: [] for folder in index.filed}
    for path, one in asked.items():
        if one.entry.folder in of_folders:
            of_folders[one.entry.folder].append(path)
    notices = (told(user, index.filed[folder], listing, sidecars) for folder, sidecars in of_folders.items())
    return Paired(tuple(pairs), tuple(notice for notice in notices if notice is not None))


def _may_be_sidecar(entry: Entry) -> bool:
    return (
        entry.path.lower().endswith(_LOOKED_AT) and entry.kind is Kind.FILE and not in_zarr(entry.path) and not is_never_taken(entry.path)
    )


@dataclass(frozen=True, slots=True)
class _Recognised:
    entry: Entry
    request: ImportRequest | None
    ground: Ground


def _recognise(index: Index, candidates: list[Entry], ask: Callable[[Entry], Asked | None]) -> dict[str, _Recognised]:
    found: dict[str, _Recognised] = {}
    taken: set[str] = {inner for filed in index.filed.values() for inner in filed.inner}
    candidates.sort(key=lambda entry: (entry.path.count("/"), entry.folder))
    for folder, entries in groupby(candidates, key=lambda entry: entry.folder):
        if taken and not taken.isdisjoint((folder, *_folders_above(folder))):
            continue
        data = (entry for entry in entries if entry.path not in index.records)
        answers = {entry.path: (entry, answer) for entry in data if (answer := ask(entry)) is not None}
        filed = index.filed.get(folder)
        own = filed.own(answers) if filed is not None else None
        for path, (entry, answer) in answers.items():
            ground = filed_ground(path, filed) if filed is not None and path == own else ground_of(path)
            found[path] = _Recognised(entry, answer.request, ground)
            taken.update(member_folders(index, ground, answer.request))
    return found


def _folders_above(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


# --- two sidecars for one file -------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Share:
    mine: AbstractSet[str]
    disputed: Mapping[str, tuple[str, ...]]


def _share_out(wants: Mapping[str, Wanted], grounds: Mapping[str, Ground]) -> dict[str, _Share]:
    """An explicit name beats a stem or a glob; among stems the longest wins; equals are a dispute, and nobody gets the file."""
    referenced: dict[str, set[str]] = {}
    for sidecar, want in wants.items():
        for path in want.references:
            referenced.setdefault(path, set()).add(sidecar)
    # Nearly all files are asked for by one sidecar only, and nothing needs to be thought about for them one by one.
    seen, contested = set[str](), set[str](referenced)
    for want in wants.values():
        contested.update(seen.intersection(want.files))
        seen.update(want.files)
    claims: dict[str, list[str]] = {}
    doubtful = {sidecar: contested.intersection(want.files) for sidecar, want in wants.items()}
    for sidecar, want in wants.items():
        for path in doubtful[sidecar]:
            if path in want.explicit or _may_take(path, sidecar, want, referenced):
                claims.setdefault(path, []).append(sidecar)
    won: dict[str, set[str]] = {sidecar: set() for sidecar in wants}
    disputed: dict[str, dict[str, tuple[str, ...]]] = {sidecar: {} for sidecar in wants}
    for path, claimants in claims.items():
        strongest = claimants if len(claimants) == 1 else _strongest(path, claimants, wants, grounds)
        if len(strongest) == 1:
            won[strongest[0]].add(path)
        else:
            for sidecar in strongest:
                disputed[sidecar][path] = tuple(other for other in strongest[: _RIVALS_KNOWN + 1] if other != sidecar)
    return {
        sidecar: _Share(
            want.files.keys() - (doubtful[sidecar] - won[sidecar]) if doubtful[sidecar] else want.files.keys(), disputed[sidecar]
        )
        for sidecar, want in wants.items()
    }


def _may_take(path: str, sidecar: str, want: Wanted, referenced: Mapping[str, set[str]]) -> bool:
    """A reference stays where it is, for all who name it; in a folder that is wholly the drop it goes along if nobody else does."""
    if path not in referenced:
        return True
    return referenced[path] == {sidecar} and any(path.startswith(f"{folder}/") for folder in want.folders)


def _strongest(path: str, claimants: list[str], wants: Mapping[str, Wanted], grounds: Mapping[str, Ground]) -> list[str]:
    explicit = [sidecar for sidecar in claimants if path in wants[sidecar].explicit]
    if explicit:
        return explicit
    if all(wants[sidecar].by_stem for sidecar in claimants):
        # run7.yaml and run7.ome.yaml: the second speaks for run7.ome.tif.
        longest = max(len(grounds[sidecar].name) for sidecar in claimants)
        return [sidecar for sidecar in claimants if len(grounds[sidecar].name) == longest]
    return claimants


# --- one sidecar with what it gets ---------------------------------------------------


def _pair(index: Index, one: _Recognised, request: ImportRequest, want: Wanted, share: _Share) -> Pair:
    ground, listing = one.ground, index.listing
    problems = list(want.problems)
    if share.disputed:
        problems.append(_dispute(ground, share.disputed))
    attached = {attachment.file for attachment in request.attachments}
    places = [join(ground.references if name in attached else ground.members, name) for name in want.missing]
    return Pair(
        one.entry,
        request,
        ground,
        members=tuple(map(want.files.__getitem__, sorted(share.mine))),
        references=_entries(listing, want.references),
        whole_folders=_whole_folders(listing, want, share.mine),
        missing=want.missing,
        transfers=_entries(listing, want.transfers),
        problems=tuple(problems),
        rivals=tuple(sorted({rival for rivals in share.disputed.values() for rival in rivals})),
        unseen=_unseen(listing, ground, want, set(places)),
        other_case=tuple(below(ground.members, other) for path in places if (other := index.other_case(path)) is not None),
    )


def _entries(listing: Listing, paths: Iterable[str]) -> tuple[Entry, ...]:
    found = (listing.get(path) for path in paths)
    return tuple(entry for entry in found if entry is not None)


def _dispute(ground: Ground, disputed: Mapping[str, tuple[str, ...]]) -> Problem:
    files = sorted(disputed)
    names = ", ".join(f'"{shown(below(ground.members, path))}"' for path in files[:_FILES_TOLD])
    more = f" and {len(files) - _FILES_TOLD} more" if len(files) > _FILES_TOLD else ""
    others = ", ".join(f'"{shown(rival)}"' for rival in sorted({rival for rivals in disputed.values() for rival in rivals}))
    return Problem(
        f"{names}{more}: claimed by another sidecar too, {others}.",
        "Keep one of them, or let each name its files without wildcards under files: include.",
    )


def _whole_folders(listing: Listing, want: Wanted, mine: AbstractSet[str]) -> tuple[str, ...]:
    """The member folders in which every file is a member of this drop (litter of desktops goes along), topmost only."""
    found: list[str] = []
    for folder in sorted(want.folders, key=len):
        if any(folder.startswith(f"{above}/") for above in found):
            continue
        inside = list(listing.folders_below(folder))
        if all(_is_wholly(here, mine) for here in inside) and any(not mine.isdisjoint(here.files) for here in inside):
            found.append(folder)
    return tuple(sorted(found))


def _is_wholly(here: Folder, mine: AbstractSet[str]) -> bool:
    return here.files.keys() <= mine and all(_goes_along(entry, mine) for entry in here.others)


def _goes_along(entry: Entry, mine: AbstractSet[str]) -> bool:
    if entry.path in mine or is_litter(entry.name):
        return True
    return entry.kind is Kind.FOLDER and not is_never_taken(entry.path)


def _unseen(listing: Listing, ground: Ground, want: Wanted, missing: set[str]) -> tuple[str, ...]:
    def matters(path: str) -> bool:
        if path in missing or any(path == folder or path.startswith(f"{folder}/") for folder in want.folders):
            return True
        return want.deep and (not ground.members or path.startswith(f"{ground.members}/"))

    return tuple(path for path in listing.troubles if matters(path))
