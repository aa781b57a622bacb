"""OMERO sessions of owners: opened by sudo, checked, recorded, joined again after a loss, kept alive, ended."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any

import Glacier2
import Ice
import omero
import omero.grid
import omero.model
import omero.sys
from omero.rtypes import rstring

from dropbox_import.clock import Clock
from dropbox_import.errors import AccessDenied, DropboxImportError, OutcomeUnknown, ServerUnavailable
from dropbox_import.importer import connection, queries, records
from dropbox_import.importer.attempts import Attempt, AttemptId, Teller
from dropbox_import.importer.connection import ServerConfig
from dropbox_import.importer.errors import WAITS, as_ours, calling
from dropbox_import.importer.people import choose_group, find_person, groups_of
from dropbox_import.importer.records import HeldAttempt, SessionRecord
from dropbox_import.importer.turns import Turns

IDLE_MS = 600_000
MANY_CLOSES = 100


class OwnerSession:
    """One session in the name of an owner, in one group, with the import processes that began in it. Threads may share it."""

    def __init__(self, config: ServerConfig, clock: Clock, record: SessionRecord, client: Any) -> None:
        self.config = config
        self.clock = clock
        self.record = record
        self.client = client
        self.attempts: dict[AttemptId, Attempt] = {}
        self.active = 0  # commands that use it now
        self.lost: Any = None  # the client whose connection is of no use any more
        self.making = Turns()
        self._told = threading.local()  # per thread: whom the command that uses it tells of its calls, and its name
        self._lock = threading.RLock()
        self._repository: Any = None

    def ask(self, hql: str, **values: str | int | Sequence[int]) -> list[list[Any]]:
        """Rows, over all groups of the owner."""
        self.tell()
        return connection.ask(self.client, hql, **values)

    def ask_here(self, hql: str, **values: str | int | Sequence[int]) -> list[list[Any]]:
        """Rows, of the session's group only."""
        self.tell()
        return connection.ask_in(self.client, self.record.group_id, hql, values)

    def update(self) -> Any:
        """For one save."""
        self.tell()
        return self.client.getSession().getUpdateService()

    def tell(self, call: str = "") -> None:
        """A call to the server begins, which has its time to itself: under the limit of its command, or that of `call`."""
        teller, name = getattr(self._told, "of", (None, ""))
        if teller is not None:
            teller.in_call(call or name)

    def turn(self, *what: str) -> AbstractContextManager[None]:
        """Around "look, then make" of what several filesets share; `what` names one thing that must not hold up the rest."""
        return self.making.take(what, lambda: self.tell("turn"))

    def repository(self) -> Any:
        """OMERO's managed repository. Raises ServerUnavailable while the server has none (it is starting)."""
        with self._lock:
            if self._repository is None:
                with calling("looking for OMERO's repository"):
                    self._repository = self.client.getManagedRepository()
            if self._repository is None:
                raise ServerUnavailable("OMERO does not show its repository yet.", hint=WAITS, code="no-repository")
            return self._repository

    def hold(self, attempt: Attempt) -> None:
        """Record the attempt's process, so that a successor finds it, and keep it."""
        with self._lock:
            others = tuple(held for held in self.record.attempts if (held.drop, held.key, held.attempt) != attempt.id)
            self.record = replace(self.record, attempts=(*others, attempt.held()))
            records.write(self.config.sessions_dir, self.record)
            self.attempts[attempt.id] = attempt

    def forget(self, identity: AttemptId) -> None:
        """The attempt has no process any more."""
        with self._lock:
            self.attempts.pop(identity, None)
            left = tuple(held for held in self.record.attempts if (held.drop, held.key, held.attempt) != identity)
            if left != self.record.attempts:
                self.record = replace(self.record, attempts=left)
                records.write(self.config.sessions_dir, self.record)

    def attempt(self, identity: AttemptId) -> Attempt:
        """Raises OutcomeUnknown "no-such-attempt" if this session does not hold it."""
        found = self.attempts.get(identity)
        if found is None:
            raise OutcomeUnknown("This worker does not hold that import.", hint=WAITS, code="no-such-attempt")
        return found

    def keep_alive(self) -> None:
        with calling("keeping the session alive"):
            self.client.getSession().keepAlive(None)

    @contextmanager
    def in_use(self, teller: Teller, name: str) -> Iterator[Any]:
        """Around a command of that name, which tells of its calls; gives the client that it uses."""
        with self._lock:
            self.active += 1
            client = self.client
        self._told.of = (teller, name)
        try:
            yield client
        finally:
            self._told.of = (None, "")
            with self._lock:
                self.active -= 1

    def failed(self, used: Any, code: str) -> None:
        """A command failed with that code: is its connection of any use to the next one?

        Silence alone does not end a connection that others still use: one of them may wait an hour in the server's queue.
        """
        with self._lock:
            if code == "connection-lost" or (code == "no-answer" and self.active == 1):
                self.lost = used

    def is_alive(self) -> bool:
        """Whether the session can be used; connects again only if it must, because others may be in the middle of a call."""
        used = self.client
        if self.lost is used:
            return self.recover(used)
        try:
            self.keep_alive()
        except DropboxImportError:
            return self.recover(used)
        return True

    def recover(self, used: Any) -> bool:
        """After a call through the client `used` failed as if session or connection were gone: is the session joined (again)?

        Ice opens a new connection by itself, on which the server knows no session: only joining tells which of the two is lost.
        """
        with self._lock:
            return self.client is not used or self.reconnect()

    def reconnect(self) -> bool:
        """A new connection to the same session; its live import processes are held again. False if the session has ended."""
        with self._lock:
            connection.close(self.client)
            client = _join(self.config, self.record)
            if client is None:
                return False
            self.client, self._repository = client, None
            for held in self.record.attempts:
                self._hold_again(held)
            return True

    def _hold_again(self, held: HeldAttempt) -> None:
        proxy = omero.grid.ImportProcessPrx.uncheckedCast(self.client.getCommunicator().stringToProxy(held.process))
        try:
            with calling("looking for an import process"):
                proxy.ice_ping()
        except DropboxImportError as error:
            if error.kind != "session-gone":
                raise
            self.forget((held.drop, held.key, held.attempt))
            return
        old = self.attempts.get((held.drop, held.key, held.attempt))
        fresh = Attempt(held, proxy)
        if old is not None:
            fresh.lock = old.lock
        self.attempts[fresh.id] = fresh

    def phases(self) -> list[dict[str, Any]]:
        """The attempts that this session holds, each with its phase as the server tells it."""
        found = []
        for attempt in list(self.attempts.values()):
            with calling("asking how far an import is"):
                rows = self.ask(queries.UPLOAD_STATUS, f=attempt.fileset)
            if not rows:
                self.forget(attempt.id)
                continue
            phase = "committed" if rows[0][0] == "Finished" else "begun"
            drop, key, number = attempt.id
            found.append({"drop": drop, "key": key, "attempt": number, "fileset": attempt.fileset, "phase": phase})
        return found

    def close(self) -> None:
        """Leave the session; it lives on in OMERO."""
        connection.close(self.client)


