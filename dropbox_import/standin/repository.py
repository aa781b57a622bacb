"""The managed repository: where an import begins, in one transaction."""

from __future__ import annotations

from typing import Any

import omero
import omero.clients
import omero.grid
import omero.model
from omero.rtypes import rstring, unwrap

from dropbox_import.standin import trouble
from dropbox_import.standin.files import ALGORITHMS, checksum
from dropbox_import.standin.imports import Entry, ImportProcess
from dropbox_import.standin.objects import Loader
from dropbox_import.standin.paths import new_prefix, place
from dropbox_import.standin.permissions import ALL_GROUPS, Caller
from dropbox_import.standin.schema import ENTITIES
from dropbox_import.standin.servants import Servant, operation
from dropbox_import.standin.sessions import Session
from dropbox_import.standin.sources import behaviour
from dropbox_import.standin.store import now_ms
from dropbox_import.standin.update import NO_GROUP, Saver

LOG_TYPE = "application/omero-log-file"


def plain(kind: str, message: str) -> Any:
    """An exception raised by the repository itself: it names no class of the server (recorded 02 importFileset_arguments)."""
    return getattr(omero, kind)("", "", message)


class SharedResources(Servant, omero.grid.SharedResources):
    """The way to the repository."""

    @operation("recorded 01 repositories: the managed one is all that is offered here")
    def repositories(self, current: Any) -> Any:
        found = omero.model.OriginalFileI(1, True)
        found._name, found._path = rstring("ManagedRepository"), rstring("/OMERO/")
        found._mimetype, found._hash = rstring("Repository"), rstring(self.house.repository)
        found.unloadCollections()
        return omero.grid.RepositoryMap([found], [omero.grid.RepositoryPrx.uncheckedCast(self.house.repository_proxy)])

    @operation("assumed: no tables")
    def areTablesEnabled(self, current: Any) -> bool:
        return False


