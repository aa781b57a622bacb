"""Where each behaviour of the stand-in is known from, so that nobody takes a guess for a fact.

recorded: seen on a real server, kept in `tests/golden/`. read: read in OMERO's own source code.
assumed: neither; a run of the contract suite against a real OMERO will tell.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

KINDS = ("recorded", "read", "assumed")

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Evidence:
    """One behaviour (`name`) with the kind of its source and where to find it."""

    name: str
    kind: str
    where: str


_table: dict[str, Evidence] = {}


def note(name: str, source: str) -> None:
    """Enter a behaviour; `source` is "recorded FILE …", "read FILE:LINE" or "assumed WHY"."""
    kind, _, where = source.partition(" ")
    kind = kind.rstrip(":")
    if kind not in KINDS:
        raise ValueError(f"{name}: a source starts with one of {', '.join(KINDS)}, not {kind!r}")
    _table[name] = Evidence(name, kind, where)


def behaviour(source: str) -> Callable[[Function], Function]:
    """Decorator: this function behaves as `source` says."""

    def enter(function: Function) -> Function:
        note(f"{function.__module__.rpartition('.')[2]}.{function.__qualname__}", source)
        return function

    return enter


def table() -> tuple[Evidence, ...]:
    """All behaviours known so far, by name. Complete once `dropbox_import.standin.server` is imported."""
    return tuple(_table[name] for name in sorted(_table))


def counts() -> dict[str, int]:
    """How many behaviours are recorded, read and assumed."""
    found = Counter(entry.kind for entry in _table.values())
    return {kind: found[kind] for kind in KINDS}


def main() -> None:
    """`python -m dropbox_import.standin.sources`: the table and the counts."""
    import sys

    from dropbox_import.standin import server  # noqa: F401 - fills the table of the module that it imports
    from dropbox_import.standin.sources import counts as counted
    from dropbox_import.standin.sources import table as entered

    for entry in entered():
        sys.stdout.write(f"{entry.kind:<9} {entry.name:<45} {entry.where}\n")
    sys.stdout.write(", ".join(f"{number} {kind}" for kind, number in counted().items()) + "\n")


if __name__ == "__main__":
    main()