def open_session(config: ServerConfig, clock: Clock, owner: str, group: str | int | None) -> OwnerSession:
    """A new session of an active owner in a group that the owner is a member of. Raises NotAllowed, AccessDenied."""
    with connection.service_login(config) as client:
        with connection.own_rights(config):
            person = find_person(client, owner)
            place = choose_group(client, owner, groups_of(client, owner), group)
            principal = omero.sys.Principal(person.login, place.name, "User", None)
            with calling("asking for OMERO's sessions"):
                service = client.getSession().getSessionService()
        try:
            with calling(f'opening a session for "{owner}"', changes=True):
                made = service.createSessionWithTimeouts(principal, 0, IDLE_MS)
        except DropboxImportError as error:
            if error.kind != "permission":
                raise
            raise AccessDenied(
                f'The OMERO account "{config.user}" may not act for "{owner}".',
                hint="Make it an administrator with the privilege Sudo; no other privilege is needed.",
                code="no-sudo",
            ) from None
        record = SessionRecord(made.id.val, made.uuid.val, person.login, person.id, place.name, place.id, person.email)
        records.write(config.sessions_dir, record)
        try:
            joined = _join(config, record)
            if joined is None:
                raise ServerUnavailable("A new OMERO session ended at once.", hint=WAITS, code="session-gone")
        except Exception:
            _close_until_gone(service, record.uuid)
            records.remove(config.sessions_dir, record.number)
            raise
    return OwnerSession(config, clock, record, joined)


