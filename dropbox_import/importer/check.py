"""What `check` tells an administrator about the server and the service account."""

from __future__ import annotations

from typing import Any

from dropbox_import.clock import Clock
from dropbox_import.importer import queries
from dropbox_import.importer.connection import ServerConfig, ask, own_rights, service_login
from dropbox_import.importer.errors import calling


def check(config: ServerConfig, clock: Clock) -> dict[str, Any]:
    """Logs in once. `clock_skew` is the server's clock minus ours, in seconds; it includes the time that the log-in took."""
    before = clock.now().timestamp()
    with service_login(config) as client, own_rights(config), calling("asking OMERO who we are"):
        after = clock.now().timestamp()
        context = client.getSession().getAdminService().getEventContext()
        version = client.getSession().getConfigService().getVersion()
        rows = ask(client, queries.SESSION_BY_ID, i=context.sessionId)
    started = rows[0][2] / 1000 if rows and rows[0][2] else None
    skew = 0.0 if started is None or before <= started <= after else min(started - before, started - after, key=abs)
    return {
        "server": str(version),
        "user": str(context.userName),
        "user_id": int(context.userId),
        "admin": bool(context.isAdmin),
        "privileges": sorted(str(each) for each in context.adminPrivileges or ()),
        "clock_skew": round(skew, 1),
    }
