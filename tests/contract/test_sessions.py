"""Sessions of owners: whom they are for, joining them again, keeping and ending them."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from dropbox_import.errors import NotAllowed, OutcomeUnknown, ServerUnavailable
from tests.contract.driver import Driver
from tests.contract.omero_world import Server, World


def test_a_session_is_for_the_owner_in_the_default_group(driver: Driver, world: World) -> None:
    told = driver.do("open_session", owner=world.user("alice"), group=None)
    assert (told["owner"], told["owner_id"]) == (world.user("alice"), world.users["alice"])
    assert (told["group"], told["group_id"]) == (world.group("ro"), world.groups["ro"])
    assert told["email"] == "alice@example.org"
    context = driver.held(told["session"]).client.getSession().getAdminService().getEventContext()
    assert (context.userName, context.groupName) == (world.user("alice"), world.group("ro"))


def test_a_session_in_another_group_of_the_owner(driver: Driver, world: World) -> None:
    assert driver.do("open_session", owner=world.user("alice"), group=world.group("private"))["group_id"] == world.groups["private"]


def test_the_session_file_is_private_and_holds_the_only_uuid(driver: Driver, world: World, tmp_path: Path) -> None:
    number = driver.open(world.user("alice"))
    path = tmp_path / "sessions" / f"{number}.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert json.loads(path.read_text())["uuid"] == driver.held(number).client.getSessionId()


@pytest.mark.parametrize(
    ("owner", "group", "code"),
    [
        ("nobody", None, "no-such-owner"),
        ("sleeper", None, "inactive-owner"),
        ("bob", "private", "not-a-member"),
        ("alice", "nothing", "no-such-group"),
    ],
)
def test_who_may_not_have_a_session(driver: Driver, world: World, owner: str, group: str | None, code: str) -> None:
    with pytest.raises(NotAllowed) as refused:
        driver.do("open_session", owner=world.user(owner), group=world.group(group) if group else None)
    assert refused.value.kind == code
    assert refused.value.hint


def test_a_session_is_kept_watched_and_ended(driver: Driver, world: World, tmp_path: Path) -> None:
    number = driver.open(world.user("alice"))
    driver.do("keep_alive", session=number)
    assert driver.do("session_state", session=number) == {"closed": False}
    assert driver.do("end_session", session=number) == {"closed": True}
    assert driver.do("session_state", session=number) == {"closed": True}
    assert driver.do("end_session", session=number) == {"closed": True}
    assert not (tmp_path / "sessions" / f"{number}.json").exists()
    with pytest.raises(OutcomeUnknown, match="does not hold"):
        driver.do("keep_alive", session=number)


def test_a_session_that_omero_never_had(driver: Driver) -> None:
    assert driver.do("session_state", session=999_999_999) == {"closed": None}


def test_a_successor_joins_the_session_of_a_dead_worker(driver: Driver, successor: Driver, world: World) -> None:
    number = driver.open(world.user("alice"))
    driver.close()
    assert successor.do("join_session", session=number) == {"state": "joined", "attempts": []}
    successor.do("keep_alive", session=number)


def test_a_session_that_was_ended_is_gone_for_everybody(driver: Driver, successor: Driver, world: World) -> None:
    number = driver.open(world.user("alice"))
    successor.do("end_session", session=number)
    with pytest.raises(ServerUnavailable) as gone:
        driver.do("keep_alive", session=number)
    assert gone.value.kind in ("session-gone", "connection-lost")
    assert driver.do("join_session", session=number) == {"state": "gone", "attempts": []}
    assert successor.do("join_session", session=number) == {"state": "gone", "attempts": []}


def test_a_session_of_another_host_cannot_be_ended_here(driver: Driver, world: World, server: Server, tmp_path: Path) -> None:
    number = driver.open(world.user("alice"))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with pytest.raises(OutcomeUnknown) as refused:
        Driver(server.config(elsewhere)).do("end_session", session=number)
    assert refused.value.kind == "no-such-session"
    with pytest.raises(OutcomeUnknown) as refused:
        Driver(server.config(elsewhere)).do("join_session", session=number)
    assert refused.value.kind == "no-such-session", "an open session must not pass for one that has ended"
