"""ISession: sessions made for others (sudo), looked at, closed."""

from __future__ import annotations

from typing import Any

import omero
import omero.api
import omero.clients
import omero.model
from omero.rtypes import rlong, rstring, rtime

from dropbox_import.standin import trouble
from dropbox_import.standin.accounts import Account
from dropbox_import.standin.servants import Servant, operation
from dropbox_import.standin.sessions import Session
from dropbox_import.standin.sources import behaviour

EVENT_TYPES = frozenset("User Internal Test Task Import Export Processing Bootstrap Shell FullText Sessions PixelData".split())


class SessionService(Servant, omero.api.ISession):
    """Sudo is for administrators with that privilege, and for owners of a group within it."""

    def _described(self, session: Session) -> Any:
        found = omero.model.SessionI(session.row, True)
        found._uuid = rstring(session.uuid)
        found._timeToIdle, found._timeToLive = rlong(session.idle_ms), rlong(session.live_ms)
        found._started = rtime(session.started)
        found._owner = omero.model.ExperimenterI(session.account.user, False)
        row = self.house.store.row("Session", session.row) or {}
        found._userAgent, found._message = rstring(row.get("userAgent") or ""), rstring(row.get("message") or "")
        found._defaultEventType = rstring("User")
        if session.sudoer is not None:
            found._sudoer = omero.model.ExperimenterI(session.sudoer.user, False)
        found.unloadCollections()
        return found

    @behaviour("recorded 03_login_sessions.json sudo, 15 group_owner_sudo, 17 sessions made by a light administrator")
    def _sudo(self, principal: Any, live_ms: int, idle_ms: int, current: Any) -> Any:
        assert self.session is not None
        caller = self.house.sessions.caller(self.session, current.ctx)
        me = self.house.sessions.by_id[caller.user]
        wanted = None
        if principal.group not in (None, "", "user"):
            wanted = self.house.sessions.group_by_name(principal.group)
            if wanted is None:
                raise omero.AuthenticationException("Error creating session.")
        if "Sudo" not in caller.privileges:
            group = wanted["id"] if wanted else self.session.group
            if group not in caller.leads:
                name = self.house.store.where("ExperimenterGroup", id=group)[0]["name"]
                raise trouble.security(f"Group sudo is not permitted for group {name} (gid={group})")
        target: Account | None = self.house.sessions.accounts.get(principal.name)
        if target is None:
            raise trouble.server_error("RemovedSessionException", f"Cannot find a user with name {principal.name}")
        if (principal.eventType or "User") not in EVENT_TYPES:
            raise omero.AuthenticationException("Error creating session.")
        group = wanted["id"] if wanted else self.house.sessions.default_group(target.user)
        session = self.house.sessions.open(
            target, group, idle_ms, live_ms, agent="OMERO.sudo", sudoer=me, group_sudo="Sudo" not in caller.privileges
        )
        return self._described(session)

    @operation("recorded 03 createSessionWithTimeouts")
    def createSessionWithTimeouts(self, principal: Any, live_ms: int, idle_ms: int, current: Any) -> Any:
        return self._sudo(principal, live_ms, idle_ms, current)

    @operation("read omero-server SessionManagerImpl.java:234-266: timeToIdle becomes 0")
    def createSessionWithTimeout(self, principal: Any, live_ms: int, current: Any) -> Any:
        return self._sudo(principal, live_ms, 0, current)

    @operation("read omero-blitz slice/omero/api/ISession.ice; words assumed")
    def getSession(self, uuid: str, current: Any) -> Any:
        session = self.house.sessions.find(uuid)
        if session is None:
            raise trouble.server_error("RemovedSessionException", f"No session with uuid: {uuid}")
        return self._described(session)

    @operation("recorded 03 joinSession refs")
    def getReferenceCount(self, uuid: str, current: Any) -> int:
        session = self.house.sessions.find(uuid)
        return session.count if session is not None else -1

    @operation("recorded 17 closeSession by the service account; that others may not is assumed")
    def closeSession(self, wanted: Any, current: Any) -> int:
        assert self.session is not None
        session = self.house.sessions.find(wanted.uuid.val if wanted.uuid is not None else "")
        if session is None:
            return -2
        caller = self.house.sessions.caller(self.session, current.ctx)
        mine = caller.user in (session.account.user, session.sudoer.user if session.sudoer else -1)
        if not mine and not caller.is_admin:
            raise trouble.security("Cannot close the session of another user")
        return self.house.sessions.release(session)

    @operation("recorded 17 getMyOpenAgentSessions")
    def getMyOpenSessions(self, current: Any) -> Any:
        return [self._described(session) for session in self._mine()]

    @operation("recorded 17 getMyOpenAgentSessions")
    def getMyOpenAgentSessions(self, agent: str, current: Any) -> Any:
        found = [self._described(session) for session in self._mine()]
        return [session for session in found if session.userAgent.val == agent]

    def _mine(self) -> list[Session]:
        assert self.session is not None
        return self.house.sessions.mine(self.session.account.user)
