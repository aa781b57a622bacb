"""The only source of time and randomness, so that tests can give their own."""

from __future__ import annotations

import random
import secrets
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """What the product may ask of time. `monotonic` in seconds decides; `now` (UTC) is only shown and recorded."""

    def now(self) -> datetime: ...

    def monotonic(self) -> float: ...

    def sleep(self, seconds: float) -> None: ...

    def token_bits(self, bits: int) -> int:
        """`bits` random bits that nobody can guess or repeat."""
        ...

    def jitter(self) -> float:
        """A number in [0, 1)."""
        ...


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def token_bits(self, bits: int) -> int:
        return secrets.randbits(bits)

    def jitter(self) -> float:
        return random.random()
