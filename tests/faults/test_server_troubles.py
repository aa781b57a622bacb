"""A server that misbehaves in one call, or for a while: full, silent, forgetful, slow, or with a mistake of its own.

Daemon, importer and stand-in are real. Each trouble meets a drop of its own, all at the same time; in `make faults` each also alone.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support import tally
from tests.support.realrun import Dropped, RealRun, real_run

pytestmark = [pytest.mark.faults(minutes=8), pytest.mark.timeout(290)]
ALWAYS = 9999


def at(operation: str, do: str, nth: int = 1, times: int = 1, seconds: float = 1.0) -> dict[str, Any]:
    return {"operation": operation, "do": do, "nth": nth, "times": times, "seconds": seconds}


TROUBLES: dict[str, dict[str, Any]] = {
    "close stores no hash once": at("close", "no-hash"),
    "close stores no hash three times": at("close", "no-hash", times=3),
    "other bytes are stored once": at("write", "corrupt"),
    "other bytes are stored twice": at("write", "corrupt", times=2),
    "the disk is full at a write": at("write", "disk-full", nth=2, times=3),
    "the disk is full at the beginning": at("importFileset", "disk-full", times=3),
    **{
        f"a fault of its own at {operation}": at(operation, "error", times=2)
        for operation in ("importFileset", "getUploader", "write", "close", "verifyUpload", "getResponse", "saveAndReturnArray")
    },
    **{
        f"the session ends at {operation}": at(operation, "end-session")
        for operation in (
            "saveAndReturnObject",
            "importFileset",
            "write",
            "close",
            "verifyUpload",
            "getStatus",
            "saveAndReturnArray",
            "save",
        )
    },
    "the session ends under three imports": at("getStatus", "end-session", nth=2, times=3),
}
KIND = "OMERO misbehaves in a call"
AWAY = "OMERO is gone for a while, with its sessions"
SESSION_CALLS = ("importFileset", "write", "verifyUpload", "getResponse", "saveAndReturnArray")
USERS = tuple(f"user{number:02}" for number in range(len(TROUBLES)))


def slowly(operation: str) -> Any:
    return pytest.param(operation, marks=pytest.mark.slow_faults)


def judge(run: RealRun, kind: str, where: str, points: int = 1) -> None:
    with tally.counted(kind, where, points):
        run.rest(120)
        run.check()
        assert "a bug: " not in run.log.read_text(), f"told as a bug: {run.tail()}"
        assert all(run.standin.strikes()), f"a trouble that was to be did not come about: {run.standin.strikes()}"


def to_fail(dropped: Dropped) -> None:
    """All of it is to be in failed/, and nothing of it in OMERO."""
    dropped.fine, dropped.broken = (), (*dropped.fine, *dropped.broken)


def test_troubles_of_many_kinds_at_once(tmp_path: Path) -> None:
    with real_run(tmp_path, *USERS) as run:
        rules = [{**rule, "users": [user]} for user, rule in zip(USERS, TROUBLES.values(), strict=True)]
        run.standin.faults(*rules, import_seconds=1.0)
        for user, name in zip(USERS, TROUBLES, strict=True):
            run.drop(name.replace(" ", "-"), user=user, fine=2, attached=True)
        run.start()
        judge(run, KIND, "all at once", len(TROUBLES))


@pytest.mark.slow_faults
@pytest.mark.parametrize("name", TROUBLES)
def test_one_trouble(tmp_path: Path, name: str) -> None:
    with real_run(tmp_path) as run:
        run.standin.faults(TROUBLES[name], import_seconds=1.0)
        run.drop("one", fine=2, attached=True)
        run.start()
        judge(run, KIND, name)


def test_other_bytes_stored_always_are_a_failure_that_leaves_nothing(tmp_path: Path) -> None:
    with real_run(tmp_path) as run:
        run.standin.faults(at("write", "corrupt", times=ALWAYS))
        to_fail(run.drop("one", fine=2))
        run.start()
        judge(run, KIND, "other bytes are stored always")
        (folder,) = run.filed("failed", run.drops[0])
        assert "checksum" in (folder / "REASON.txt").read_text()


@pytest.mark.slow_faults
def test_a_hash_that_is_never_stored_waits_and_is_no_failure(tmp_path: Path) -> None:
    """A full disk is the one known cause; it is told, and everything waits for its end."""
    with real_run(tmp_path) as run, tally.counted(KIND, "close never stores a hash"):
        run.standin.faults(at("close", "no-hash", times=ALWAYS))
        run.drop("one", fine=2)
        run.start()
        run.until(lambda: run.log.read_text().count("[outage-begins]") and len(run.standin.calls()) > 200, 120)
        assert run.claims(), run.tail()
        assert all(run.standin.strikes())
        run.standin.faults()
        run.rest()
        run.check()


@pytest.mark.parametrize("operation", ["write", *map(slowly, ("importFileset", "verifyUpload", "getResponse"))])
def test_a_call_that_hangs_is_given_up(tmp_path: Path, operation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the importer's own time-out, which is below the daemon's limit."""
    monkeypatch.setenv("LIMITS", json.dumps({"client": dict.fromkeys(("call", "begin", "write", "close", "commit"), 2)}))
    with real_run(tmp_path) as run:
        run.standin.faults(at(operation, "hang"), import_seconds=0.5)
        run.drop("one", fine=2)
        run.start()
        judge(run, "a call hangs", operation)


