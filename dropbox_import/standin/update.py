"""IUpdate: saves objects and the graphs that hang on them, with OMERO's checks and words."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from typing import Any

import omero.api
import omero.clients
from omero.rtypes import rlong, unwrap

from dropbox_import.standin import trouble
from dropbox_import.standin.house import House
from dropbox_import.standin.objects import ENUMS, Loader, class_of
from dropbox_import.standin.permissions import ALL_GROUPS, Caller, can_annotate, can_edit, can_link, can_read
from dropbox_import.standin.schema import ENTITIES, HIDDEN, Column, Entity, entity_of, is_link
from dropbox_import.standin.servants import Servant, operation
from dropbox_import.standin.sources import behaviour
from dropbox_import.standin.store import now_ms

PAIRS = {
    "UploadJob": ("_versionInfo", "JobVersionInfo"),
    "MetadataImportJob": ("_versionInfo", "JobVersionInfo"),
    "MapAnnotation": ("_mapValue", "AnnotationMapValue"),
}
NO_GROUP = (
    "No valid permissions available! DUMMY permissions are not intended for copying. "
    "Make sure that you have not passed omero.group=-1 for a save without context"
)


def event(house: House, caller: Caller) -> int:
    values = {"time": now_ms(), "session": caller.session_id, "experimenter": caller.user, "experimenterGroup": caller.group}
    return house.store.insert("Event", values)


class Saver:
    """One save of one caller; everything belongs to the transaction that the user of it has opened."""

    def __init__(self, house: House, caller: Caller) -> None:
        self.house = house
        self.caller = caller
        self._event = 0

    def event(self) -> int:
        self._event = self._event or event(self.house, self.caller)
        return self._event

    def owned(self) -> dict[str, Any]:
        if self.caller.group == ALL_GROUPS:
            raise trouble.usage(NO_GROUP)
        return {"owner": self.caller.user, "grp": self.caller.group, "created": self.event(), "updated": self.event()}

    def insert(self, name: str, /, **values: Any) -> int:
        """A row of the caller's own."""
        entity = ENTITIES[name]
        return self.house.store.insert(name, {**values, **(self.owned() if entity.owned else {})})

    def save(self, item: Any) -> int:
        """Saves the object and what it brings along; answers its id."""
        name = type(item).__name__.removesuffix("I")
        entity = entity_of(name)
        if entity is None:
            raise trouble.usage(f"The stand-in does not keep {name}")
        if not item.isLoaded() or (item.id is not None and name in ENUMS):
            return self._existing(entity, name, item)
        if name in ENUMS:
            return self.house.store.enum(name, unwrap(item.value))
        if item.id is not None:
            row_id = self._change(entity, name, item)
        else:
            row_id = self._new(entity, name, item)
            item.id = rlong(row_id)
        for collection, (_, back) in entity.collections.items():
            if getattr(item, f"_{collection}Loaded", False):
                for child in getattr(item, f"_{collection}Seq") or []:
                    if child is not None and child.id is None:
                        setattr(child, f"_{back}", item)
                        self.save(child)
        return row_id

    def _existing(self, entity: Entity, name: str, item: Any) -> int:
        row_id = unwrap(item.id)
        if row_id is None or self.house.store.row(entity.name, row_id) is None:
            raise trouble.no_row(entity.java(name), row_id if row_id is not None else -1)
        return int(row_id)

    def _values(self, entity: Entity, name: str, item: Any) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for column in entity.columns.values():
            if column.name == "kind":
                values["kind"] = name
            elif hasattr(item, f"_{column.name}") and column.name not in HIDDEN:
                values[column.name] = self._value(entity, name, column, getattr(item, f"_{column.name}"))
        return values

    def _value(self, entity: Entity, name: str, column: Column, given: Any) -> Any:
        if column.kind == "ref" and given is not None:
            new = given.isLoaded() and given.id is None
            target = ENTITIES[column.target]
            return self.save(given) if new else self._existing(target, type(given).__name__.removesuffix("I"), given)
        value = unwrap(given)
        if value is None and column.needed:
            words = f"not-null property references a null or transient value: {entity.java(name)}.{column.name}"
            raise trouble.validation(f"{words}; nested exception is org.hibernate.PropertyValueException: {words}")
        if isinstance(value, str) and "\x00" in value:
            raise trouble.bad_data(entity.java(name), entity.name.lower())
        return int(value) if isinstance(value, bool) else value

    def _new(self, entity: Entity, name: str, item: Any) -> int:
        values = self._values(entity, name, item)
        if is_link(entity):
            self._may_link(entity, values)
        try:
            row_id = self.insert(entity.name, **values)
        except sqlite3.IntegrityError as error:
            table = entity.name.lower()
            raise trouble.duplicate(entity.java(name), table, f"{table}_parent_child_owner_id_key") from error
        self._pairs(name, item, row_id)
        return row_id

    def _pairs(self, name: str, item: Any, row_id: int) -> None:
        if name not in PAIRS:
            return
        attribute, table = PAIRS[name]
        for old in self.house.store.where(table, parent=row_id):
            self.house.store.delete(table, old["id"])
        for position, pair in enumerate(getattr(item, attribute) or []):
            if pair is not None:
                self.house.store.insert(table, {"parent": row_id, "name": pair.name, "value": pair.value, "position": position})

    @behaviour("recorded 18 writes, 09 annotations_links_updates, 04 targets; 04b: wrong group")
    def _may_link(self, entity: Entity, values: dict[str, Any]) -> None:
        annotation = entity.name.endswith("AnnotationLink")
        for side in ("child", "parent"):
            target = ENTITIES[entity.columns[side].target]
            row = self.house.store.row(target.name, values[side])
            if row is None or not target.owned:
                continue
            java = target.java(class_of(target, row))
            if self.caller.group == ALL_GROUPS:
                raise trouble.cannot_link("------", java, row["id"])
            if row["grp"] != self.caller.group:
                if can_read(self._anywhere(), row):
                    raise trouble.security(f"Currently logged into group {self.caller.group}. Cannot alter object in group {row['grp']}")
                raise trouble.cannot_read(java, row["id"])
            if not can_read(self.caller, row):
                raise trouble.cannot_read(java, row["id"])
            if not (can_annotate(self.caller, row) if annotation else can_link(self.caller, row)):
                raise trouble.cannot_link(self.caller.permissions_of(row["grp"]), java, row["id"])

    def _anywhere(self) -> Caller:
        return replace(self.caller, group=ALL_GROUPS)

    @behaviour("recorded 09 stale save, 18 rename; the words of a refused change are assumed")
    def _change(self, entity: Entity, name: str, item: Any) -> int:
        row_id = int(item.id.val)
        row = self.house.store.row(entity.name, row_id)
        if row is None:
            raise trouble.no_row(entity.java(name), row_id)
        if not entity.owned:
            raise trouble.security(f"Updating {entity.java(name)}:Id_{row_id} not allowed")
        if not can_read(self.caller, row):
            raise trouble.cannot_read(entity.java(name), row_id)
        values = self._values(entity, name, item)
        known = item.details.updateEvent
        if known is not None and known.id.val != row["updated"]:
            raise trouble.server_error(
                "OptimisticLockException",
                f"You are not authorized to change the update event for {entity.java(name)}:Id_{row_id} from "
                f"ome.model.meta.Event:Id_{row['updated']} to ome.model.meta.Event:Id_{known.id.val}\n"
                "You may need to reload the object before continuing.",
            )
        if all(row[column] == value for column, value in values.items()) and name != "MapAnnotation":
            return row_id
        if not can_edit(self.caller, row):
            raise trouble.security(f"Updating {entity.java(name)}:Id_{row_id} not allowed")
        self.house.store.update(entity.name, row_id, {**values, "updated": self.event()})
        self._pairs(name, item, row_id)
        return row_id


