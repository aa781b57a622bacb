"""One attempt to import one fileset: the server's import process and what was sent to it."""

from __future__ import annotations

import threading
from typing import Any, Protocol

from dropbox_import.importer.records import HeldAttempt, Sent

AttemptId = tuple[str, str, int]
"""Drop, key and number of the attempt."""


class Teller(Protocol):
    """What a step may say while it works."""

    def progress(
        self,
        *,
        step: int | None = None,
        steps: int | None = None,
        bytes: int | None = None,
        total: int | None = None,
    ) -> None: ...

    def in_call(self, name: str, bytes: int = 0) -> None: ...


class Attempt:
    """Commands on one attempt take its `lock`; `cancel` sets `cancelled` first, which stops an upload between two blocks."""

    def __init__(self, held: HeldAttempt, process: Any, *, fresh: bool = False) -> None:
        self.id: AttemptId = (held.drop, held.key, held.attempt)
        self.fileset = held.fileset
        self.process = process
        self.process_text = held.process
        self.sent = held.sent
        self.fresh = fresh
        self.joined = not fresh
        self.handle: Any = None
        self.failing = 0  # polls that showed a failure without an answer
        self.lock = threading.Lock()
        self.cancelled = threading.Event()

    def held(self) -> HeldAttempt:
        drop, key, number = self.id
        return HeldAttempt(drop, key, number, self.fileset, self.process_text, self.sent)

    @property
    def sizes(self) -> int:
        return sum(each.size for each in self.sent)


__all__ = ["Attempt", "AttemptId", "Sent", "Teller"]
