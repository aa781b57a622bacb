"""Which files one sidecar asks for, by its name and its `files:` rule. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from operator import attrgetter

from dropbox_import.disk.names import nfc, same_key, shown
from dropbox_import.intake.filed import Earlier, Filed, called_as_a_record, filed_folders
from dropbox_import.intake.globs import crosses_folders, is_glob, matches
from dropbox_import.intake.ignored import is_never_taken, is_transfer
from dropbox_import.intake.tree import Entry, Folder, Kind, Listing, below, join, stems
from dropbox_import.model import ImportRequest

SIDECAR_SUFFIXES = (".yaml", ".yml", ".json")
_PATH = attrgetter("path")


@dataclass(frozen=True, slots=True)
class Problem:
    """A mistake that is known from the names and kinds of files. `about` is the text in the sidecar that it is about, if any."""

    sentence: str
    hint: str
    about: str = ""


@dataclass(frozen=True, slots=True)
class Ground:
    """Where the files of a sidecar are looked for: `members` and `references` are folders, `name` is what it speaks for.

    Both are its own folder, but for a filed folder that was moved back: that is `filed` then.
    """

    sidecar: str
    name: str
    members: str
    references: str
    filed: Filed | None = None

    @property
    def elsewhere(self) -> frozenset[str]:
        """Members that need not be here: they were filed in another part of the drop."""
        return self.filed.earlier.elsewhere if self.filed is not None and self.filed.earlier is not None else frozenset()


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a sidecar asks for: paths below the user's folder. `files` are all, of which `explicit` were named without a wildcard,
    and the others found by the sidecar's stem (`by_stem`) or by a pattern; `folders` are members from top to bottom."""

    files: Mapping[str, Entry] = field(default_factory=dict)
    explicit: AbstractSet[str] = frozenset()
    by_stem: bool = False
    folders: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    transfers: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    deep: bool = False


class Index:
    """A listing with the two ways in which sidecars name files: by path (however its letters are composed) and by stem."""

    def __init__(self, listing: Listing, recall: Callable[[Entry], Earlier | None]) -> None:
        self.listing = listing
        self.filed = filed_folders(listing, recall)
        self.records = frozenset[str]().union(*(one.records for one in self.filed.values()))

    def find(self, path: str) -> Entry | None:
        """The entry of that path, NFC or not."""
        return self.listing.get(path) or self._find("", nfc(path).split("/"), nfc)

    def other_case(self, path: str) -> str | None:
        """A path that differs only in upper and lower case."""
        found = self._find("", same_key(path).split("/"), same_key)
        return None if found is None else found.path

    def _find(self, folder: str, parts: list[str], key: Callable[[str], str]) -> Entry | None:
        """Going down from the top, also where two folders have one name for somebody."""
        here = self.listing.folders.get(folder)
        if here is None:
            return None
        found = (here.named if key is nfc else here.named_like)(parts[0])
        if len(parts) == 1:
            return next(iter(found), None)
        inside = (self._find(entry.path, parts[1:], key) for entry in found if entry.kind is Kind.FOLDER)
        return next((entry for entry in inside if entry is not None), None)

    def of_stem(self, folder: str, stem: str) -> list[Entry]:
        """What is called `stem` or `stem.` and endings, in that folder."""
        found = self.listing.folders.get(folder)
        return found.by_stem.get(nfc(stem), []) if found is not None else []


def base_of(sidecar: str) -> str:
    """The name that a sidecar speaks for: its own without the ending."""
    name = sidecar.rpartition("/")[2]
    for suffix in SIDECAR_SUFFIXES:
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name


def ground_of(sidecar: str) -> Ground:
    """Where an ordinary sidecar looks: beside it."""
    folder = sidecar.rpartition("/")[0]
    return Ground(sidecar, base_of(sidecar), folder, folder)


def filed_ground(sidecar: str, filed: Filed) -> Ground:
    """Where the sidecar of a filed folder looks."""
    name = sidecar.rpartition("/")[2]
    first = name.removeprefix("sidecar-")
    if called_as_a_record(first) or first.startswith("journal"):  # it was kept under another name, because ours was called so
        name = first
    return Ground(sidecar, base_of(name), filed.part("d"), filed.part("refs"), filed)


