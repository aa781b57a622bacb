"""One import: upload, verify, and the server's own work in five steps, with every state that a client can see."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import omero
import omero.clients
import omero.grid
import omero.model

from dropbox_import.standin import trouble
from dropbox_import.standin.house import House
from dropbox_import.standin.importing import Importing
from dropbox_import.standin.permissions import Caller
from dropbox_import.standin.servants import Servant, operation
from dropbox_import.standin.sessions import Session
from dropbox_import.standin.store import now_ms
from dropbox_import.standin.uploads import Uploader

LOG = logging.getLogger("standin")
_NO_HASH = 'Cannot invoke "omero.RString.getValue()" because the return value of "java.util.List.get(int)" is null'


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of the fileset: its row, where it lies, its stored folder; `crooked` never verifies (recorded 05)."""

    file_id: int
    path: Path
    folder: str
    crooked: bool


class ImportProcess(Servant, omero.grid.ImportProcess):
    """What importFileset answers. It lives until it or its session is closed."""

    def __init__(
        self,
        house: House,
        session: Session,
        caller: Caller,
        fileset: int,
        entries: list[Entry],
        settings: Any,
        algorithm: str,
        job_link: int,
        log_id: int,
        log_path: Path,
        client: str,
    ) -> None:
        super().__init__(house, session)
        self.mine = session
        self.caller = caller
        self.fileset = fileset
        self.entries = entries
        self.settings = settings
        self.algorithm = algorithm
        self.job_link = job_link
        self.log_id = log_id
        self.log_path = log_path
        self.client = client
        self.proxy: Any = None
        self._handle: Any = None
        self._uploaders: dict[int, tuple[Uploader, Any]] = {}
        self._lock = threading.Lock()

    @operation(
        "recorded 02 uploader_semantics, index_out_of_range, upload_after_import_done, 04b joined client; that a file which was not open"
        " when the beginning client went answers null: read, omero-blitz SessionManagerI.java:406-445"
    )
    def getUploader(self, index: int, current: Any) -> Any:
        if not 0 <= index < len(self.entries):
            raise trouble.unknown(
                "com.google.common.util.concurrent.UncheckedExecutionException: java.lang.IndexOutOfBoundsException: "
                f"Index {index} out of bounds for length {len(self.entries)}\n\tat com.google.common.cache.LocalCache"
            )
        with self._lock:
            known = self._uploaders.get(index)
            if known is None or not known[0].open:
                if self.client not in self.house.clients:
                    return None
                entry = self.entries[index]
                uploader = Uploader(self.house, self.mine, entry.file_id, entry.path)
                proxy = self.house.registry.add_new(uploader, "-RepoRawFileStoreI", self.mine.uuid)
                known = self._uploaders[index] = (uploader, omero.api.RawFileStorePrx.uncheckedCast(proxy))
            return known[1]

    @operation("recorded 02 partial_then_resumed_same_process, SUMMARY 20")
    def getUploadOffset(self, index: int, current: Any) -> int:
        known = self._uploaders.get(index)
        return known[0].last_offset if known is not None and known[0].open else 0

    @operation("recorded 02 index_out_of_range")
    def getImportSettings(self, current: Any) -> Any:
        return self.settings

    @operation("recorded 02 wrong_checksum getHandle, verifyUpload_twice")
    def getHandle(self, current: Any) -> Any:
        return self._handle

    @operation(
        "recorded 02 wrong_checksum, hash_list_shape, no_bytes_uploaded, verifyUpload_twice; its queue: read, ThreadPool.java:115-135"
    )
    def verifyUpload(self, hashes: Any, current: Any) -> Any:
        hashes = list(hashes or [])
        if len(hashes) != len(self.entries):
            raise omero.ApiUsageException("", "", f"hashes size should be {len(self.entries)} not {len(hashes)}")
        self._compare(hashes)
        self._finish_upload_job()
        self.house.faults.wait(self.house.faults.setting("verify_queue_seconds"))
        if not self.house.sessions.hold(self.mine):
            raise trouble.unknown("ome.conditions.RemovedSessionException: the session is gone\n\tat stand-in")
        importing = Importing(self.house, self.mine, self, omero.grid.ImportRequest())
        proxy = self.house.registry.add_new(importing, "", self.mine.uuid, prefix="IHandle")
        self._handle = omero.cmd.HandlePrx.uncheckedCast(proxy)
        importing.start(proxy.ice_getIdentity())
        return self._handle

    def _compare(self, hashes: list[str]) -> None:
        rows = [self.house.store.row("OriginalFile", entry.file_id) for entry in self.entries]
        if any(row is not None and row["hash"] is None for row in rows):
            raise trouble.null_pointer(
                _NO_HASH, "ome.services.blitz.repo.ManagedImportProcessI.verifyUpload(ManagedImportProcessI.java:363)"
            )
        failing = {
            index: row["hash"] if row is not None else ""
            for index, (row, wanted) in enumerate(zip(rows, hashes, strict=True))
            if row is None or row["hash"] != wanted or self.entries[index].crooked
        }
        if failing:
            raise omero.ChecksumValidationException(
                "", "class omero.ChecksumValidationException", "A checksum mismatch has occurred.", failing
            )

    def _finish_upload_job(self) -> None:
        """SUMMARY 4: this is the only job that ever changes."""
        with self.house.store.transaction():
            link = self.house.store.row("FilesetJobLink", self.job_link)
            if link is not None:
                finished = self.house.store.enum("JobStatus", "Finished")
                self.house.store.update("Job", link["child"], {"status": finished, "message": "Finished", "finished": now_ms()})

    @operation("recorded 02 use after process.close")
    def close(self, current: Any) -> None:
        self.house.registry.remove(current.id)
        for uploader, proxy in list(self._uploaders.values()):
            if uploader.open:
                self.house.registry.remove(proxy.ice_getIdentity())
                uploader.session_ended()
