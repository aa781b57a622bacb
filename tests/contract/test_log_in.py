"""Logging in, and what `check` says; each way to fail with its class and a hint."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pytest

from dropbox_import.errors import AccessDenied, ConfigError, DropboxImportError, NotAllowed, ServerUnavailable
from tests.contract.driver import Driver
from tests.contract.omero_world import PASSWORD, Server, World


def _check(server: Server, tmp_path: Path, **more: object) -> dict[str, object]:
    return Driver(server.config(tmp_path, **more)).do("check")


def test_check_tells_who_we_are(server: Server, tmp_path: Path) -> None:
    told = _check(server, tmp_path)
    assert told["user"] == server.user
    assert told["admin"] is True
    assert "Sudo" in told["privileges"]  # type: ignore[operator]
    assert told["server"]
    assert abs(told["clock_skew"]) < 600  # type: ignore[arg-type]


@pytest.mark.parametrize("user", [None, "nobody-of-that-name"])
def test_a_wrong_password_and_an_unknown_account_are_refused_alike(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, user: str | None
) -> None:
    monkeypatch.setenv("WRONG", "not the password 77")
    with pytest.raises(AccessDenied) as refused:
        _check(server, tmp_path, password_env="WRONG", user=user or server.user)
    assert refused.value.kind == "login"
    assert "not the password" not in str(refused.value)
    assert "omero.user" in refused.value.hint


def test_nobody_listens(server: Server, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(ServerUnavailable):
            _check(server, tmp_path, host="127.0.0.1", port=taken.getsockname()[1])


def test_a_certificate_of_somebody_else_stops_before_the_password_is_sent(server: Server, tmp_path: Path) -> None:
    made = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "2",
        "-subj",
        "/CN=other",
        "-keyout",
        "k.pem",
        "-out",
        "ca.pem",
    ]
    subprocess.run(made, cwd=tmp_path, check=True, capture_output=True)
    with pytest.raises(ConfigError) as refused:
        _check(server, tmp_path, ca_file=str(tmp_path / "ca.pem"), insecure=False)
    assert refused.value.kind == "certificate"
    assert "ca_file" in refused.value.hint


def test_insecure_connects_without_a_certificate(server: Server, tmp_path: Path) -> None:
    assert _check(server, tmp_path, ca_file=None, insecure=True)["user"] == server.user


def test_an_account_without_the_privilege_cannot_act_for_others(
    server: Server, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALICES", PASSWORD)
    driver = Driver(server.config(tmp_path, user=world.user("alice"), password_env="ALICES"))
    with pytest.raises(DropboxImportError) as refused:
        driver.do("open_session", owner=world.user("bob"), group=world.group("ro"))
    assert isinstance(refused.value, AccessDenied)
    assert "Sudo" in refused.value.hint


@pytest.mark.parametrize("command", ["check", "who_is", "open_session", "session_state"])
def test_a_service_account_that_was_deactivated_is_no_fault_of_any_drop(
    server: Server, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """Every waiting drop was filed as failed, since OMERO "does not permit" the question who its owner is."""
    monkeypatch.setenv("SLEEPERS", PASSWORD)
    driver = Driver(server.config(tmp_path, user=world.user("sleeper"), password_env="SLEEPERS"))
    given = {"who_is": {"owner": world.user("alice")}, "open_session": {"owner": world.user("alice")}, "check": {}}
    with pytest.raises(AccessDenied) as refused:
        driver.do(command, **given.get(command, {"session": 7}))
    assert refused.value.kind == "login"
    assert "active" in refused.value.hint
    assert world.user("sleeper") in refused.value.sentence


def test_an_owner_who_may_not_be_one_is_a_fault_of_the_drop_still(server: Server, world: World, tmp_path: Path) -> None:
    for owner, group in (("nobody-of-that-name", None), (world.user("sleeper"), None), (world.user("bob"), world.group("private"))):
        with pytest.raises(NotAllowed):
            Driver(server.config(tmp_path)).do("open_session", owner=owner, group=group)
