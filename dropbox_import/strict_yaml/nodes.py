"""The tree that `load` gives: texts as they were typed, each with its place."""

from __future__ import annotations

import re
from collections.abc import Iterable
from collections.abc import Mapping as AnyMapping
from dataclasses import dataclass, field
from typing import Any

from dropbox_import.errors import Mistake

MOST_MISTAKES = 100
WHOLE_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,17})\Z")


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a file, counted from 1; line 0 = no place in it (a value that was given, not read)."""

    file: str
    line: int = 0
    column: int = 0

    def mistake(self, sentence: str, hint: str = "") -> Mistake:
        return Mistake(self.file, self.line, self.column, sentence, hint)


@dataclass(frozen=True, slots=True)
class Limits:
    """What a file may cost. `nodes` counts with every alias written out, so that a short file cannot become a huge tree."""

    size: int = 1 << 20
    depth: int = 20
    aliases: int = 50
    nodes: int = 100_000


@dataclass(frozen=True, slots=True)
class Scalar:
    """One text. `plain` = without quotes, so that it may be meant as a number, true or false.

    `style` is "plain", "single", "double" or "block".
    """

    mark: Mark
    text: str
    style: str = "plain"

    @property
    def plain(self) -> bool:
        return self.style == "plain"


@dataclass(frozen=True, slots=True)
class Sequence:
    mark: Mark
    items: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True)
class Mapping:
    """Keys are texts and differ from each other; their order is the file's. `flow` = written with { }."""

    mark: Mark
    entries: tuple[tuple[Scalar, Node], ...] = ()
    flow: bool = False

    def get(self, key: str) -> Node | None:
        return next((value for name, value in self.entries if name.text == key), None)

    def key(self, key: str) -> Scalar | None:
        return next((name for name, _ in self.entries if name.text == key), None)


Node = Scalar | Sequence | Mapping


@dataclass(frozen=True, slots=True)
class Document:
    """What a file says. `root` None = it is empty (or holds comments only). `notices` are for the user, and no mistakes."""

    root: Node | None
    notices: tuple[str, ...] = field(default=())


class Unreadable(Exception):
    """The file is not what `load` reads. `mistakes` holds at least one, and not many more than a hundred.

    Callers turn it into an error of their own.
    """

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        found = tuple(mistakes)
        if len(found) > MOST_MISTAKES:
            rest = Mistake(found[0].file, 0, 0, f"{len(found) - MOST_MISTAKES:,} more mistakes are not listed", "correct these first")
            found = (*found[:MOST_MISTAKES], rest)
        self.mistakes = found
        super().__init__("; ".join(str(mistake) for mistake in self.mistakes))


def to_value(node: Node | None) -> Any:
    """Dicts, lists and plain values. Only `true`, `false`, nothing, `null` and whole numbers without a leading 0 change their type;
    every other text (`1.50`, `00123`, `20:00`, `NO`) stays the text that was typed."""
    if node is None:
        return None
    if isinstance(node, Mapping):
        return {key.text: to_value(value) for key, value in node.entries}
    if isinstance(node, Sequence):
        return [to_value(item) for item in node.items]
    if node.plain:
        if node.text in ("", "null", "~"):
            return None
        if node.text in ("true", "false"):
            return node.text == "true"
        if WHOLE_NUMBER.match(node.text) and node.text != "-0":
            return int(node.text)
    return node.text


def from_value(value: object, source: str) -> Node:
    """The tree of a value that was given by a program; `source` stands where a file name would ("defaults of the box")."""
    mark = Mark(source)
    if isinstance(value, AnyMapping):
        return Mapping(mark, tuple((Scalar(mark, str(key), "double"), from_value(item, source)) for key, item in value.items()))
    if isinstance(value, (list, tuple)):
        return Sequence(mark, tuple(from_value(item, source) for item in value))
    if value is None:
        return Scalar(mark, "")
    if isinstance(value, bool):
        return Scalar(mark, "true" if value else "false")
    if isinstance(value, (int, float)):
        return Scalar(mark, str(value))
    return Scalar(mark, str(value), "double")


def find(root: Node | None, path: Iterable[str | int]) -> Node | None:
    """The node at `path`, or the deepest one on the way to it."""
    node = root
    for part in path:
        below: Node | None = None
        if isinstance(node, Mapping):
            below = node.get(str(part))
        elif isinstance(node, Sequence) and isinstance(part, int) and part < len(node.items):
            below = node.items[part]
        if below is None:
            return node
        node = below
    return node
