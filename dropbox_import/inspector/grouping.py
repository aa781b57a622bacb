"""From examined members to an Inspection: filesets, what is bad, and extras. Pure, and linear in the number of members."""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterable, Iterator, Sequence

from dropbox_import.inspector.faults import SAVE_AS, Code, ImageError, shown, some
from dropbox_import.inspector.formats import Format, Kind, Scope, stem_of, zarr_root
from dropbox_import.inspector.keys import fileset_key
from dropbox_import.inspector.omesets import FileSet, images_in, sets_of
from dropbox_import.inspector.whole import Examined, empty
from dropbox_import.model import BadFiles, FilesetPlan, Inspection

OME_READER = "loci.formats.in.OMETiffReader"
FAKE_READER = "loci.formats.in.FakeReader"


def group(members: Sequence[Examined], named: Collection[str] = ()) -> Inspection:
    """What to import of `members`. `named` are paths that the sidecar names without a wildcard.

    Every member ends in exactly one of filesets, bad and extras.
    """
    bad: list[BadFiles] = []
    filesets: list[FilesetPlan] = []
    extras: list[str] = []
    left = _without_sets_for_bio_formats(members, bad)
    together: list[Examined] = []
    for item in left:
        kind = item.format.kind
        if kind in (Kind.TIFF, Kind.COMPANION):
            together.append(item)
        elif kind in (Kind.NEVER, Kind.UNKNOWN):
            fault = item.fault or _unwanted(item, item.facts.path in named)
            if fault is None:
                extras.append(item.facts.path)
            else:
                bad.append(_bad([item], fault))
        elif item.fault is not None:
            bad.append(_bad([item], item.fault))
        else:
            filesets.append(_plan([item], FAKE_READER if kind is Kind.FAKE else None, None))
    for each in sets_of(together):
        if each.faults:
            bad.append(_bad_set(each))
        else:
            reader = OME_READER if each.files[0].document is not None else None
            filesets.append(_plan(each.files, reader, images_in(each.files)))
    if not filesets and not bad:
        return Inspection((), (_no_image(extras),), ())
    filesets.sort(key=lambda plan: plan.files[0].path)
    bad.sort(key=lambda trouble: trouble.files)
    return Inspection(tuple(filesets), tuple(bad), tuple(sorted(extras)))


def _plan(items: Sequence[Examined], reader: str | None, series: int | None) -> FilesetPlan:
    files = tuple(item.facts for item in items)
    return FilesetPlan(fileset_key(files), files, reader, series)


def _bad(items: Iterable[Examined], fault: ImageError) -> BadFiles:
    paths = tuple(item.facts.path for item in items)
    return BadFiles(paths, fault.code.value, f"{shown(paths[0])} {fault.says}.", fault.hint)


def _bad_set(each: FileSet) -> BadFiles:
    paths = tuple(item.facts.path for item in each.files)
    (_, first), *_ = each.faults
    said = [f"{shown(path)} {fault.says}." for path, fault in each.faults[:3]]
    if len(each.faults) > 3:
        said.append(f"{len(each.faults) - 3:,} more files of the set have faults.")
    if len(paths) > 1:
        said.append(f"It belongs to a set of {len(paths):,} files that can only be imported together.")
    return BadFiles(paths, first.code.value, " ".join(said), first.hint)


def _unwanted(item: Examined, named: bool) -> ImageError | None:
    """A member that no format wants is an extra, unless the sidecar asked for just this one."""
    if not named:
        return None
    if item.facts.size == 0:
        return empty()
    if item.format.kind is Kind.UNKNOWN:
        hint = "Give it the suffix of its format, or take it out of the sidecar's files."
        return ImageError(Code.NOT_IMAGE, "is named in the sidecar, but its name has no suffix of a known image format", hint)
    return None


def _no_image(paths: list[str]) -> BadFiles:
    if paths:
        sentence = f"There is no image in this drop, only {some(sorted(paths))}."
    else:
        sentence = "There is no file in this drop."
    hint = "Put the images beside the sidecar, or name them under files: include: in it."
    return BadFiles(tuple(sorted(paths)), Code.NO_IMAGE.value, sentence, hint)


