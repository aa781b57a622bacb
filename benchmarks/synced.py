"""`python -m benchmarks.synced timed|none FILE WORDS…`: run the program with its syncs timed, or left out; FILE gets what they cost."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from pathlib import Path

from dropbox_import.cli.entry import main


class Syncs:
    """In the place of os.fsync. `none`: nothing is synced, as no program should; for comparison."""

    def __init__(self, *, really: bool) -> None:
        self.really = really
        self.count = 0
        self.seconds = 0.0
        self._plain = os.fsync
        self._lock = threading.Lock()

    def __call__(self, fd: int) -> None:
        begun = time.perf_counter()
        if self.really:
            self._plain(fd)
        spent = time.perf_counter() - begun
        with self._lock:
            self.count += 1
            self.seconds += spent


def run(mode: str, file: Path, words: list[str]) -> None:
    syncs = Syncs(really=mode == "timed")
    os.fsync = syncs  # type: ignore[assignment]
    try:
        main(words)
    finally:
        file.write_text(json.dumps({"count": syncs.count, "seconds": syncs.seconds}))


if __name__ == "__main__":
    run(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])
