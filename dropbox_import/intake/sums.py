"""Checksums of users' files, computed beside the scans: one of a terabyte takes an hour, and the box goes on meanwhile."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from collections.abc import Callable, Hashable
from pathlib import Path

from dropbox_import.disk.facts import open_below
from dropbox_import.disk.names import shown
from dropbox_import.errors import Rejected

_log = logging.getLogger(__name__)

AT_ONCE = 64_000_000  # bytes; a smaller file is read within the scan
_BLOCK = 1 << 20


class Sums:
    """Of the files below one folder. Asked by one thread; large files are read by another one, which a hung mount may keep for ever."""

    def __init__(self, base: Path) -> None:
        self._base = base
        self._known: dict[str, tuple[Hashable, str | OSError | Rejected]] = {}
        self._reading: tuple[str, Hashable] | None = None

    def of(self, path: str, size: int, mark: Hashable) -> str | None:
        """The SHA-256 in hexadecimal of the file, whose state is `mark`; None while it is being read. Raises OSError, Rejected."""
        known = self._known.get(path)
        if known is None or known[0] != mark:
            if size > AT_ONCE:
                self._begin(path, mark)
                return None
            known = self._known[path] = mark, self.fresh(path)
        if isinstance(known[1], Exception):
            del self._known[path]
            raise known[1]
        return known[1]

    @property
    def busy(self) -> bool:
        return self._reading is not None

    def keep(self, is_there: Callable[[str], object]) -> None:
        """Forget those that are not there any more."""
        for path in [path for path in self._known if is_there(path) is None]:
            del self._known[path]

    def fresh(self, path: str) -> str:
        """Read it now, whatever is known. Raises OSError, Rejected."""
        fd = open_below(self._base, path)
        try:
            digest = hashlib.sha256()
            while block := os.read(fd, _BLOCK):
                digest.update(block)
            return digest.hexdigest()
        finally:
            os.close(fd)

    def _begin(self, path: str, mark: Hashable) -> None:
        """One file at a time: a disk reads one faster than two."""
        if self._reading is None:
            self._reading = path, mark
            try:
                threading.Thread(target=self._read, args=(path, mark), name="checksum", daemon=True).start()
            except RuntimeError as trouble:  # the system gives no more threads; the next scan tries again
                _log.warning("The checksum of %s cannot be computed yet: %s", shown(path), trouble)
                self._reading = None

    def _read(self, path: str, mark: Hashable) -> None:
        found: str | OSError | Rejected
        try:
            found = self.fresh(path)
        except (OSError, Rejected) as error:
            found = error
        self._known[path] = mark, found
        self._reading = None
