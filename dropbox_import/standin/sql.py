"""Turns a parsed query into SQL over the store, with the reader's view of each table. Unknown names are refused in OMERO's words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dropbox_import.standin import hql
from dropbox_import.standin.schema import ENTITIES, HIDDEN, Column, Entity, entity_of

_AGGREGATES = {"count": "COUNT", "min": "MIN", "max": "MAX", "sum": "SUM", "avg": "AVG"}
_TEXT = {"lower": "LOWER", "upper": "UPPER", "trim": "TRIM"}
_DETAILS = {"owner": "Experimenter", "group": "ExperimenterGroup", "creationEvent": "Event", "updateEvent": "Event"}
_DETAIL_COLUMN = {"owner": "owner", "group": "grp", "creationEvent": "created", "updateEvent": "updated"}


class MissingParameter(Exception):
    """A `:name` of the query has no value."""


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of SQL; `kind` is a column kind, or "entity" with the entity's name, its alias in `sql`."""

    sql: str
    kind: str
    entity: str = ""


@dataclass(slots=True)
class Scope:
    """Names that one (sub)query can see."""

    aliases: dict[str, Part] = field(default_factory=dict)
    outer: Scope | None = None
    joins: list[str] = field(default_factory=list)
    implied: dict[tuple[str, str], Part] = field(default_factory=dict)
    filters: list[str] = field(default_factory=list)

    def find(self, alias: str) -> Part | None:
        if alias in self.aliases:
            return self.aliases[alias]
        return self.outer.find(alias) if self.outer else None


@dataclass(frozen=True, slots=True)
class Compiled:
    sql: str
    values: list[Any]
    columns: tuple[Part, ...]
    names: tuple[str, ...]
    as_map: bool
    fetch_roots: tuple[tuple[str, tuple[str, ...]], ...]


