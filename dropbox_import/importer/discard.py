"""Taking a dead attempt out of OMERO again: its fileset, files and half-done images."""

from __future__ import annotations

from contextlib import suppress

import omero.cmd
import omero.cmd.graphs

from dropbox_import.errors import DropboxImportError, OutcomeUnknown, TryLater
from dropbox_import.importer import queries
from dropbox_import.importer.connection import ALL_GROUPS
from dropbox_import.importer.errors import WAITS, calling, with_effect, without_sessions
from dropbox_import.importer.fileset import TOKEN_NS
from dropbox_import.importer.sessions import OwnerSession

DELETE_SECONDS = 500.0
_PAUSE = 0.05
_LONGEST_PAUSE = 2.0


def discard(session: OwnerSession, fileset: int) -> None:
    """The fileset is gone when it returns, also if it was not there. Only a fileset of this owner that bears our token is touched."""
    if not _exists(session, fileset):
        return
    with calling("looking at a fileset before removing it"):
        tokens = session.ask(queries.TOKENS_OF_FILESET, f=fileset, ns=TOKEN_NS)
    if not tokens:
        raise DropboxImportError(
            f"The fileset {fileset} does not bear our mark, so it is not removed.",
            hint="Please report this fault of the program.",
            code="not-ours",
        )
    delete(session, "Fileset", fileset)
    if _exists(session, fileset):
        raise TryLater(f"OMERO still shows the fileset {fileset} after its removal.", hint=WAITS, code="delete-refused")


def _exists(session: OwnerSession, fileset: int) -> bool:
    with calling("looking for a fileset"):
        return bool(session.ask(queries.FILESET, f=fileset))


def delete(session: OwnerSession, kind: str, number: int, *, keep: str | None = None) -> None:
    """Delete one object with what hangs on it, but for things of the kind `keep`; wait for the end. One that is not there is fine."""
    options = [omero.cmd.graphs.ChildOption(excludeType=[keep])] if keep else None
    request = omero.cmd.Delete2(targetObjects={kind: [number]}, childOptions=options)
    with calling(f"removing {kind.lower()} {number}", changes=True):
        session.tell("discard")
        handle = session.client.getSession().submit(request, session.client.getContext(ALL_GROUPS))
        answer, waited, pause = handle.getResponse(), 0.0, _PAUSE
        while answer is None and waited < DELETE_SECONDS:
            session.clock.sleep(pause)
            waited, pause = waited + pause, min(pause * 1.5, _LONGEST_PAUSE)
            session.tell("discard")
            answer = handle.getResponse()
        if answer is None:
            # Not closed: that would cancel it (omero-blitz, HandleI.java), and one that takes longer than this would never be done.
            error = OutcomeUnknown(f"OMERO is still removing {kind.lower()} {number}.", hint=WAITS, code="delete-slow")
            raise with_effect(error, "unknown")
        with suppress(Exception):
            handle.close()
    if isinstance(answer, omero.cmd.ERR):
        said = without_sessions((answer.parameters or {}).get("message") or answer.name)
        raise TryLater(f"OMERO did not remove {kind.lower()} {number}: {said}", hint="Ask the OMERO administrator.", code="delete-refused")