@pytest.mark.slow_faults
@pytest.mark.parametrize("operation", ["write", "verifyUpload", "close"])
def test_a_worker_that_hangs_in_a_call_is_ended(tmp_path: Path, operation: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The daemon's limit is the last resort. Other drops in that worker go on, and no hang counts as a death of the drop."""
    named = {"write": "write", "verifyUpload": "commit", "close": "close"}[operation]
    monkeypatch.setenv("LIMITS", json.dumps({"worker": {named: 3}}))
    with real_run(tmp_path, "alice", "bob") as run:
        run.standin.faults({**at(operation, "hang", times=3), "users": ["alice"]})
        run.drop("one", fine=2)
        run.drop("other", user="bob", fine=2)
        run.start()
        judge(run, "a worker hangs in a call", operation, 2)


@pytest.mark.slow_faults
@pytest.mark.parametrize("operation", [*SESSION_CALLS, "createSessionWithTimeouts"])
def test_a_router_that_is_started_again(tmp_path: Path, operation: str) -> None:
    with real_run(tmp_path, "alice", "bob") as run:
        run.standin.faults(at(operation, "blackout", seconds=2.5), import_seconds=1.0)
        run.drop("one", fine=2)
        run.drop("other", user="bob")
        run.start()
        judge(run, AWAY, operation, 2)


@pytest.mark.parametrize("operation", ["getResponse", *map(slowly, ("write", "close", "saveAndReturnArray"))])
def test_what_was_begun_in_a_session_that_stays_goes_on_where_it_was(tmp_path: Path, operation: str) -> None:
    with real_run(tmp_path) as run:
        run.standin.faults(at(operation, "blackout", seconds=2.0), import_seconds=1.0)
        run.drop("one")
        run.start()
        judge(run, AWAY, f"{operation}, alone")
        assert run.ask("select seq from sqlite_sequence where name = 'Fileset'") == [(1,)], "the import was begun anew"


@pytest.mark.slow_faults
@pytest.mark.parametrize("operation", SESSION_CALLS)
def test_sessions_that_expire_while_omero_cannot_be_reached(tmp_path: Path, operation: str) -> None:
    with real_run(tmp_path, "alice", "bob") as run:
        run.standin.faults(at(operation, "blackout", seconds=4.0), import_seconds=1.0, idle_seconds=2.0)
        run.drop("one", fine=2)
        run.drop("other", user="bob")
        run.start()
        judge(run, "sessions expire", operation, 2)


@pytest.mark.slow_faults
def test_slow_imports_behind_a_long_queue_outlive_a_short_session(tmp_path: Path) -> None:
    """The queue and the import take longer than the session may be idle: what waits is kept alive, and nothing is begun twice."""
    with real_run(tmp_path, "alice", "bob") as run:
        run.standin.faults(import_seconds=6.0, verify_queue_seconds=3.0, idle_seconds=4.0)
        run.drop("one", fine=2)
        run.drop("other", user="bob")
        run.start()
        judge(run, "sessions expire", "slow imports", 2)
