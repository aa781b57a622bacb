"""From the last byte to the images: the one `verifyUpload`, its answer, and stopping."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import omero
import omero.cmd
import omero.grid

from dropbox_import.errors import DropboxImportError, OutcomeUnknown, TryLater
from dropbox_import.importer import queries
from dropbox_import.importer.attempts import Attempt, Teller
from dropbox_import.importer.connection import patient
from dropbox_import.importer.errors import WAITS, calling, with_effect, without_sessions
from dropbox_import.importer.failures import explain
from dropbox_import.importer.sessions import OwnerSession

QUEUE_SECONDS = 3900.0  # the server itself gives up after an hour in its queue
LOG_BYTES = 20_000
STEPS = 5
FAILING_POLLS = 3  # after so many without an answer there will be none


def commit(session: OwnerSession, attempt: Attempt, teller: Teller) -> None:
    """Tells the server that all is there: the import starts. Never called twice by us on one fileset: a second call imports again.

    Raises TryLater "checksum" with effect "none" if the server does not have the right bytes: they are to be sent again.
    """
    if not attempt.sent:
        raise TryLater("The files of this import are not all sent.", hint=WAITS, code="checksum")
    with calling("asking how far the import is"):
        rows = session.ask(queries.UPLOAD_STATUS, f=attempt.fileset)
    if rows and rows[0][0] == "Finished":
        raise with_effect(OutcomeUnknown("This import was started before.", hint=WAITS, code="committed-already"), "done")
    teller.in_call("commit", bytes=attempt.sizes)
    process = patient(attempt.process, session.config.seconds("commit", QUEUE_SECONDS))
    try:
        with calling("starting the import", changes=True):
            attempt.handle = process.verifyUpload([each.sha1 for each in attempt.sent])
    except DropboxImportError as error:
        raise _refused(error) from error.__cause__


def _refused(error: DropboxImportError) -> DropboxImportError:
    """The two ways in which the server says "the bytes are not right"; the import has not started then."""
    cause = error.__cause__
    if isinstance(cause, omero.ChecksumValidationException):
        return TryLater("What OMERO stored is not what was sent.", hint=WAITS, code="checksum")
    if cause is not None and "NullPointerException" in str(getattr(cause, "unknown", "")):
        return TryLater("OMERO says that bytes are missing.", hint=WAITS, code="checksum")
    return error


def poll(session: OwnerSession, attempt: Attempt) -> dict[str, Any]:
    """How the import is, asked once; it also keeps the session alive, which asking alone does not."""
    session.keep_alive()
    try:
        with calling("asking how the import is"):
            if attempt.handle is None:
                attempt.handle = attempt.process.getHandle()
            if attempt.handle is None:
                return _state("running", step=0, steps=STEPS, name="no-handle")
            response = attempt.handle.getResponse()
            status = attempt.handle.getStatus()
    except DropboxImportError as error:
        if error.kind != "session-gone":
            raise
        session.keep_alive()  # raises if it was the session that is lost, not the process
        session.forget(attempt.id)
        return gone()
    if response is None:
        # The server marks a failure before it has the answer that says why, and the two are asked for one after the other.
        attempt.failing += omero.cmd.State.FAILURE in (status.flags or ())
        if attempt.failing == FAILING_POLLS:
            return _over(session, attempt, _state("error", name="no-answer", message="The import ended without an answer."))
        return _state("running", step=int(status.currentStep), steps=int(status.steps))
    if isinstance(response, omero.cmd.ERR):
        told = response.parameters or {}
        message = without_sessions(told.get("message") or told.get("stacktrace") or "")
        state = _state("error", step=int(status.currentStep), name=response.name, message=message)
        state |= explain(response.name, message)
        return _over(session, attempt, state | {"log": log_text(session, attempt.fileset)})
    return _over(session, attempt, _state("done", step=STEPS))


def gone() -> dict[str, Any]:
    """The import process is no more, and nothing can be asked of it."""
    return _state("gone")


def _state(state: str, *, step: int = 0, steps: int = STEPS, name: str = "", message: str = "") -> dict[str, Any]:
    return {"state": state, "step": step, "steps": steps, "name": name, "message": message, "log": ""}


def _over(session: OwnerSession, attempt: Attempt, state: dict[str, Any]) -> dict[str, Any]:
    """The server keeps handle and process until they are closed."""
    for proxy in (attempt.handle, attempt.process):
        with suppress(Exception):
            proxy.close()
    session.forget(attempt.id)
    return state


def log_text(session: OwnerSession, fileset: int) -> str:
    """The last whole lines of the server's log of that import; "" if it cannot be had, which is no reason to fail.

    OMERO writes there in which session each call came, and the answer goes where others can read it.
    """
    try:
        with calling("reading the import log"):
            rows = session.ask(queries.LOG_OF_FILESET, f=fileset)
            if not rows:
                return ""
            store = session.client.getSession().createRawFileStore()
            try:
                store.setFileId(int(rows[0][0]))
                size = store.size()
                start = max(0, size - LOG_BYTES)
                text = bytes(store.read(start, int(size - start))).decode("utf-8", "replace")
                return without_sessions(text.partition("\n")[2] if start else text)  # half an id would not be known as one
            finally:
                store.close()
    except DropboxImportError:
        return ""


def cancel(session: OwnerSession, attempt: Attempt) -> None:
    """Stops an upload between two blocks and closes the process. An import that runs in the server is not stopped by it."""
    attempt.cancelled.set()
    with attempt.lock:
        with suppress(Exception):
            attempt.process.close()
        session.forget(attempt.id)
