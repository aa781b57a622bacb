"""A hook around each effect on the disk, so that crash tests can end the process before or after any of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

Observer = Callable[[str, str, Path], None]

observer: Observer | None = None


def set_observer(fn: Observer | None) -> None:
    """Call `fn("before" | "after", op, path)` around each effect from now on; None ends that. "after" means it succeeded."""
    global observer
    observer = fn


@contextmanager
def effect(op: str, path: Path) -> Iterator[None]:
    """Bracket one effect. Every function of disk/ that changes anything does so inside of one."""
    if observer is not None:
        observer("before", op, path)
    yield
    if observer is not None:
        observer("after", op, path)
