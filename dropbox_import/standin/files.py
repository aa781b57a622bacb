"""RawFileStore: bytes of original files. Size and hash are stored only by `save` and `close`, as OMERO does."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
import zlib
from pathlib import Path
from typing import Any

import omero.api
import omero.clients
from omero.rtypes import rlong

from dropbox_import.standin import trouble
from dropbox_import.standin.house import House
from dropbox_import.standin.objects import Loader
from dropbox_import.standin.permissions import can_edit, can_read
from dropbox_import.standin.schema import ENTITIES
from dropbox_import.standin.servants import Servant, operation
from dropbox_import.standin.sessions import Session
from dropbox_import.standin.sources import behaviour
from dropbox_import.standin.store import now_ms

ALGORITHMS = ("SHA1-160", "MD5-128", "Murmur3-128", "Murmur3-32", "CRC-32", "Adler-32", "File-Size-64")
_PIECE = 4_000_000


@behaviour("recorded 02 importFileset_arguments, SUMMARY 13: 32 and 64 bit values are little-endian")
def checksum(path: Path, algorithm: str) -> str:
    """The text of a file's checksum; the whole file is read, as a real server does."""
    crc, adler, size = 0, 1, 0
    digest = hashlib.md5(usedforsecurity=False) if algorithm == "MD5-128" else hashlib.sha1(usedforsecurity=False)
    with path.open("rb") as stream:
        while piece := stream.read(_PIECE):
            size += len(piece)
            if algorithm in ("SHA1-160", "MD5-128"):
                digest.update(piece)
            elif algorithm == "CRC-32":
                crc = zlib.crc32(piece, crc)
            elif algorithm == "Adler-32":
                adler = zlib.adler32(piece, adler)
    match algorithm:
        case "CRC-32":
            return crc.to_bytes(4, "little").hex()
        case "Adler-32":
            return adler.to_bytes(4, "little").hex()
        case "File-Size-64":
            return size.to_bytes(8, "little").hex()
    return digest.hexdigest()


