"""How many points of failure were tried, and what went wrong at them; conftest.py prints it as a table."""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

ALL = os.environ.get("DROPBOX_IMPORT_FAULTS") == "all"
STRIDE = 7
WRONG = {
    "lost": ("lost", "is there 0 times", "is done, but not", "is done without"),
    "twice": ("twice", "copies more", "times", "beside", "although"),
    "stuck": ("stuck", "never at rest"),
    "left behind": ("left on the server", "made where a share was", "kept open"),
}

tried: Counter[str] = Counter()
wrong: dict[str, Counter[str]] = {}


def points(most: int, what: str) -> list[int]:
    """1..most: all of them, or every seventh from an offset that differs from one `what` to the next."""
    return list(range(1, most + 1)) if ALL else list(range(1 + random.Random(what).randrange(STRIDE), most + 1, STRIDE))


@contextmanager
def counted(kind: str, where: str = "") -> Iterator[None]:
    """Around one point: counts it, and says where it was if a promise is broken there."""
    tried[kind] += 1
    try:
        yield
    except AssertionError as error:
        told = str(error)
        word = next((word for word, signs in WRONG.items() if any(sign in told for sign in signs)), "other")
        wrong.setdefault(kind, Counter())[word] += 1
        raise AssertionError(f"{kind} {where}: {told}") from error


def table() -> list[str]:
    columns = [*WRONG, "other"]
    head = f"{'fault':44}{'tried':>8}" + "".join(f"{word:>13}" for word in columns)
    rows = [
        f"{kind:44}{count:>8}" + "".join(f"{wrong.get(kind, Counter())[word]:>13}" for word in columns) for kind, count in tried.items()
    ]
    return [head, *rows]
