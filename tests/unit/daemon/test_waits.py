"""Users are told once when something of theirs waits for long, over restarts too."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from dropbox_import.daemon.alerts import Alert
from dropbox_import.daemon.waits import FILE, LOOK, Told, Waits
from dropbox_import.errors import AccessDenied, FileBusy
from dropbox_import.model import Waiting
from dropbox_import.notify.message import Message
from dropbox_import.notify.outbox import Outbox
from dropbox_import.settings import Box, WaitForFiles
from tests.support.clocks import HandClock

SINCE = "2026-11-22T09:39:12+00:00"
DOWN = Alert("omero", "20261122-093912-omero-00000000", "OMERO cannot be used: it is gone", "Nothing is lost.", SINCE, state="told")


@dataclass
class FakeClaims:
    found: Counter[str] = field(default_factory=Counter)

    def owners(self) -> Counter[str]:
        return self.found


class FakeBox:
    def __init__(self) -> None:
        self.box = Box(path=Path("/srv/imports"), wait_for_files=WaitForFiles(tell_after=3600.0))
        self.scans = 1
        self.claims = FakeClaims()
        self.lying: list[Waiting] = []

    def unclaimed(self) -> tuple[Waiting, ...]:
        return tuple(self.lying)


class Desk:
    def __init__(self, folder: Path) -> None:
        self.folder, self.clock, self.box = folder, HandClock(), FakeBox()
        self.alert: Alert | None = None
        self.start()

    def start(self) -> None:
        self.told_file = Told(self.folder / FILE)
        self.waits = self.for_box(self.box)

    def for_box(self, box: FakeBox) -> Waits:
        return Waits(box, self.folder / "outbox", self.told_file, lambda: self.alert, 3600.0, self.clock)

    def passes(self, seconds: float) -> None:
        for _ in range(int(seconds / LOOK)):
            self.waits.tend()
            self.clock.forward(LOOK)
        self.waits.tend()

    def lies(self, user: str, sidecar: str, kind: str = "") -> None:
        self.box.lying.append(Waiting(user, sidecar, "2 of 3 files are there", self.clock.monotonic(), kind))

    def told(self) -> list[Message]:
        outbox = Outbox(self.folder / "outbox")
        return [outbox.message(name).message for name in outbox.names()[0]]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_sidecar_that_waits_for_its_files_is_told_after_an_hour_and_once(desk: Desk) -> None:
    desk.lies("jdoe", "run7.yaml")
    desk.passes(3500)
    assert desk.told() == []
    desk.passes(7200)
    desk.start()
    desk.passes(7200)
    (message,) = desk.told()
    assert (message.event, message.user, message.owner) == ("waits-files", "jdoe", "jdoe")
    assert [(one.sidecar, one.reason) for one in message.waiting] == [("run7.yaml", "2 of 3 files are there")]


def test_all_of_one_user_that_wait_are_told_together(desk: Desk) -> None:
    for number in range(50):
        desk.lies("jdoe", f"run{number}.yaml")
    desk.lies("asmith", "mine.yaml")
    desk.passes(3700)
    assert sorted((one.user, len(one.waiting), one.waiting_in_all) for one in desk.told()) == [("asmith", 1, 1), ("jdoe", 20, 50)]


def test_what_came_and_waits_once_more_is_told_once_more(desk: Desk) -> None:
    desk.lies("jdoe", "run7.yaml")
    desk.passes(3700)
    desk.box.lying.clear()
    desk.passes(100)
    for path in (desk.folder / "outbox").iterdir():
        path.unlink()  # it was sent
    desk.lies("jdoe", "run7.yaml")
    desk.passes(3700)
    assert len(desk.told()) == 1


def test_what_only_the_administrator_can_end_is_not_told_to_the_user(desk: Desk) -> None:
    desk.lies("jdoe", "locked.yaml", AccessDenied.code)
    desk.lies("jdoe", "open.yaml", FileBusy.code)
    desk.passes(3700)
    assert [one.sidecar for message in desk.told() for one in message.waiting] == ["open.yaml"]


def test_each_user_with_drops_hears_once_of_an_outage_of_an_hour(desk: Desk) -> None:
    desk.box.claims.found = Counter({"jdoe": 12, "asmith": 1})
    desk.alert = DOWN
    desk.passes(3500)
    assert desk.told() == []
    desk.passes(300)
    assert sorted((one.user, one.waiting_in_all, one.since) for one in desk.told()) == [("asmith", 1, SINCE), ("jdoe", 12, SINCE)]
    for path in (desk.folder / "outbox").iterdir():
        path.unlink()
    desk.start()
    desk.passes(3600)
    assert desk.told() == []


def test_who_drops_something_during_a_long_outage_is_told_after_an_hour_of_their_own(desk: Desk) -> None:
    desk.alert = DOWN
    desk.passes(3700)
    desk.box.claims.found = Counter({"jdoe": 1})
    desk.passes(3000)
    assert desk.told() == []
    desk.passes(700)
    assert [one.user for one in desk.told()] == ["jdoe"]


def test_a_user_with_drops_in_two_boxes_hears_of_one_outage_once(desk: Desk) -> None:
    desk.alert = DOWN
    desk.box.claims.found = Counter({"jdoe": 1})
    desk.passes(3700)
    for path in (desk.folder / "outbox").iterdir():
        path.unlink()
    other = FakeBox()
    other.box = Box(path=Path("/srv/other"))
    other.claims.found = Counter({"jdoe": 5})
    desk.waits = desk.for_box(other)
    desk.passes(7200)
    assert desk.told() == []


def test_a_restart_tells_nobody_once_more(desk: Desk) -> None:
    desk.lies("jdoe", "run7.yaml")
    desk.passes(3700)
    for path in (desk.folder / "outbox").iterdir():
        path.unlink()
    for _ in range(3):
        desk.box.lying = [Waiting("jdoe", "run7.yaml", "2 of 3 files are there", desk.clock.monotonic())]  # seen anew
        desk.start()
        desk.passes(3700)
    assert desk.told() == []


def test_the_next_outage_is_told_again(desk: Desk) -> None:
    desk.box.claims.found = Counter({"jdoe": 1})
    desk.alert = DOWN
    desk.passes(3700)
    desk.alert = None
    desk.passes(60)
    desk.alert = Alert("omero", "20261122-120000-omero-00000000", "again", "", "2026-11-22T10:00:00+00:00", state="told")
    desk.passes(3700)
    assert len(desk.told()) == 2


def test_before_the_first_look_nothing_is_known_and_nothing_forgotten(desk: Desk) -> None:
    desk.lies("jdoe", "run7.yaml")
    desk.passes(3700)
    desk.box.scans = 0
    desk.box.lying.clear()
    desk.start()
    desk.passes(100)
    assert json.loads((desk.folder / FILE).read_text()) == ["files:/srv/imports:jdoe/run7.yaml"]


def test_a_name_that_is_not_utf8_can_be_told(desk: Desk) -> None:
    desk.lies("jdoe", b"caf\xe9.yaml".decode("utf-8", "surrogateescape"))
    desk.passes(3700)
    assert len(desk.told()) == 1
