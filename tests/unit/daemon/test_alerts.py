"""An alert is told once at its start and once at its end, however often the daemon is started between."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from dropbox_import.daemon.alerts import AFTER, CALM, OUTBOX, Alerts, read_alerts
from dropbox_import.disk import observe
from tests.support.clocks import HandClock

SAYS = "OMERO cannot be used: it cannot be reached"


class Desk:
    """Alerts, a clock and what was told."""

    def __init__(self, state: Path) -> None:
        self.state, self.clock = state, HandClock()
        self.alerts = Alerts(state, self.clock)

    def again(self) -> None:
        self.alerts = Alerts(self.state, self.clock)

    def passes(self, seconds: float) -> None:
        self.clock.forward(seconds)
        self.alerts.tend()

    def told(self) -> list[dict[str, Any]]:
        return [json.loads(path.read_bytes()) for path in sorted((self.state / OUTBOX).glob("*.json"))]

    def events(self) -> list[str]:
        return sorted(one["event"] for one in self.told())


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_blip_is_not_told(desk: Desk) -> None:
    desk.alerts.begins("omero", SAYS)
    desk.passes(AFTER - 1)
    desk.alerts.ends("omero")
    desk.passes(AFTER * 10)
    assert desk.told() == []
    assert not (desk.state / "alerts.json").exists()


def test_what_lasts_is_told_once_at_its_start_and_once_at_its_end(desk: Desk) -> None:
    for _ in range(10):
        desk.alerts.begins("omero", SAYS, "Nothing is lost.")
        desk.passes(60)
    (begun,) = desk.told()
    assert (begun["event"], begun["text"], begun["hint"]) == ("alert-begins", SAYS, "Nothing is lost.")
    assert [one.sentence for one in read_alerts(desk.state)] == [SAYS]
    for _ in range(10):
        desk.alerts.ends("omero")
        desk.passes(60)
    assert desk.events() == ["alert-begins", "alert-ends"]
    assert read_alerts(desk.state) == ()
    assert all(set(one) >= {"event", "name", "at", "alert", "text", "hint", "since"} for one in desk.told())


def test_trouble_that_comes_and_goes_is_one_alert(desk: Desk) -> None:
    for _ in range(20):
        desk.alerts.begins("omero", SAYS)
        desk.passes(AFTER)
        desk.alerts.ends("omero")
        desk.passes(CALM / 2)
    assert desk.events() == ["alert-begins"]


def test_an_open_alert_survives_a_restart_and_is_not_told_again(desk: Desk) -> None:
    desk.alerts.begins("omero", SAYS)
    desk.passes(AFTER)
    for _ in range(3):
        desk.again()
        desk.alerts.begins("omero", SAYS)
        desk.passes(AFTER * 2)
    assert desk.events() == ["alert-begins"]
    desk.again()
    desk.passes(AFTER * 2)
    assert desk.events() == ["alert-begins"], "nobody has said yet that it is over"
    desk.alerts.ends("omero")
    desk.passes(1)
    assert desk.events() == ["alert-begins", "alert-ends"]


def test_the_same_trouble_later_is_another_alert(desk: Desk) -> None:
    for _ in range(2):
        desk.alerts.begins("omero", SAYS)
        desk.passes(AFTER)
        desk.alerts.ends("omero")
        desk.passes(CALM)
    assert desk.events() == ["alert-begins"] * 2 + ["alert-ends"] * 2


def test_two_keys_that_look_alike_have_messages_of_their_own(desk: Desk) -> None:
    for key in ("box:/srv/a b", "box:/srv/a-b"):
        desk.alerts.begins(key, SAYS)
    desk.passes(AFTER)
    assert len(desk.told()) == 2


class Crash(BaseException):
    pass


def test_a_crash_at_any_point_loses_no_message_and_makes_no_second_one(tmp_path: Path) -> None:
    point, done = 0, False
    while not done:
        point += 1
        desk = Desk(tmp_path / str(point))
        desk.state.mkdir()
        seen = 0

        def observer(when: str, what: str, path: Path, point: int = point) -> None:
            nonlocal seen
            seen += 1
            if seen == point:
                raise Crash

        observe.set_observer(observer)
        try:
            done = True
            desk.alerts.begins("omero", SAYS)
            desk.passes(AFTER)
            desk.alerts.ends("omero")
            desk.passes(CALM)
        except Crash:
            done = False
        finally:
            observe.set_observer(None)
        desk.again()
        if not desk.told() and not read_alerts(desk.state, all_states=True):
            desk.alerts.begins("omero", SAYS)
            desk.passes(AFTER)
        desk.alerts.ends("omero")
        desk.passes(CALM)
        desk.passes(CALM)
        assert desk.events() == ["alert-begins", "alert-ends"], point
        assert read_alerts(desk.state, all_states=True) == (), point
    assert point > 20


def test_where_nothing_can_be_written_it_is_told_later(desk: Desk) -> None:
    def full(when: str, what: str, path: Path) -> None:
        raise OSError(28, "No space left on device")

    desk.alerts.begins("omero", SAYS)
    observe.set_observer(full)
    try:
        desk.passes(AFTER)
        desk.passes(AFTER)
    finally:
        observe.set_observer(None)
    assert desk.told() == []
    desk.passes(1)
    assert desk.events() == ["alert-begins"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"alerts": 3}', '{"alerts": [{"key": "a"}]}', '{"alerts": [3]}'])
def test_a_damaged_file_of_alerts_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "alerts.json").write_text(text)
    assert read_alerts(tmp_path) == ()
    Alerts(tmp_path, HandClock()).tend()
