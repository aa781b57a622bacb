"""Trouble that no drop is to blame for, with a real box under a daemon's core: each is told once at its start and once at its end."""

from __future__ import annotations

import errno
import json
import os
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from dropbox_import.clock import Clock
from dropbox_import.daemon import working
from dropbox_import.daemon.alerts import OUTBOX, Alerts, read_alerts
from dropbox_import.daemon.troubles import Watch
from dropbox_import.disk import observe
from dropbox_import.errors import AccessDenied, DiskFull, DropboxImportError, OutcomeUnknown, ServerUnavailable
from dropbox_import.spool import claim as claims
from dropbox_import.spool import taking
from dropbox_import.spool.claim import Claim
from dropbox_import.spool.layout import Layout
from dropbox_import.workers.replies import Reply
from tests.support.lab import Lab
from tests.support.office import ONE

COMMANDS = ("open_session", "resolve", "look_up", "begin", "send", "commit", "poll", "confirm")


class Watched:
    def __init__(self, folder: Path, *, min_free: int = 0, delays: Sequence[float] = (5.0,), queued: bool = False) -> None:
        self.lab = Lab(folder, min_free=min_free, delays=delays, queued=queued)
        self.state = self.lab.settings.state_dir
        self.start()

    def start(self) -> None:
        self.lab.start()
        shared = self.lab.shared
        self.watch = Watch(Alerts(self.state, shared.clock), shared.outage, self.lab.daemons[0].runners, self.state, shared.clock)

    def passes(self, seconds: float) -> None:
        end = self.lab.clock.monotonic() + seconds
        while self.lab.clock.monotonic() < end:
            for runner in self.lab.runners:
                runner.turn(0)
            self.watch.tend()
            self.lab.clock.forward(2.0)

    def open(self) -> list[str]:
        return [alert.sentence for alert in read_alerts(self.state)]

    def told(self) -> Counter[str]:
        return Counter(json.loads(path.read_bytes())["event"] for path in (self.state / OUTBOX).glob("*.json"))


ONCE = Counter({"alert-begins": 1, "alert-ends": 1})


@pytest.mark.parametrize(
    "error",
    [
        ServerUnavailable("OMERO cannot be reached", code="unreachable"),
        DiskFull("The disk of the OMERO server is full", code="server-disk-full"),
        AccessDenied("OMERO refuses the log-in", code="login"),
    ],
    ids=lambda error: error.kind,
)
def test_an_outage_of_omero_over_a_restart_is_one_alert_and_many_drops_make_no_more(tmp_path: Path, error: DropboxImportError) -> None:
    house = Watched(tmp_path)
    house.lab.server.refuse |= dict.fromkeys(COMMANDS, error)
    for number in range(30):
        house.lab.drop(f"{number}.yaml", ONE, {f"{number}.tif": b"image %d" % number})
    house.passes(300)
    assert house.open() == [f"OMERO cannot be used: {error.sentence}"]
    house.start()
    house.passes(300)
    assert house.told() == {"alert-begins": 1}
    house.lab.server.refuse.clear()
    house.passes(200)
    assert house.open() == []
    assert house.told() == ONCE
    house.lab.check(30)


def test_a_share_that_is_away_is_one_alert(tmp_path: Path) -> None:
    house = Watched(tmp_path)
    house.passes(20)
    away = tmp_path / "away"
    house.lab.box.rename(away)
    house.lab.box.mkdir()
    house.passes(200)
    (told,) = house.open()
    assert "taken as not mounted" in told
    house.start()
    house.passes(200)
    assert list(house.lab.box.iterdir()) == []
    house.lab.box.rmdir()
    away.rename(house.lab.box)
    house.passes(120)
    assert house.told() == ONCE


def test_a_volume_with_too_little_room_is_one_alert(tmp_path: Path) -> None:
    house = Watched(tmp_path, min_free=10**18)
    house.lab.drop("a.yaml", ONE, {"a.tif": b"image"})
    house.passes(400)
    (told,) = house.open()
    assert "(min_free) is free" in told
    assert house.lab.claims() == []
    assert house.told() == {"alert-begins": 1}


def test_a_box_that_cannot_be_scanned_is_one_alert_and_still_shows_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    house = Watched(tmp_path)
    house.passes(20)
    runner = house.lab.runners[0]
    with monkeypatch.context() as patch:

        def denied() -> None:
            raise PermissionError(errno.EACCES, "Permission denied", str(house.lab.layout.drop))

        patch.setattr(runner._intake, "scan", denied)
        beat = house.lab.layout.heartbeat(runner.instance.name)
        before = beat.read_bytes()
        house.passes(400)
        (told,) = house.open()
        assert "Permission denied" in told
        assert beat.read_bytes() != before
    house.passes(120)
    assert house.told() == ONCE


