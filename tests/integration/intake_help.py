"""A box on a real disk, a clock in the test's hand, and users who save files."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from dropbox_import.intake import Intake, Scan
from dropbox_import.model import Candidate
from dropbox_import.settings import Box

T = "target: {dataset: HeLa}\n"


@dataclass
class HandClock:
    """Time that only the test moves."""

    seconds: float = 1000.0
    day: datetime = datetime(2026, 11, 22, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self.day + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds

    def token_bits(self, bits: int) -> int:
        return bits

    def jitter(self) -> float:
        return 0.5


@dataclass
class Desk:
    """One box with an intake. `quiet_period` is 10 s; `after(6)` scans six seconds later."""

    root: Path
    options: dict[str, Any] = field(default_factory=dict)
    clock: HandClock = field(default_factory=HandClock)

    def __post_init__(self) -> None:
        self.drop.joinpath("jdoe").mkdir(parents=True)
        self.intake = Intake(replace(Box(path=self.root), **self.options), self.clock)

    @property
    def drop(self) -> Path:
        return self.root / "drop"

    @property
    def home(self) -> Path:
        return self.drop / "jdoe"

    def save(self, path: str, data: str | bytes = b"pixels") -> Path:
        """A user saves a file (and closes it)."""
        place = self.home / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data.encode() if isinstance(data, str) else data)
        return place

    def after(self, seconds: float = 0.0) -> Scan:
        self.clock.seconds += seconds
        return self.intake.scan()

    def looking(self, seconds: float, every: float = 20.0) -> Scan:
        """The scan after that time, with others before it."""
        for _ in range(int(seconds // every)):
            self.after(every)
        return self.after(seconds % every)

    def settled(self) -> Scan:
        """The scan when all that lies there has been left alone for long enough."""
        self.after(6)
        self.after(6)
        return self.after(6)

    def only(self) -> Candidate:
        """The one drop that is ready after settling."""
        (candidate,) = self.settled().ready
        return candidate

    def refusal(self) -> str:
        """Why the one drop is refused, with all mistakes in one text; its files stay out of it."""
        candidate = self.only()
        assert candidate.request is None
        assert (candidate.members, candidate.references, candidate.whole_folders) == ((), (), ())
        assert candidate.mistakes
        assert candidate.refusal_code
        assert candidate.sidecar_sha256
        return candidate.refusal_code + "\n" + "\n".join(str(mistake) for mistake in candidate.mistakes)

    def reason(self, scan: Scan) -> str:
        """Why the one drop waits."""
        assert scan.ready == ()
        (waiting,) = scan.waiting
        return waiting.reason


def touch_later(path: Path, seconds: float) -> None:
    """Change the time of a file and nothing else."""
    seen = path.stat()
    os.utime(path, ns=(seen.st_atime_ns, seen.st_mtime_ns + int(seconds * 1e9)))
