"""Every exception of omero-py, Ice and Glacier2 as one of ours, with what it says about the call's effect."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import Glacier2
import Ice
import omero
import omero.clients  # which loads its exceptions

from dropbox_import.errors import (
    AccessDenied,
    ConfigError,
    DiskFull,
    DropboxImportError,
    NotAllowed,
    OutcomeUnknown,
    ServerUnavailable,
    TryLater,
)

Effect = Literal["none", "done", "unknown"]
WAITS = "Nothing is lost; it is tried again by itself."
_SESSION_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a foreign exception means. `refused` = the server did nothing, even if the call was to change something."""

    ours: type[DropboxImportError]
    code: str
    sentence: str
    hint: str = WAITS
    refused: bool = False


_LOST = Verdict(ServerUnavailable, "connection-lost", "The connection to OMERO was lost")
_SILENT = Verdict(ServerUnavailable, "no-answer", "OMERO did not answer in time")
_UNREACHABLE = Verdict(
    ServerUnavailable, "unreachable", "OMERO cannot be reached", "Is it running? Are host and port right? " + WAITS, True
)
_SESSION_GONE = Verdict(ServerUnavailable, "session-gone", "The OMERO session has ended", WAITS, True)
_BUSY = Verdict(ServerUnavailable, "busy", "OMERO is too busy for this now", WAITS, True)
_FAULT = Verdict(ServerUnavailable, "server-fault", "OMERO reported a fault of its own", "Blitz-0.log on the server says more. " + WAITS)
_TLS = Verdict(
    ConfigError,
    "certificate",
    "No secure connection to OMERO could be made",
    'Name the certificate that signs the server\'s in omero.ca_file, check omero.host and omero.port, or write "insecure: true".',
    True,
)
_LOGIN = Verdict(AccessDenied, "login", "OMERO refused the log-in", "Check omero.user, its password, and that it is active.", True)
_DENIED = Verdict(NotAllowed, "permission", "OMERO does not permit it", "Ask for the right in that group, or choose another target.", True)
_WRONG = Verdict(DropboxImportError, "refused", "OMERO refused a request as wrong", "Please report this fault of the program.", True)
_NO_SESSION = Verdict(ServerUnavailable, "no-session", "OMERO could not make a session", WAITS, True)
_NO_HOST = Verdict(ServerUnavailable, "unknown-host", "The name of the OMERO server is not known", "Check omero.host. " + WAITS, True)
_ADDRESS = Verdict(ConfigError, "host", "The address of the OMERO server cannot be used", "Check omero.host and omero.port.", True)
_CLIENT = Verdict(
    ServerUnavailable, "unreachable", "No session with OMERO could be made", "Is the server starting or stopping? " + WAITS, True
)
_FULL = Verdict(DiskFull, "server-disk-full", "The disk of the OMERO server is full", "Ask its administrator to make room. " + WAITS)
_STRANGER = Verdict(
    NotAllowed, "not-a-member", "The owner is not a member of that group", "Ask for membership, or name another group.", True
)
_DISK = Verdict(TryLater, "repository", "OMERO could not store a file", "Look at the disk of its repository. " + WAITS)
_SETUP = Verdict(ConfigError, "server-setup", "The server does not know this kind of request", "Ask the OMERO administrator.", True)

# Glacier2 hides the exception that the router raises behind a class of the same name
_SESSION_NOT_EXIST = next(kind for kind in Ice.UserException.__subclasses__() if kind.__name__ == "SessionNotExistException")

TABLE: dict[type[BaseException], Verdict] = {
    # the connection
    Ice.ConnectionRefusedException: _UNREACHABLE,
    Ice.ConnectFailedException: _UNREACHABLE,
    Ice.ConnectTimeoutException: _UNREACHABLE,
    Ice.DNSException: _NO_HOST,
    Ice.NoEndpointException: _SESSION_GONE,
    Ice.ConnectionLostException: _LOST,
    Ice.CloseConnectionException: _LOST,
    Ice.ForcedCloseConnectionException: _LOST,
    Ice.ConnectionTimeoutException: _LOST,
    Ice.CloseTimeoutException: _LOST,
    Ice.SyscallException: _LOST,
    Ice.CommunicatorDestroyedException: _LOST,
    Ice.ObjectAdapterDeactivatedException: _LOST,
    Ice.InvocationTimeoutException: _SILENT,
    Ice.InvocationCanceledException: _SILENT,
    Ice.TimeoutException: _SILENT,
    Ice.SecurityException: _TLS,
    Ice.ProtocolException: _LOST,
    Ice.PluginInitializationException: _TLS,
    Ice.InitializationException: _TLS,
    Ice.EndpointParseException: _ADDRESS,
    Ice.MarshalException: _WRONG,
    Ice.MemoryLimitException: _WRONG,
    Ice.OperationNotExistException: _SETUP,
    Ice.FacetNotExistException: _SESSION_GONE,
    Ice.ObjectNotExistException: _SESSION_GONE,
    Ice.RequestFailedException: _SESSION_GONE,
    Ice.UnknownLocalException: _LOST,
    Ice.UnknownUserException: _FAULT,
    Ice.UnknownException: _FAULT,
    Ice.LocalException: _FAULT,
    Ice.UserException: _FAULT,
    # log-in and sessions
    Glacier2.PermissionDeniedException: _LOGIN,
    Glacier2.CannotCreateSessionException: _NO_SESSION,
    Glacier2.SessionNotExistException: _SESSION_GONE,
    _SESSION_NOT_EXIST: _SESSION_GONE,
    omero.WrappedCreateSessionException: _NO_SESSION,
    omero.AuthenticationException: _NO_SESSION,
    omero.ExpiredCredentialException: _LOGIN,
    omero.SessionException: _SESSION_GONE,
    omero.RemovedSessionException: _SESSION_GONE,
    omero.SessionTimeoutException: _SESSION_GONE,
    omero.ShutdownInProgress: _LOST,
    omero.ClientError: _CLIENT,
    omero.CmdError: _FAULT,
    # answers
    omero.SecurityViolation: _DENIED,
    omero.GroupSecurityViolation: _DENIED,
    omero.ReadOnlyGroupSecurityViolation: _DENIED,
    omero.PermissionMismatchGroupSecurityViolation: _DENIED,
    omero.ApiUsageException: _WRONG,
    omero.QueryException: _WRONG,
    omero.ValidationException: _WRONG,
    omero.FilePathNamingException: Verdict(DropboxImportError, "file-name", "OMERO refused the name of a file", "Rename the file.", True),
    omero.ChecksumValidationException: Verdict(TryLater, "checksum", "What OMERO stored is not what was sent", WAITS, True),
    omero.OverUsageException: Verdict(ServerUnavailable, "too-many-open", "The OMERO session holds too many open things", WAITS, True),
    omero.UnloadedEntityException: _WRONG,
    omero.UnloadedCollectionException: _WRONG,
    # later
    omero.ConcurrencyException: _BUSY,
    omero.ConcurrentModification: _BUSY,
    omero.DatabaseBusyException: _BUSY,
    omero.LockTimeout: Verdict(ServerUnavailable, "busy", "OMERO is too busy for this now"),
    omero.MissingPyramidException: _BUSY,
    omero.OptimisticLockException: _BUSY,
    omero.TryAgain: _BUSY,
    omero.InternalException: _FAULT,
    omero.ServerError: _FAULT,
    omero.ResourceError: _DISK,
    omero.NoProcessorAvailable: _BUSY,
    omero.OmeroFSError: _DISK,
    omero.grid.RepositoryException: _DISK,
    omero.grid.FileDeleteException: _DISK,
    omero.grid.UnregisteredFileException: _DISK,
}


