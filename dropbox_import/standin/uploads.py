"""The uploader of one file of an import."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dropbox_import.standin import trouble
from dropbox_import.standin.files import StoredFile
from dropbox_import.standin.house import House
from dropbox_import.standin.servants import operation
from dropbox_import.standin.sessions import Session


class Uploader(StoredFile):
    """RepoRawFileStore: made by an ImportProcess; its file is fixed."""

    def __init__(self, house: House, session: Session, file_id: int, path: Path) -> None:
        super().__init__(house, session)
        self.file_id = file_id
        self.path = path
        self.open = True

    def finish(self) -> None:
        self.open = False
        super().finish()

    @operation("read omero-blitz RepoRawFileStoreI.java:96-147: refused")
    def setFileId(self, row_id: int, current: Any) -> None:
        raise trouble.usage("Cannot reset file id for RepoRawFileStore")