def test_a_sign_of_life_that_cannot_be_written_is_one_alert_and_the_work_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """For days `submit` refused and other instances named `adopt`, against a daemon that worked; nobody was told why."""
    house = Watched(tmp_path)
    house.passes(20)

    def observer(when: str, what: str, path: Path) -> None:
        if when == "before" and ".heartbeat-" in path.name:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))

    observe.set_observer(observer)
    try:
        house.passes(60)
        assert house.open() == []
        house.lab.drop("a.yaml", ONE, {"a.tif": b"image"})
        house.passes(200)
        (told,) = house.open()
        assert "writing the sign of life" in told
        assert "Permission denied" in told
        assert len([one for one in caplog.messages if "sign of life" in one]) == 1
        assert [path.parent.parent.parent.name for path in house.lab.filed("done")] == ["done"]
        house.start()
        house.passes(200)
    finally:
        observe.set_observer(None)
    assert house.told() == {"alert-begins": 1}
    house.passes(120)
    assert house.told() == ONCE
    house.lab.check(1)


def test_each_drop_that_may_not_be_taken_is_one_alert(tmp_path: Path) -> None:
    house = Watched(tmp_path)
    for name in ("a", "b"):
        house.lab.drop(f"{name}.yaml", ONE, {f"{name}.tif": name.encode()})

    def observer(when: str, what: str, path: Path) -> None:
        if (when, what) == ("before", "rename") and path.name in ("a.yaml", "b.yaml"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))

    observe.set_observer(observer)
    try:
        house.passes(200)
        assert len(house.lab.claims()) == 2, "no scan begins one more"
        house.start()
        house.passes(100)
        assert len(house.lab.claims()) == 2, "nor does a daemon that is started anew"
    finally:
        observe.set_observer(None)
    assert len(house.open()) == 2
    assert all("Permission denied" in told for told in house.open())
    house.passes(200)
    assert house.told() == {"alert-begins": 2, "alert-ends": 2}
    house.lab.check(2)


def test_a_parked_drop_whose_journal_may_not_be_read_is_one_alert(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was tried every half a minute for ever, and neither `status` nor anybody else said why."""
    monkeypatch.setattr(working, "AT_WORK", 1)
    house = Watched(tmp_path)
    runner = house.lab.runners[0]
    house.lab.server.refuse["open_session"] = ServerUnavailable("OMERO cannot be reached", code="unreachable")
    for name in ("a", "b"):
        house.lab.drop(f"{name}.yaml", ONE, {f"{name}.tif": name.encode()})
    house.passes(20)
    (parked,) = runner.claims.parked.names()
    load = claims.load

    def denied(box: Layout, path: Path, clock: Clock) -> Claim:
        if path.name == parked:
            raise PermissionError(errno.EACCES, "Permission denied", str(path / "journal.jsonl"))
        return load(box, path, clock)

    with monkeypatch.context() as patch:
        patch.setattr(claims, "load", denied)
        house.lab.server.refuse.clear()
        house.passes(400)
        ((name, why),) = runner.waits()
        assert (name, why.kind) == (parked, AccessDenied.code)
        (told,) = house.open()
        assert f"{parked} waits: reading the journal" in told
    house.passes(200)
    assert house.told() == ONCE
    house.lab.check(2)


def test_a_file_that_stays_open_is_told_after_an_hour(tmp_path: Path) -> None:
    house = Watched(tmp_path)
    house.lab.drop("a.yaml", ONE, {"a.tif": b"image"})
    with (house.lab.layout.drop / "jdoe" / "a.tif").open("ab"):
        house.passes(300)
        if house.lab.claims() or house.lab.filed("done"):
            assert os.name != "posix", "seen on local disks"
            return
        assert house.open() == []
        house.passes(3700)
        (told,) = house.open()
        assert "jdoe/a.yaml waits for long" in told
    house.passes(120)
    assert house.told() == ONCE
    house.lab.check(1)


def test_a_drop_that_changes_whenever_it_is_taken_is_told_after_an_hour(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It lay there without a word: neither the status nor a message said that it waited."""
    house = Watched(tmp_path, delays=(600.0,))
    house.lab.drop("a.yaml", ONE, {"a.tif": b"image"})
    take, home = taking.take, house.lab.layout.drop / "jdoe"

    def edited(*args: object) -> object:
        claim = take(*args)  # type: ignore[arg-type]
        with (home / "a.yaml").open("a") as sidecar:
            sidecar.write("# one more line\n")
        return claim

    with monkeypatch.context() as patch:
        patch.setattr(taking, "take", edited)
        house.passes(3500)
        assert house.open() == []
        house.passes(300)
        (told,) = house.open()
        assert "jdoe/a.yaml waits for long: a.yaml was changed while it was being taken, so it was put back" in told
    house.passes(700)
    assert house.told() == ONCE
    assert len(house.lab.filed("done")) == 1


def test_a_file_that_cannot_be_read_to_its_end_is_told_although_each_try_takes_long(tmp_path: Path) -> None:
    house = Watched(tmp_path, delays=(60.0,), queued=True)
    house.lab.drop("a.yaml", ONE, {"a.tif": b"image"})
    workers, rng = house.lab.workers, random.Random(1)
    for _ in range(10):
        house.passes(630)
        (flight,) = workers.flights
        assert flight.command.do == "inspect"
        workers.flights.clear()
        hung = OutcomeUnknown("the inspector had to be ended: inspect took too long", code="hung")
        flight.on_reply(Reply(flight.command, None, hung, "none", flight.worker, died=True))
        house.passes(70)
    assert len(house.open()) == 1
    while workers.flights or house.lab.claims():
        house.passes(2)
        while workers.deliver(rng):
            pass
    house.passes(60)
    assert house.told() == ONCE
    house.lab.check(1)
