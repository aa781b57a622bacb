"""Which files one sidecar asks for, by its name and its `files:` rule. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from dropbox_import.disk.names import nfc, same_key, shown
from dropbox_import.intake.filed import filed_folders
from dropbox_import.intake.globs import crosses_folders, is_glob, matches
from dropbox_import.intake.ignored import is_never_taken, is_transfer
from dropbox_import.intake.tree import Entry, Kind, Listing, below
from dropbox_import.model import ImportRequest

SIDECAR_SUFFIXES = (".yaml", ".yml", ".json")


@dataclass(frozen=True, slots=True)
class Problem:
    """A mistake that is known from the names and kinds of files. `about` is the text in the sidecar that it is about, if any."""

    sentence: str
    hint: str
    about: str = ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a sidecar asks for: paths below the user's folder. `explicit` were named without a wildcard, `by_stem` and
    `by_glob` are the others; `folders` are members from top to bottom."""

    explicit: frozenset[str] = frozenset()
    by_stem: frozenset[str] = frozenset()
    by_glob: frozenset[str] = frozenset()
    folders: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    transfers: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    deep: bool = False

    @property
    def all(self) -> frozenset[str]:
        return self.explicit | self.by_stem | self.by_glob


class Index:
    """A listing with the two ways in which sidecars name files: by path (however its letters are composed) and by stem."""

    def __init__(self, listing: Listing) -> None:
        self.listing = listing
        self.filed = filed_folders(listing)
        self.records = frozenset[str]().union(*self.filed.values())
        self._by_nfc: dict[str, str] = {}
        self._by_key: dict[str, str] = {}
        self._by_stem: dict[tuple[str, str], list[Entry]] = {}
        for entry in listing.entries.values():
            path = nfc(entry.path)
            self._by_nfc.setdefault(path, entry.path)
            self._by_key.setdefault(same_key(path), entry.path)
            folder, _, name = path.rpartition("/")
            for stem in _stems(name):
                self._by_stem.setdefault((folder, stem), []).append(entry)

    def find(self, path: str) -> Entry | None:
        """The entry of that path, NFC or not."""
        found = self._by_nfc.get(nfc(path))
        return None if found is None else self.listing.entries[found]

    def other_case(self, path: str) -> str | None:
        """A path that differs only in upper and lower case."""
        return self._by_key.get(same_key(path))

    def of_stem(self, folder: str, stem: str) -> list[Entry]:
        """What is called `stem` or `stem.` and endings, in that folder."""
        return self._by_stem.get((nfc(folder), nfc(stem)), [])


def _stems(name: str) -> Iterable[str]:
    # run7.5.tif is a file of "run7.5", not a companion of "run7".
    yield name
    parts = name.split(".")
    for count in range(1, len(parts)):
        if parts[0] and not (parts[count].isdigit() and count < len(parts) - 1):
            yield ".".join(parts[:count])


def base_of(sidecar: str) -> str:
    """The name that a sidecar speaks for: its own without the ending."""
    name = sidecar.rpartition("/")[2]
    for suffix in SIDECAR_SUFFIXES:
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name


def join(folder: str, path: str) -> str:
    return f"{folder}/{path}" if folder else path


def member_folders(index: Index, sidecar: str, request: ImportRequest | None) -> tuple[str, ...]:
    """Folders that belong to the drop from top to bottom, so that no file in them is a sidecar. `request` None = not readable yet."""
    folder = sidecar.rpartition("/")[0]
    if request is None or request.files.include is None:
        base = base_of(sidecar)
        found = [entry for entry in index.of_stem(folder, base) if entry.name.lower().endswith(".zarr") or nfc(entry.name) == nfc(base)]
        if (companion := index.find(join(folder, f"_{_companion_stem(index, folder, base)}_"))) is not None:
            found.append(companion)
    else:
        found = [entry for name in request.files.include if not is_glob(name) and (entry := index.find(join(folder, name))) is not None]
    excluded = request.files.exclude if request is not None else ()
    return tuple(
        entry.path
        for entry in found
        if entry.kind is Kind.FOLDER and not is_never_taken(entry.path) and not _excluded(entry, folder, excluded)
    )


def _companion_stem(index: Index, folder: str, base: str) -> str:
    # cells.vsi keeps its pixels in _cells_/
    exact = index.find(join(folder, base))
    return base[:-4] if base.lower().endswith(".vsi") and exact is not None and exact.kind is Kind.FILE else base


def _excluded(entry: Entry, folder: str, patterns: tuple[str, ...]) -> bool:
    """By a pattern on the file itself or on a folder above it; one without a "/" holds at every level."""
    path = below(folder, entry.path)
    while path:
        if any(matches(pattern, path, any_level=True) for pattern in patterns):
            return True
        path = path.rpartition("/")[0]
    return False