class Compiler:
    """One use for one query. `visible(entity, alias)` gives the SQL test for rows that the reader may see, or ""."""

    def __init__(self, text: str, params: Mapping[str, Any], visible: Callable[[Entity, str], str]) -> None:
        self.text = text
        self.params = params
        self.visible = visible
        self.values: list[Any] = []
        self.count = 0
        self.fetched: list[tuple[str, tuple[str, ...]]] = []

    def compile(self) -> Compiled:
        query = hql.parse(self.text)
        sql, parts = self.query(query, None)
        names = tuple(name for _, name in query.select) or ("",)
        return Compiled(sql, self.values, parts, names, query.as_map, tuple(self.fetched))

    def fresh(self) -> str:
        self.count += 1
        return f"t{self.count}"

    def unknown(self, name: str, entity: Entity) -> hql.Unreadable:
        return hql.Unreadable(f"could not resolve property: {name} of: {entity.java()} [{self.text}]")

    def query(self, query: hql.Query, outer: Scope | None) -> tuple[str, tuple[Part, ...]]:
        scope = Scope(outer=outer)
        for source in query.sources:
            self.source(source, scope)
        select = query.select or tuple((hql.Path((s.alias,)), "") for s in query.sources if isinstance(s, hql.Range))[:1]
        # values are numbered by "?", so clauses are compiled in the order in which SQL shows them
        parts = tuple(self.expression(part, scope) for part, _ in select)
        columns = ", ".join(f"{part.sql}.id" if part.kind == "entity" else part.sql for part in parts)
        where = [self.value(query.where, scope).sql] if query.where else []
        group = [self.value(part, scope).sql for part in query.group]
        order = [self.value(part, scope).sql + (" DESC" if down else "") for part, down in query.order]
        tests = [*scope.filters, *where]
        sql = f"SELECT {'DISTINCT ' if query.distinct else ''}{columns} FROM {' '.join(scope.joins)}"
        if tests:
            sql += " WHERE " + " AND ".join(f"({test})" for test in tests)
        if group:
            sql += " GROUP BY " + ", ".join(group)
        if order:
            sql += " ORDER BY " + ", ".join(order)
        return sql, parts

    def source(self, source: hql.Range | hql.Join, scope: Scope) -> None:
        alias = self.fresh()
        if isinstance(source, hql.Range):
            name = source.entity.rpartition(".")[2]
            entity = entity_of(name)
            if entity is None:
                raise hql.Unreadable(f"{source.entity} is not mapped [{self.text}]")
            scope.joins.append(f'{"JOIN " if scope.joins else ""}"{entity.name}" {alias}')
            if name in entity.kinds:
                scope.filters.append(f"{alias}.kind = '{name}'")
            test = self.visible(entity, alias)
            if test:
                scope.filters.append(test)
            scope.aliases[source.alias] = Part(alias, "entity", entity.name)
            return
        if source.fetch:
            self.fetched.append((source.alias, source.path.parts))
        if source.path.parts[-1] == "externalInfo":
            return
        start = self.start(source.path, scope)
        for step in source.path.parts[1:-1]:
            start = self.step(start, step, scope)
        joined = self.joined(start, source.path.parts[-1], source.left, scope)
        if source.alias:
            scope.aliases[source.alias] = joined

    def joined(self, start: Part, name: str, left: bool, scope: Scope) -> Part:
        """An explicit join: along a reference or into a collection."""
        entity = ENTITIES[start.entity]
        if start.kind == "details":
            return self.reference(Part(start.sql, "entity", start.entity), f"details.{name}", scope, left)
        if name not in entity.collections:
            return self.reference(start, name, scope, left)
        target_name, back = entity.collections[name]
        target, alias = ENTITIES[target_name], self.fresh()
        test = self.visible(target, alias)
        on = f'{alias}."{back}" = {start.sql}.id' + (f" AND {test}" if test else "")
        scope.joins.append(f'{"LEFT " if left else ""}JOIN "{target_name}" {alias} ON {on}')
        return Part(alias, "entity", target_name)

    def reference(self, start: Part, name: str, scope: Scope, left: bool = False) -> Part:
        """The row that a to-one property points to, joined once."""
        key = (start.sql, name)
        if key in scope.implied:
            return scope.implied[key]
        column, target = self.pointer(start, name)
        alias = self.fresh()
        scope.joins.append(f'{"LEFT " if left else ""}JOIN "{target}" {alias} ON {alias}.id = {start.sql}."{column}"')
        scope.implied[key] = Part(alias, "entity", target)
        return scope.implied[key]

    def pointer(self, start: Part, name: str) -> tuple[str, str]:
        entity = ENTITIES[start.entity]
        if name.startswith("details."):
            detail = name.partition(".")[2]
            if entity.owned and detail in _DETAILS:
                return _DETAIL_COLUMN[detail], _DETAILS[detail]
        column = entity.columns.get(name)
        if column is None or column.kind != "ref":
            raise self.unknown(name, entity)
        return column.name, column.target

    def start(self, path: hql.Path, scope: Scope) -> Part:
        found = scope.find(path.parts[0])
        if found is None:
            raise hql.Unreadable(f"Invalid path: '{'.'.join(path.parts)}' [{self.text}]")
        return found

    def step(self, start: Part, name: str, scope: Scope) -> Part:
        if start.kind == "details":
            return self.reference(Part(start.sql, "entity", start.entity), f"details.{name}", scope)
        if name == "details":
            return Part(start.sql, "details", start.entity)
        return self.reference(start, name, scope)

    def path(self, path: hql.Path, scope: Scope) -> Part:
        if len(path.parts) == 1:
            found = scope.find(path.parts[0])
            if found is None and entity_of(path.parts[0]) is not None:
                return Part(f"'{path.parts[0]}'", "string")  # a class name, as in `x.class = UploadJob`
            return found or self.start(path, scope)
        here = self.start(path, scope)
        for step in path.parts[1:-2]:
            here = self.step(here, step, scope)
        if len(path.parts) > 2:
            before, last = path.parts[-2:]
            if last == "id":  # the pointer itself holds the id: no join, as Hibernate does it
                owner, name = (Part(here.sql, "entity", here.entity), f"details.{before}") if here.kind == "details" else (here, before)
                column, _ = self.pointer(owner, name)
                return Part(f'{here.sql}."{column}"', "long")
            here = self.step(here, before, scope)
        return self.leaf(here, path.parts[-1])

    def leaf(self, here: Part, name: str) -> Part:
        entity = ENTITIES[here.entity]
        if here.kind == "details":
            if name in _DETAILS and entity.owned:
                return Part(f'{here.sql}."{_DETAIL_COLUMN[name]}"', "id", _DETAILS[name])
            raise self.unknown(f"details.{name}", entity)
        if name == "id":
            return Part(f"{here.sql}.id", "long")
        if name == "class" and entity.kinds:
            return Part(f"{here.sql}.kind", "string")
        column: Column | None = entity.columns.get(name)
        if column is None or name in HIDDEN:
            raise self.unknown(name, entity)
        if column.kind == "ref":
            return Part(f'{here.sql}."{name}"', "id", column.target)
        if entity.name == "Session" and name == "uuid":
            return Part("'********-****-****-****-************'", "string")  # recorded 17: nobody reads it back
        return Part(f'{here.sql}."{name}"', column.kind)

    def value(self, part: hql.Expr, scope: Scope) -> Part:
        """An expression where an entity means its id."""
        found = self.expression(part, scope)
        return Part(f"{found.sql}.id", "long") if found.kind == "entity" else found

    def expression(self, part: hql.Expr, scope: Scope) -> Part:
        match part:
            case hql.Path():
                return self.path(part, scope)
            case hql.Literal(value):
                self.values.append(value)
                return Part("?", {bool: "bool", int: "long", float: "double"}.get(type(value), "string"))
            case hql.Param(name):
                return self.parameter(name)
            case hql.Not(inner):
                return Part(f"NOT ({self.value(inner, scope).sql})", "bool")
            case hql.IsNull(inner, negated):
                return Part(f"{self.value(inner, scope).sql} IS {'NOT ' if negated else ''}NULL", "bool")
            case hql.Nested(query, exists):
                sql, parts = self.query(query, scope)
                return Part(f"EXISTS ({sql})" if exists else f"({sql})", "bool" if exists else parts[0].kind)
            case hql.Among(inner, choices, negated):
                left = self.value(inner, scope).sql
                found = [self.value(choice, scope).sql for choice in choices]
                listed = found[0] if len(found) == 1 and found[0].startswith("(") else f"({', '.join(found)})"
                return Part(f"{left} {'NOT ' if negated else ''}IN {listed}", "bool")
            case hql.Binary(op, left, right):
                first, second = self.value(left, scope), self.value(right, scope)
                kind = "string" if op == "||" else first.kind if op in "+-" else "bool"
                return Part(f"({first.sql} {op} {second.sql})", kind)
            case hql.Call(name, arguments, distinct):
                return self.call(name, arguments, distinct, scope)

    def parameter(self, name: str) -> Part:
        if name not in self.params or self.params[name] is None:
            raise MissingParameter(name)
        value = self.params[name]
        if isinstance(value, (list, tuple)):
            self.values.extend(value)
            return Part(f"({', '.join('?' for _ in value)})", "list")
        self.values.append(value)
        return Part("?", {bool: "bool", int: "long", float: "double"}.get(type(value), "string"))

    def call(self, name: str, arguments: tuple[hql.Expr, ...], distinct: bool, scope: Scope) -> Part:
        if name == "index" and len(arguments) == 1:
            found = self.expression(arguments[0], scope)
            if found.kind == "entity" and "position" in ENTITIES[found.entity].columns:
                return Part(f"{found.sql}.position", "int")
        parts = [self.value(argument, scope) for argument in arguments]
        inside = ", ".join(part.sql for part in parts)
        if name in _AGGREGATES and (parts or name == "count"):
            kind = {"count": "long", "avg": "double"}.get(name) or parts[0].kind
            return Part(f"{_AGGREGATES[name]}({'DISTINCT ' if distinct else ''}{inside or '*'})", kind)
        if name in _TEXT and len(parts) == 1:
            return Part(f"{_TEXT[name]}({inside})", "string")
        if name == "length" and len(parts) == 1:
            return Part(f"LENGTH({inside})", "int")
        if name in ("coalesce", "nullif") and parts:
            return Part(f"{name.upper()}({inside})", parts[0].kind)
        if name == "concat" and parts:
            return Part(f"({' || '.join(part.sql for part in parts)})", "string")
        raise hql.Unreadable(f"No data type for node: {name} [{self.text}]")
