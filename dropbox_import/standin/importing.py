"""The server's own part of an import: five steps in the background, watched through a handle."""

from __future__ import annotations

import hashlib
import logging
import threading
from typing import TYPE_CHECKING, Any

import omero
import omero.clients
import omero.grid
import omero.model
from omero.rtypes import rstring, unwrap

from dropbox_import.standin import images, trouble
from dropbox_import.standin.handles import Handle
from dropbox_import.standin.house import House
from dropbox_import.standin.objects import Loader, class_of
from dropbox_import.standin.permissions import can_link, can_read
from dropbox_import.standin.schema import ENTITIES
from dropbox_import.standin.sessions import Session, java_time
from dropbox_import.standin.sources import behaviour
from dropbox_import.standin.store import now_ms
from dropbox_import.standin.update import Saver

if TYPE_CHECKING:
    from dropbox_import.standin.imports import ImportProcess

LOG = logging.getLogger("standin")
PENDING = "Pending..."
MAX_PLANE = 3192 * 3192  # omero.pixeldata.max_plane_width times _height, as they are by default (read, omero-model.properties:186-196)
THUMBNAIL = 96
AUTO_CLOSE = "openmicroscopy.org/omero/import/autoClose"


class Stopped(Exception):
    """The session is over: the rest of the import does not happen."""