def join_session(config: ServerConfig, clock: Clock, number: int) -> OwnerSession | None:
    """The session of a worker that is gone, with its import processes; None if it has ended.

    Raises OutcomeUnknown "no-such-session" for one that is open and whose secret is not kept here: it must not pass for ended.
    """
    record = records.read(config.sessions_dir, number)
    if record is None:
        _must_be_over(config, number)
        return None
    session = OwnerSession(config, clock, record, None)
    try:
        if session.reconnect():
            return session
    except BaseException:
        session.close()
        raise
    return None


def session_state(config: ServerConfig, number: int) -> bool | None:
    """Whether OMERO shows that session as closed; None if it does not know it."""
    with connection.service_login(config) as client, connection.own_rights(config), calling("asking for the state of a session"):
        rows = connection.ask(client, queries.SESSION_BY_ID, i=number)
    return rows[0][1] is not None if rows else None


def _must_be_over(config: ServerConfig, number: int) -> None:
    if session_state(config, number) is False:
        raise OutcomeUnknown(
            f"The OMERO session {number} was opened elsewhere and is still open.",
            hint="It ends by itself after ten minutes without use.",
            code="no-such-session",
        )


def end_session(config: ServerConfig, number: int) -> None:
    """The session is over for everybody when it returns. Raises OutcomeUnknown "no-such-session" if only another host could end it."""
    record = records.read(config.sessions_dir, number)
    if record is None:
        _must_be_over(config, number)
        return
    with connection.service_login(config) as client, connection.own_rights(config):
        with calling("asking for OMERO's sessions"):
            service = client.getSession().getSessionService()
        _close_until_gone(service, record.uuid)
    records.remove(config.sessions_dir, number)


def _close_until_gone(service: Any, uuid: str) -> None:
    session = omero.model.SessionI()
    session.uuid = rstring(uuid)
    with calling("ending a session"):
        for _ in range(MANY_CLOSES):
            if service.closeSession(session) < 1:
                return
    raise ServerUnavailable("OMERO keeps a session open that was closed many times.", hint=WAITS, code="session-stays")


def _join(config: ServerConfig, record: SessionRecord) -> Any | None:
    """A client in that session, its owner and group compared; None if the session has ended."""
    client = connection.make_client(config)
    try:
        try:
            client.joinSession(record.uuid)
        except (Glacier2.PermissionDeniedException, omero.WrappedCreateSessionException) as error:
            ours = as_ours(error, "joining a session")
            if ours is None or ours.kind in ("login", "session-gone"):
                connection.close(client)
                return None
            raise ours from None
        except Ice.Exception as error:
            raise as_ours(error, "joining a session") or error from None
        except omero.ClientError as error:
            raise as_ours(error, "joining a session") or error from None
        with calling("checking for whom the session is"):
            seen = client.getSession().getAdminService().getEventContext()
        if (seen.userName, seen.groupId) != (record.owner, record.group_id):
            raise AccessDenied(
                f'OMERO gave a session of "{seen.userName}" in "{seen.groupName}", not of "{record.owner}" in "{record.group}".',
                hint="Nothing was imported. Ask the OMERO administrator.",
                code="wrong-identity",
            )
    except BaseException:
        connection.close(client)
        raise
    return client
