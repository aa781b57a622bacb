"""Globs and plain names of a sidecar, matched against paths below its folder. Pure.

No regular expressions: a hostile pattern with many stars would keep them busy for hours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

from dropbox_import.disk.names import nfc


@dataclass(frozen=True, slots=True)
class _Letter:
    """One place in a name. `ranges` None = any letter."""

    ranges: tuple[tuple[str, str], ...] | None
    negated: bool = False
    star: bool = False

    def fits(self, letter: str) -> bool:
        return self.ranges is None or any(low <= letter <= high for low, high in self.ranges) is not self.negated


@dataclass(frozen=True, slots=True)
class _Part:
    letters: tuple[_Letter, ...]
    star: bool = False

    def fits(self, name: str) -> bool:
        return _fit(self.letters, name, _Letter.fits)


Wild = TypeVar("Wild", _Letter, _Part)


def is_glob(text: str) -> bool:
    """True if it has a wildcard, so that it may match nothing or many."""
    return any(letter in text for letter in "*?[")


def crosses_folders(pattern: str) -> bool:
    """False if it can only match in the folder itself."""
    return "/" in pattern or pattern == "**"


def literal_start(pattern: str) -> str:
    """The letters with which every name begins that the pattern can match in its own folder."""
    text = nfc(pattern)
    ends = [at for mark in "*?[" if (at := text.find(mark)) >= 0]
    return text[: min(ends)] if ends else text


def last_part(pattern: str, folder: str) -> str | None:
    """What a name in `folder` ("" = where the pattern stands) must fit so that the pattern matches its path; None if no name there can."""
    text, above = nfc(pattern), nfc(folder).split("/") if folder else []
    parts = _parsed(text)
    if parts[-1].star:
        # a/** is what lies in a, not a itself.
        return "*" if _fit(parts, above, _Part.fits) else None
    return text.rpartition("/")[2] if _fit(parts[:-1], above, _Part.fits) else None


def fitting(part: str, names: Iterable[str]) -> list[bool]:
    """For each of the (composed) names whether it fits a pattern without "/": `matches` for many, where each costs next to nothing."""
    part = nfc(part)
    if (ends := _one_star(part)) is not None:
        before, after = ends
        shortest = len(before) + len(after)
        return [name.startswith(before) and name.endswith(after) and len(name) >= shortest for name in names]
    if "*" not in part and "[" not in part:
        places = _fixed(part)
        return [len(name) == len(part) and all(name.startswith(letters, at) for at, letters in places) for name in names]
    (parsed,) = _parsed(part)
    return [parsed.fits(name) for name in names]


def matches(pattern: str, path: str, *, any_level: bool = False) -> bool:
    """`*` and `?` stay within one folder, `**` stands for any folders, also none. Upper and lower case differ.

    `any_level`: a pattern without a "/" is held against the last part of the path alone.
    """
    ends = _one_star(pattern)
    if ends is not None and (any_level or "/" not in path):
        name = nfc(path.rpartition("/")[2])
        return name.startswith(ends[0]) and name.endswith(ends[1]) and len(name) >= len(ends[0]) + len(ends[1])
    names = nfc(path).split("/")
    if any_level and "/" not in pattern:
        names = names[-1:]
    parts = _parsed(nfc(pattern))
    if parts[-1].star:
        # a/** is what lies in a, not a itself.
        parts = (*parts, _ANY_NAME)
    return _fit(parts, names, _Part.fits)


@lru_cache(maxsize=1024)
def _one_star(pattern: str) -> tuple[str, str] | None:
    """What stands before and after the star of a simple pattern such as *.tif, which most are."""
    before, star, after = nfc(pattern).partition("*")
    return (before, after) if star and not is_glob(before + after) and "/" not in pattern else None


def _fixed(part: str) -> list[tuple[int, str]]:
    """Which letters stand where, between question marks."""
    found, at = [], 0
    for letters in part.split("?"):
        if letters:
            found.append((at, letters))
        at += len(letters) + 1
    return found


def _fit(pattern: Sequence[Wild], items: Sequence[str], fits: Callable[[Wild, str], bool]) -> bool:
    """Does the pattern cover all items, where a star covers any number? Going back to the last star only is enough."""
    at, star, from_item = 0, -1, 0
    item = 0
    while item < len(items):
        if at < len(pattern) and not pattern[at].star and fits(pattern[at], items[item]):
            at, item = at + 1, item + 1
        elif at < len(pattern) and pattern[at].star:
            star, from_item, at = at, item, at + 1
        elif star >= 0:
            from_item += 1
            at, item = star + 1, from_item
        else:
            return False
    return all(token.star for token in pattern[at:])


_ANY_NAME = _Part((_Letter(None), _Letter(None, star=True)))


@lru_cache(maxsize=1024)
def _parsed(pattern: str) -> tuple[_Part, ...]:
    return tuple(_Part((), star=True) if part == "**" else _Part(_letters(part)) for part in pattern.split("/"))


def _letters(part: str) -> tuple[_Letter, ...]:
    found: list[_Letter] = []
    place = 0
    while place < len(part):
        letter = part[place]
        # A "]" right after the "[" or its "!" stands for itself; a "[" that is never closed too.
        close = part.find("]", place + (3 if part[place + 1 : place + 2] == "!" else 2)) if letter == "[" else -1
        if letter == "*":
            found.append(_Letter(None, star=True))
        elif letter == "?":
            found.append(_Letter(None))
        elif close > 0:
            found.append(_class(part[place + 1 : close]))
            place = close
        else:
            found.append(_Letter(((letter, letter),)))
        place += 1
    return tuple(found)


def _class(inside: str) -> _Letter:
    negated = inside.startswith("!")
    rest = inside[negated:]
    ranges: list[tuple[str, str]] = []
    while rest:
        if len(rest) > 2 and rest[1] == "-":
            ranges.append((rest[0], rest[2]))
            rest = rest[3:]
        else:
            ranges.append((rest[0], rest[0]))
            rest = rest[1:]
    return _Letter(tuple(ranges), negated)