# --- formats of several files ----------------------------------------------------------


def _without_sets_for_bio_formats(members: Sequence[Examined], bad: list[BadFiles]) -> list[Examined]:
    """Members that need no Bio-Formats to be grouped; the others are added to `bad`, each with all that belongs to it."""
    owners = _Owners(members)
    groups: dict[tuple[str, ...], list[Examined]] = {}
    left: list[Examined] = []
    for item in members:
        key = owners.of(item)
        if key is None:
            left.append(item)
        else:
            groups.setdefault(key, []).append(item)
    bad.extend(_needs_reader(key, items) for key, items in groups.items())
    return left


class _Owners:
    """Which set a member belongs to, if a file says that there is one. Looked up by folder and by the beginning of names."""

    def __init__(self, members: Sequence[Examined]) -> None:
        self._stems: dict[str, set[str]] = {}
        self._folders: set[str] = set()
        self._alone: dict[tuple[str, str], int] = {}
        names = {item.facts.path.lower() for item in members}
        for item in members:
            path, kind = item.facts.path, item.format
            folder = posixpath.dirname(path)
            if kind.kind is Kind.MANY and zarr_root(path) is None:
                if kind.scope is Scope.FOLDER:
                    self._folders.add(folder)
                else:
                    self._stems.setdefault(folder, set()).add(stem_of(path))
            elif kind.kind is Kind.ALONE:
                self._alone[folder, kind.name] = self._alone.get((folder, kind.name), 0) + 1
            elif kind.kind is Kind.ONE and any(part in names for part in _next_parts(path, kind)):
                self._stems.setdefault(folder, set()).add(stem_of(path))

    def of(self, item: Examined) -> tuple[str, ...] | None:
        path = item.facts.path
        root = zarr_root(path)
        if root is not None:
            return ("folder", root)
        if item.format.kind is Kind.ALONE and self._alone[posixpath.dirname(path), item.format.name] > 1:
            return ("series", posixpath.dirname(path), item.format.name)
        if self._stems or self._folders:
            for folder, name in _levels(path):
                stem = self._stem(folder, name)
                if stem is not None:
                    return ("stem", folder, stem)
                if folder in self._folders:
                    return ("folder", folder)
        return None

    def _stem(self, folder: str, name: str) -> str | None:
        stems = self._stems.get(folder)
        if not stems:
            return None
        for text in (name.lower(), name.lower().lstrip("_")):
            for end in range(len(text), 0, -1):
                if text[:end] in stems and (end == len(text) or not text[end].isalnum()):
                    return text[:end]
        return None


def _levels(path: str) -> Iterator[tuple[str, str]]:
    """(folder, name in it) of each folder above the file and of the file, from the outside in: the outermost set is the whole one."""
    folder = ""
    for name in path.split("/"):
        yield folder, name
        folder = posixpath.join(folder, name)


def _next_parts(path: str, kind: Format) -> tuple[str, ...]:
    """Names that a second part of the same image would have, in lower case."""
    stem = posixpath.join(posixpath.dirname(path).lower(), stem_of(path))
    if kind.name == "Zeiss CZI":
        return (f"{stem} (1).czi",)
    return (f"{stem}_00001",) if kind.name == "Olympus OIR" else ()


def _needs_reader(key: tuple[str, ...], items: list[Examined]) -> BadFiles:
    items = sorted(
        items, key=lambda item: (item.format.kind not in (Kind.MANY, Kind.ONE, Kind.ALONE), item.facts.path.count("/"), item.facts.path)
    )
    lead = items[0]
    paths = tuple(item.facts.path for item in items)
    where = shown(key[1]) if key[0] == "folder" and key[1] else shown(lead.facts.path)
    sentence = f"{where} is in a format of several files ({lead.format.name})"
    if key[0] == "series":
        sentence = f"{len(paths):,} {lead.format.name} files, {some(list(paths), 3)}, may be one image"
    sentence += "; only Bio-Formats can tell which belong together, and it is not built in yet."
    return BadFiles(paths, Code.NEEDS_READER.value, sentence, SAVE_AS)