class UpdateService(Servant, omero.api.IUpdate):
    """Each call is one transaction."""

    def _all(self, items: list[Any], current: Any) -> list[Any]:
        assert self.session is not None
        caller = self.house.sessions.caller(self.session, current.ctx)
        saver = Saver(self.house, caller)
        with self.house.store.transaction():
            ids = [saver.save(item) for item in items]
        loader = Loader(self.house, caller)
        found = []
        for item, row_id in zip(items, ids, strict=True):
            entity = entity_of(type(item).__name__.removesuffix("I"))
            assert entity is not None
            found.append(loader.by_id(entity, row_id))
        return found

    @operation("recorded 18 writes")
    def saveAndReturnObject(self, item: Any, current: Any) -> Any:
        return self._all([item], current)[0]

    @operation("recorded 18 writes")
    def saveAndReturnArray(self, items: Any, current: Any) -> Any:
        return self._all(items, current)

    @operation("recorded 18 writes")
    def saveAndReturnIds(self, items: Any, current: Any) -> Any:
        return [item.id.val for item in self._all(items, current)]

    @operation("recorded 18 writes")
    def saveObject(self, item: Any, current: Any) -> None:
        self._all([item], current)

    @operation("recorded 18 writes")
    def saveArray(self, items: Any, current: Any) -> None:
        self._all(items, current)

    @operation("recorded 18 writes")
    def saveCollection(self, items: Any, current: Any) -> None:
        self._all(items, current)
