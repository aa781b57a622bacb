"""The stand-in's rows, in one SQLite file: they survive `kill -9`, and a transaction is all or nothing."""

from __future__ import annotations

import sqlite3
import threading
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dropbox_import.errors import ConfigError
from dropbox_import.standin.schema import ENTITIES, Entity

_FORMAT = 1  # to be raised when the rows mean something else in the same tables
_TYPES = {"string": "TEXT", "long": "INTEGER", "int": "INTEGER", "bool": "INTEGER", "time": "INTEGER", "ref": "INTEGER", "double": "REAL"}


def now_ms() -> int:
    return int(time.time() * 1000)


def _statements(entity: Entity) -> list[str]:
    """What makes the table of an entity, and its indexes."""
    columns = ["id INTEGER PRIMARY KEY AUTOINCREMENT"]
    columns += [f'"{column.name}" {_TYPES[column.kind]}' for column in entity.columns.values()]
    if entity.owned:
        columns += ["owner INTEGER", "grp INTEGER", "created INTEGER", "updated INTEGER"]
    if entity.unique:
        columns.append(f"UNIQUE ({', '.join(entity.unique)})")
    if entity.name == "OriginalFile":
        columns.append("UNIQUE (repo, path, name)")
    found = [f'CREATE TABLE IF NOT EXISTS "{entity.name}" ({", ".join(columns)})']
    for column in entity.columns.values():
        if column.kind == "ref" or (entity.name, column.name) in (("OriginalFile", "hash"), ("Annotation", "name")):
            found.append(f'CREATE INDEX IF NOT EXISTS "{entity.name}_{column.name}" ON "{entity.name}" ("{column.name}")')
    return found


class Store:
    """Rows by entity. All methods may be called from any thread; one transaction runs at a time.

    Raises ConfigError for a file that another build has made: its rows would not fit.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._depth = 0
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        tables = [sql for entity in ENTITIES.values() for sql in _statements(entity)]
        try:
            self._require_version(path, zlib.crc32("\n".join((str(_FORMAT), *tables)).encode()) & 0x7FFFFFFF)
        except BaseException:
            self._db.close()
            raise
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=OFF")  # the promise is about killed processes, not about power cuts
        self._db.execute("PRAGMA case_sensitive_like=ON")
        for sql in tables:
            self._db.execute(sql)

    def _require_version(self, path: Path, version: int) -> None:
        """The version is made of the tables themselves, so that no change can forget it. The first one in an empty file sets it."""
        try:
            (found,) = self._db.execute("PRAGMA user_version").fetchone()
            (made,) = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if not made:
                self._db.execute(f"PRAGMA user_version={version}")
                return
        except sqlite3.DatabaseError as error:
            raise ConfigError(
                f"The data of the stand-in in {path} cannot be read ({error}).", hint="Name another folder with --dir, or remove this one."
            ) from error
        if found != version:
            raise ConfigError(
                f"The data in {path.parent} were made by another build of the stand-in, which this one cannot go on with.",
                hint="Name another folder with --dir, or remove this one.",
            )

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside is committed together, or nothing is. May be nested: the outermost one counts."""
        with self._lock:
            if not self._depth:
                self._db.execute("BEGIN IMMEDIATE")
            self._depth += 1
            try:
                yield
            except BaseException:
                self._depth -= 1
                if not self._depth:
                    self._db.execute("ROLLBACK")
                raise
            self._depth -= 1
            if not self._depth:
                self._db.execute("COMMIT")

    def insert(self, entity: str, values: Mapping[str, Any]) -> int:
        """A new row; answers its id. sqlite3.IntegrityError when a unique rule is broken."""
        names = list(values)
        columns = ", ".join(f'"{name}"' for name in names)
        marks = ", ".join("?" for _ in names)
        with self._lock:
            cursor = self._db.execute(f'INSERT INTO "{entity}" ({columns}) VALUES ({marks})', [values[name] for name in names])
            return int(cursor.lastrowid or 0)

    def update(self, entity: str, row_id: int, values: Mapping[str, Any]) -> None:
        changes = ", ".join(f'"{name}" = ?' for name in values)
        with self._lock:
            self._db.execute(f'UPDATE "{entity}" SET {changes} WHERE id = ?', [*values.values(), row_id])

    def delete(self, entity: str, row_id: int) -> None:
        with self._lock:
            self._db.execute(f'DELETE FROM "{entity}" WHERE id = ?', [row_id])

    def row(self, entity: str, row_id: int) -> dict[str, Any] | None:
        found = self.rows(f'SELECT * FROM "{entity}" WHERE id = ?', [row_id])
        return found[0] if found else None

    def where(self, entity: str, /, **equal: Any) -> list[dict[str, Any]]:
        """Rows whose columns equal the given values, in the entity's own order."""
        test = " AND ".join(f'"{name}" = ?' for name in equal) or "1"
        return self.rows(f'SELECT * FROM "{entity}" WHERE {test} ORDER BY {ENTITIES[entity].order}, id', list(equal.values()))

    def rows(self, sql: str, values: Sequence[Any] | Mapping[str, Any] = ()) -> list[dict[str, Any]]:
        with self._lock:
            return [dict(row) for row in self._db.execute(sql, values)]

    def tuples(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._lock:
            return [tuple(row) for row in self._db.execute(sql, values)]

    def enum(self, entity: str, value: str) -> int:
        """The id of an enumeration's value, made if new."""
        with self.transaction():
            found = self.where(entity, value=value)
            return int(found[0]["id"]) if found else self.insert(entity, {"value": value})

    def close(self) -> None:
        with self._lock:
            self._db.close()
