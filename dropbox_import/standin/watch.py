"""Which calls are being answered, and the stacks of all threads if one is not: into `DIR/slow-calls.txt`, which is there only then."""

from __future__ import annotations

import faulthandler
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SLOW = 20.0
LOOK = 5.0


class Watch:
    """Safe to use from any thread. `start` begins to look; until then it only counts."""

    def __init__(self, folder: Path, slow: float = SLOW) -> None:
        self._path = folder / "slow-calls.txt"
        self._slow = slow
        self._running: dict[int, tuple[str, float]] = {}
        self._told: set[int] = set()

    @contextmanager
    def call(self, number: int, operation: str) -> Iterator[None]:
        """Around the answering of a call."""
        self._running[number] = (operation, time.monotonic())
        try:
            yield
        finally:
            self._running.pop(number, None)
            self._told.discard(number)

    def look(self) -> None:
        """Tell of each call that takes too long, once."""
        now = time.monotonic()
        late = [(number, *what) for number, what in list(self._running.items()) if now - what[1] > self._slow and number not in self._told]
        if not late:
            return
        self._told |= {number for number, *_ in late}
        with self._path.open("a", encoding="utf-8") as out:
            for number, operation, since in late:
                print(f"{time.time():.1f} call {number} {operation} has taken {now - since:.0f} s", file=out)
            out.flush()
            faulthandler.dump_traceback(out, all_threads=True)

    def start(self, stopping: threading.Event) -> None:
        threading.Thread(target=self._run, args=(stopping,), name="watch", daemon=True).start()

    def _run(self, stopping: threading.Event) -> None:
        while not stopping.wait(LOOK):
            self.look()
