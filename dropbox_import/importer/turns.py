"""Turns: what commands of this process do one after the other. Who waits says so again and again, and is not taken for hung."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SLICE = 10.0  # seconds: far below every limit of workers/limits.py


class Turns:
    """Shared by all sessions of an owner in a group."""

    def __init__(self) -> None:
        self._freed = threading.Condition()
        self._taken: set[tuple[str, ...]] = set()

    @contextmanager
    def take(self, what: tuple[str, ...], waits: Callable[[], None]) -> Iterator[None]:
        """Alone with `what` inside; different things are not in each other's way. `waits` is called for each slice of the waiting.

        Who has the turn must not take it again. Whoever hangs in it is over a limit of its own.
        """
        with self._freed:
            while what in self._taken:
                waits()
                self._freed.wait(SLICE)
            self._taken.add(what)
        try:
            yield
        finally:
            with self._freed:
                self._taken.discard(what)
                self._freed.notify_all()
