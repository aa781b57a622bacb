"""The base of everything that answers a call: one way in, where calls are logged, faults strike and errors are shaped."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import Glacier2
import Ice

from dropbox_import.standin import trouble
from dropbox_import.standin.sources import note

if TYPE_CHECKING:
    from dropbox_import.standin.house import House
    from dropbox_import.standin.sessions import Session

LOG = logging.getLogger("standin")
Function = TypeVar("Function", bound=Callable[..., Any])


def operation(source: str) -> Callable[[Function], Function]:
    """Marks a method as a Slice operation, with the source of its behaviour (see `sources`)."""

    def mark(function: Function) -> Function:
        function.__source__ = source  # type: ignore[attr-defined]
        return function

    return mark


class Servant:
    """Mixed in before a Slice interface. Its operations are plain methods `op(self, ..., current)` marked with `operation`.

    Ice dispatches an `amd` operation to `op_async(cb, ...)` and any other to `op(...)`; both are made here.
    """

    keeps_session_alive = True

    def __init__(self, house: House, session: Session | None) -> None:
        self.house = house
        self.session = session

    def disk_full(self, *given: Any) -> None:
        """A fault makes this call fail for want of space; what is broken by it from then on."""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for name, function in list(vars(cls).items()):
            source = getattr(function, "__source__", None)
            if source is not None:
                note(f"{cls.__name__}.{name}", source)
                setattr(cls, name, _plain(name, function))
                setattr(cls, f"{name}_async", _answering(name, function))
        for attribute in dir(cls):
            name = attribute.removeprefix("_op_")
            ours = any(name in vars(each) for each in cls.__mro__ if issubclass(each, Servant))
            if name != attribute and not name.startswith("ice_") and not ours:
                setattr(cls, name, _plain(name, _not_known(name)))
                setattr(cls, f"{name}_async", _answering(name, _not_known(name)))


def _not_known(name: str) -> Callable[..., Any]:
    """For an operation of the interface that the stand-in does not have: Ice itself would leave its caller waiting for ever."""

    def refuse(self: Servant, *given: Any) -> Any:
        LOG.warning("the stand-in does not know %s.%s", type(self).__name__, name)
        current = given[-1]
        raise Ice.OperationNotExistException(current.id, current.facet, current.operation)

    return refuse


def _plain(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def call(self: Servant, *given: Any) -> Any:
        return through(self, name, given, lambda: function(self, *given))

    call.__doc__ = function.__doc__
    call.__wrapped__ = function  # type: ignore[attr-defined]
    return call


def _answering(name: str, function: Callable[..., Any]) -> Callable[..., None]:
    # an answer of no value and an answer of null are different things to Ice, and it does not check
    void = function.__annotations__.get("return") == "None"

    def call(self: Servant, cb: Any, *given: Any) -> None:
        try:
            answer = through(self, name, given, lambda: function(self, *given))
        except Exception as error:  # every error is the caller's to see
            cb.ice_exception(error)
            return
        if void:
            cb.ice_response()
        else:
            cb.ice_response(answer)

    return call


def through(servant: Servant, name: str, given: tuple[Any, ...], effect: Callable[[], Any]) -> Any:
    """One call: logged, struck by a fault if a test wants so, refused if its session is over, then done."""
    current = given[-1]
    house = servant.house
    session = servant.session
    identity = current.id.name
    house.faults.log(name, identity, session.user_name if session else "")
    rule = house.faults.strike(name)
    late = False
    if rule is not None:
        LOG.info("fault %s strikes %s", rule.do, name)
        if rule.do in ("cut-before", "late"):
            current.con.close(True)
            if rule.do == "cut-before":
                raise trouble.unknown("connection cut")
            late = True
            house.faults.wait(rule.seconds)
        elif rule.do == "hang":
            house.faults.stopping.wait()
            raise trouble.unknown("hung")
        elif rule.do == "delay":
            house.faults.wait(rule.seconds)
        elif rule.do == "error":
            raise trouble.unknown("java.lang.IllegalStateException: a fault was asked for\n\tat stand-in")
        elif rule.do == "disk-full":
            servant.disk_full(*given)
            raise trouble.resource("No space left on device")
        elif rule.do == "refuse":
            raise Glacier2.PermissionDeniedException("Internal error. Please contact your administrator:\n a fault was asked for")
        elif rule.do == "end-session" and session is not None:
            house.sessions.close(session, "ended by a fault")
            raise trouble.gone(current)
    if session is not None and servant.keeps_session_alive and not late:
        session.touch(name)
    try:
        answer = effect()
    except (Ice.Exception, ArithmeticError) as error:
        if isinstance(error, Ice.Exception):
            raise
        raise trouble.unknown(repr(error)) from error
    except Exception as error:
        LOG.exception("%s failed in the stand-in", name)
        raise trouble.unknown(f"stand-in: {type(error).__name__}: {error}") from error
    if rule is not None and rule.do == "cut-after":
        current.con.close(True)
    return answer


class Registry:
    """All servants by identity; the adapter's locator asks here."""

    def __init__(self, adapter: Any) -> None:
        self._adapter = adapter
        self._servants: dict[tuple[str, str], Any] = {}
        self._lock = threading.Lock()

    def add(self, servant: Any, name: str, category: str) -> Any:
        """Registers, or keeps the one that is there; answers an untyped proxy."""
        with self._lock:
            self._servants.setdefault((category, name), servant)
        return self._adapter.createProxy(Ice.Identity(name, category))

    def add_new(self, servant: Any, suffix: str, category: str, prefix: str = "") -> Any:
        return self.add(servant, f"{prefix}{uuid.uuid4()}{suffix}", category)

    def find(self, identity: Any) -> Any:
        return self._servants.get((identity.category, identity.name))

    def remove(self, identity: Any) -> None:
        with self._lock:
            self._servants.pop((identity.category, identity.name), None)

    def of_category(self, category: str) -> dict[str, Any]:
        with self._lock:
            return {name: servant for (found, name), servant in self._servants.items() if found == category}

    def remove_category(self, category: str, prefix: str = "") -> None:
        with self._lock:
            for key in [key for key in self._servants if key[0] == category and key[1].startswith(prefix)]:
                del self._servants[key]
