"""What a benchmark says, and how it is printed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True)
class Figure:
    """One line of the table. `good` is None where there is no goal."""

    what: str
    value: str
    goal: str = ""
    good: bool | None = None


def spread(values: Iterable[float], digits: int = 2) -> str:
    """The median, and between which values it lies."""
    known = sorted(values)
    return f"{median(known):.{digits}f} ({known[0]:.{digits}f} to {known[-1]:.{digits}f}, {len(known)} times)"


def table(title: str, figures: Iterable[Figure]) -> str:
    rows = [(one.what, one.value, one.goal, {None: "", True: "yes", False: "NO"}[one.good]) for one in figures]
    rows.insert(0, (title, "figure", "goal", "met"))
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)
