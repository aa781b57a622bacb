"""Files attached to images or containers: uploaded once, linked to all; on a container found again by their checksum.

OMERO has no transaction over bytes and rows, so the original file comes first, under a path that is made of the marker: who does it again
after a cut finds it there and goes on with it. One that the server refuses to attach is removed again.
"""

from __future__ import annotations

import hashlib
import mimetypes
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import omero.model
from omero.rtypes import rlong, rstring

from dropbox_import.disk.facts import open_below
from dropbox_import.disk.trouble import as_ours as disk_trouble
from dropbox_import.errors import DropboxImportError
from dropbox_import.importer import queries
from dropbox_import.importer.annotate import REFUSALS, Bearer
from dropbox_import.importer.connection import patient
from dropbox_import.importer.discard import delete
from dropbox_import.importer.errors import calling

BLOCK = 5_000_000
CALL_SECONDS = 300.0
_FOLDER = "dropbox-import/"


@dataclass(frozen=True, slots=True)
class FileToAttach:
    """`path` is on the local disk, `name` what OMERO shows."""

    path: Path
    name: str
    namespace: str | None = None
    mime: str | None = None

    @classmethod
    def from_args(cls, args: Mapping[str, Any]) -> FileToAttach:
        path = Path(args["path"])
        return cls(path, args.get("name") or path.name, args.get("namespace"), args.get("mime"))


def attach(bearer: Bearer, files: Sequence[FileToAttach]) -> None:
    for file in files:
        with bearer.trying(f'attachment "{file.name}"'):
            try:
                source = open_below(file.path.parent, file.path.name)
            except OSError as error:
                raise disk_trouble(error, f'reading the attachment "{file.name}"') from error
            try:
                _attach(bearer, file, source)
            finally:
                os.close(source)


def _attach(bearer: Bearer, file: FileToAttach, source: int) -> None:
    bearer.teller.in_call("hash", bytes=os.fstat(source).st_size)
    sha1, size = _measure(source)
    # Who attaches the same file meanwhile waits for it, and finds it then. Nobody else has to wait for an upload.
    with bearer.turn("file", sha1, file.namespace or ""):
        _upload_and_link(bearer, file, source, size, sha1)


def _upload_and_link(bearer: Bearer, file: FileToAttach, source: int, size: int, sha1: str) -> None:
    name = bearer.marker_of("file", [sha1, file.namespace, file.name])
    targets = _without(bearer, file, sha1, name)
    if not targets:
        return
    annotation, number = _known(bearer, name), None
    if annotation is None:
        number = _upload(bearer, file, source, size, sha1, name)
        # Another daemon's importer, or one of another owner, may have attached it in the minutes of the upload.
        targets = _without(bearer, file, sha1, name)
        if not targets:
            _remove_unused(bearer, number)
            return
        annotation = _annotation(file, number, name)
    links = [bearer.link(each, annotation) for each in targets]
    try:
        # one save makes annotation and first link, the rest refer to it
        bearer.save("attaching a file", links[:1])
    except DropboxImportError as error:
        if number is not None and error.kind in REFUSALS:
            _remove_unused(bearer, number)
        raise
    if links[1:]:
        saved = omero.model.FileAnnotationI(int(bearer.made[-1].rpartition(":")[2]), False)
        bearer.save("attaching a file", [bearer.link(each, saved) for each in targets[1:]])


def _without(bearer: Bearer, file: FileToAttach, sha1: str, name: str) -> list[int]:
    """The objects that do not have it yet."""
    found = bearer.without_marker(name)
    return found if bearer.kind == "Image" else [number for number in found if not _is_attached(bearer, number, file, sha1)]


def _known(bearer: Bearer, name: str) -> Any | None:
    """The annotation that an earlier, unfinished call has linked to some of the objects."""
    with calling("looking for an attachment"):
        rows = bearer.rows(queries.MARKED[bearer.kind], n=name)
    return omero.model.FileAnnotationI(int(rows[0][1]), False) if rows else None


def _is_attached(bearer: Bearer, number: int, file: FileToAttach, sha1: str) -> bool:
    with calling("looking for an attachment"):
        if file.namespace is None:
            return bool(bearer.session.ask(queries.ATTACHED_PLAIN[bearer.kind], d=number, h=sha1))
        return bool(bearer.session.ask(queries.ATTACHED[bearer.kind], d=number, ns=file.namespace, h=sha1))


def _remove_unused(bearer: Bearer, original: int) -> None:
    """The upload, unless something else has it attached: the same file is uploaded once for all containers of a group.

    OMERO removes with it what it is attached by.
    """
    with calling("looking for an attachment"):
        used = bool(bearer.session.ask(queries.ATTACHMENTS, f=original))
    if not used:
        delete(bearer.session, "OriginalFile", original)


def _measure(source: int) -> tuple[str, int]:
    digest, size = hashlib.sha1(usedforsecurity=False), 0
    while block := os.read(source, BLOCK):
        digest.update(block)
        size += len(block)
    return digest.hexdigest(), size


def _original(bearer: Bearer, file: FileToAttach, size: int, sha1: str, name: str) -> int:
    """The row of the file: that of an earlier call in the group of the objects, or a new one.

    Nothing can be attached to an object of one group that lies in another one.
    """
    path = f"{_FOLDER}{name.removeprefix(_FOLDER)}/"
    with calling("looking for an attachment"):
        rows = bearer.session.ask_here(queries.UPLOADS, p=path, n=file.name, o=bearer.session.record.owner)
    if rows:
        return int(rows[0][0])
    original = omero.model.OriginalFileI()
    original.name, original.path = rstring(file.name), rstring(path)
    original.size, original.hash = rlong(size), rstring(sha1)
    original.mimetype = rstring(file.mime or mimetypes.guess_type(file.name)[0] or "application/octet-stream")
    hasher = omero.model.ChecksumAlgorithmI()
    hasher.value = rstring("SHA1-160")
    original.hasher = hasher
    with calling(f'making the attachment "{file.name}"', changes=True):
        return int(bearer.session.update().saveAndReturnObject(original).id.val)


def _upload(bearer: Bearer, file: FileToAttach, source: int, size: int, sha1: str, name: str) -> int:
    """The number of the original file, once its bytes are on the server."""
    number = _original(bearer, file, size, sha1, name)
    with calling(f'uploading the attachment "{file.name}"', changes=True):
        bearer.teller.in_call("write")
        store = patient(bearer.session.client.getSession().createRawFileStore(), CALL_SECONDS)
        try:
            store.setFileId(number)
            os.lseek(source, 0, os.SEEK_SET)
            offset = 0
            while block := os.read(source, BLOCK):
                bearer.teller.in_call("write", bytes=len(block))
                store.write(block, offset, len(block))
                offset += len(block)
            bearer.teller.in_call("close", bytes=size)
            store.save()
        finally:
            store.close()
    return number


def _annotation(file: FileToAttach, number: int, name: str) -> Any:
    annotation = omero.model.FileAnnotationI()
    annotation.file = omero.model.OriginalFileI(number, False)
    annotation.name = rstring(name)
    if file.namespace is not None:
        annotation.ns = rstring(file.namespace)
    return annotation
