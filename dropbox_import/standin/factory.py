"""ServiceFactory: what a logged-in client holds; it hands out the services."""

from __future__ import annotations

from typing import Any

import Glacier2  # noqa: F401
import omero.api
import omero.clients
import omero.cmd
import omero.grid
import omero.model

from dropbox_import.standin import trouble
from dropbox_import.standin.admin import AdminService, ConfigService
from dropbox_import.standin.delete import submit
from dropbox_import.standin.files import FileStore
from dropbox_import.standin.house import House
from dropbox_import.standin.objects import Loader
from dropbox_import.standin.query import QueryService
from dropbox_import.standin.repository import SharedResources
from dropbox_import.standin.schema import ENTITIES
from dropbox_import.standin.servants import Servant, operation
from dropbox_import.standin.session_service import SessionService
from dropbox_import.standin.sessions import Session
from dropbox_import.standin.update import UpdateService

STATEFUL = ("RawFileStore", "-ManagedImportProcessI")


class ServiceFactory(Servant, omero.api.ServiceFactory):
    """One for each client in a session."""

    def __init__(self, house: House, session: Session, client: str) -> None:
        super().__init__(house, session)
        self.mine = session
        self.client = client

    def _service(self, servant: type[Servant], interface: Any, name: str) -> Any:
        proxy = self.house.registry.add(servant(self.house, self.mine), self.client + name, self.mine.uuid)
        return interface.uncheckedCast(proxy)

    @operation("recorded 03")
    def getAdminService(self, current: Any) -> Any:
        return self._service(AdminService, omero.api.IAdminPrx, "omero.api.IAdmin")

    @operation("recorded 03")
    def getConfigService(self, current: Any) -> Any:
        return self._service(ConfigService, omero.api.IConfigPrx, "omero.api.IConfig")

    @operation("recorded 03")
    def getQueryService(self, current: Any) -> Any:
        return self._service(QueryService, omero.api.IQueryPrx, "omero.api.IQuery")

    @operation("recorded 09")
    def getUpdateService(self, current: Any) -> Any:
        return self._service(UpdateService, omero.api.IUpdatePrx, "omero.api.IUpdate")

    @operation("recorded 03")
    def getSessionService(self, current: Any) -> Any:
        return self._service(SessionService, omero.api.ISessionPrx, "omero.api.ISession")

    @operation("recorded 01; guests: 04 guest_import")
    def sharedResources(self, current: Any) -> Any:
        if self.mine.user_name == "guest":
            raise trouble.server_error("SecurityViolation", "Access denied to guest user: omero.grid.SharedResources")
        return self._service(SharedResources, omero.grid.SharedResourcesPrx, "omero.grid.SharedResources")

    @operation("read omero-blitz slice/omero/API.ice")
    def createRawFileStore(self, current: Any) -> Any:
        proxy = self.house.registry.add_new(FileStore(self.house, self.mine), "omero.api.RawFileStore", self.mine.uuid)
        return omero.api.RawFileStorePrx.uncheckedCast(proxy)

    @operation("read omero-blitz ServiceFactoryI.java:508-532: the server ignores it")
    def setCallback(self, callback: Any, current: Any) -> None:
        return None

    @operation("recorded 03 detachOnDestroy")
    def detachOnDestroy(self, current: Any) -> None:
        self.mine.detached.add(self.client)

    @operation("recorded 03 join after closeOnDestroy+close")
    def closeOnDestroy(self, current: Any) -> None:
        self.mine.detached.discard(self.client)

    @operation("recorded 13_autoclose_and_target_template.json services")
    def activeServices(self, current: Any) -> Any:
        return sorted(self.house.registry.of_category(self.mine.uuid))

    @operation("assumed from the Slice comment")
    def getByName(self, name: str, current: Any) -> Any:
        services = self.house.registry.of_category(self.mine.uuid)
        if name not in services:
            raise trouble.usage(f"No service with the name {name}")
        proxy = self.house.registry.add(services[name], name, self.mine.uuid)
        return omero.api.ServiceInterfacePrx.uncheckedCast(proxy)

    @operation("recorded 03 createSessionWithTimeouts sf.keepAlive")
    def keepAlive(self, proxy: Any, current: Any) -> bool:
        return proxy is not None and self.house.registry.find(proxy.ice_getIdentity()) is not None

    @operation("assumed: one bit for each proxy that is gone")
    def keepAllAlive(self, proxies: Any, current: Any) -> int:
        answer = 0
        for index, proxy in enumerate(proxies or []):
            if proxy is None or self.house.registry.find(proxy.ice_getIdentity()) is None:
                answer |= 1 << index
        return answer

    @operation("read omero-blitz slice/omero/API.ice")
    def getSecurityContexts(self, current: Any) -> Any:
        caller = self.house.sessions.caller(self.mine, {})
        return [Loader(self.house, caller).by_id(ENTITIES["ExperimenterGroup"], group) for group in caller.member_of]

    @operation("recorded 03 group_context, 15 group_owner_sudo")
    def setSecurityContext(self, wanted: Any, current: Any) -> Any:
        session = self.mine
        if session.group_sudo:
            raise trouble.security("Group-sudo session cannot change context!")
        open_now = [name for name in self.house.registry.of_category(session.uuid) if name.endswith(STATEFUL)]
        if open_now:
            listed = "\n".join(open_now)
            raise trouble.security(f"SecurityContext change cancelled:\n{session.uuid} has active stateful services:\n\n{listed}\n")
        caller = self.house.sessions.caller(session, {})
        group = wanted.id.val
        if group not in caller.member_of and not caller.is_admin:
            raise trouble.security(f"User {caller.user} is not a member of group {group}")
        before, session.group = session.group, group
        return omero.model.ExperimenterGroupI(before, False)

    @operation("recorded 09 delete_chgrp")
    def submit(self, request: Any, current: Any) -> Any:
        return submit(self.house, self.mine, request, current)

    @operation("assumed: Glacier2.Session.destroy is the router's")
    def destroy(self, current: Any) -> None:
        self.house.sessions.release(self.mine, self.client)
