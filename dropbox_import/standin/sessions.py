"""Sessions: made by a log-in or by sudo, counted by their clients, ended by time, by their last client or by order."""

from __future__ import annotations

import threading
import time
import uuid as uuids
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import Glacier2
import omero

from dropbox_import.standin import trouble
from dropbox_import.standin.accounts import SYSTEM, USER, Account, read
from dropbox_import.standin.house import House
from dropbox_import.standin.permissions import ALL_GROUPS, Caller
from dropbox_import.standin.sources import behaviour
from dropbox_import.standin.store import now_ms

DEFAULT_IDLE_MS = 600_000
# recorded 03: these answer a time-out as a fault of Java, the others as the exception itself
_UNTYPED = ("getQueryService", "getUploader", "verifyUpload", "getAdminService", "getUpdateService", "getSessionService", "sharedResources")


def java_time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]


@dataclass(slots=True)
class Session:
    """One OMERO session. `count` is how many hold it; a sudo session starts with one that no client holds."""

    row: int
    uuid: str
    account: Account
    group: int
    started: int
    idle_ms: int
    live_ms: int
    sudoer: Account | None = None
    group_sudo: bool = False
    count: int = 1
    hits: int = 0
    detached: set[str] = field(default_factory=set)
    last: float = field(default_factory=time.time)
    closed: bool = False

    @property
    def user_name(self) -> str:
        return self.account.name

    def overdue(self, now: float) -> tuple[str, int] | None:
        """Which time-out is over, and by how many milliseconds."""
        idle = int((now - self.last) * 1000) - self.idle_ms
        live = int(now * 1000) - self.started - self.live_ms
        if self.live_ms > 0 and live > 0:
            return f"timeToLive ({self.live_ms})", live
        if self.idle_ms > 0 and idle > 0:
            return f"timeToIdle ({self.idle_ms})", idle
        return None

    def touch(self, operation: str) -> None:
        """A call counts as use. Raises once a time-out is over (words: recorded 03 createSessionWithTimeouts)."""
        now = time.time()
        over = self.overdue(now)
        if over is None:
            self.last = now
            self.hits += 1
            return
        started, last = java_time(self.started), java_time(int(self.last * 1000))
        words = f"Session (started={started}, hits={self.hits}, last access={last}) exceeded {over[0]} by {over[1]} ms"
        if operation in _UNTYPED:
            raise trouble.unknown(f"ome.conditions.SessionTimeoutException: {words}\n\tat stand-in")
        raise trouble.server_error("SessionTimeoutException", words)