def without_sessions(text: str) -> str:
    """What the server said, with no session id in it: who has one is its owner until that session ends."""
    return _SESSION_ID.sub("<session>", text)


def words(error: BaseException) -> str:
    """What the server said, in one line of at most 300 characters, with no session id in it."""
    said = getattr(error, "message", None) or getattr(error, "reason", None) or getattr(error, "unknown", None) or ""
    if not said and not isinstance(error, Ice.Exception):
        said = str(error)
    lines = str(said).strip().splitlines()
    return without_sessions(lines[0])[:300] if lines else ""  # in this order: an id that is cut would not be known as one


def _everything(error: BaseException) -> str:
    return " ".join(str(getattr(error, name, "") or "") for name in ("message", "reason", "unknown", "serverStackTrace"))


def verdict_of(error: BaseException) -> Verdict | None:
    """The table's entry, made finer by what the server said; None for an exception that is not of OMERO or Ice."""
    found = next((TABLE[kind] for kind in type(error).__mro__ if kind in TABLE), None)
    if found is None:
        return None
    said = _everything(error)
    if "No space left" in said or "Disk quota exceeded" in said:
        return _FULL
    if isinstance(error, Glacier2.PermissionDeniedException) and "internal" in said.lower():
        return _FAULT
    if isinstance(error, omero.WrappedCreateSessionException):
        if "Can't find default group" in said:
            return _SESSION_GONE
        return _BUSY if error.concurrency else found
    if isinstance(error, omero.InternalException) and "Failed to execute" in said:
        return _BUSY
    if isinstance(error, Ice.ProtocolException) and "outgoing connection" in said:
        return _TLS
    if isinstance(error, Ice.UnknownException) and ("SessionTimeoutException" in said or "RemovedSessionException" in said):
        return _SESSION_GONE
    if isinstance(error, omero.SecurityViolation) and "cannot login" in said:
        return _STRANGER
    return found


def with_effect(error: DropboxImportError, effect: Effect) -> DropboxImportError:
    """`error`, telling whether the call that failed took effect."""
    vars(error)["effect"] = effect
    return error


def effect_of(error: BaseException) -> Effect:
    value: Effect = vars(error).get("effect", "none")
    return value


def of_omero(error: BaseException) -> bool:
    """Whether OMERO raised what this is about, and not we."""
    return "effect" in vars(error)


def as_ours(error: BaseException, doing: str, *, changes: bool = False) -> DropboxImportError | None:
    """Our exception for `error`, raised while `doing` (a phrase, "making the dataset"); None if it is not OMERO's or Ice's.

    A call that `changes` something and was not plainly refused has an unknown outcome.
    """
    if isinstance(error, DropboxImportError):
        return error
    verdict = verdict_of(error)
    if verdict is None:
        return None
    said = words(error)
    sentence = f"{verdict.sentence} while {doing}" + (f": {said}" if said else ".")
    effect: Effect = "unknown" if changes and not verdict.refused else "none"
    ours = OutcomeUnknown if effect == "unknown" and verdict.ours is not DiskFull else verdict.ours
    return with_effect(ours(sentence, hint=verdict.hint, code=verdict.code), effect)


@contextmanager
def calling(doing: str, *, changes: bool = False) -> Iterator[None]:
    """Around calls to the server: what leaves it is ours. See `as_ours`."""
    try:
        yield
    except DropboxImportError:
        raise
    except Exception as error:
        ours = as_ours(error, doing, changes=changes)
        if ours is None:
            raise
        raise ours from _without_secrets(error)


def _without_secrets(error: BaseException) -> Any:
    """The cause to keep: Ice prints every field of an exception, so one whose text names a session is dropped."""
    return None if _SESSION_ID.search(str(error)) else error