@dataclass(slots=True)
class _Collecting:
    explicit: set[str] = field(default_factory=set)
    loose: set[str] = field(default_factory=set)
    missing: list[str] = field(default_factory=list)
    transfers: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def wanted(index: Index, sidecar: str, request: ImportRequest, sidecars: frozenset[str]) -> Wanted:
    """Everything that the sidecar asks for. `sidecars` are all that were recognised: never members."""
    folder = sidecar.rpartition("/")[0]
    rule = request.files
    got = _Collecting()
    folders = member_folders(index, sidecar, request)
    by_stem = rule.include is None
    if by_stem:
        _by_stem(index, sidecar, got)
    for name in rule.include or ():
        if is_glob(name):
            _by_glob(index, folder, name, got)
        else:
            _by_name(index, folder, name, got, sidecars)
    for name in dict.fromkeys((*rule.expect.size, *rule.expect.sha256)):
        _by_name(index, folder, name, got, sidecars)
    for path in folders:
        _whole(index, path, got.loose if by_stem else got.explicit, got)
    _leave_out(index, folder, request, sidecars, got)
    got.loose -= got.explicit
    loose = frozenset(got.loose)
    return Wanted(
        explicit=frozenset(got.explicit),
        by_stem=loose if by_stem else frozenset(),
        by_glob=frozenset() if by_stem else loose,
        folders=folders,
        references=_references(index, folder, request, got),
        transfers=tuple(got.transfers),
        missing=tuple(dict.fromkeys(got.missing)),
        problems=tuple(got.problems),
        deep=any(crosses_folders(name) for name in rule.include or () if is_glob(name)),
    )


def _by_stem(index: Index, sidecar: str, got: _Collecting) -> None:
    folder, base = sidecar.rpartition("/")[0], base_of(sidecar)
    for entry in index.of_stem(folder, base):
        if entry.kind is Kind.FOLDER:
            continue
        if entry.kind is Kind.FILE and nfc(entry.name) == nfc(base):
            got.explicit.add(entry.path)
        elif is_transfer(entry.name):
            got.transfers.append(entry.path)
        elif not is_never_taken(entry.path):
            got.loose.add(entry.path)


def _by_name(index: Index, folder: str, name: str, got: _Collecting, sidecars: frozenset[str]) -> None:
    entry = index.find(join(folder, name))
    if entry is None:
        got.missing.append(name)
        got.transfers.extend(found.path for found in index.of_stem(*_split(join(folder, name))) if is_transfer(found.name))
    elif is_never_taken(name):
        got.problems.append(Problem(f'"{shown(name)}" has a name that is never taken (temporary or hidden).', "Rename the file.", name))
    elif entry.path in sidecars:
        got.problems.append(Problem(f'"{shown(name)}" is a sidecar itself.', "Name only image files and their companions.", name))
    elif entry.path in index.records:
        got.problems.append(Problem(f'"{shown(name)}" is a record of a drop that was filed before.', "Name only your own files.", name))
    elif entry.kind is not Kind.FOLDER:
        got.explicit.add(entry.path)


def _split(path: str) -> tuple[str, str]:
    folder, _, name = path.rpartition("/")
    return folder, name


def _by_glob(index: Index, folder: str, pattern: str, got: _Collecting) -> None:
    listing = index.listing
    if crosses_folders(pattern):
        candidates: Iterable[Entry] = listing.below(folder)
    else:
        candidates = (listing.entries[path] for path in listing.children.get(folder, ()))
    for entry in candidates:
        path = below(folder, entry.path)
        if is_never_taken(path):
            continue
        if entry.kind is not Kind.FOLDER and matches(pattern, path):
            got.loose.add(entry.path)
        elif entry.kind is Kind.FOLDER and entry.name.lower().endswith(".zarr") and matches(pattern, path):
            _whole(index, entry.path, got.loose, got)


def _whole(index: Index, folder: str, into: set[str], got: _Collecting) -> None:
    for entry in index.listing.below(folder):
        if is_transfer(entry.name):
            got.transfers.append(entry.path)
        elif entry.kind is not Kind.FOLDER and not is_never_taken(entry.path):
            into.add(entry.path)


def _leave_out(index: Index, folder: str, request: ImportRequest, sidecars: frozenset[str], got: _Collecting) -> None:
    entries = index.listing.entries
    exclude = request.files.exclude
    named = {*(request.files.include or ()), *request.files.expect.size, *request.files.expect.sha256}
    for path in sorted(got.explicit | got.loose):
        if exclude and _excluded(entries[path], folder, exclude):
            got.explicit.discard(path)
            got.loose.discard(path)
            if (name := below(folder, path)) in named:
                got.problems.append(
                    Problem(f'"{shown(name)}" is named and excluded at once.', 'Change "exclude", or leave the name out.', name)
                )
    got.transfers[:] = [path for path in dict.fromkeys(got.transfers) if not (exclude and _excluded(entries[path], folder, exclude))]
    got.loose -= sidecars | index.records
    got.explicit -= index.records


def _references(index: Index, folder: str, request: ImportRequest, got: _Collecting) -> tuple[str, ...]:
    found: list[str] = []
    for name in dict.fromkeys(attachment.file for attachment in request.attachments):
        entry = index.find(join(folder, name))
        if entry is None:
            got.missing.append(name)
        elif entry.kind in (Kind.FOLDER, Kind.TOO_DEEP):
            got.problems.append(Problem(f'"{shown(name)}" is a folder and cannot be attached.', "Attach single files.", name))
        else:
            found.append(entry.path)
    return tuple(found)
