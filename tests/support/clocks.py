"""A clock that stands still until it is told to go on."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta


class HandClock:
    """`sleep` and `forward` move it; its random bits come from `seed`."""

    def __init__(self, seed: int = 1) -> None:
        self.seconds = 1000.0
        self._random = random.Random(seed)

    def now(self) -> datetime:
        return datetime(2026, 11, 22, 9, 39, 12, tzinfo=UTC) + timedelta(seconds=self.seconds - 1000.0)

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds

    def forward(self, seconds: float) -> None:
        self.seconds += seconds

    def token_bits(self, bits: int) -> int:
        return self._random.getrandbits(bits)

    def jitter(self) -> float:
        return 0.5


class HostClock:
    """The clock of one machine: its hands may be set (`ahead`), and its monotonic seconds began when it was switched on."""

    def __init__(self, world: HandClock) -> None:
        self.world = world
        self.ahead = 0.0
        self.booted = 0.0

    def now(self) -> datetime:
        return self.world.now() + timedelta(seconds=self.ahead)

    def monotonic(self) -> float:
        return self.world.monotonic() - self.booted

    def sleep(self, seconds: float) -> None:
        self.world.sleep(seconds)

    def token_bits(self, bits: int) -> int:
        return self.world.token_bits(bits)

    def jitter(self) -> float:
        return self.world.jitter()
