"""The front door: Glacier2's router. One session for each connection; it is let go when the connection closes."""

from __future__ import annotations

import logging
import threading
from typing import Any

import Glacier2
import Ice

from dropbox_import.standin import trouble
from dropbox_import.standin.factory import ServiceFactory
from dropbox_import.standin.house import House
from dropbox_import.standin.servants import Servant, operation
from dropbox_import.standin.sessions import Session
from dropbox_import.standin.sources import note

LOG = logging.getLogger("standin")
ROUTER = Ice.Identity("router", "OMERO.Glacier2")
note("Locator.locate", "read omero-blitz SessionManagerI.java:207-213: a client reaches only its own session's categories")
note("Closing.closed", "recorded 06_connection_loss_resume_timeouts.json: a lost connection ends what is not detached within half a second")


class Closing(Ice.ConnectionCallback):
    """Told by Ice when a connection is gone."""

    def __init__(self, router: Router, key: str) -> None:
        self.router = router
        self.key = key

    def heartbeat(self, con: Any) -> None:
        """Nothing to do: only calls count as use."""

    def closed(self, con: Any) -> None:
        try:
            self.router.forget(self.key)
        except Exception:
            LOG.exception("closing %s", self.key)


class Router(Servant, Glacier2.Router):
    """Log-in, and which client is behind which connection."""

    keeps_session_alive = False

    def __init__(self, house: House) -> None:
        super().__init__(house, None)
        self._clients: dict[str, tuple[Session, str]] = {}
        self._lock = threading.Lock()

    @staticmethod
    def key(con: Any) -> str:
        info = con.getInfo()
        underlying = getattr(info, "underlying", None) or info
        return f"{underlying.remoteAddress}:{underlying.remotePort}>{underlying.localPort}"

    def client_of(self, con: Any) -> tuple[Session, str] | None:
        return self._clients.get(self.key(con))

    def forget(self, key: str) -> None:
        with self._lock:
            found = self._clients.pop(key, None)
        if found is not None:
            session, client = found
            self.house.clients.pop(client, None)
            self.house.sessions.release(session, client)

    @operation("recorded 03_login_sessions.json")
    def createSession(self, name: str, password: str, current: Any) -> Any:
        client = current.ctx.get("omero.client.uuid", "")
        if not client:
            raise Glacier2.CannotCreateSessionException("No omero.client.uuid")
        session = self.house.sessions.log_in(name, password, current.ctx.get("omero.agent", "OMERO.py"))
        key = self.key(current.con)
        with self._lock:
            self._clients[key] = (session, client)
        self.house.clients[client] = session
        current.con.setCallback(Closing(self, key))
        proxy = self.house.registry.add(ServiceFactory(self.house, session, client), session.uuid, f"session-{client}")
        return Glacier2.SessionPrx.uncheckedCast(proxy)

    @operation("assumed: no client certificates")
    def createSessionFromSecureConnection(self, current: Any) -> Any:
        raise Glacier2.PermissionDeniedException("no client certificates")

    @operation("recorded 03_login_sessions.json joinSession refs after")
    def destroySession(self, current: Any) -> None:
        if self.client_of(current.con) is None:
            raise Glacier2.SessionNotExistException
        self.forget(self.key(current.con))

    @operation("read Glacier2 Router.ice")
    def refreshSession(self, current: Any) -> None:
        if self.client_of(current.con) is None:
            raise Glacier2.SessionNotExistException

    @operation("read omero-py clients.py:567-679")
    def getClientProxy(self, current: Any) -> Any:
        return None

    @operation("read omero-py clients.py:567-679")
    def getServerProxy(self, current: Any) -> Any:
        return current.adapter.createProxy(Ice.Identity("dummy", self._category(current)))

    @operation("read omero-py clients.py:567-679")
    def getCategoryForClient(self, current: Any) -> str:
        return self._category(current)

    def _category(self, current: Any) -> str:
        return f"client-{self.key(current.con)}"

    @operation("read omero-py clients.py:567-679")
    def addProxies(self, proxies: Any, current: Any) -> Any:
        return []

    @operation("read omero-py clients.py:567-679")
    def addProxy(self, proxy: Any, current: Any) -> None:
        return None

    @operation("read openmicroscopy etc/templates/grid/templates.xml: Glacier2.SessionTimeout")
    def getSessionTimeout(self, current: Any) -> int:
        return 600

    @operation("read Glacier2 Router.ice")
    def getACMTimeout(self, current: Any) -> int:
        return 60


class Locator(Ice.ServantLocator):
    """Finds the servant of a call, if this connection may reach it."""

    def __init__(self, house: House, router: Router) -> None:
        self.house = house
        self.router = router

    def locate(self, current: Any) -> Any:
        if current.id == ROUTER:
            return self.router
        client = self.router.client_of(current.con)
        if client is None:
            raise trouble.gone(current)
        session, uuid = client
        if current.id.category not in ("", session.uuid, f"session-{uuid}"):
            raise trouble.gone(current)
        found = self.house.registry.find(current.id)
        if found is None:
            self.house.faults.log(current.operation, current.id.name, session.user_name)
        return found

    def finished(self, current: Any, servant: Any, cookie: Any) -> None:
        """Nothing is kept between locate and here."""

    def deactivate(self, category: str) -> None:
        """Nothing to give back."""
