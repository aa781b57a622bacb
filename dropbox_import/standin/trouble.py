"""OMERO's exceptions, made with the words that a real server was seen to use (`tests/golden/`)."""

from __future__ import annotations

from typing import Any

import Ice
import omero
import omero.clients

JAVA = {
    "ValidationException": "ome.conditions.ValidationException",
    "SecurityViolation": "ome.conditions.SecurityViolation",
    "ApiUsageException": "ome.conditions.ApiUsageException",
    "ResourceError": "ome.conditions.ResourceError",
    "OptimisticLockException": "ome.conditions.OptimisticLockException",
    "SessionTimeoutException": "ome.conditions.SessionTimeoutException",
    "RemovedSessionException": "ome.conditions.RemovedSessionException",
    "QueryException": "ome.services.query.QueryException",
    "InternalException": "ome.conditions.InternalException",
}


FRAMES = (  # the door by which every call comes in, whatever went wrong in it (recorded 04 call_context_omero.group_priv)
    "IceInternal.Incoming.invoke(Incoming.java:212)",
    "Ice.ConnectionI.invokeAll(ConnectionI.java:2817)",
    "Ice.ConnectionI.dispatch(ConnectionI.java:1395)",
    "Ice.ConnectionI.message(ConnectionI.java:1306)",
    "IceInternal.ThreadPool.run(ThreadPool.java:394)",
)


def stack(head: str) -> str:
    """A Java stack trace that begins with that line."""
    return "\n".join((head, "\tat stand-in", *(f"\tat {frame}" for frame in FRAMES)))


def server_error(name: str, message: str) -> Any:
    """An `omero.<name>` with the class and the stack that Java would give."""
    java = JAVA[name]
    return getattr(omero, name)(stack(f"{java}: {message}"), java, message)


def validation(message: str) -> Any:
    return server_error("ValidationException", message)


def security(message: str) -> Any:
    return server_error("SecurityViolation", message)


def usage(message: str) -> Any:
    return server_error("ApiUsageException", message)


def resource(message: str) -> Any:
    return server_error("ResourceError", message)


def unknown(text: str) -> Any:
    """What a fault inside Java looks like from outside."""
    return Ice.UnknownException(unknown=text)


def null_pointer(what: str, where: str) -> Any:
    return unknown(f"java.lang.NullPointerException: {what}\n\tat {where}")


def no_row(java: str, row_id: int) -> Any:
    words = f"No row with the given identifier exists: [{java}#{row_id}]"
    return validation(f"{words}; nested exception is org.hibernate.ObjectNotFoundException: {words}")


def cannot_read(java: str, row_id: int) -> Any:
    return security(f"Cannot read {java}:Id_{row_id}")


def cannot_link(permissions: str, java: str, row_id: int) -> Any:
    return security(f"Group is {permissions}. Cannot link to object: {java}:Id_{row_id}")


def duplicate(java: str, table: str, constraint: str) -> Any:
    nested = f"nested exception is org.hibernate.exception.ConstraintViolationException: could not insert: [{java}]"
    return validation(f"could not insert: [{java}]; SQL [insert into {table} (...) values (...)]; constraint [{constraint}]; {nested}")


def bad_data(java: str, table: str) -> Any:
    nested = f"nested exception is org.hibernate.exception.DataException: could not insert: [{java}]"
    return validation(f"could not insert: [{java}]; SQL [insert into {table} (...) values (...)]; {nested}")


def gone(current: Any) -> Any:
    return Ice.ObjectNotExistException(current.id, current.facet, current.operation)


def flattened(error: Any) -> str:
    """How an exception inside an import reads in the answer's `message` (recorded 04 dataset_does_not_exist)."""
    kind = f"omero.{type(error).__name__}"
    stack = error.serverStackTrace.replace("\n", "\n                        ")
    return (
        f'{kind}\n    serverStackTrace = "{stack}"\n    serverExceptionClass = "{error.serverExceptionClass}"\n'
        f'    message = "{error.message}"\n'
    )