def member_folders(index: Index, ground: Ground, request: ImportRequest | None) -> tuple[str, ...]:
    """Folders that belong to the drop from top to bottom, so that no file in them is a sidecar. `request` None = not readable yet."""
    folder = ground.members
    if request is None or request.files.include is None:
        base = ground.name
        found = [entry for entry in index.of_stem(folder, base) if entry.name.lower().endswith(".zarr") or nfc(entry.name) == nfc(base)]
        if (companion := index.find(join(folder, f"_{_companion_stem(index, folder, base)}_"))) is not None:
            found.append(companion)
    else:
        found = [entry for name in request.files.include if not is_glob(name) and (entry := index.find(join(folder, name))) is not None]
    excluded = request.files.exclude if request is not None else ()
    return tuple(
        entry.path
        for entry in found
        if entry.kind is Kind.FOLDER and not is_never_taken(entry.path) and not _excluded(entry.path, folder, excluded)
    )


def _companion_stem(index: Index, folder: str, base: str) -> str:
    # cells.vsi keeps its pixels in _cells_/
    exact = index.find(join(folder, base))
    return base[:-4] if base.lower().endswith(".vsi") and exact is not None and exact.kind is Kind.FILE else base


def _excluded(path: str, folder: str, patterns: tuple[str, ...]) -> bool:
    """By a pattern on the file itself or on a folder above it; one without a "/" holds at every level."""
    path = below(folder, path)
    while path:
        if any(matches(pattern, path, any_level=True) for pattern in patterns):
            return True
        path = path.rpartition("/")[0]
    return False


@dataclass(slots=True)
class _Collecting:
    explicit: dict[str, Entry] = field(default_factory=dict)
    loose: dict[str, Entry] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    transfers: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def wanted(index: Index, ground: Ground, request: ImportRequest, sidecars: AbstractSet[str]) -> Wanted:
    """Everything that the sidecar asks for. `sidecars` are all that were recognised: never members."""
    folder, rule = ground.members, request.files
    got = _Collecting()
    folders = member_folders(index, ground, request)
    by_stem = rule.include is None
    if by_stem:
        _by_stem(index, ground, got)
    for name in rule.include or ():
        if is_glob(name):
            _by_glob(index, ground, name, got)
        else:
            _by_name(index, ground, name, got, sidecars)
    for name in dict.fromkeys((*rule.expect.size, *rule.expect.sha256)):
        _by_name(index, ground, name, got, sidecars)
    for path in folders:
        _whole(index, path, got.loose if by_stem else got.explicit, got)
    _leave_out(index, folder, request, sidecars, got)
    return Wanted(
        files={**got.loose, **got.explicit} if got.explicit else got.loose,
        explicit=got.explicit.keys(),
        by_stem=by_stem,
        folders=folders,
        references=_references(index, ground, request, got),
        transfers=tuple(got.transfers),
        missing=tuple(dict.fromkeys(got.missing)),
        problems=tuple(got.problems),
        deep=any(crosses_folders(name) for name in rule.include or () if is_glob(name)),
    )


def _by_stem(index: Index, ground: Ground, got: _Collecting) -> None:
    for entry in index.of_stem(ground.members, ground.name):
        if entry.kind is Kind.FOLDER:
            continue
        if entry.kind is Kind.FILE and nfc(entry.name) == nfc(ground.name):
            got.explicit[entry.path] = entry
        elif is_transfer(entry.name):
            got.transfers.append(entry.path)
        elif not is_never_taken(entry.path):
            got.loose[entry.path] = entry


