"""Which files go with which sidecar, out of a listing of the tree and of what its sidecars say. Pure.

The answer depends on what is there, never on the order in which it came.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dropbox_import.disk.names import shown
from dropbox_import.intake.ignored import in_zarr, is_litter, is_never_taken
from dropbox_import.intake.members import SIDECAR_SUFFIXES, Index, Problem, Wanted, base_of, member_folders, wanted
from dropbox_import.intake.tree import Entry, Kind, Listing, below
from dropbox_import.model import ImportRequest

# A sidecar that was saved by an editor which adds its own ending is looked at too, so that its author is told.
_LOOKED_AT = (*SIDECAR_SUFFIXES, *(f"{suffix}.txt" for suffix in SIDECAR_SUFFIXES))
_FILES_TOLD = 3


@dataclass(frozen=True, slots=True)
class Asked:
    """A file that is a sidecar. `request` None: it has mistakes."""

    request: ImportRequest | None


@dataclass(frozen=True, slots=True)
class Pair:
    """A sidecar with all that belongs to it; paths are below the user's folder.

    `missing` are names (as written) that are not there. `transfers` are unfinished copies among the members. `rivals` are
    the sidecars that claim one of its files as well, which is a problem once all of them are quiet. `unseen` are
    places that could not be looked at. `in_filed_folder`: it lies in the folder of a drop that was filed before.
    """

    sidecar: Entry
    request: ImportRequest | None
    members: tuple[Entry, ...] = ()
    references: tuple[Entry, ...] = ()
    whole_folders: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    transfers: tuple[Entry, ...] = ()
    problems: tuple[Problem, ...] = ()
    rivals: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()
    other_case: tuple[str, ...] = ()
    in_filed_folder: bool = False


def pair(listing: Listing, ask: Callable[[Entry], Asked | None]) -> tuple[Pair, ...]:
    """Every sidecar with its files. `ask` says what a file with a sidecar's ending is: None = ordinary data.

    It is asked from the top down, and never about a file inside a folder that is a member or a *.zarr.
    """
    if not any(_may_be_sidecar(entry) for entry in listing.entries.values()):
        return ()
    index = Index(listing)
    requests = _recognise(index, ask)
    names = frozenset(requests)
    wants = {path: wanted(index, path, request, names) for path, request in requests.items() if request is not None}
    shares = _share_out(wants)
    pairs = []
    for path, request in requests.items():
        entry = listing.entries[path]
        if request is None:
            pairs.append(Pair(entry, None))
        else:
            pairs.append(_pair(index, entry, request, wants[path], shares[path]))
    return tuple(pairs)


def _may_be_sidecar(entry: Entry) -> bool:
    return (
        entry.kind is Kind.FILE and entry.name.lower().endswith(_LOOKED_AT) and not in_zarr(entry.path) and not is_never_taken(entry.path)
    )


def _recognise(index: Index, ask: Callable[[Entry], Asked | None]) -> dict[str, ImportRequest | None]:
    candidates = [entry for entry in index.listing.entries.values() if _may_be_sidecar(entry) and entry.path not in index.records]
    candidates.sort(key=lambda entry: entry.path.count("/"))
    found: dict[str, ImportRequest | None] = {}
    taken: set[str] = set()
    for entry in candidates:
        if taken and not taken.isdisjoint(_folders_above(entry.path)):
            continue
        answer = ask(entry)
        if answer is not None:
            found[entry.path] = answer.request
            taken.update(member_folders(index, entry.path, answer.request))
    return found


def _folders_above(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:count]) for count in range(1, len(parts))]


# --- two sidecars for one file -------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Share:
    mine: frozenset[str]
    disputed: Mapping[str, tuple[str, ...]]


def _share_out(wants: Mapping[str, Wanted]) -> dict[str, _Share]:
    """An explicit name beats a stem or a glob; among stems the longest wins; equals are a dispute, and nobody gets the file."""
    referenced: dict[str, set[str]] = {}
    for sidecar, want in wants.items():
        for path in want.references:
            referenced.setdefault(path, set()).add(sidecar)
    claims: dict[str, list[str]] = {}
    for sidecar, want in wants.items():
        for path in want.all:
            if path in want.explicit or _may_take(path, sidecar, want, referenced):
                claims.setdefault(path, []).append(sidecar)
    mine: dict[str, set[str]] = {sidecar: set() for sidecar in wants}
    disputed: dict[str, dict[str, tuple[str, ...]]] = {sidecar: {} for sidecar in wants}
    for path, claimants in claims.items():
        strongest = claimants if len(claimants) == 1 else _strongest(path, claimants, wants)
        if len(strongest) == 1:
            mine[strongest[0]].add(path)
        else:
            for sidecar in strongest:
                disputed[sidecar][path] = tuple(other for other in strongest if other != sidecar)
    return {sidecar: _Share(frozenset(mine[sidecar]), disputed[sidecar]) for sidecar in wants}


def _may_take(path: str, sidecar: str, want: Wanted, referenced: Mapping[str, set[str]]) -> bool:
    """A reference stays where it is, for all who name it; in a folder that is wholly the drop it goes along if nobody else does."""
    if path not in referenced:
        return True
    return referenced[path] == {sidecar} and any(path.startswith(f"{folder}/") for folder in want.folders)


def _strongest(path: str, claimants: list[str], wants: Mapping[str, Wanted]) -> list[str]:
    explicit = [sidecar for sidecar in claimants if path in wants[sidecar].explicit]
    if explicit:
        return explicit
    if all(path in wants[sidecar].by_stem for sidecar in claimants):
        # run7.yaml and run7.ome.yaml: the second speaks for run7.ome.tif.
        longest = max(len(base_of(sidecar)) for sidecar in claimants)
        return [sidecar for sidecar in claimants if len(base_of(sidecar)) == longest]
    return claimants


# --- one sidecar with what it gets ---------------------------------------------------


def _pair(index: Index, sidecar: Entry, request: ImportRequest, want: Wanted, share: _Share) -> Pair:
    entries = index.listing.entries
    problems = list(want.problems)
    if share.disputed:
        problems.append(_dispute(sidecar, share.disputed))
    missing_paths = {name: _from(sidecar, name) for name in want.missing}
    return Pair(
        sidecar,
        request,
        members=tuple(entries[path] for path in sorted(share.mine)),
        references=tuple(entries[path] for path in want.references),
        whole_folders=_whole_folders(index.listing, want, share.mine),
        missing=want.missing,
        transfers=tuple(entries[path] for path in want.transfers),
        problems=tuple(problems),
        rivals=tuple(sorted({rival for rivals in share.disputed.values() for rival in rivals})),
        unseen=_unseen(index.listing, sidecar, want, set(missing_paths.values())),
        other_case=tuple(below(sidecar.folder, other) for path in missing_paths.values() if (other := index.other_case(path)) is not None),
        in_filed_folder=sidecar.folder in index.filed,
    )


def _from(sidecar: Entry, name: str) -> str:
    return f"{sidecar.folder}/{name}" if sidecar.folder else name


def _dispute(sidecar: Entry, disputed: Mapping[str, tuple[str, ...]]) -> Problem:
    files = sorted(disputed)
    names = ", ".join(f'"{shown(below(sidecar.folder, path))}"' for path in files[:_FILES_TOLD])
    more = f" and {len(files) - _FILES_TOLD} more" if len(files) > _FILES_TOLD else ""
    others = ", ".join(f'"{shown(rival)}"' for rival in sorted({rival for rivals in disputed.values() for rival in rivals}))
    return Problem(
        f"{names}{more}: claimed by another sidecar too, {others}.",
        "Keep one of them, or let each name its files without wildcards under files: include.",
    )


def _whole_folders(listing: Listing, want: Wanted, mine: frozenset[str]) -> tuple[str, ...]:
    """The member folders in which every file is a member of this drop (litter of desktops goes along), topmost only."""
    found: list[str] = []
    for folder in sorted(want.folders, key=len):
        if any(folder.startswith(f"{above}/") for above in found):
            continue
        inside = list(listing.below(folder))
        if any(entry.path in mine for entry in inside) and all(_goes_along(entry, mine) for entry in inside):
            found.append(folder)
    return tuple(sorted(found))


def _goes_along(entry: Entry, mine: frozenset[str]) -> bool:
    if entry.path in mine or is_litter(entry.name):
        return True
    return entry.kind is Kind.FOLDER and not is_never_taken(entry.path)


def _unseen(listing: Listing, sidecar: Entry, want: Wanted, missing: set[str]) -> tuple[str, ...]:
    def matters(path: str) -> bool:
        if path in missing or any(path == folder or path.startswith(f"{folder}/") for folder in want.folders):
            return True
        return want.deep and (not sidecar.folder or path.startswith(f"{sidecar.folder}/"))

    return tuple(path for path in listing.troubles if matters(path))