class StoredFile(Servant, omero.api.RawFileStore):
    """One open file. Subclasses say which."""

    def __init__(self, house: House, session: Session) -> None:
        super().__init__(house, session)
        self.path: Path | None = None
        self.file_id: int | None = None
        self.writable = True
        self.changed = False
        self.broken = False
        self.garbled = False
        self.last_offset = 0
        self._descriptor: int | None = None
        self._writing = threading.Lock()

    def _open(self) -> int:
        if self.path is None:
            raise trouble.usage("This RawFileStore has not been properly initialized.")
        if self._descriptor is None:
            try:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                flags = os.O_RDWR | os.O_CREAT if self.writable else os.O_RDONLY
                self._descriptor = os.open(self.path, flags | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0), 0o644)
            except OSError as error:
                raise trouble.resource(f"/OMERO/{self.shown()} ({error.strerror})") from error
        return self._descriptor

    def shown(self) -> str:
        return str(self.path.relative_to(self.house.folder)) if self.path else ""

    def disk_full(self, *given: Any) -> None:
        self.broken = True  # recorded 12: close() then succeeds in silence and stores no hash
        if len(given) == 4:
            self.last_offset = given[1] + given[2]

    def corrupt(self) -> None:
        self.garbled = True

    @operation("recorded 02 uploader_semantics, 15 block_sizes, 17 two writes in flight")
    def write(self, data: bytes, position: int, length: int, current: Any) -> None:
        if not self.writable:
            raise trouble.security("File not writeable!")
        if length > len(data):
            raise trouble.usage(f"newLimit > capacity: ({length} > {len(data)})")
        if not self._writing.acquire(blocking=False):
            nested = "nested exception is org.hibernate.exception.DataException: could not execute query"
            raise trouble.validation(f"could not execute query; {nested}")
        try:
            self.last_offset = position + length
            descriptor = self._open()
            if self.garbled and length:
                data, self.garbled = bytes((data[0] ^ 0xFF,)) + data[1:], False
            view = memoryview(data)[:length]
            os.lseek(descriptor, position, os.SEEK_SET)
            while view:
                view = view[os.write(descriptor, view) :]
            self.changed = True
        except OSError as error:
            self.broken = self.broken or error.errno in (errno.ENOSPC, errno.EDQUOT)
            raise trouble.resource(str(error.strerror)) from error
        finally:
            self._writing.release()

    @operation("assumed: what is there, at most `length` bytes")
    def read(self, position: int, length: int, current: Any) -> bytes:
        with self._writing:
            descriptor = self._open()
            os.lseek(descriptor, position, os.SEEK_SET)
            return os.read(descriptor, length)

    @operation("recorded 02 size_after_reopen")
    def size(self, current: Any) -> int:
        return os.fstat(self._open()).st_size

    @operation("recorded 02 exists")
    def exists(self, current: Any) -> bool:
        return self.path is not None and self.path.exists()

    @operation("recorded 02 truncate; that it only shortens: read omero-server RawFileBean")
    def truncate(self, length: int, current: Any) -> bool:
        descriptor = self._open()
        if os.fstat(descriptor).st_size <= length:
            return False
        os.ftruncate(descriptor, length)
        self.changed = True
        return True

    @operation("recorded 01")
    def getFileId(self, current: Any) -> Any:
        return rlong(self.file_id) if self.file_id is not None else None

    @operation("recorded 02 save")
    def save(self, current: Any) -> Any:
        assert self.session is not None
        if not self.store_facts():
            return None
        caller = self.house.sessions.caller(self.session, current.ctx)
        return Loader(self.house, caller).by_id(ENTITIES["OriginalFile"], self.file_id or -1)

    @operation("recorded 02 uploader_semantics; 12 disk full; 09 close after")
    def close(self, current: Any) -> None:
        self.house.registry.remove(current.id)
        self.finish()

    def store_facts(self) -> bool:
        """Size, hash and time into the row; False if nothing has changed or nothing may be stored."""
        if not self.writable or self.broken or self.file_id is None or self.path is None:
            return False
        row = self.house.store.row("OriginalFile", self.file_id)
        if row is None:
            raise trouble.resource(f"Cannot find path. Deleted? /OMERO/{self.shown()}")
        if not self.changed and row["hash"] is not None:
            return False
        self._open()
        algorithm = self.house.store.row("ChecksumAlgorithm", row["hasher"]) if row["hasher"] else None
        name = algorithm["value"] if algorithm else "SHA1-160"
        facts = {"size": self.path.stat().st_size, "hash": checksum(self.path, name), "mtime": now_ms()}
        if row["hasher"] is None:
            facts["hasher"] = self.house.store.enum("ChecksumAlgorithm", "SHA1-160")
        self.house.store.update("OriginalFile", self.file_id, facts)
        self.changed = False
        return True

    def finish(self) -> None:
        try:
            self.store_facts()
        finally:
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None

    def session_ended(self) -> None:
        """Recorded 06: what was written so far gets its size and hash."""
        try:
            if self._descriptor is not None:
                self.finish()
        except Exception:
            self.broken = True


class FileStore(StoredFile):
    """`createRawFileStore`: for attachments and for reading."""

    @operation("recorded 18 attachment on a dataset; SUMMARY 21; 09 bob writes alice file")
    def setFileId(self, row_id: int, current: Any) -> None:
        assert self.session is not None
        caller = self.house.sessions.caller(self.session, current.ctx)
        row = self.house.store.row("OriginalFile", row_id)
        if row is None:
            raise trouble.no_row("ome.model.core.OriginalFile", row_id)
        if not can_read(caller, row):
            raise trouble.cannot_read("ome.model.core.OriginalFile", row_id)
        self.file_id = row_id
        if row["repo"]:
            self.path, self.writable = self.house.files / row["path"] / row["name"], False
        else:
            self.path, self.writable = self.house.attachments / str(row_id), can_edit(caller, row)
            self.changed = row["hash"] is None and self.writable
