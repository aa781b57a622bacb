"""The sign of life that this daemon writes into a box, and why it cannot be written now."""

from __future__ import annotations

import logging
from pathlib import Path

from dropbox_import.daemon.peers import Peers
from dropbox_import.daemon.shared import Shared
from dropbox_import.disk.trouble import as_ours
from dropbox_import.errors import DropboxImportError
from dropbox_import.heartbeat import sign_of_life

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 10.0
_WORTH_A_WORD = 6  # in a row, a minute: nobody is taken for dead for less


class Heartbeat:
    """For the thread of one box; `trouble` may be asked from any thread.

    `due`: when it is to be written next (monotonic seconds). `trouble`: why it could not be the last time.
    """

    def __init__(self, box: Path, peers: Peers, shared: Shared) -> None:
        self._box = box
        self._peers = peers
        self._shared = shared
        self._count = 0
        self._failed = 0  # so often in a row
        self.due = 0.0
        self.trouble: DropboxImportError | None = None

    def begins(self, now: float) -> None:
        """It is at its time, whether it can be written or not."""
        self.due = now + HEARTBEAT_SECONDS

    def beat(self, *, accepting: bool) -> None:
        """Write it. What the disk refuses is trouble to be told, and the work goes on. Raises ShareUnavailable, as `Peers.beat` does."""
        self._count += 1
        willing = accepting and not self._shared.draining.is_set()
        try:
            self._peers.beat(sign_of_life(self._shared.instance.name, HEARTBEAT_SECONDS, self._count, accepting=willing))
        except OSError as error:
            self._failed += 1
            self.trouble = as_ours(error, f"writing the sign of life in {self._box}")
            if self._failed == _WORTH_A_WORD:
                log.warning("%s; others will take this daemon for dead", self.trouble.sentence, extra={"step": "heartbeat"})
        else:
            if self._failed >= _WORTH_A_WORD:
                log.warning("the sign of life in %s can be written again", self._box, extra={"step": "heartbeat"})
            self._failed, self.trouble = 0, None
