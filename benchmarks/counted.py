"""Calls of a function of the product, counted and timed."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock


class Counted:
    """In the place of a function: counts its calls, and the seconds in them. `really`: it is called."""

    def __init__(self, plain: object, *, really: bool) -> None:
        self.plain, self.really = plain, really
        self.count, self.seconds = 0, 0.0

    def __call__(self, *args: object) -> object:
        self.count += 1
        begun = time.perf_counter()
        try:
            return self.plain(*args) if self.really and callable(self.plain) else None
        finally:
            self.seconds += time.perf_counter() - begun


@contextmanager
def syncs(*, really: bool) -> Iterator[Counted]:
    counted = Counted(os.fsync, really=really)
    with mock.patch("os.fsync", counted):
        yield counted
