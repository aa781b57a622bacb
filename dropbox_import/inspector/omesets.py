"""Sets of files that name each other in their OME-XML: who belongs to whom, who is missing, who is too short."""

from __future__ import annotations

import posixpath
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from dropbox_import.inspector.faults import Code, ImageError, shown, some
from dropbox_import.inspector.formats import Kind
from dropbox_import.inspector.ometiff import FileReference, OmeDocument
from dropbox_import.inspector.whole import Examined

TOGETHER = "Drop all files of the set together, under the names that they had when they were written."


@dataclass(frozen=True, slots=True)
class FileSet:
    """Files of one set, the one that is opened first in front; `faults` by path, empty when all is well."""

    files: tuple[Examined, ...]
    faults: tuple[tuple[str, ImageError], ...] = ()


def sets_of(files: Sequence[Examined]) -> list[FileSet]:
    """Every TIFF and companion file in exactly one set; most sets are one file. Linear in files and in different references."""
    return _Sets(files).run()


@dataclass(frozen=True, slots=True)
class _Resolved:
    partners: tuple[str, ...]
    missing: tuple[str, ...]
    wants: tuple[tuple[str, int], ...]
    own: int
    lonely: FileReference | None


class _Sets:
    def __init__(self, files: Sequence[Examined]) -> None:
        self.files = {item.facts.path: item for item in files}
        self.names = {_nfc(path): path for path in self.files}
        self.uuids: dict[str, str] = {}
        for path, item in self.files.items():
            if item.document is not None and item.document.uuid:
                self.uuids.setdefault(item.document.uuid, path)
        self.parents = {path: path for path in self.files}
        self.missing: dict[str, list[str]] = {}
        self.wanted: dict[str, int] = {}
        self.resolved: dict[tuple[int, str], _Resolved] = {}

    def run(self) -> list[FileSet]:
        for path, item in self.files.items():
            if item.document is not None:
                self._partners(path, item.document)
        sets: dict[str, list[str]] = {}
        for path in sorted(self.files):
            sets.setdefault(self._root(path), []).append(path)
        return [self._set(paths) for paths in sets.values()]

    def _partners(self, path: str, document: OmeDocument) -> None:
        folder = posixpath.dirname(path)
        if document.metadata_file is not None:
            self._join(path, folder, document.metadata_file)
            return
        # Files of one set share one tuple of references: it is looked at once for them all.
        key = (id(document.references), folder)
        known = self.resolved.get(key)
        if known is None:
            known = self.resolved[key] = self._resolve(document.references, folder)
            for partner, pages in known.wants:
                self.wanted[partner] = max(self.wanted.get(partner, 0), pages)
            for partner in known.partners:
                self._unite(path, partner)
        elif known.partners:
            self._unite(path, known.partners[0])
        if known.missing:
            self.missing[path] = list(known.missing)
        own = known.own
        if known.lonely is not None:
            # The only file that is named is not there: it is this one, under a new name, unless its identifier says no.
            if document.uuid in (None, known.lonely.uuid):
                own = max(own, known.lonely.pages)
            else:
                self.missing[path] = [self._absent(known.lonely)]
        self.wanted[path] = max(self.wanted.get(path, 0), own)

    def _resolve(self, references: Sequence[FileReference], folder: str) -> _Resolved:
        partners: list[str] = []
        missing: list[str] = []
        wants: list[tuple[str, int]] = []
        own = 0
        lonely = None
        for reference in references:
            found = self._find(folder, reference.name) if reference.name else self.uuids.get(reference.uuid or "")
            if found is not None:
                partners.append(found)
                wants.append((found, reference.pages))
            elif reference.name is None and reference.uuid is None:
                own = max(own, reference.pages)
            elif len(references) == 1:
                lonely = reference
            else:
                missing.append(self._absent(reference))
        return _Resolved(tuple(partners), tuple(dict.fromkeys(missing)), tuple(wants), own, lonely)

    def _absent(self, reference: FileReference) -> str:
        if reference.name is None:
            return "a file that is named by its identifier only"
        other = self.uuids.get(reference.uuid or "")
        return shown(reference.name) + (f" (there as {shown(other)})" if other else "")

    def _find(self, folder: str, name: str) -> str | None:
        target = posixpath.normpath(posixpath.join(folder, name.replace("\\", "/")))
        return self.names.get(_nfc(target))

    def _join(self, path: str, folder: str, name: str) -> None:
        found = self._find(folder, name)
        if found is None:
            self.missing[path] = [shown(name)]
        else:
            self._unite(path, found)

    def _root(self, path: str) -> str:
        while self.parents[path] != path:
            self.parents[path] = self.parents[self.parents[path]]
            path = self.parents[path]
        return path

    def _unite(self, one: str, other: str) -> None:
        first, second = sorted((self._root(one), self._root(other)))
        self.parents[second] = first

    def _set(self, paths: list[str]) -> FileSet:
        files = sorted((self.files[path] for path in paths), key=_order)
        faults = [(item.facts.path, fault) for item in files if (fault := self._fault(item)) is not None]
        return FileSet(tuple(files), tuple(faults))

    def _fault(self, item: Examined) -> ImageError | None:
        path = item.facts.path
        if item.fault is not None:
            return item.fault
        if path in self.missing:
            names = some(self.missing[path])
            return ImageError(Code.PARTNER, f"belongs together with {names}, which is not among the files of this drop", TOGETHER)
        wanted = self.wanted.get(path, 0)
        if item.format.kind is Kind.TIFF and item.pages < wanted:
            return ImageError(Code.CUT, f"has {item.pages:,} of the {wanted:,} pages that its OME-XML announces")
        return None


def _order(item: Examined) -> tuple[bool, bool, str]:
    binary_only = item.document is None or item.document.metadata_file is not None
    return item.format.kind is not Kind.COMPANION, binary_only, item.facts.path


def _nfc(path: str) -> str:
    return unicodedata.normalize("NFC", path)


def images_in(files: Sequence[Examined]) -> int | None:
    """How many images the OME-XML of the first file announces; None where there is none."""
    document = files[0].document
    return document.pixels or None if document is not None else None
