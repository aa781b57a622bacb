"""File system events are a hint: they wake the scan early, and nothing breaks without them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dropbox_import.intake import Intake, Wake, watch
from tests.integration.intake_help import Desk, T
from tests.support.lab import Lab
from tests.support.tally import ALL, counted


class Changes:
    def __init__(self) -> None:
        self.event = threading.Event()
        self.count = 0

    def __call__(self) -> None:
        self.count += 1
        self.event.set()

    def within(self, seconds: float = 10) -> bool:
        seen = self.event.wait(seconds)
        self.event.clear()
        return seen


@pytest.fixture
def changes() -> Changes:
    return Changes()


@pytest.fixture
def start(tmp_path: Path, changes: Changes) -> Iterator[Callable[[], Wake]]:
    wakes: list[Wake] = []

    def begin(on_change: Callable[[], None] = changes) -> Wake:
        wakes.append(Wake([tmp_path], on_change))
        wakes[-1].start()
        return wakes[-1]

    yield begin
    for wake in wakes:
        wake.stop()


def test_a_new_file_wakes_also_in_a_new_folder(tmp_path: Path, start: Callable[[], Wake], changes: Changes) -> None:
    wake = start()
    assert wake.healthy()
    (tmp_path / "jdoe").mkdir()
    assert changes.within()
    time.sleep(0.2)
    changes.event.clear()
    (tmp_path / "jdoe" / "cells.yaml").write_text("x")
    assert changes.within()
    wake.stop()
    wake.stop()
    assert not wake.healthy()


def test_our_own_scan_wakes_nobody(tmp_path: Path, changes: Changes) -> None:
    desk = Desk(tmp_path / "box")
    desk.save("cells.tif")
    desk.save("cells.yaml", T)
    wake = Wake([desk.drop], changes)
    wake.start()
    try:
        assert desk.settled().ready
        assert not changes.within(0.5)
    finally:
        wake.stop()


def test_an_error_in_the_answer_does_not_end_the_watch(tmp_path: Path, changes: Changes) -> None:
    def broken() -> None:
        changes()
        raise ValueError("a bug")

    wake = Wake([tmp_path], broken)
    wake.start()
    try:
        (tmp_path / "a").touch()
        assert changes.within()
        time.sleep(0.1)
        (tmp_path / "b").touch()
        assert changes.within()
        assert wake.healthy()
    finally:
        wake.stop()


def test_a_dead_watcher_is_noticed_and_can_be_started_again(tmp_path: Path, start: Callable[[], Wake], changes: Changes) -> None:
    wake = start()
    assert wake._observer is not None
    (emitter,) = wake._observer.emitters
    emitter.stop()
    emitter.join(60)
    assert not wake.healthy()
    wake.start()
    assert wake.healthy()
    (tmp_path / "a").touch()
    assert changes.within()


def test_a_folder_that_is_not_there_is_no_error(tmp_path: Path, changes: Changes) -> None:
    wake = Wake([tmp_path / "gone"], changes)
    wake.start()
    assert not wake.healthy()
    wake.stop()


def test_the_limit_of_watches_leaves_the_scan(
    tmp_path: Path, changes: Changes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Full:
        def schedule(self, *what: object, **options: object) -> None:
            raise OSError(28, "inotify watch limit reached")

        def stop(self) -> None: ...

        def is_alive(self) -> bool:
            return False

    monkeypatch.setattr(watch, "Observer", Full)
    wake = Wake([tmp_path], changes)
    wake.start()
    assert not wake.healthy()
    assert "next scan" in caplog.text


def test_a_share_is_not_watched(tmp_path: Path, changes: Changes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "is_network", lambda path: True)
    wake = Wake([tmp_path], changes)
    wake.start()
    (tmp_path / "a").touch()
    assert not changes.within(0.3)
    assert not wake.healthy()


@pytest.mark.parametrize("events", ["none", "flood"])
def test_the_result_is_the_same_with_no_events_and_with_a_flood(tmp_path: Path, events: str) -> None:
    desk = Desk(tmp_path / "box")
    intake: Intake = desk.intake
    desk.save("cells.tif")
    desk.save("cells.yaml", T)
    for _ in range(200 if events == "flood" else 2):
        assert intake.scan().ready == ()
    desk.clock.seconds += 11
    assert len(intake.scan().ready) == 1


def test_a_backlog_of_events_does_no_harm(tmp_path: Path, changes: Changes) -> None:
    """Nobody takes them for a while. Then the watch goes on, or says that it does not; a scan finds all anyway."""
    desk = Desk(tmp_path / "box")
    stalled = threading.Event()

    def slow() -> None:
        stalled.wait(20)
        changes()

    wake = Wake([desk.drop], slow)
    wake.start()
    try:
        with counted("events are lost", "a backlog"):
            desk.save("cells.tif")
            desk.save("cells.yaml", T)
            for number in range(20_000 if ALL else 2_000):
                (desk.home / ".flood").touch()
                (desk.home / ".flood").rename(desk.home / f".flood{number % 2}")
            stalled.set()
            assert len(desk.settled().ready) == 1, "stuck"
            time.sleep(0.5)
            changes.event.clear()
            desk.save("later.yaml", T)
            assert changes.within(10) or not wake.healthy(), "stuck: nobody would know that the watch is dead"
    finally:
        stalled.set()
        wake.stop()


@pytest.mark.parametrize("events", ["none", "flood"])
def test_a_daemon_comes_to_the_same_end_with_no_events_and_with_a_flood(tmp_path: Path, events: str) -> None:
    with counted("events are lost", events):
        lab = Lab(tmp_path)
        for number in range(3):
            lab.drop(f"{number}.yaml", T, {f"{number}.tif": b"%d" % number})
        runner = lab.start()
        for _ in range(150):
            if events == "flood":
                for _ in range(50):
                    runner.wake(scan=True)
            lab.turns(1)
        lab.turns()
        lab.check(3)
