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
    from dropbox_import.standin.faults import Rule
    from dropbox_import.standin.house import House
    from dropbox_import.standin.sessions import Session

LOG = logging.getLogger("standin")
note(
    "Servant.through",
    "assumed: a call that waits in the server while its session is ended by closeSession is refused, as ObjectNotExistException",
)
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

    def corrupt(self) -> None:
        """A fault has other bytes stored than those of this call."""

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
            cb.ice_exception(error if isinstance(error, Ice.Exception) else trouble.unknown(repr(error)))
            return
        if void:
            cb.ice_response()
        else:
            cb.ice_response(answer)

    return call


def through(servant: Servant, name: str, given: tuple[Any, ...], effect: Callable[[], Any]) -> Any:
    """One call: logged, struck by a fault if a test wants so, refused if its session is over, then done."""
    current, house = given[-1], servant.house
    session = servant.session or house.sessions.find(current.ctx.get("omero.session.uuid", ""))
    # a log-in with the uuid of an open session is a call of its user
    entered = session or (house.sessions.find(given[0]) if name == "createSession" else None)
    user = entered.user_name if entered else ""
    number = house.faults.log(name, current.id.name, user)
    try:
        with house.faults.watch.call(number, name):
            return _through(servant, session, name, given, effect, user)
    finally:
        house.faults.answered(name, user)


def _through(servant: Servant, session: Session | None, name: str, given: tuple[Any, ...], effect: Callable[[], Any], user: str) -> Any:
    current, house = given[-1], servant.house
    rule = house.faults.strike(name, user)
    if house.faults.dark:
        if rule is not None and rule.do == "blackout":
            house.faults.came_about(rule, name, user)
        current.con.close(True)
        raise trouble.unknown("connection cut")
    late = _strike(rule, servant, session, given, user) if rule is not None else False
    try:
        if rule is not None and session is not None and session.closed:
            raise trouble.gone(current)
        if servant.session is not None and servant.keeps_session_alive and not late:
            servant.session.touch(name)
        answer = effect()
    except Ice.Exception:
        _after(rule, servant, name, given, user)
        raise
    except Exception as error:
        LOG.exception("%s failed in the stand-in", name)
        raise trouble.unknown(f"stand-in: {type(error).__name__}: {error}") from error
    finally:
        if late and session is not None:
            house.sessions.release(session)
    _after(rule, servant, name, given, user)
    return answer


def _after(rule: Rule | None, servant: Servant, name: str, given: tuple[Any, ...], user: str) -> None:
    """What the fault does with an answer, be it an exception."""
    if rule is not None and rule.do == "cut-after":
        servant.house.faults.came_about(rule, name, user)
        given[-1].con.close(True)


def _strike(rule: Rule, servant: Servant, session: Session | None, given: tuple[Any, ...], user: str) -> bool:
    """What the fault does before the call. True: the connection is gone, and the effect comes late."""
    current, house = given[-1], servant.house
    LOG.info("fault %s strikes %s", rule.do, current.operation)
    if rule.do != "cut-after" and (rule.do != "end-session" or session is not None):  # the first comes about with the answer
        house.faults.came_about(rule, current.operation, user)
    match rule.do:
        case "cut-before":
            current.con.close(True)
            raise trouble.unknown("connection cut")
        case "late":
            if session is not None:
                house.sessions.hold(session)  # a call that is inside the server keeps what it works with
            current.con.close(True)
            if rule.until:
                house.faults.wait_for(rule.until, user, rule.seconds)
            else:
                house.faults.wait(rule.seconds)
            return True
        case "hang":
            house.faults.stopping.wait()
            raise trouble.unknown("hung")
        case "delay":
            house.faults.wait(rule.seconds)
        case "error":
            raise trouble.unknown("java.lang.IllegalStateException: a fault was asked for\n\tat stand-in")
        case "disk-full":
            servant.disk_full(*given)
            raise trouble.resource("No space left on device")
        case "no-hash":
            servant.disk_full(*given)
        case "corrupt":
            servant.corrupt()
        case "refuse":
            raise Glacier2.PermissionDeniedException("Internal error. Please contact your administrator:\n a fault was asked for")
        case "end-session" if session is not None:
            house.sessions.close(session, "ended by a fault")
            raise trouble.gone(current)
    return False


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
