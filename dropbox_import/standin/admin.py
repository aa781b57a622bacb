"""IAdmin and IConfig: who is who, and the few settings that clients ask for."""

from __future__ import annotations

from typing import Any

import omero.api
import omero.clients
import omero.model
import omero.sys
from omero.rtypes import rlong, rstring, rtime

from dropbox_import.standin import trouble
from dropbox_import.standin.admin_changes import AdminChanges
from dropbox_import.standin.house import VERSION
from dropbox_import.standin.objects import Loader
from dropbox_import.standin.permissions import Caller
from dropbox_import.standin.schema import ENTITIES
from dropbox_import.standin.servants import Servant, operation
from dropbox_import.standin.store import now_ms


class AdminService(AdminChanges, omero.api.IAdmin):
    """Users, groups, and the caller's own context."""

    def _caller(self, current: Any) -> Caller:
        assert self.session is not None
        return self.house.sessions.caller(self.session, current.ctx)

    def _with_members(self, entity: str, row_id: int, current: Any) -> Any:
        """Loaded with its memberships, both sides of each loaded (read omero-server AdminImpl)."""
        loader = Loader(self.house, self._caller(current))
        found = loader.by_id(ENTITIES[entity], row_id)
        loader.fetch(found, ("groupExperimenterMap", "parent"))
        loader.fetch(found, ("groupExperimenterMap", "child"))
        return found

    @operation("recorded 03 createSessionWithTimeouts ctx; -1 in a context is assumed to show the session's group")
    def getEventContext(self, current: Any) -> Any:
        session = self.session
        assert session is not None
        caller = self._caller(current)
        group = caller.group if caller.group >= 0 else session.group
        name = self.house.store.where("ExperimenterGroup", id=group)[0]["name"]
        found = omero.sys.EventContext(
            shareId=-1,
            sessionId=session.row,
            sessionUuid=session.uuid,
            userId=caller.user,
            userName=caller.user_name,
            groupId=group,
            groupName=name,
            isAdmin=caller.is_admin,
            adminPrivileges=sorted(caller.privileges),
            eventId=-1,
            eventType="User",
            memberOfGroups=list(caller.member_of),
            leaderOfGroups=list(caller.leads),
            groupPermissions=omero.model.PermissionsI(caller.permissions_of(group)),
        )
        if session.sudoer is not None:
            found.sudoerId, found.sudoerName = rlong(session.sudoer.user), rstring(session.sudoer.name)
        return found

    @operation("read omero-blitz slice/omero/api/IAdmin.ice")
    def getSecurityRoles(self, current: Any) -> Any:
        return omero.sys.Roles(0, "root", 0, "system", 1, "user", 1, "guest", 2, "guest")

    def _named(self, entity: str, field: str, name: str, what: str, current: Any) -> Any:
        rows = self.house.store.where(entity, **{field: name})
        if not rows:
            raise trouble.usage(f"No such {what}: {name}")
        return self._with_members(entity, rows[0]["id"], current)

    @operation("read omero-blitz slice/omero/api/IAdmin.ice")
    def lookupExperimenter(self, name: str, current: Any) -> Any:
        return self._named("Experimenter", "omeName", name, "experimenter", current)

    @operation("read omero-blitz slice/omero/api/IAdmin.ice")
    def lookupGroup(self, name: str, current: Any) -> Any:
        return self._named("ExperimenterGroup", "name", name, "group", current)

    @operation("read omero-blitz slice/omero/api/IAdmin.ice")
    def getExperimenter(self, row_id: int, current: Any) -> Any:
        return self._named("Experimenter", "id", row_id, "experimenter", current)  # type: ignore[arg-type]

    @operation("read omero-blitz slice/omero/api/IAdmin.ice")
    def getGroup(self, row_id: int, current: Any) -> Any:
        return self._named("ExperimenterGroup", "id", row_id, "group", current)  # type: ignore[arg-type]

    @operation("read omero-blitz slice/omero/api/IAdmin.ice")
    def lookupExperimenters(self, current: Any) -> Any:
        return [self._with_members("Experimenter", row["id"], current) for row in self.house.store.where("Experimenter")]

    @operation("read omero-blitz slice/omero/api/IAdmin.ice")
    def lookupGroups(self, current: Any) -> Any:
        return [self._with_members("ExperimenterGroup", row["id"], current) for row in self.house.store.where("ExperimenterGroup")]

    @operation("read omero-blitz slice/omero/api/IAdmin.ice")
    def containedExperimenters(self, group: int, current: Any) -> Any:
        rows = self.house.store.where("GroupExperimenterMap", parent=group)
        return [self._with_members("Experimenter", row["child"], current) for row in rows]

    @operation("read omero-blitz slice/omero/api/IAdmin.ice")
    def containedGroups(self, user: int, current: Any) -> Any:
        rows = self.house.store.where("GroupExperimenterMap", child=user)
        return [self._with_members("ExperimenterGroup", row["parent"], current) for row in rows]

    @operation("read omero-blitz slice/omero/api/IAdmin.ice")
    def getDefaultGroup(self, user: int, current: Any) -> Any:
        return self._with_members("ExperimenterGroup", self.house.sessions.default_group(user), current)

    @operation("read omero-blitz slice/omero/api/IAdmin.ice")
    def getMemberOfGroupIds(self, user: Any, current: Any) -> Any:
        return [group for group, _ in self.house.sessions.groups_of(user.id.val)]

    @operation("read omero-blitz slice/omero/api/IAdmin.ice")
    def getLeaderOfGroupIds(self, user: Any, current: Any) -> Any:
        return [group for group, leads in self.house.sessions.groups_of(user.id.val) if leads]

    @operation("read omero-blitz slice/omero/api/IAdmin.ice")
    def getCurrentAdminPrivileges(self, current: Any) -> Any:
        return [self._privilege(name) for name in sorted(self._caller(current).privileges)]

    @operation("read omero-blitz slice/omero/api/IAdmin.ice")
    def getAdminPrivileges(self, user: Any, current: Any) -> Any:
        account = self.house.sessions.by_id.get(user.id.val)
        return [self._privilege(name) for name in sorted(account.privileges)] if account else []

    @staticmethod
    def _privilege(name: str) -> Any:
        found = omero.model.AdminPrivilegeI()
        found.setValue(rstring(name))
        return found


class ConfigService(Servant, omero.api.IConfig):
    """The few settings that a client reads."""

    @operation('read omero-py gateway/__init__.py:1516-2321: omero.router.insecure; "" for unknown keys')
    def getConfigValue(self, key: str, current: Any) -> str:
        if key == "omero.router.insecure" and self.house.tcp_port:
            return f"OMERO.Glacier2/router:tcp -p {self.house.tcp_port} -h @omero.host@"
        return ""

    @operation("recorded README.md deviation 4")
    def getVersion(self, current: Any) -> str:
        return VERSION

    @operation("read omero-blitz slice/omero/api/IAdmin.ice")
    def getDatabaseUuid(self, current: Any) -> str:
        return self.house.repository

    @operation("assumed empty")
    def getClientConfigDefaults(self, current: Any) -> Any:
        return {}

    @operation("assumed empty")
    def getClientConfigValues(self, current: Any) -> Any:
        return {}

    @operation("read IConfig.ice: milliseconds")
    def getServerTime(self, current: Any) -> Any:
        return rtime(now_ms())
