"""Filesets by their token: looking up what OMERO already has of a submission, and beginning a new attempt."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import omero.grid
import omero.model
from omero.rtypes import rbool, rstring

from dropbox_import import __version__
from dropbox_import.errors import OutcomeUnknown, ServerUnavailable
from dropbox_import.importer import queries
from dropbox_import.importer.attempts import Attempt, AttemptId, Teller
from dropbox_import.importer.connection import patient
from dropbox_import.importer.errors import WAITS, calling, with_effect
from dropbox_import.importer.finished import Work, work_on
from dropbox_import.importer.records import HeldAttempt
from dropbox_import.importer.sessions import OwnerSession

TOKEN_NS = "dropbox-import/token"
CHECKSUM = "SHA1-160"
FINISHED = "Finished"
"""Status of the upload job once the import was started. It says nothing about the import itself."""

BEGIN_SECONDS = 100.0
_META = ("drop", "instance", "session", "attempt")


@dataclass(frozen=True, slots=True)
class NewFileset:
    """What `begin` is asked to make. `client_paths[0]` is what Bio-Formats opens."""

    token: str
    meta: Mapping[str, Any]
    client_paths: Sequence[str]
    dataset: int | None = None
    name: str | None = None
    description: str | None = None
    reader: str | None = None


def files_of(session: OwnerSession, fileset: int) -> dict[str, tuple[int | None, str | None]]:
    """Size and hash by client path, as the server stored them; None before a file was closed there."""
    with calling("asking what OMERO stored"):
        rows = session.ask(queries.FILES_OF_FILESET, f=fileset)
    return {str(row[0]): (row[3], row[4]) for row in rows}


def look_up(session: OwnerSession, submission: str, teller: Teller) -> list[dict[str, Any]]:
    """Every attempt of that submission of this owner, in any group, oldest first."""
    with calling("looking up what OMERO has of this drop"):
        rows = session.ask(queries.ATTEMPTS, ns=TOKEN_NS, t=queries.like_pattern(submission))
    owner = session.record.owner
    rows = [row for row in rows if row[3] == owner and str(row[1]).rpartition("/")[0] == submission]
    rows.sort(key=lambda row: int(row[0]))
    works = work_on(session, list(dict.fromkeys(int(row[0]) for row in rows)), teller)
    found = []
    for fileset, token, text, _owner, _group, status in rows:
        meta, work, committed = _read_meta(text), works.get(int(fileset), Work()), status == FINISHED
        found.append(
            {
                "fileset": int(fileset),
                "token": token,
                **{name: meta.get(name) for name in _META},
                "committed": committed,
                "complete": committed and work.finished,
                "doubtful": committed and work.doubtful,
                "images": list(work.images),
            }
        )
    return found


def _meta_text(meta: Mapping[str, Any]) -> str:
    return json.dumps({name: meta.get(name) for name in _META}, separators=(",", ":"))


def _read_meta(text: str | None) -> dict[str, Any]:
    try:
        value = json.loads(text or "")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def begin(session: OwnerSession, identity: AttemptId, wanted: NewFileset) -> tuple[Attempt, list[int]]:
    """Makes the fileset with its token in one transaction, and holds its process. After a failure with effect "unknown": look up first.

    Besides, all other filesets of this owner that bear the same token then, whoever made them.
    """
    if identity in session.attempts:
        raise with_effect(OutcomeUnknown("This attempt has begun already.", hint=WAITS, code="begun-already"), "none")
    repository = session.repository()
    settings = _settings(repository, wanted)
    with calling("making a fileset", changes=True):
        process = patient(repository, session.config.seconds("begin", BEGIN_SECONDS)).importFileset(_fileset(wanted), settings)
        if process is None:
            raise with_effect(OutcomeUnknown("OMERO began an import without telling where.", hint=WAITS, code="no-process"), "unknown")
        text = session.client.getCommunicator().proxyToString(process)
        rows = session.ask(queries.ATTEMPTS, ns=TOKEN_NS, t=queries.like_pattern(wanted.token).removesuffix("/%"))
    meta = _meta_text(wanted.meta)
    same = {int(row[0]): row[2] for row in rows if (row[1], row[3]) == (wanted.token, session.record.owner)}
    own = [fileset for fileset, text in same.items() if text == meta]
    if not own:
        raise with_effect(OutcomeUnknown("OMERO does not show the fileset that was just made.", hint=WAITS, code="no-fileset"), "unknown")
    attempt = Attempt(HeldAttempt(*identity, fileset=max(own), process=text), process, fresh=True)
    session.hold(attempt)
    return attempt, sorted(set(same) - {attempt.fileset})


def _settings(repository: Any, wanted: NewFileset) -> Any:
    algorithm = omero.model.ChecksumAlgorithmI()
    algorithm.value = rstring(CHECKSUM)
    with calling("agreeing on a checksum"):
        agreed = repository.suggestChecksumAlgorithm([algorithm])
    if agreed is None:
        raise ServerUnavailable(
            "OMERO does not offer SHA-1 checksums.", hint=f'Add "{CHECKSUM}" to omero.checksum.supported on the server.', code="no-checksum"
        )
    settings = omero.grid.ImportSettings()
    settings.doThumbnails, settings.noStatsInfo, settings.checksumAlgorithm = rbool(True), rbool(False), agreed
    if wanted.dataset is not None:
        settings.userSpecifiedTarget = omero.model.DatasetI(wanted.dataset, False)
    settings.userSpecifiedName = rstring(wanted.name) if wanted.name is not None else None
    settings.userSpecifiedDescription = rstring(wanted.description) if wanted.description is not None else None
    return settings


def _fileset(wanted: NewFileset) -> Any:
    fileset = omero.model.FilesetI()
    for path in wanted.client_paths:
        entry = omero.model.FilesetEntryI()
        entry.clientPath = rstring(path)
        fileset.addFilesetEntry(entry)
    job = omero.model.UploadJobI()
    told = {
        "bioformats.reader": wanted.reader,
        "client.language.name": "Python",
        "client.language.version": platform.python_version(),
        "dropbox-import.version": __version__,
        "os.name": platform.system(),
    }
    job.versionInfo = [omero.model.NamedValue(name, value) for name, value in told.items() if value]
    fileset.linkJob(job)
    token = omero.model.CommentAnnotationI()
    token.ns, token.name, token.textValue = rstring(TOKEN_NS), rstring(wanted.token), rstring(_meta_text(wanted.meta))
    fileset.linkAnnotation(token)
    return fileset