class Importing(Handle):
    """One run over one fileset; a second run makes a second set of images (SUMMARY 1)."""

    def __init__(self, house: House, session: Session, process: ImportProcess, request: Any) -> None:
        super().__init__(house, session, request, 5)
        self.mine = session
        self.process = process
        request.clientUuid = ""
        request.repoUuid = house.repository
        request.settings = process.settings
        request.logFile = omero.model.OriginalFileI(process.log_id, False)
        request.activity = omero.model.FilesetJobLinkI(process.job_link, True)
        request.activity.parent = omero.model.FilesetI(process.fileset, False)

    def start(self, identity: Any) -> None:
        threading.Thread(target=self._run, args=(identity,), name="import", daemon=True).start()

    def _run(self, identity: Any) -> None:
        try:
            self._steps()
        except Stopped:
            self.finish(None, failed=True)
        except Exception as error:
            LOG.exception("an import failed in the stand-in")
            self.fail("run-fail", repr(error), repr(error))
        finally:
            if self._auto_close():
                self.house.registry.remove(identity)
                if self.process.proxy is not None:
                    self.house.registry.remove(self.process.proxy.ice_getIdentity())
            self.house.sessions.release(self.mine)

    def _auto_close(self) -> bool:
        wanted = self.process.settings.userSpecifiedAnnotationList or []
        return any(item is not None and item.isLoaded() and unwrap(item.ns) == AUTO_CLOSE for item in wanted)

    def _pause(self) -> None:
        """Half of the wanted slowness, before and after the images are committed."""
        self.house.faults.wait(self.house.faults.setting("import_seconds") / 2)
        if self.mine.closed or self.house.faults.stopping.is_set():
            raise Stopped

    @behaviour("recorded 01 stages, 02 unreadable_files, 06d, 16; SUMMARY 5, 6, 7")
    def _steps(self) -> None:
        first = self.process.entries[0]
        if self.house.store.row("Fileset", self.process.fileset) is None:
            words = f"file {first.folder}{first.path.name} does not have a unique readable fileset"
            self.fail("error-on-init", words, trouble.stack(f"ome.conditions.SecurityViolation: {words}"))
            return
        try:
            series = images.read([entry.path for entry in self.process.entries])
        except images.Unreadable as error:
            words = error.words.format(f"/OMERO/ManagedRepository/{first.folder}{first.path.name}")
            self.fail("error-on-init", words, trouble.stack(f"{error.java}: {words}"))
            return
        self._pause()
        try:
            with self.house.store.transaction():
                made = self._commit(series)
        except omero.ServerError as error:
            words = trouble.flattened(error)
            self.fail("import-request-failure", words, trouble.stack(f"java.lang.RuntimeException: {words}"))
            return
        except _JavaFault as error:
            self.fail("import-request-failure", str(error), trouble.stack(str(error)))
            return
        self.step(1)
        self._pause()
        self._pixel_data(made, series)
        self.step(2)
        self._thumbnails(made, series)
        for number in (3, 4):
            self.step(number)
        if self.house.store.row("OriginalFile", self.process.log_id) is None:
            gone = trouble.no_row("ome.model.core.OriginalFile", self.process.log_id)
            self.fail("update-log-file-size", gone.message, gone.serverStackTrace)
            return
        self._write_log(f"Imported {len(made)} image(s) of fileset {self.process.fileset}.")
        self.step(5)
        self.finish(self._response(made))

    def fail(self, name: str, message: str, stack: str, **more: str) -> None:
        if self.house.store.row("OriginalFile", self.process.log_id) is not None:
            self._write_log(stack)
        super().fail(name, message, stack, **more)

    @behaviour("recorded 02 unreadable_files log_file, log_tail: that of a failed import too, and it names the session of each call")
    def _write_log(self, text: str) -> None:
        caller, at = self.process.caller, java_time(now_ms()).replace(".", ",")
        auth = f"Auth:\tuser={caller.user},group={caller.group},event=null(User),sess={self.mine.uuid}"
        with self.process.log_path.open("a", encoding="utf-8") as log:
            log.write(f"{at} INFO  [    o.s.blitz.repo.ManagedImportRequestI] (1-thread-8) {text}\n")
            log.write(f"{at} INFO  [         ome.security.basic.EventHandler] (l.Server-6)  {auth}\n")
        self.house.store.update("OriginalFile", self.process.log_id, {"size": self.process.log_path.stat().st_size})

    @behaviour("recorded 01 right_after_verifyUpload, 04 all targets, 17 shared annotations")
    def _commit(self, series: tuple[images.Series, ...]) -> list[tuple[int, int]]:
        """All images with their links, in one transaction; their pixels have no hash yet."""
        settings, saver = self.process.settings, Saver(self.house, self.process.caller)
        dataset = self._target(settings.userSpecifiedTarget)
        annotations = [saver.save(item) for item in settings.userSpecifiedAnnotationList or [] if item is not None]
        name, description = unwrap(settings.userSpecifiedName), unwrap(settings.userSpecifiedDescription)
        file_name = self.process.entries[0].path.name
        made = []
        for found in series:
            image = saver.insert(
                "Image",
                name=images.image_name(file_name, found, len(series), name),
                description=description or found.description,
                series=0,  # recorded 01 multi&series=3 right_after_verifyUpload: which series it is comes with step 2
                fileset=self.process.fileset,
                format=self.house.store.enum("Format", found.format),
            )
            pixels = saver.insert(
                "Pixels",
                image=image,
                sizeX=found.x,
                sizeY=found.y,
                sizeZ=found.z,
                sizeC=found.c,
                sizeT=found.t,
                sha1=PENDING,
                pixelsType=self.house.store.enum("PixelsType", found.pixels),
            )
            if dataset is not None:
                saver.insert("DatasetImageLink", parent=dataset, child=image)
            for annotation in annotations:
                saver.insert("ImageAnnotationLink", parent=image, child=annotation)
            made.append((image, pixels))
        return made

    def _target(self, target: Any) -> int | None:
        """The dataset to link into. What is wrong with it is found only here (SUMMARY 7)."""
        if target is None:
            return None
        if not isinstance(target, (omero.model.Dataset, omero.model.Screen)):
            raise _JavaFault(f"Unable to handle target: omero.model.{type(target).__name__}@4caa218f")
        if target.id is None:
            raise _JavaFault('Cannot invoke "omero.RLong.getValue()" because the return value of "omero.model.IObject.getId()" is null')
        entity = ENTITIES["Dataset" if isinstance(target, omero.model.Dataset) else "Screen"]
        row = self.house.store.row(entity.name, target.id.val)
        caller = self.process.caller
        if row is None:
            raise trouble.no_row(entity.java(), target.id.val)
        if not can_read(caller, row):
            raise trouble.cannot_read(entity.java(class_of(entity, row)), row["id"])
        if entity.name == "Screen":
            return None  # recorded 04 target_is_screen_for_non_spw: success, and no link at all
        if not can_link(caller, row):
            raise trouble.cannot_link(caller.permissions_of(row["grp"]), entity.java(), row["id"])
        return int(row["id"])

    @behaviour(
        "read omero-blitz ManagedImportRequestI.java:665-709,778-806: in one save the series of each image, and a hash of its pixels unless"
        " its plane is above the limit, whose pixels keep their first one for ever; what is hashed is assumed: first file and series"
    )
    def _pixel_data(self, made: list[tuple[int, int]], series: tuple[images.Series, ...]) -> None:
        base = hashlib.sha1(usedforsecurity=False)
        for entry in self.process.entries:
            if not entry.path.exists():
                continue
            with entry.path.open("rb") as stream:
                while piece := stream.read(4_000_000):
                    base.update(piece)
        hashed = self.process.settings.noStatsInfo is None or not self.process.settings.noStatsInfo.val
        with self.house.store.transaction():
            for index, ((image, pixels), found) in enumerate(zip(made, series, strict=True)):
                self.house.store.update("Image", image, {"series": index})
                if hashed and found.x * found.y <= MAX_PLANE:
                    one = base.copy()
                    one.update(str(index).encode())
                    self.house.store.update("Pixels", pixels, {"sha1": one.hexdigest()})

    @behaviour(
        "read omero-server RenderingSettingsImpl.java:616-680, ThumbnailCtx.java:1108-1173: in the session of the import, settings of what"
        " can be read now, and a thumbnail of everything, of version -1 where a pyramid is still to be made; one each: recorded 01 thumbs"
    )
    def _thumbnails(self, made: list[tuple[int, int]], series: tuple[images.Series, ...]) -> None:
        wanted = self.process.settings.doThumbnails
        if wanted is not None and not wanted.val:
            return
        saver = Saver(self.house, self.process.caller)
        with self.house.store.transaction():
            for (_, pixels), found in zip(made, series, strict=True):
                if self.house.store.row("Pixels", pixels) is None:
                    continue  # deleted meanwhile
                later = found.x * found.y > MAX_PLANE and found.pixels not in ("float", "double")
                if not later:
                    saver.insert("RenderingDef", pixels=pixels, version=1, defaultZ=found.z // 2, defaultT=0)
                version = -1 if later else 0
                saver.insert("Thumbnail", pixels=pixels, mimeType="image/jpeg", sizeX=THUMBNAIL, sizeY=THUMBNAIL, version=version)

    def _response(self, made: list[tuple[int, int]]) -> Any:
        loader = Loader(self.house, self.process.caller)
        pixels, objects = [], []
        for image_id, pixels_id in made:
            found, image = loader.by_id(ENTITIES["Pixels"], pixels_id), loader.by_id(ENTITIES["Image"], image_id)
            if found is None or image is None:
                continue  # deleted meanwhile (recorded 16)
            found._image = omero.model.ImageI(image_id, True)
            found._image._name = rstring(unwrap(image.name))
            found._image.unloadCollections()
            pixels.append(found)
            objects.append(image)
        return omero.grid.ImportResponse(pixels, objects)


class _JavaFault(Exception):
    """A fault inside the importer that is no OMERO exception; its text is the message."""
