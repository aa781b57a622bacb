"""The claims of a box that lie in its place and are not known yet, and those that cannot be read."""

from __future__ import annotations

import logging
from typing import Protocol

from dropbox_import.clock import Clock
from dropbox_import.disk.trouble import as_ours
from dropbox_import.errors import DropboxImportError, JournalDamaged
from dropbox_import.spool.filing import SPLIT_SUFFIX

log = logging.getLogger(__name__)

_DAMAGED_PAUSE = 60.0  # seconds


class Known(Protocol):
    def __contains__(self, name: str, /) -> bool: ...


class Unread:
    """For the thread of one box; why something cannot be read may be asked from any thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.names: list[str] = []  # to be read, in order
        self._cannot: dict[str, tuple[float, DropboxImportError]] = {}  # when it is tried again, and why it cannot be read

    def __bool__(self) -> bool:
        return bool(self.names or self._cannot)

    def scanned(self, names: set[str], known: Known) -> None:
        """These lie there. The second part of a drop is not read as long as the first one lies beside it."""
        now = self._clock.monotonic()
        self._cannot = {name: why for name, why in self._cannot.items() if name in names}
        due = (name for name in names if name not in known and (name not in self._cannot or self._cannot[name][0] <= now))
        self.names = sorted(name for name in due if name.removesuffix(SPLIT_SUFFIX) not in names - {name})

    def read(self, name: str) -> None:
        self._cannot.pop(name, None)

    def cannot(self, name: str, error: JournalDamaged | OSError) -> None:
        """Told once; it is tried again now and then, since somebody may have mended it."""
        if name not in self._cannot:
            log.error("%s", error, extra={"drop": name, "step": "held"})
        if isinstance(error, JournalDamaged):
            self._cannot[name] = self._clock.monotonic() + _DAMAGED_PAUSE, error
        else:
            self._cannot[name] = 0.0, as_ours(error, f"reading the journal of {name}")

    def damaged(self) -> list[tuple[str, str]]:
        """Those that stay so until somebody mends them, and why."""
        return [(name, why.sentence) for name, (_, why) in list(self._cannot.items()) if isinstance(why, JournalDamaged)]

    def waits(self) -> list[tuple[str, DropboxImportError]]:
        """Those that cannot be read now, and why."""
        return [(name, why) for name, (_, why) in list(self._cannot.items()) if not isinstance(why, JournalDamaged)]