class Sessions:
    """All open sessions, and what is remembered of closed ones."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.accounts: dict[str, Account] = {}
        self.by_id: dict[int, Account] = {}
        self.read_accounts()
        self._open: dict[str, Session] = {}
        self._failures: dict[str, int] = {}
        self._expired: set[str] = set()
        self._lock = threading.RLock()
        self.changed = threading.Event()
        self._close_left_open()

    def read_accounts(self) -> None:
        """After a change to users or groups."""
        self.accounts = read(self.house.store)
        self.by_id = {account.user: account for account in self.accounts.values()}

    @behaviour("recorded 07_server_killed.json: after a restart no session lives, their rows are closed")
    def _close_left_open(self) -> None:
        with self.house.store.transaction():
            for row in self.house.store.rows('SELECT id FROM "Session" WHERE closed IS NULL'):
                self.house.store.update("Session", row["id"], {"closed": now_ms()})

    @behaviour("recorded 03_login_sessions.json wrong_password, unknown_user, joinSession")
    def log_in(self, name: str, password: str, agent: str) -> Session:
        """By password, or into an open session by its uuid as name and password."""
        joined = self._open.get(name) if name == password else None
        if name == password and (name in self._expired or (joined is not None and joined.overdue(time.time()))):
            words = f"Can't find default group for {name}"
            raise omero.WrappedCreateSessionException(words, False, -1, "ome.conditions.ApiUsageException")
        if joined is not None:
            with self._lock:
                joined.count += 1
            joined.touch("createSession")
            return joined
        account = self.accounts.get(name)
        if account is None or account.password != password:
            failed = self._failures[name] = self._failures.get(name, 0) + 1
            if failed > 1 and account is not None:
                self.house.faults.wait(self.house.faults.setting("login_delay_seconds"))
            known = f"id={account.user}" if account else self._remembered(name)
            raise Glacier2.PermissionDeniedException(f"Password check failed for '{name}': [{known}]")
        self._failures.pop(name, None)
        return self.open(account, self.default_group(account.user), DEFAULT_IDLE_MS, 0, agent=agent)

    def _remembered(self, uuid: str) -> str:
        rows = self.house.store.where("Session", uuid=uuid)
        if not rows:
            return ""
        owner = self.by_id[rows[0]["owner"]].name if rows[0]["owner"] in self.by_id else "?"
        return f"user={owner}, created={java_time(rows[0]['started'])}, closed={java_time(rows[0]['closed'] or now_ms())}"

    def open(
        self,
        account: Account,
        group: int,
        idle_ms: int,
        live_ms: int,
        *,
        agent: str = "",
        sudoer: Account | None = None,
        group_sudo: bool = False,
    ) -> Session:
        uuid = str(uuids.uuid4())
        started = now_ms()
        idle_ms = min(idle_ms, int(self.house.faults.setting("idle_seconds") * 1000)) if idle_ms > 0 else idle_ms
        row = self.house.store.insert(
            "Session",
            {
                "uuid": uuid,
                "owner": account.user,
                "sudoer": sudoer.user if sudoer else None,
                "timeToIdle": idle_ms,
                "timeToLive": live_ms,
                "started": started,
                "message": "Initial message.",
                "defaultEventType": "User",
                "userAgent": agent,
            },
        )
        session = Session(row, uuid, account, group, started, idle_ms, live_ms, sudoer, group_sudo)
        with self._lock:
            self._open[uuid] = session
        self.changed.set()
        return session

    def find(self, uuid: str) -> Session | None:
        return self._open.get(uuid)

    def mine(self, user: int) -> list[Session]:
        return [session for session in list(self._open.values()) if session.account.user == user]

    def hold(self, session: Session) -> bool:
        """One more holder; False if the session is over."""
        with self._lock:
            if session.closed:
                return False
            session.count += 1
            return True

    @behaviour(
        "recorded 06_connection_loss_resume_timeouts.json and 17: the last holder closes, a detached client does not, sudo sessions stay"
    )
    def release(self, session: Session, client: str = "") -> int:
        """A holder is gone (`client`: its uuid, to honour detachOnDestroy). Answers the count that is left, -2 when closed."""
        with self._lock:
            if session.closed:
                return -2
            session.count -= 1
            left = session.count
        if client:
            self.house.registry.remove_category(f"session-{client}")
            self.house.registry.remove_category(session.uuid, client)
        if left < 1 and client not in session.detached:
            self.close(session, "last holder gone")
            return -2
        session.detached.discard(client)
        return left

    def close(self, session: Session, why: str, *, keep_servants: bool = False) -> None:
        """Ends it: its servants go, files left open are closed, its row says when."""
        with self._lock:
            if session.closed:
                return
            session.closed = True
            self._open.pop(session.uuid, None)
        for servant in self.house.registry.of_category(session.uuid).values():
            ended = getattr(servant, "session_ended", None)
            if ended is not None:
                ended()
        if not keep_servants:
            self.house.registry.remove_category(session.uuid)
            for category in list(self.house.clients_of(session)):
                self.house.registry.remove_category(category)
        self.house.store.update("Session", session.row, {"closed": now_ms()})

    def reap(self) -> float:
        """Closes what is overdue; answers how many seconds the next look may wait."""
        now, wait = time.time(), 60.0
        for session in list(self._open.values()):
            if session.overdue(now):
                self._expired.add(session.uuid)
                self.close(session, "timed out", keep_servants=True)
                continue
            if session.idle_ms > 0:
                wait = min(wait, max(0.1, session.last + session.idle_ms / 1000 - now + 0.05))
            if session.live_ms > 0:
                wait = min(wait, max(0.1, (session.started + session.live_ms) / 1000 - now + 0.05))
        return wait

    def groups_of(self, user: int) -> list[tuple[int, bool]]:
        rows = self.house.store.rows('SELECT parent, owner FROM "GroupExperimenterMap" WHERE child = ? ORDER BY position', [user])
        return [(row["parent"], bool(row["owner"])) for row in rows]

    def default_group(self, user: int) -> int:
        return self.groups_of(user)[0][0]

    @behaviour("recorded 03_login_sessions.json group_context, inactive_user, sudo into a group the user is not in")
    def caller(self, session: Session, ctx: dict[str, str]) -> Caller:
        """Who calls, judged anew for each call, in the group of the call's context or else of the session."""
        account = session.account
        groups = self.groups_of(account.user)
        members = tuple(group for group, _ in groups)
        admin = SYSTEM in members
        wanted = ctx.get("omero.group", "")
        group = session.group
        if wanted.lstrip("-").isdigit():
            group = ALL_GROUPS if int(wanted) < 0 else int(wanted)
        perms = {row["id"]: row["perms"] for row in self.house.store.rows('SELECT id, perms FROM "ExperimenterGroup"')}
        if group != ALL_GROUPS and group not in perms:
            raise trouble.no_row("ome.model.meta.ExperimenterGroup", group)
        if USER not in members and not admin and account.name != "guest":
            names = [row["name"] for row in self.house.store.where("ExperimenterGroup", id=group)]
            raise trouble.security(f"No matching roles found in [{', '.join(names)}] for session {session.uuid} (allowed: [user, guest])")
        if group != ALL_GROUPS and group not in members and not admin:
            raise trouble.security(f"User {account.user} is not a member of group {group} and cannot login")
        privileges = account.privileges if admin else frozenset()
        if session.sudoer is not None and session.sudoer.admin:
            privileges &= session.sudoer.privileges
        leads = tuple(parent for parent, owner in groups if owner)
        return Caller(session.row, account.user, account.name, group, members, leads, admin, frozenset(privileges), perms)

    def group_by_name(self, name: str) -> Any:
        found = self.house.store.where("ExperimenterGroup", name=name)
        return found[0] if found else None
