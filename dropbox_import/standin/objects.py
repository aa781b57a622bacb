"""Between rows and the objects that travel: loads with OMERO's rules (collections unloaded, details filled), wraps values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import omero.clients
import omero.model
from omero.rtypes import rbool, rdouble, rint, rlong, rmap, rstring, rtime, unwrap

from dropbox_import.standin.house import House
from dropbox_import.standin.permissions import Caller, as_permissions, rights
from dropbox_import.standin.schema import ENTITIES, HIDDEN, Entity, entity_of
from dropbox_import.standin.sources import behaviour

ENUMS = ("ChecksumAlgorithm", "JobStatus", "PixelsType", "Format")


def wrapped(kind: str, value: Any) -> Any:
    """A value of a column as the remote type."""
    if value is None:
        return None
    match kind:
        case "string":
            return rstring(str(value))
        case "int":
            return rint(int(value))
        case "bool":
            return rbool(bool(value))
        case "double":
            return rdouble(float(value))
        case "time":
            return rtime(int(value))
        case _:
            return rlong(int(value)) if isinstance(value, int) else rstring(str(value))


def parameters(params: Any) -> dict[str, Any]:
    """The named values of a call's Parameters; an object stands for its id."""
    found: dict[str, Any] = {}
    for name, value in ((params.map or {}) if params is not None else {}).items():
        plain = unwrap(value)
        if hasattr(plain, "id"):
            plain = plain.id.val
        found[name] = plain
    return found


def class_of(entity: Entity, row: dict[str, Any]) -> str:
    return str(row["kind"]) if entity.kinds and row.get("kind") else entity.name


class Loader:
    """Makes objects for one call of one caller."""

    def __init__(self, house: House, caller: Caller) -> None:
        self.house = house
        self.caller = caller

    def by_id(self, entity: Entity, row_id: int) -> Any:
        row = self.house.store.row(entity.name, row_id)
        return self.load(entity, row) if row is not None else None

    @behaviour("read omero-blitz IceMapper: collections unloaded unless fetched, details loaded; enumerations loaded is assumed")
    def load(self, entity: Entity, row: dict[str, Any]) -> Any:
        name = class_of(entity, row)
        found = getattr(omero.model, f"{name}I")(row["id"], True)
        for column in entity.columns.values():
            attribute = f"_{column.name}"
            if not hasattr(found, attribute) or column.name in HIDDEN:
                continue
            value = row[column.name]
            if column.kind == "ref":
                setattr(found, attribute, self.pointer(column.target, value))
            elif (entity.name, column.name) == ("Session", "uuid"):
                setattr(found, attribute, rstring(str(value)))
            else:
                setattr(found, attribute, self._typed(found, column.name, column.kind, value))
        found.unloadCollections()
        self._element_collections(entity, name, found, row)
        self.details(entity, found, row)
        return found

    @staticmethod
    def _typed(found: Any, name: str, kind: str, value: Any) -> Any:
        info = found._field_info
        field = getattr(info, name, None)
        if value is not None and field is not None and getattr(field.wrapper, "__name__", "") == "rint":
            return rint(int(value))
        return wrapped(kind, value)

    def _element_collections(self, entity: Entity, name: str, found: Any, row: dict[str, Any]) -> None:
        if name in ("UploadJob", "MetadataImportJob"):
            found._versionInfo = self._pairs("JobVersionInfo", row["id"])
        if name == "MapAnnotation":
            found._mapValue = self._pairs("AnnotationMapValue", row["id"])

    def _pairs(self, table: str, parent: int) -> list[Any]:
        return [omero.model.NamedValue(pair["name"], pair["value"]) for pair in self.house.store.where(table, parent=parent)]

    def pointer(self, target: str, row_id: int | None) -> Any:
        """An unloaded object of the right class; enumerations are loaded."""
        if row_id is None:
            return None
        entity = ENTITIES[target]
        if target in ENUMS or entity.kinds:
            row = self.house.store.row(target, row_id)
            if row is None:
                return None
            if target in ENUMS:
                found = getattr(omero.model, f"{target}I")(row_id, True)
                found._value = rstring(row["value"])
                return found
            return getattr(omero.model, f"{class_of(entity, row)}I")(row_id, False)
        return getattr(omero.model, f"{target}I")(row_id, False)

    def details(self, entity: Entity, found: Any, row: dict[str, Any]) -> None:
        details = found.details
        if not entity.owned:
            details._permissions = omero.model.PermissionsI(row.get("perms") or "rw----")
            return
        details._owner = omero.model.ExperimenterI(row["owner"], False)
        details._group = omero.model.ExperimenterGroupI(row["grp"], False)
        details._permissions = as_permissions(self.caller, row)
        details._creationEvent = self._event(row["created"])
        details._updateEvent = self._event(row["updated"])

    def _event(self, row_id: int | None) -> Any:
        if row_id is None:
            return None
        found = omero.model.EventI(row_id, True)
        row = self.house.store.row("Event", row_id)
        found._time = rtime(row["time"] if row else 0)
        found.unloadCollections()
        return found

    def fetch(self, found: Any, steps: Iterable[str]) -> None:
        """Fills what a `join fetch` asked for: one step deep in each object on the way."""
        here = [found]
        for step in steps:
            following: list[Any] = []
            for item in here:
                following += self._fetch_step(item, step)
            here = following

    def _fetch_step(self, item: Any, step: str) -> list[Any]:
        if step == "details":
            return [item.details]
        if isinstance(item, omero.model.Details):
            return self._fetch_detail(item, step)
        entity = entity_of(type(item).__name__[:-1])
        if entity is None:
            return []
        if step in entity.collections:
            loaded_flag, sequence = f"_{step}Loaded", f"_{step}Seq"
            if hasattr(item, loaded_flag) and not getattr(item, loaded_flag):
                target_name, back = entity.collections[step]
                rows = self.house.store.where(target_name, **{back: item.id.val})
                setattr(item, sequence, [self.load(ENTITIES[target_name], row) for row in rows])
                setattr(item, loaded_flag, True)
            return list(getattr(item, sequence, []) or [])
        if step in entity.columns and entity.columns[step].kind == "ref":
            pointer = getattr(item, f"_{step}")
            if pointer is not None and not pointer.isLoaded():
                pointer = self.by_id(ENTITIES[entity.columns[step].target], pointer.id.val)
                setattr(item, f"_{step}", pointer)
            return [pointer] if pointer is not None else []
        return []

    def _fetch_detail(self, details: Any, step: str) -> list[Any]:
        pointer = getattr(details, f"_{step}", None)
        if pointer is None:
            return []
        if not pointer.isLoaded():
            pointer = self.by_id(ENTITIES[{"owner": "Experimenter", "group": "ExperimenterGroup"}[step]], pointer.id.val)
            setattr(details, f"_{step}", pointer)
        return [pointer]

    def rights_map(self, entity: Entity, row_id: int) -> Any:
        """`x as x_details_permissions` of a `new map` query (recorded 18, permissions in one query)."""
        row = self.house.store.row(entity.name, row_id)
        if row is None:
            return None
        can: dict[str, Any] = {name: rbool(value) for name, value in rights(self.caller, row).items()}
        can["perm"] = rstring(self.caller.permissions_of(row["grp"]))
        return rmap(can)
