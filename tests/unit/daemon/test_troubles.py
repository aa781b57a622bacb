"""What is told of OMERO, of a box and of single drops, when, and from what on it is known to be over."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from dropbox_import.daemon.alerts import AFTER, CALM, OUTBOX, Alerts, read_alerts
from dropbox_import.daemon.channels import ChannelTrouble
from dropbox_import.daemon.outage import Backoff, Outage
from dropbox_import.daemon.troubles import Watch
from dropbox_import.daemon.turning import Awake, Turning
from dropbox_import.errors import (
    AccessDenied,
    ConfigError,
    DiskFull,
    DropboxImportError,
    FileBusy,
    OutcomeUnknown,
    ServerUnavailable,
    ShareUnavailable,
    TryLater,
)
from dropbox_import.model import Waiting
from dropbox_import.settings import Box, WaitForFiles
from dropbox_import.workers.protocol import NO_WORKER
from tests.support.clocks import HandClock


@dataclass
class FakeBox:
    box: Box
    turning: Turning
    low: bool = False
    scans: int = 0
    problem: DropboxImportError | None = None
    lying: list[Waiting] = field(default_factory=list)
    stuck: list[tuple[str, DropboxImportError]] = field(default_factory=list)
    tried: list[tuple[str, DropboxImportError]] = field(default_factory=list)
    damaged: list[tuple[str, str]] | None = field(default_factory=list)
    long_looked: bool = False
    silent: dict[str, str] = field(default_factory=dict)
    trouble: DropboxImportError | None = None

    @property
    def peers(self) -> FakeBox:
        return self

    @property
    def heartbeat(self) -> FakeBox:
        return self

    def unclaimed(self) -> tuple[Waiting, ...]:
        return tuple(self.lying)

    def waits(self, *, tried: bool = False) -> list[tuple[str, DropboxImportError]]:
        return [*self.stuck, *self.tried] if tried else self.stuck

    def held(self) -> list[tuple[str, str]] | None:
        return self.damaged

    def judged(self, instance: str) -> bool:
        return self.long_looked


@dataclass
class FakeWays:
    found: list[ChannelTrouble] = field(default_factory=list)
    proven: bool = False

    @property
    def channels(self) -> FakeWays:
        return self

    def troubles(self) -> list[ChannelTrouble]:
        return self.found

    def surely_works(self, channel: str) -> bool:
        return self.proven


class House:
    def __init__(self, state: Path) -> None:
        self.state, self.clock = state, HandClock()
        self.ways = FakeWays()
        box = Box(path=Path("/srv/imports"), min_free=5_000_000_000, wait_for_files=WaitForFiles(tell_after=3600.0))
        self.box = FakeBox(box, Turning(Awake(self.clock)))
        self.start()

    def start(self) -> None:
        self.outage = Outage(Backoff((5.0,), 0.0, self.clock), self.clock)
        self.alerts = Alerts(self.state, self.clock)
        self.watch = Watch(self.alerts, self.outage, [self.box], self.state, self.clock, self.ways)
        self.box.scans = 0

    def passes(self, seconds: float) -> None:
        for _ in range(int(seconds / 5)):
            self.watch.tend()
            self.clock.forward(5.0)
        self.watch.tend()

    def open(self) -> list[str]:
        return [alert.sentence for alert in read_alerts(self.state)]

    def events(self) -> list[str]:
        return sorted(json.loads(path.read_bytes())["event"] for path in (self.state / OUTBOX).glob("*.json"))


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


@pytest.mark.parametrize(
    "error",
    [
        ServerUnavailable("OMERO cannot be reached", code="unreachable"),
        DiskFull("The disk of the OMERO server is full", code="server-disk-full"),
        AccessDenied("OMERO refuses the log-in of importer", code="login"),
        ConfigError("the certificate of OMERO is not valid", code="certificate"),
    ],
    ids=lambda error: error.kind,
)
def test_omero_that_cannot_be_used_is_told_with_its_reason(house: House, error: DropboxImportError) -> None:
    house.outage.failed(error)
    house.passes(AFTER - 20)
    assert house.open() == []
    house.passes(40)
    assert house.open() == [f"OMERO cannot be used: {error.sentence}"]
    house.start()
    house.passes(300)
    assert house.open() != [], "after a start nobody has asked OMERO yet"
    house.outage.worked()
    house.passes(CALM + 10)
    assert house.open() == []
    assert house.events() == ["alert-begins", "alert-ends"]


def test_a_share_that_is_gone_is_told_until_a_scan_has_seen_it(house: House) -> None:
    house.box.scans = 3
    house.box.problem = ShareUnavailable("/srv/imports is not mounted")
    house.passes(AFTER + 10)
    assert house.open() == ["/srv/imports is not mounted"]
    house.start()
    house.box.problem = None
    house.passes(300)
    assert house.open() != []
    house.box.scans = 1
    house.passes(CALM + 10)
    assert house.open() == []


def test_a_box_that_hangs_is_told_and_the_rest_of_it_is_left_open(house: House) -> None:
    house.box.scans = 3
    house.box.low = True
    house.passes(AFTER + 10)
    house.box.turning.begins()
    house.passes(AFTER + 10)
    assert len(house.open()) == 2
    assert any("has not answered" in sentence for sentence in house.open())
    house.box.turning.rests()
    house.box.low = False
    house.passes(CALM + 20)
    assert house.open() == []


def test_no_box_hung_in_a_time_in_which_the_whole_daemon_stood_still(house: House) -> None:
    house.box.scans = 3
    house.box.turning.begins()
    house.passes(10)
    house.clock.forward(10 * AFTER)
    house.passes(AFTER / 2)
    assert house.open() == []
    house.passes(AFTER)
    assert len(house.open()) == 1


def test_a_full_volume_is_told_with_what_the_config_asks_for(house: House) -> None:
    house.box.scans = 3
    house.box.low = True
    house.passes(AFTER + 10)
    assert house.open() == ["less than 5.0 GB (min_free) is free on the volume of /srv/imports, so nothing new is taken"]
    house.box.low, house.box.stuck = False, [("a", DiskFull("writing: No space left on device"))]
    house.passes(300)
    assert len(house.open()) == 1, "it is the same trouble"


def test_each_drop_to_which_access_is_denied_is_told_once(house: House) -> None:
    house.box.scans = 3
    house.box.stuck = [("20261122-093912-aaaaaaaaaa", AccessDenied("moving a.tif: Permission denied"))]
    house.box.lying = [Waiting("jdoe", "x.yaml", "Permission denied (x.tif)", 0.0, AccessDenied.code)]
    house.passes(AFTER * 5)
    assert len(house.open()) == 2
    assert house.events() == ["alert-begins"] * 2
    house.box.stuck, house.box.lying = [], []
    house.passes(CALM + 10)
    assert house.open() == []


def test_many_drops_to_which_access_is_denied_are_one_alert(house: House) -> None:
    house.box.scans = 3
    house.box.lying = [Waiting("jdoe", f"{number}.yaml", "Permission denied", 0.0, AccessDenied.code) for number in range(500)]
    house.passes(AFTER * 2)
    (told,) = house.open()
    assert told.startswith("500 drops in /srv/imports wait because access to them is denied")


def test_a_file_that_is_busy_is_told_only_after_long(house: House) -> None:
    house.box.scans = 3
    house.box.stuck = [("20261122-093912-aaaaaaaaaa", FileBusy("a.tif is open"))]
    house.passes(3500)
    assert house.open() == []
    house.passes(200)
    (told,) = house.open()
    assert "waits for long" in told


def test_what_waits_for_less_than_an_hour_or_for_its_user_is_not_the_administrators_business(house: House) -> None:
    house.box.scans = 3
    house.box.stuck = [("20261122-093912-aaaaaaaaaa", ServerUnavailable("busy", code="busy"))]
    house.box.lying = [Waiting("jdoe", "x.yaml", "not there yet: b.tif", 0.0)]
    house.passes(3500)
    house.box.stuck = []
    house.passes(7200)
    assert house.open() == []


def test_a_box_that_left_the_config_has_no_alerts(house: House) -> None:
    house.box.scans = 3
    house.box.low = True
    house.passes(AFTER + 10)
    house.watch = Watch(house.alerts, house.outage, [], house.state, house.clock)
    house.passes(CALM + 20)
    assert house.open() == []


def test_a_damaged_journal_is_told_at_once_and_once_until_it_is_mended(house: House) -> None:
    house.box.scans = 1
    house.box.damaged = [("20261122-093912-k7f3q2mzt4", "line 3 of its journal is damaged")]
    house.passes(600)
    assert house.events() == ["alert-begins"]
    house.start()
    house.box.damaged = None  # not read yet
    house.box.scans = 1
    house.passes(600)
    assert len(house.open()) == 1
    house.box.damaged = []
    house.passes(600)
    assert house.events() == ["alert-begins", "alert-ends"]


def test_an_instance_that_gives_no_sign_of_life_is_told_once_over_restarts(house: House) -> None:
    house.box.scans = 1
    house.box.silent = {"scope-2": "3 drops wait for the instance scope-2"}
    house.passes(600)
    house.start()
    house.box.scans, house.box.silent = 1, {}
    house.passes(60)
    assert house.events() == ["alert-begins"]
    house.box.silent, house.box.long_looked = {"scope-2": "3 drops wait for the instance scope-2"}, True
    house.passes(600)
    assert house.events() == ["alert-begins"]
    house.box.silent = {}
    house.passes(600)
    assert house.events() == ["alert-begins", "alert-ends"]


def test_a_mail_server_that_is_away_for_long_is_told_once_over_restarts(house: House) -> None:
    house.box.scans = 1
    down = ChannelTrouble("mail", "relay does not answer.", "2026-11-22T09:39:12+00:00")
    house.ways.found = [down]
    house.passes(300)
    assert house.open() == []
    house.passes(600)
    assert house.open() == ["no message can be sent by mail: relay does not answer."]
    house.ways.found = []
    house.start()
    house.passes(120)  # nothing has been sent yet
    house.ways.found = [down]
    house.passes(900)
    assert house.events() == ["alert-begins"]
    house.ways.found, house.ways.proven = [], True
    house.passes(120)
    assert house.events() == ["alert-begins", "alert-ends"]


def test_whatever_a_drop_waits_for_the_administrator_hears_of_it_in_the_end(house: House) -> None:
    house.box.stuck = [("one", ShareUnavailable("reading a.tif: Input/output error")), ("two", DropboxImportError("an internal error"))]
    house.box.lying = [Waiting("jdoe", "b.yaml", "taking b.yaml: Invalid cross-device link", 0.0, "try-later")]
    house.passes(3590.0)
    assert house.open() == []
    house.passes(20.0)
    assert sorted(house.open()) == [
        "jdoe/b.yaml waits for long: taking b.yaml: Invalid cross-device link",
        "one waits for long: reading a.tif: Input/output error",
        "two waits for long: an internal error",
    ]
    house.box.stuck, house.box.lying, house.box.scans = [], [], 1
    house.passes(CALM + 20)
    assert house.open() == []


def test_many_drops_that_wait_for_the_same_are_one_alert(house: House) -> None:
    house.box.stuck = [(f"drop-{number}", ShareUnavailable("Input/output error")) for number in range(300)]
    house.passes(3620.0)
    assert house.open() == ["300 drops in /srv/imports wait for long, among them drop-0: Input/output error"]


def test_workers_that_cannot_be_started_are_told_soon(house: House) -> None:
    house.box.stuck = [("one", TryLater("the importer does not start", hint="Look into the log.", code=NO_WORKER))]
    house.passes(AFTER + 20)
    assert house.open() == ["one waits for long: the importer does not start"]


def test_what_omero_or_its_own_alert_tells_of_is_not_told_again(house: House) -> None:
    house.box.stuck = [("one", ServerUnavailable("OMERO cannot be reached", code="unreachable")), ("two", FileBusy("is open"))]
    house.passes(4000.0)
    assert house.open() == ["two waits for long: is open"]


def test_tries_that_take_long_do_not_begin_a_wait_anew(house: House) -> None:
    """Of a file that cannot be read to its end nobody heard: each try took ten minutes, and the wait after it began at zero."""
    one = ("one", OutcomeUnknown("the inspector had to be ended", code="hung"))
    house.box.scans = 3
    for _ in range(6):
        house.box.stuck, house.box.tried = [one], []
        house.passes(60)
        house.box.stuck, house.box.tried = [], [one]
        house.passes(600)
        assert house.open() == []
    house.box.stuck, house.box.tried = [one], []
    house.passes(10)
    assert house.open() == ["one waits for long: the inspector had to be ended"]
    house.box.stuck, house.box.tried = [], [one]
    house.passes(600)
    assert house.events() == ["alert-begins"], "it is not known yet whether that is over"
    house.box.tried = []
    house.passes(CALM + 20)
    assert house.events() == ["alert-begins", "alert-ends"]


def test_an_upload_that_takes_long_after_it_was_put_off_once_is_no_trouble(house: House) -> None:
    one = ("one", ServerUnavailable("OMERO is too busy", code="busy"))
    house.box.scans = 3
    house.box.stuck = [one]
    house.passes(10)
    house.box.stuck, house.box.tried = [], [one]
    house.passes(20_000)
    house.box.tried = []
    house.passes(CALM + 20)
    house.box.stuck = [one]
    house.passes(3500)
    assert house.events() == []
