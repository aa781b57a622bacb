"""IQuery: reads, as the caller may see them. A query that is not understood raises; nothing is guessed."""

from __future__ import annotations

import sqlite3
from typing import Any

import omero.api
import omero.clients
from omero.rtypes import rmap, robject, unwrap

from dropbox_import.standin import hql, trouble
from dropbox_import.standin.objects import Loader, parameters, wrapped
from dropbox_import.standin.permissions import Caller, can_read, visible
from dropbox_import.standin.schema import ENTITIES, Entity, entity_of
from dropbox_import.standin.servants import Servant, operation
from dropbox_import.standin.sql import Compiled, Compiler, MissingParameter


class QueryService(Servant, omero.api.IQuery):
    """Answers from the store; see `hql` and `sql` for what is understood."""

    def _caller(self, current: Any) -> Caller:
        assert self.session is not None
        return self.house.sessions.caller(self.session, current.ctx)

    def _compiled(self, text: str, params: Any, caller: Caller) -> tuple[Compiled, list[tuple[Any, ...]]]:
        try:
            compiled = Compiler(text, parameters(params), lambda entity, alias: visible(caller, entity, alias)).compile()
            sql = compiled.sql
            page = params.theFilter if params is not None else None
            if page is not None and (page.limit is not None or page.offset is not None):
                sql += f" LIMIT {unwrap(page.limit) if page.limit is not None else -1} OFFSET {unwrap(page.offset) or 0}"
            return compiled, self.house.store.tuples(sql, compiled.values)
        except MissingParameter as error:
            raise trouble.usage(f"Null parameters not allowed: {error}") from error
        except (hql.Unreadable, sqlite3.OperationalError) as error:
            raise trouble.server_error("QueryException", f"Illegal query:{text}\n{error}") from error

    def _entity(self, klass: str) -> Entity:
        entity = entity_of(klass.rpartition(".")[2].removesuffix("I"))
        if entity is None:
            raise trouble.server_error("QueryException", f"Illegal query:select x from {klass} x\n{klass} is not mapped")
        return entity

    @operation("recorded 18_queries_and_writes.json, 09 hql_stages")
    def projection(self, text: str, params: Any, current: Any) -> Any:
        caller = self._caller(current)
        compiled, rows = self._compiled(text, params, caller)
        loader = Loader(self.house, caller)
        answer = []
        for row in rows:
            values = []
            for part, name, value in zip(compiled.columns, compiled.names, row, strict=True):
                if part.kind not in ("entity", "id") or value is None:
                    values.append(wrapped(part.kind, value))
                elif name.endswith("_details_permissions"):
                    values.append(loader.rights_map(ENTITIES[part.entity], value))
                else:
                    values.append(robject(loader.by_id(ENTITIES[part.entity], value)))
            if compiled.as_map:
                answer.append([rmap({name: value for name, value in zip(compiled.names, values, strict=True) if value is not None})])
            else:
                answer.append(values)
        return answer

    def _objects(self, text: str, params: Any, current: Any) -> list[Any]:
        caller = self._caller(current)
        compiled, rows = self._compiled(text, params, caller)
        part = compiled.columns[0]
        if part.kind not in ("entity", "id"):
            raise trouble.usage("Query does not return objects. Use projection instead.")
        loader = Loader(self.house, caller)
        seen: dict[int, Any] = {}
        for row in rows:
            if row[0] is not None and row[0] not in seen:
                seen[row[0]] = loader.by_id(ENTITIES[part.entity], row[0])
        names: dict[str, tuple[str, ...]] = {}
        for alias, steps in compiled.fetch_roots:
            full = (*names[steps[0]], *steps[1:]) if steps[0] in names else steps[1:]
            if alias:
                names[alias] = full
            for found in seen.values():
                loader.fetch(found, full)
        return [found for found in seen.values() if found is not None]

    @operation("recorded 09 hql_stages")
    def findAllByQuery(self, text: str, params: Any, current: Any) -> Any:
        return self._objects(text, params, current)

    @operation("recorded 09 findByQuery two rows, findByQuery none")
    def findByQuery(self, text: str, params: Any, current: Any) -> Any:
        found = self._objects(text, params, current)
        if len(found) > 1:
            raise trouble.usage(
                f"Query named:\n\n\t{text}\n\nhas returned more than one Object\nfindBy methods must return a single value.\n"
                "Please try findAllBy methods for queries which return Lists."
            )
        return found[0] if found else None

    def _one(self, klass: str, row_id: int, current: Any, needed: bool) -> Any:
        entity = self._entity(klass)
        caller = self._caller(current)
        row = self.house.store.row(entity.name, row_id)
        java = entity.java(klass.rpartition(".")[2] if klass.rpartition(".")[2] in entity.kinds else "")
        if row is None:
            if needed:
                raise trouble.no_row(java, row_id)
            return None
        if entity.owned and not can_read(caller, row):
            raise trouble.cannot_read(java, row_id)
        return Loader(self.house, caller).load(entity, row)

    @operation("recorded 09 get none, get other group")
    def get(self, klass: str, row_id: int, current: Any) -> Any:
        return self._one(klass, row_id, current, True)

    @operation("recorded 09 find none, find other group")
    def find(self, klass: str, row_id: int, current: Any) -> Any:
        return self._one(klass, row_id, current, False)

    def _by_string(self, klass: str, field: str, value: str, current: Any, exact: bool = True) -> list[Any]:
        test = f"x.{field} = :v" if exact else f"lower(x.{field}) = lower(:v)"
        params = omero.sys.Parameters(map={"v": omero.rtypes.rstring(value)})
        return self._objects(f"select x from {klass} x where {test}", params, current)

    @operation("read omero-server QueryImpl.java:391-410")
    def findByString(self, klass: str, field: str, value: str, current: Any) -> Any:
        found = self._by_string(klass, field, value, current)
        if len(found) > 1:
            raise trouble.usage(f"query did not return a unique result: {len(found)}")
        return found[0] if found else None

    @operation("read omero-server QueryImpl.java:391-410")
    def findAllByString(self, klass: str, field: str, value: str, exact: bool, page: Any, current: Any) -> Any:
        return self._by_string(klass, field, value, current, exact)

    @operation("assumed like findAllByQuery")
    def findAll(self, klass: str, page: Any, current: Any) -> Any:
        return self._objects(f"select x from {klass} x", omero.sys.Parameters(map={}, theFilter=page), current)

    @operation("assumed like get")
    def refresh(self, found: Any, current: Any) -> Any:
        return self._one(type(found).__name__, found.id.val, current, True)