class ManagedRepository(Servant, omero.grid.ManagedRepository):
    """One for all sessions: it knows the caller by the call's context."""

    @behaviour("recorded 04b explicit_ctx_without_session_uuid, SUMMARY 29")
    def _who(self, current: Any) -> tuple[Session, Caller]:
        session = self.house.sessions.find(current.ctx.get("omero.session.uuid", ""))
        if session is None:
            raise trouble.unknown("ome.conditions.ApiUsageException: Uuid cannot be null.\n\tat ome.services.sessions.state.SessionCache")
        session.touch(current.operation)
        return session, self.house.sessions.caller(session, current.ctx)

    @operation("recorded 01 repositories")
    def root(self, current: Any) -> Any:
        found = omero.model.OriginalFileI(1, True)
        found._name, found._path = rstring("ManagedRepository"), rstring("/OMERO/")
        found.unloadCollections()
        return found

    @staticmethod
    def _algorithm(name: str) -> Any:
        found = omero.model.ChecksumAlgorithmI()
        found._value = rstring(name)
        return found

    @operation("recorded 01 listChecksumAlgorithms")
    def listChecksumAlgorithms(self, current: Any) -> Any:
        return [self._algorithm(name) for name in ALGORITHMS]

    @operation("read omero-blitz omero-blitz.properties:91: the first of the server's list that the client knows, else null")
    def suggestChecksumAlgorithm(self, supported: Any, current: Any) -> Any:
        known = [unwrap(algorithm.value) for algorithm in supported or []]
        return next((self._algorithm(name) for name in ALGORITHMS if name in known), None)

    @operation("recorded 09 managed_repository_file_access")
    def fileExists(self, path: str, current: Any) -> bool:
        self._who(current)
        folder, _, name = path.strip("/").rpartition("/")
        return bool(self.house.store.where("OriginalFile", repo=self.house.repository, path=f"{folder}/" if folder else "", name=name))

    @operation("recorded 04b listImports never forgets")
    def listImports(self, current: Any) -> Any:
        _, caller = self._who(current)
        return [proxy for user, proxy in self.house.imports if user == caller.user]

    @operation("recorded 02 importFileset_arguments, 01, 04b; token annotations: 17")
    def importFileset(self, fileset: Any, settings: Any, current: Any) -> Any:
        session, caller = self._who(current)
        entries = fileset.copyUsedFiles() if fileset is not None else []
        if not entries:
            raise plain("ApiUsageException", "No paths provided")
        algorithm = unwrap(settings.checksumAlgorithm.value) if settings is not None and settings.checksumAlgorithm is not None else None
        if algorithm is None:
            raise plain("ApiUsageException", "must specify checksum algorithm")
        if any(entry.clientPath is None for entry in entries):
            raise trouble.null_pointer(
                'Cannot invoke "omero.RString.getValue()" because the return value of "omero.model.FilesetEntry.getClientPath()" is null',
                "ome.services.blitz.repo.ManagedRepositoryI.internalImport(ManagedRepositoryI.java:27",
            )
        if caller.group == ALL_GROUPS:
            raise trouble.usage(NO_GROUP)
        if algorithm not in ALGORITHMS:
            raise plain("ValidationException", f"unknown checksum algorithm: {algorithm}")
        jobs = [link.child for link in fileset.copyJobLinks()]
        if len(jobs) != 1:
            raise plain("ValidationException", "Found more than one job link. Link only updateJob on creation!")
        if not isinstance(jobs[0], omero.model.UploadJob):
            raise plain("ValidationException", f"Found non-UploadJob on creation: omero.model.{type(jobs[0]).__name__}")
        prefix = self._prefix(caller)
        with self.house.store.transaction():
            client = current.ctx.get("omero.client.uuid", "")
            process = self._begin(session, caller, fileset, settings, algorithm, prefix, jobs[0], client)
        proxy = self.house.registry.add_new(process, "-ManagedImportProcessI", session.uuid)
        process.proxy = omero.grid.ImportProcessPrx.uncheckedCast(proxy)
        self.house.imports.append((caller.user, process.proxy))
        return process.proxy

    def _prefix(self, caller: Caller) -> str:
        try:
            return new_prefix(self.house.files, caller.user_name, caller.user)
        except OSError as error:
            raise trouble.resource(f"Cannot mkdir CheckedPath({error.filename}):Cannot mkdir CheckedPath({error.filename})") from error

    def _begin(
        self, session: Session, caller: Caller, fileset: Any, settings: Any, algorithm: str, prefix: str, upload_job: Any, client: str
    ) -> ImportProcess:
        saver = Saver(self.house, caller)
        fileset_id = saver.insert("Fileset", templatePrefix=prefix)
        hasher = self.house.store.enum("ChecksumAlgorithm", algorithm)
        folder, _, last = prefix.rstrip("/").rpartition("/")
        log = {"path": f"{folder}/", "name": f"{last}.log", "repo": self.house.repository, "mimetype": LOG_TYPE, "ctime": now_ms()}
        log_id = saver.insert("OriginalFile", **log)
        log_path = self.house.files / folder / f"{last}.log"
        log_path.touch()
        job_link = self._jobs(saver, caller, fileset_id, settings, upload_job, log_id)
        entries = self._entries(saver, fileset, fileset_id, prefix, hasher)
        for link in fileset.copyAnnotationLinks():
            annotation = saver.save(link.child)
            saver.insert("FilesetAnnotationLink", parent=fileset_id, child=annotation)
        return ImportProcess(self.house, session, caller, fileset_id, entries, settings, algorithm, job_link, log_id, log_path, client)

    def _entries(self, saver: Saver, fileset: Any, fileset_id: int, prefix: str, hasher: int) -> list[Entry]:
        found: list[Entry] = []
        taken: set[tuple[str, str]] = set()
        for position, entry in enumerate(fileset.copyUsedFiles()):
            client_path = unwrap(entry.clientPath)
            if "\x00" in client_path:
                raise trouble.bad_data("ome.model.fs.FilesetEntry", "filesetentry")
            where = place(prefix, client_path)
            if (where.path, where.name) in taken:
                raise trouble.duplicate("ome.model.core.OriginalFile", "originalfile", "originalfile_repo_index")
            taken.add((where.path, where.name))
            (self.house.files / where.path).mkdir(parents=True, exist_ok=True)
            if (self.house.files / where.path / where.name).is_dir():
                file_id = saver.insert("OriginalFile", path=where.path, name=where.name, hasher=hasher, ctime=now_ms())
            else:
                file_id = saver.insert(
                    "OriginalFile", path=where.path, name=where.name, repo=self.house.repository, hasher=hasher, ctime=now_ms()
                )
            saver.insert("FilesetEntry", fileset=fileset_id, originalFile=file_id, clientPath=client_path, position=position)
            found.append(Entry(file_id, self.house.files / where.path / where.name, where.path, where.crooked))
        return found

    @behaviour("recorded 01 joblinks, 02 doThumbnails None")
    def _jobs(self, saver: Saver, caller: Caller, fileset_id: int, settings: Any, upload_job: Any, log_id: int) -> int:
        group = self.house.store.where("ExperimenterGroup", id=caller.group)[0]["name"]
        submitted = self.house.store.enum("JobStatus", "Submitted")
        thumbnails = settings.doThumbnails is not None and settings.doThumbnails.val
        kinds = ["UploadJob", "MetadataImportJob", "PixelDataJob", *(["ThumbnailGenerationJob"] if thumbnails else []), "IndexingJob"]
        first = 0
        for position, kind in enumerate(kinds):
            job = saver.insert(
                "Job",
                kind=kind,
                username=caller.user_name,
                groupname=group,
                type="User",
                message="",
                status=submitted,
                submitted=now_ms(),
                scheduledFor=now_ms(),
            )
            link = saver.insert("FilesetJobLink", parent=fileset_id, child=job, position=position)
            if kind == "UploadJob":
                first = link
                saver.insert("JobOriginalFileLink", parent=job, child=log_id)
                for index, pair in enumerate(upload_job.getVersionInfo() or []):
                    saver.insert("JobVersionInfo", parent=job, name=pair.name, value=pair.value, position=index)
        return first

    @operation("recorded 09 verifyChecksums")
    def verifyChecksums(self, ids: Any, current: Any) -> Any:
        self._who(current)
        wrong = []
        for row_id in ids or []:
            row = self.house.store.row("OriginalFile", row_id) or {"hasher": None}
            algorithm = self.house.store.row("ChecksumAlgorithm", row["hasher"] or -1)
            path = self.house.files / str(row.get("path")) / str(row.get("name"))
            if algorithm is None or checksum(path, algorithm["value"]) != row["hash"]:
                wrong.append(row_id)
        return wrong

    @operation("recorded 09 listFiles")
    def listFiles(self, path: str, current: Any) -> Any:
        _, caller = self._who(current)
        folder = path.strip("/") + "/"
        rows = self.house.store.where("OriginalFile", repo=self.house.repository, path=folder)
        return [Loader(self.house, caller).load(ENTITIES["OriginalFile"], row) for row in rows]
