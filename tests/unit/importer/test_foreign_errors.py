"""Every exception that omero-py, Ice or Glacier2 can raise becomes one of ours, with a plain sentence and no secret in it."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest

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
from tests.unit.importer.foreign import Glacier2, Ice, errors, omero

UUID = "f69fc306-602b-453a-a123-d955e1734c97"


def _below(kind: type[BaseException]) -> set[type[BaseException]]:
    return {kind}.union(*(_below(child) for child in kind.__subclasses__()))


def _foreign() -> list[type[BaseException]]:
    """Ice's own through their bases; every one of omero and Glacier2 must be in the table by itself."""
    found = {kind for kind in _below(Ice.UserException) if kind.__module__.split(".")[0] in ("omero", "Glacier2")}
    modules = [module for name, module in sys.modules.items() if name.split(".")[0] == "omero" and isinstance(module, ModuleType)]
    for module in modules:
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, Exception) and value.__module__.split(".")[0] == "omero":
                found.add(value)
    return sorted(found, key=lambda kind: kind.__name__)


def _made(kind: type[BaseException], **fields: Any) -> BaseException:
    """As a server sends it: every field is set, without which Ice cannot turn it into text on each Python."""
    return kind(**fields)


@pytest.mark.parametrize("kind", _foreign(), ids=lambda kind: kind.__name__)
def test_every_exception_of_omero_is_mapped_by_itself(kind: type[BaseException]) -> None:
    assert kind in errors.TABLE


@pytest.mark.parametrize("kind", sorted(_below(Ice.LocalException), key=lambda kind: kind.__name__), ids=lambda kind: kind.__name__)
def test_every_exception_of_ice_is_mapped(kind: type[BaseException]) -> None:
    ours = errors.as_ours(_made(kind), "trying")
    assert isinstance(ours, DropboxImportError)
    assert ours.sentence.endswith(".") or ":" in ours.sentence
    assert ours.hint


def test_an_exception_of_somebody_else_is_not_ours() -> None:
    assert errors.as_ours(KeyError("x"), "trying") is None
    with pytest.raises(KeyError), errors.calling("trying"):
        raise KeyError("x")


@pytest.mark.parametrize(
    ("error", "ours", "code"),
    [
        (_made(Glacier2.PermissionDeniedException, reason="Password check failed for 'importer': [id=2]"), AccessDenied, "login"),
        (
            _made(Glacier2.PermissionDeniedException, reason="Internal error. Please contact your administrator"),
            ServerUnavailable,
            "server-fault",
        ),
        (_made(omero.WrappedCreateSessionException, reason="x", concurrency=True), ServerUnavailable, "busy"),
        (
            _made(omero.WrappedCreateSessionException, reason=f"Can't find default group for {UUID}", concurrency=False),
            ServerUnavailable,
            "session-gone",
        ),
        (_made(omero.SecurityViolation, message="User 4 is not a member of group 3 and cannot login"), NotAllowed, "not-a-member"),
        (_made(omero.SecurityViolation, message="Group is rwr---. Cannot link to object"), NotAllowed, "permission"),
        (_made(omero.ResourceError, message="java.io.IOException: No space left on device"), DiskFull, "server-disk-full"),
        (_made(omero.InternalException, message="Failed to execute after 3600000ms"), ServerUnavailable, "busy"),
        (_made(Ice.UnknownException, unknown="omero.SessionTimeoutException"), ServerUnavailable, "session-gone"),
        (
            _made(Ice.SecurityException, reason="IceSSL: certificate verification failed: self-signed certificate"),
            ConfigError,
            "certificate",
        ),
        (omero.ClientError("Obtained null object prox"), ServerUnavailable, "unreachable"),
        (_made(omero.ChecksumValidationException, message="A checksum mismatch has occurred."), TryLater, "checksum"),
    ],
)
def test_what_the_server_says_decides(error: BaseException, ours: type[DropboxImportError], code: str) -> None:
    found = errors.as_ours(error, "trying")
    assert type(found) is ours
    assert found.kind == code


def test_a_lost_connection_leaves_a_change_unknown_and_a_question_without_effect() -> None:
    with pytest.raises(OutcomeUnknown) as lost, errors.calling("making the dataset", changes=True):
        raise _made(Ice.ConnectionLostException, error=0)
    assert errors.effect_of(lost.value) == "unknown"
    with pytest.raises(ServerUnavailable) as asked, errors.calling("asking"):
        raise _made(Ice.ConnectionLostException, error=0)
    assert errors.effect_of(asked.value) == "none"


def test_a_refused_change_had_no_effect() -> None:
    with pytest.raises(NotAllowed) as refused, errors.calling("linking", changes=True):
        raise _made(omero.SecurityViolation, message="Cannot link to object")
    assert errors.effect_of(refused.value) == "none"


def test_no_session_id_is_told() -> None:
    cause = _made(Glacier2.PermissionDeniedException, reason=f"Password check failed for '{UUID}': []")
    with pytest.raises(AccessDenied) as denied, errors.calling("joining"):
        raise cause
    assert UUID not in denied.value.sentence
    assert denied.value.__cause__ is None


@pytest.mark.parametrize("before", range(264, 301, 6))
def test_no_session_id_is_told_in_part_where_a_long_text_is_cut(before: int) -> None:
    assert UUID[:4] not in errors.words(_made(omero.ServerError, message=f"{'x' * before}{UUID}/IHandle"))
