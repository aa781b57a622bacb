"""Commands given to `ServiceFactory.submit`: Delete2 is the one that matters here. Others are refused as OMERO refuses the unknown."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from typing import Any

import omero.clients
import omero.cmd

from dropbox_import.standin.handles import Handle
from dropbox_import.standin.house import House
from dropbox_import.standin.objects import class_of
from dropbox_import.standin.permissions import Caller, can_edit
from dropbox_import.standin.schema import ENTITIES, Entity, entity_of
from dropbox_import.standin.sessions import Session
from dropbox_import.standin.sources import behaviour

LOG = logging.getLogger("standin")
KEPT_ORPHANS = ("TagAnnotation", "TermAnnotation", "FileAnnotation")


class Refused(Exception):
    """The graph cannot be deleted; the text goes into the stack trace only (SUMMARY 31)."""


class Plan:
    """What goes with the wanted objects, collected before anything is deleted."""

    def __init__(self, house: House, caller: Caller) -> None:
        self.house = house
        self.caller = caller
        self.chosen: dict[str, dict[int, dict[str, Any]]] = defaultdict(dict)
        self.kept: frozenset[str] = frozenset()

    def has(self, name: str, row_id: int) -> bool:
        return row_id in self.chosen[name]

    @behaviour("recorded 09 delete_chgrp, 16, 17: images with filesets, files, jobs, links; tags and files stay (assumed)")
    def add(self, entity: Entity, row_id: int, *, wanted: bool = False) -> None:
        if self.has(entity.name, row_id) or (entity.name in self.kept and not wanted):
            return
        row = self.house.store.row(entity.name, row_id)
        if row is None:
            if wanted:
                raise Refused(f"cannot read {entity.java()}[{row_id}]")
            return
        if entity.owned and not can_edit(self.caller, row):
            raise Refused(f"not permitted to delete {entity.java(class_of(entity, row))}[{row_id}]")
        self.chosen[entity.name][row_id] = row
        handler = getattr(self, f"_with_{entity.name.lower()}", None)
        if handler is not None:
            handler(row_id, row)
        self._annotation_links(entity, row_id)

    def _all(self, name: str, **equal: Any) -> list[dict[str, Any]]:
        rows = self.house.store.where(name, **equal)
        for row in rows:
            self.add(ENTITIES[name], row["id"])
        return rows

    def _annotation_links(self, entity: Entity, row_id: int) -> None:
        name = f"{entity.name}AnnotationLink"
        if name not in ENTITIES:
            return
        for link in self._all(name, parent=row_id):
            annotation = self.house.store.row("Annotation", link["child"])
            if annotation is None or annotation["kind"] in KEPT_ORPHANS or self._still_linked(link["child"]):
                continue
            if can_edit(self.caller, annotation):
                self.add(ENTITIES["Annotation"], link["child"])

    def _others(self, link: str, child: int) -> bool:
        """Whether a link to this child stays."""
        return any(not self.has(link, row["id"]) for row in self.house.store.where(link, child=child))

    def _still_linked(self, annotation: int) -> bool:
        return any(self._others(name, annotation) for name in ENTITIES if name.endswith("AnnotationLink"))

    def _with_project(self, row_id: int, row: dict[str, Any]) -> None:
        for link in self._all("ProjectDatasetLink", parent=row_id):
            if not self._others("ProjectDatasetLink", link["child"]):
                self.add(ENTITIES["Dataset"], link["child"])

    def _with_dataset(self, row_id: int, row: dict[str, Any]) -> None:
        self._all("ProjectDatasetLink", child=row_id)
        for link in self._all("DatasetImageLink", parent=row_id):
            if not self._others("DatasetImageLink", link["child"]):
                self.add(ENTITIES["Image"], link["child"])

    def _with_image(self, row_id: int, row: dict[str, Any]) -> None:
        self._all("DatasetImageLink", child=row_id)
        self._all("Pixels", image=row_id)
        self._all("WellSample", image=row_id)

    def _with_pixels(self, row_id: int, row: dict[str, Any]) -> None:
        self._all("RenderingDef", pixels=row_id)
        self._all("Thumbnail", pixels=row_id)

    def _with_fileset(self, row_id: int, row: dict[str, Any]) -> None:
        self._all("Image", fileset=row_id)
        for entry in self._all("FilesetEntry", fileset=row_id):
            self.add(ENTITIES["OriginalFile"], entry["originalFile"])
        for link in self._all("FilesetJobLink", parent=row_id):
            self.add(ENTITIES["Job"], link["child"])

    def _with_job(self, row_id: int, row: dict[str, Any]) -> None:
        for link in self._all("JobOriginalFileLink", parent=row_id):
            self.add(ENTITIES["OriginalFile"], link["child"])

    def _with_annotation(self, row_id: int, row: dict[str, Any]) -> None:
        for entity in list(ENTITIES.values()):
            if entity.name.endswith("AnnotationLink"):
                self._all(entity.name, child=row_id)
        if row["file"] is not None:
            self.add(ENTITIES["OriginalFile"], row["file"])

    @behaviour(
        "read OmeroJava integration/delete/AdditionalDeleteTest.java testOriginalFileAnnotation, ticket 7314: its annotations go too"
    )
    def _with_originalfile(self, row_id: int, row: dict[str, Any]) -> None:
        self._all("Annotation", file=row_id)

    def close(self) -> None:
        """Filesets go with their images, all or none (SUMMARY 31)."""
        for image, row in list(self.chosen["Image"].items()):
            if row["fileset"] is not None and not self.has("Fileset", row["fileset"]):
                together = {other["id"] for other in self.house.store.where("Image", fileset=row["fileset"])}
                if not together <= set(self.chosen["Image"]):
                    raise Refused(
                        f"may not delete ome.model.core.Image[{image}] while others of ome.model.fs.Fileset[{row['fileset']}] stay"
                    )
                self.add(ENTITIES["Fileset"], row["fileset"])
        for file_id in self.chosen["OriginalFile"]:
            entries = self.house.store.where("FilesetEntry", originalFile=file_id)
            if any(not self.has("FilesetEntry", entry["id"]) for entry in entries):
                raise Refused(f"may not delete ome.model.core.OriginalFile[{file_id}] while its fileset stays")

    def carry_out(self) -> dict[str, list[int]]:
        """Deletes rows, then bytes; answers what went, by Java class."""
        deleted: dict[str, list[int]] = defaultdict(list)
        with self.house.store.transaction():
            for name, rows in self.chosen.items():
                for row_id, row in rows.items():
                    self.house.store.delete(name, row_id)
                    deleted[ENTITIES[name].java(class_of(ENTITIES[name], row))].append(row_id)
        for row_id, row in self.chosen["OriginalFile"].items():
            path = self.house.files / row["path"] / row["name"] if row["repo"] else self.house.attachments / str(row_id)
            if path.is_file():
                path.unlink()
        return dict(deleted)


@behaviour("read omero-blitz slice/omero/cmd/Graphs.ice ChildOption: no children of an excluded type; that the links to them go is assumed")
def excluded(request: Any) -> frozenset[str]:
    return frozenset(name for option in request.childOptions or [] for name in option.excludeType or [])


class Deleting(Handle):
    """One Delete2."""

    def run(self, caller: Caller) -> None:
        plan = Plan(self.house, caller)
        plan.kept = excluded(self.request)
        try:
            for name, ids in (self.request.targetObjects or {}).items():
                entity = entity_of(name.rpartition(".")[2])
                if entity is None:
                    self.fail("graph-fail", "", f"java.lang.IllegalArgumentException: unknown class {name}")
                    return
                for row_id in ids:
                    plan.add(entity, row_id, wanted=True)
            plan.close()
            deleted = self._dry(plan) if self.request.dryRun else plan.carry_out()
        except Refused as error:
            parameters = {"message": "", "stacktrace": f"ome.services.graphs.GraphException: {error}"}
            refusal = omero.cmd.GraphException(category=self.request.ice_id(), name="graph-fail", parameters=parameters, message=str(error))
            self.finish(refusal, failed=True)
            return
        except Exception as error:
            LOG.exception("a delete failed in the stand-in")
            self.fail("graph-fail", "", repr(error))
            return
        for number in range(1, self.status.steps + 1):
            self.step(number)
        self.finish(omero.cmd.Delete2Response(deletedObjects=deleted))

    @staticmethod
    def _dry(plan: Plan) -> dict[str, list[int]]:
        return {ENTITIES[name].java(): sorted(rows) for name, rows in plan.chosen.items() if rows}


def submit(house: House, session: Session, request: Any, current: Any) -> Any:
    """A handle for the command; null for one that is not known, as a real server answers."""
    if not isinstance(request, omero.cmd.Delete2):
        LOG.warning("submit: %s is not known here", type(request).__name__)
        return None
    caller = house.sessions.caller(session, current.ctx)
    handle = Deleting(house, session, request, 4 if request.dryRun else 6)
    proxy = house.registry.add_new(handle, "", session.uuid, prefix="IHandle")
    threading.Thread(target=handle.run, args=(caller,), name="delete", daemon=True).start()
    return omero.cmd.HandlePrx.uncheckedCast(proxy)