def _by_name(index: Index, ground: Ground, name: str, got: _Collecting, sidecars: AbstractSet[str]) -> None:
    entry = index.find(join(ground.members, name))
    if entry is None:
        if _is_elsewhere(name, ground.elsewhere):
            return
        got.missing.append(name)
        folder, _, last = join(ground.members, name).rpartition("/")
        above = index.find(folder) if folder else None
        here = index.listing.folders.get(folder if above is None else above.path)
        if here is not None:
            got.transfers.extend(one.path for one in here.transfers if nfc(last) in stems(nfc(one.name)))
    elif is_never_taken(name):
        got.problems.append(Problem(f'"{shown(name)}" has a name that is never taken (temporary or hidden).', "Rename the file.", name))
    elif entry.path in sidecars:
        got.problems.append(Problem(f'"{shown(name)}" is a sidecar itself.', "Name only image files and their companions.", name))
    elif entry.path in index.records:
        got.problems.append(Problem(f'"{shown(name)}" is a record of a drop that was filed before.', "Name only your own files.", name))
    elif entry.kind is not Kind.FOLDER:
        got.explicit[entry.path] = entry


def _is_elsewhere(name: str, elsewhere: frozenset[str]) -> bool:
    """Filed in the other part of the drop: the file itself, or all of a folder."""
    return bool(elsewhere) and any(nfc(one) == nfc(name) or nfc(one).startswith(f"{nfc(name)}/") for one in elsewhere)


def _by_glob(index: Index, ground: Ground, pattern: str, got: _Collecting) -> None:
    # What lies in the folder of a filed drop belongs to that drop.
    others = tuple(f"{inner}/" for one in index.filed.values() if one is not ground.filed for inner in one.inner)
    for here in _candidates(index, ground.members, pattern):
        found: Sequence[Entry] = here.matching(pattern, ground.members)
        if others or here.inner:
            found = [entry for entry in found if not entry.path.startswith(others)]
            for entry in found:
                if entry.kind is Kind.FOLDER:
                    _whole(index, entry.path, got.loose, got)
            found = [entry for entry in found if entry.kind is not Kind.FOLDER]
        got.loose.update(zip(map(_PATH, found), found, strict=True))


def _candidates(index: Index, folder: str, pattern: str) -> Iterable[Folder]:
    """The folders in which the pattern can match: as few as can be told quickly, since there may be thousands of sidecars with one each."""
    while "/" in pattern and not is_glob(pattern.partition("/")[0]):
        first, _, pattern = pattern.partition("/")
        inside = index.find(join(folder, first))
        if inside is None or inside.kind is not Kind.FOLDER:
            return ()
        folder = inside.path
    if crosses_folders(pattern):
        return index.listing.folders_below(folder)
    here = index.listing.folders.get(folder)
    return (here,) if here is not None else ()


def _whole(index: Index, folder: str, into: dict[str, Entry], got: _Collecting) -> None:
    for here in index.listing.folders_below(folder):
        got.transfers.extend(entry.path for entry in here.transfers)
        into.update(here.files)


def _leave_out(index: Index, folder: str, request: ImportRequest, sidecars: AbstractSet[str], got: _Collecting) -> None:
    exclude = request.files.exclude
    if exclude:
        named = {*(request.files.include or ()), *request.files.expect.size, *request.files.expect.sha256}
        for path in sorted(got.explicit.keys() | got.loose.keys()):
            if _excluded(path, folder, exclude):
                got.explicit.pop(path, None)
                got.loose.pop(path, None)
                if (name := below(folder, path)) in named:
                    got.problems.append(
                        Problem(f'"{shown(name)}" is named and excluded at once.', 'Change "exclude", or leave the name out.', name)
                    )
    got.transfers[:] = [path for path in dict.fromkeys(got.transfers) if not (exclude and _excluded(path, folder, exclude))]
    # There may be more sidecars than this one has files; `&` goes through the fewer ones.
    for path in (got.loose.keys() & sidecars) | (got.loose.keys() & index.records):
        del got.loose[path]
    for path in got.explicit.keys() & index.records:
        del got.explicit[path]


def _references(index: Index, ground: Ground, request: ImportRequest, got: _Collecting) -> tuple[str, ...]:
    found: list[str] = []
    for name in dict.fromkeys(attachment.file for attachment in request.attachments):
        entry = index.find(join(ground.references, name))
        if entry is None:
            got.missing.append(name)
        elif entry.kind in (Kind.FOLDER, Kind.TOO_DEEP):
            got.problems.append(Problem(f'"{shown(name)}" is a folder and cannot be attached.', "Attach single files.", name))
        else:
            found.append(entry.path)
    return tuple(found)
