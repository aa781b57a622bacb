"""The stand-in logs people in, out and in as others the way the recorded server did (golden 03, 17)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import Glacier2
import Ice
import omero
import omero.clients
import omero.model
import omero.sys
import pytest

from tests.support.standin_process import RunningStandin, ask, close, dataset, make_sudo_session, running, until


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStandin]:
    with running(tmp_path_factory.mktemp("standin")) as found:
        found.faults(login_delay_seconds=0)
        yield found


@pytest.fixture(autouse=True)
def no_clients_left(server: RunningStandin) -> Iterator[None]:
    yield
    server.close_clients()


def context(client: Any) -> Any:
    return client.sf.getAdminService().getEventContext()


def test_logs_in_over_verified_tls_and_without_tls(server: RunningStandin) -> None:
    assert context(server.log_in("alice")).userName == "alice"
    plain = server.plain_client()
    plain.createSession("alice", "alice")
    assert (context(plain).groupName, context(plain).isAdmin) == ("lab", False)


def test_a_client_that_does_not_trust_the_authority_is_stopped(server: RunningStandin, tmp_path: Path) -> None:
    from dropbox_import.standin.tls import certificates

    other = certificates(tmp_path / "other").ca
    with pytest.raises(Ice.SecurityException):
        server.client(IceSSL__CAs=str(other)).createSession("alice", "alice")


def test_the_tcp_port_addressed_as_tls_is_a_protocol_error(server: RunningStandin) -> None:
    with pytest.raises(Ice.ProtocolException):
        server.client(omero__port=str(server.tcp)).createSession("alice", "alice")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("alice", "Password check failed for 'alice': [id=3]"),
        ("nosuchuser", "Password check failed for 'nosuchuser': []"),
        ("ALICE", "Password check failed for 'ALICE': []"),
    ],
)
def test_wrong_password_and_unknown_user_are_refused_alike(server: RunningStandin, name: str, reason: str) -> None:
    with pytest.raises(Glacier2.PermissionDeniedException) as caught:
        server.client().createSession(name, "wrong")
    assert caught.value.reason == reason


def test_a_session_ends_with_its_last_client_and_says_so_to_who_comes_later(server: RunningStandin) -> None:
    first = server.log_in("alice")
    uuid = first.getSessionId()
    second = server.log_in(uuid)
    sessions = second.sf.getSessionService()
    assert sessions.getReferenceCount(uuid) == 2
    close(first)
    assert until(lambda: sessions.getReferenceCount(uuid) == 1)
    close(second)
    with pytest.raises(Glacier2.PermissionDeniedException) as caught:
        server.client().createSession(uuid, uuid)
    assert caught.value.reason.startswith(f"Password check failed for '{uuid}': [user=alice, created=")


def test_a_detached_session_outlives_its_client(server: RunningStandin) -> None:
    client = server.log_in("alice")
    uuid = client.getSessionId()
    client.sf.detachOnDestroy()
    close(client)
    again = server.log_in(uuid)
    assert again.sf.getSessionService().getReferenceCount(uuid) == 1


def test_sudo_gives_the_owner_and_group_that_were_asked_for(server: RunningStandin) -> None:
    client, uuid = server.sudo("alice", "private")
    found = context(client)
    assert (found.userName, found.groupName, found.sudoerName.val, found.isAdmin) == ("alice", "private", "importer", False)
    close(client)
    assert context(server.log_in(uuid)).userName == "alice", "a sudo session outlives its clients"


def test_ending_a_sudo_session_takes_its_proxies(server: RunningStandin) -> None:
    client, uuid = server.sudo("alice")
    service = server.log_in("importer")
    query = client.sf.getQueryService()
    described = omero.model.SessionI()
    described.uuid = omero.rtypes.rstring(uuid)
    sessions = service.sf.getSessionService()
    assert [sessions.closeSession(described) for _ in range(3)] == [1, -2, -2]
    for call in (lambda: query.find("Dataset", 1), client.sf.getQueryService, lambda: client.sf.keepAlive(None)):
        with pytest.raises(Ice.ObjectNotExistException):
            call()


def test_sudo_into_a_group_of_others_fails_at_the_first_call(server: RunningStandin) -> None:
    client, _ = server.sudo("alice", "together")
    with pytest.raises(omero.SecurityViolation) as caught:
        context(client)
    assert caught.value.message == "User 3 is not a member of group 6 and cannot login"


def test_sudo_that_cannot_be(server: RunningStandin) -> None:
    service = server.log_in("importer")
    with pytest.raises(omero.RemovedSessionException):
        make_sudo_session(service, "nobody99")
    with pytest.raises(omero.AuthenticationException) as caught:
        make_sudo_session(service, "alice", "no such group")
    assert caught.value.reason == "Error creating session."
    with pytest.raises(omero.SecurityViolation) as refused:
        make_sudo_session(server.log_in("alice"), "bob")
    assert refused.value.message == "Group sudo is not permitted for group lab (gid=3)"


def test_an_idle_session_times_out_with_the_recorded_words(server: RunningStandin) -> None:
    client, uuid = server.sudo("alice", idle=3000)
    query = client.sf.getQueryService()
    root = server.log_in("root")
    assert until(lambda: ask(root, "select s.id from Session s where s.timeToIdle = 3000 and s.closed is not null"), 30)
    with pytest.raises(omero.SessionTimeoutException) as caught:
        query.find("Dataset", 1)
    assert "exceeded timeToIdle (3000) by" in caught.value.message
    with pytest.raises(Ice.UnknownException):
        client.sf.getQueryService()
    with pytest.raises(omero.WrappedCreateSessionException) as joined:
        server.client().createSession(uuid, uuid)
    assert joined.value.reason == f"Can't find default group for {uuid}"


def test_the_group_of_a_call(server: RunningStandin) -> None:
    client = server.log_in("alice")
    row = dataset(client, "in the lab")
    text = "select d.id from Dataset d where d.id = :d"
    assert ask(client, text, d=row) == [[row]]
    assert ask(client, text, group=4, d=row) == []
    with pytest.raises(omero.SecurityViolation) as caught:
        ask(client, text, group=6, d=row)
    assert caught.value.message == "User 3 is not a member of group 6 and cannot login"
    with pytest.raises(omero.ValidationException):
        ask(client, text, group=9999, d=row)


def test_a_client_reaches_only_its_own_session(server: RunningStandin) -> None:
    alice, bob = server.log_in("alice"), server.log_in("bob")
    stolen = bob.ic.stringToProxy(alice.sf.getQueryService().ice_toString().partition(":")[0])
    with pytest.raises(Ice.ObjectNotExistException):
        omero.api.IQueryPrx.uncheckedCast(stolen.ice_router(bob.ic.getDefaultRouter())).find("Dataset", 1)


def test_the_session_row_shows_no_uuid(server: RunningStandin) -> None:
    client = server.log_in("alice")
    rows = ask(
        client, "select s.id, s.uuid, s.closed, s.timeToIdle, s.owner.omeName from Session s where s.id=:i", i=context(client).sessionId
    )
    assert rows[0][1:] == ["********-****-****-****-************", None, 600_000, "alice"]


def test_an_operation_that_it_does_not_have_is_refused_at_once(server: RunningStandin) -> None:
    client = server.log_in("root")
    with pytest.raises(Ice.OperationNotExistException):
        client.sf.getAdminService().reportForgottenPassword("alice", "alice@example.org")
    with pytest.raises(Ice.OperationNotExistException):
        client.sf.getTypesService()


def test_an_administrator_makes_and_removes_users_and_groups(server: RunningStandin) -> None:
    admin = server.log_in("root").sf.getAdminService()
    group = omero.model.ExperimenterGroupI()
    group.name, group.ldap = omero.rtypes.rstring("new group"), omero.rtypes.rbool(False)
    group.details.permissions = omero.model.PermissionsI("rwra--")
    made = omero.model.ExperimenterGroupI(admin.createGroup(group), False)
    person = omero.model.ExperimenterI()
    person.omeName, person.firstName, person.lastName = (omero.rtypes.rstring(word) for word in ("dora", "Dora", "Duck"))
    number = admin.createExperimenterWithPassword(person, omero.rtypes.rstring("secret"), made, [omero.model.ExperimenterGroupI(1, False)])
    client = server.log_in("dora", "secret")
    found = context(client)
    assert (found.groupName, str(found.groupPermissions), list(found.memberOfGroups)) == ("new group", "rwra--", [made.id.val, 1])
    with pytest.raises(omero.ValidationException):
        admin.createGroup(group)
    with pytest.raises(omero.SecurityViolation):
        client.sf.getAdminService().createGroup(group)
    close(client)
    admin.deleteExperimenter(omero.model.ExperimenterI(number, False))
    admin.deleteGroup(made)
    with pytest.raises(Glacier2.PermissionDeniedException):
        server.client().createSession("dora", "secret")


def test_who_is_not_in_the_group_user_is_not_active(server: RunningStandin) -> None:
    admin = server.log_in("root").sf.getAdminService()
    person = omero.model.ExperimenterI()
    person.omeName, person.firstName, person.lastName = (omero.rtypes.rstring(word) for word in ("sleeper", "Sue", "Sleep"))
    lab = admin.lookupGroup("lab")
    admin.createExperimenterWithPassword(person, omero.rtypes.rstring("secret"), omero.model.ExperimenterGroupI(lab.id.val, False), [])
    with pytest.raises(omero.SecurityViolation) as caught:
        context(server.log_in("sleeper", "secret"))
    assert caught.value.message.startswith("No matching roles found in [lab] for session ")
