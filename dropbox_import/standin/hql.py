"""Reads the part of OMERO's query language that clients of an import use, into a tree. No meaning is given to names here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, TypeAlias

_TOKEN = re.compile(
    r"\s*(?:(?P<string>'(?:[^']|'')*')|(?P<number>\d+\.\d+|\d+)|(?P<param>:\w+)|(?P<name>[A-Za-z_][\w.]*)"
    r"|(?P<op>\|\||<>|!=|<=|>=|[=<>(),+*/-]))"
)
_CLAUSES = frozenset("from where group order having join left inner outer fetch as on with and or asc desc".split())


class Unreadable(Exception):
    """The query is not of the known language; the words are those that OMERO would use."""


@dataclass(frozen=True, slots=True)
class Literal:
    value: Any


@dataclass(frozen=True, slots=True)
class Param:
    name: str


@dataclass(frozen=True, slots=True)
class Path:
    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Call:
    name: str
    arguments: tuple[Expr, ...]
    distinct: bool = False


@dataclass(frozen=True, slots=True)
class Binary:
    op: str
    left: Expr
    right: Expr


@dataclass(frozen=True, slots=True)
class Not:
    inner: Expr


@dataclass(frozen=True, slots=True)
class IsNull:
    inner: Expr
    negated: bool


@dataclass(frozen=True, slots=True)
class Among:
    inner: Expr
    choices: tuple[Expr, ...]
    negated: bool


@dataclass(frozen=True, slots=True)
class Nested:
    query: Query
    exists: bool = False


Expr: TypeAlias = "Literal | Param | Path | Call | Binary | Not | IsNull | Among | Nested"


@dataclass(frozen=True, slots=True)
class Range:
    """`Entity alias` of a from clause."""

    entity: str
    alias: str


@dataclass(frozen=True, slots=True)
class Join:
    path: Path
    alias: str
    left: bool
    fetch: bool


@dataclass(frozen=True, slots=True)
class Query:
    select: tuple[tuple[Expr, str], ...]
    as_map: bool
    distinct: bool
    sources: tuple[Range | Join, ...]
    where: Expr | None
    group: tuple[Expr, ...]
    order: tuple[tuple[Expr, bool], ...]


class Reader:
    """A recursive descent over the words of one query."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.words: list[tuple[str, str, int]] = []
        at = 0
        stripped = text.rstrip()
        while at < len(stripped):
            found = _TOKEN.match(stripped, at)
            if not found:
                raise Unreadable(f"unexpected char: '{stripped[at:].lstrip()[:1]}' [{text}]")
            kind = str(found.lastgroup)
            self.words.append((kind, found.group(kind), found.start(kind)))
            at = found.end()
        self.at = 0

    def peek(self, ahead: int = 0) -> str:
        index = self.at + ahead
        return self.words[index][1].lower() if index < len(self.words) else ""

    def accept(self, *words: str) -> bool:
        """Takes all these words, or none."""
        if all(self.peek(offset) == word for offset, word in enumerate(words)):
            self.at += len(words)
            return True
        return False

    def fail(self) -> Unreadable:
        if self.at >= len(self.words):
            return Unreadable(f"unexpected end of subtree [{self.text}]")
        _, word, place = self.words[self.at]
        return Unreadable(f"unexpected token: {word} near line 1, column {place + 1} [{self.text}]")

    def expect(self, word: str) -> None:
        if not self.accept(word):
            raise self.fail()

    def name(self) -> str:
        if self.at < len(self.words) and self.words[self.at][0] == "name":
            self.at += 1
            return self.words[self.at - 1][1]
        raise self.fail()

    def alias(self, default: str) -> str:
        if self.accept("as"):
            return self.name()
        if self.at < len(self.words) and self.words[self.at][0] == "name" and self.peek() not in _CLAUSES:
            return self.name()
        return default

    def query(self) -> Query:
        select: list[tuple[Expr, str]] = []
        as_map = distinct = False
        if self.accept("select"):
            distinct = self.accept("distinct")
            as_map = self.accept("new", "map", "(")
            select.append(self.chosen())
            while self.accept(","):
                select.append(self.chosen())
            if as_map:
                self.expect(")")
        self.expect("from")
        sources = self.sources()
        where = self.expression() if self.accept("where") else None
        group = self.listed() if self.accept("group", "by") else ()
        order = self.ordering() if self.accept("order", "by") else ()
        return Query(tuple(select), as_map, distinct, sources, where, group, order)

    def chosen(self) -> tuple[Expr, str]:
        return self.expression(), self.name() if self.accept("as") else ""

    def sources(self) -> tuple[Range | Join, ...]:
        entity = self.name()
        found: list[Range | Join] = [Range(entity, self.alias(entity))]
        while True:
            if self.accept(","):
                entity = self.name()
                found.append(Range(entity, self.alias(entity)))
                continue
            start = self.at
            left = self.accept("left", "outer") or self.accept("left")
            if not left:
                self.accept("inner")
            if not self.accept("join"):
                self.at = start
                return tuple(found)
            fetch = self.accept("fetch")
            path = Path(tuple(self.name().split(".")))
            found.append(Join(path, self.alias(""), left, fetch))

    def listed(self) -> tuple[Expr, ...]:
        found = [self.expression()]
        while self.accept(","):
            found.append(self.expression())
        return tuple(found)

    def ordering(self) -> tuple[tuple[Expr, bool], ...]:
        found: list[tuple[Expr, bool]] = []
        while True:
            part = self.expression()
            down = self.accept("desc")
            if not down:
                self.accept("asc")
            found.append((part, down))
            if not self.accept(","):
                return tuple(found)

    def expression(self) -> Expr:
        left = self.conjunction()
        while self.accept("or"):
            left = Binary("OR", left, self.conjunction())
        return left

    def conjunction(self) -> Expr:
        left = self.negation()
        while self.accept("and"):
            left = Binary("AND", left, self.negation())
        return left

    def negation(self) -> Expr:
        return Not(self.negation()) if self.accept("not") else self.comparison()

    def comparison(self) -> Expr:
        left = self.sum()
        for op in ("=", "<>", "!=", "<=", ">=", "<", ">"):
            if self.accept(op):
                return Binary("<>" if op == "!=" else op, left, self.sum())
        if self.accept("is"):
            negated = self.accept("not")
            self.expect("null")
            return IsNull(left, negated)
        negated = self.accept("not")
        if self.accept("in"):
            return Among(left, self.choices(), negated)
        if self.accept("like"):
            like = Binary("LIKE", left, self.sum())
            return Not(like) if negated else like
        if self.accept("between"):
            low = self.sum()
            self.expect("and")
            inside = Binary("AND", Binary(">=", left, low), Binary("<=", left, self.sum()))
            return Not(inside) if negated else inside
        if negated:
            raise self.fail()
        return left

    def choices(self) -> tuple[Expr, ...]:
        if not self.accept("("):
            return (self.primary(),)
        found = (Nested(self.query()),) if self.peek() in ("select", "from") else self.listed()
        self.expect(")")
        return found

    def sum(self) -> Expr:
        left = self.primary()
        while self.peek() in ("+", "-", "||"):
            op = self.peek()
            self.at += 1
            left = Binary(op, left, self.primary())
        return left

    def primary(self) -> Expr:
        if self.at >= len(self.words):
            raise self.fail()
        kind, word, _ = self.words[self.at]
        if kind in ("string", "number", "param"):
            self.at += 1
            if kind == "param":
                return Param(word[1:])
            if kind == "string":
                return Literal(word[1:-1].replace("''", "'"))
            return Literal(float(word) if "." in word else int(word))
        if self.accept("-"):
            return Binary("-", Literal(0), self.primary())
        if self.accept("exists"):
            self.expect("(")
            inner = self.query()
            self.expect(")")
            return Nested(inner, exists=True)
        if self.accept("("):
            found: Expr = Nested(self.query()) if self.peek() in ("select", "from") else self.expression()
            self.expect(")")
            return found
        if word.lower() in ("true", "false", "null"):
            self.at += 1
            return Literal({"true": True, "false": False, "null": None}[word.lower()])
        name = self.name()
        if self.accept("("):
            return self.call(name.lower())
        return Path(tuple(name.split(".")))

    def call(self, name: str) -> Expr:
        distinct = self.accept("distinct")
        if self.accept("*"):
            self.expect(")")
            return Call(name, ())
        arguments = () if self.peek() == ")" else self.listed()
        self.expect(")")
        return Call(name, arguments, distinct)


def parse(text: str) -> Query:
    """The tree of a query; Unreadable with OMERO's words if it is none, or one of a kind that is not known here."""
    reader = Reader(text)
    if not text.lstrip().lower().startswith(("select", "from")):
        raise reader.fail()
    query = reader.query()
    if reader.at < len(reader.words):
        raise reader.fail()
    return query
