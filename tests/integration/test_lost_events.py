"""Events are lost: the queue of the system overflows, or a watcher dies. A scan finds all the same, and the watch comes back.

It speaks of how Linux tells events, and of the threads that the library has there.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from watchdog.observers.api import EventEmitter

from dropbox_import.clock import SystemClock
from dropbox_import.daemon import hung
from dropbox_import.intake import Wake
from tests.integration.intake_help import Desk, T
from tests.integration.test_intake_watch import Changes
from tests.support.realrun import ROOT, real_run
from tests.support.tally import counted

if sys.platform != "linux":
    pytest.skip("other systems tell events otherwise", allow_module_level=True)

from watchdog.observers import inotify, inotify_c


@pytest.fixture
def changes() -> Changes:
    return Changes()


def emitters(wake: Wake) -> list[EventEmitter]:
    assert wake._observer is not None
    return list(wake._observer.emitters)


def until(look: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < end, f"it did not come within {seconds} s"
        time.sleep(0.02)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_watcher_whose_reader_has_died_is_noticed_and_can_be_started_again(
    tmp_path: Path, changes: Changes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library reads in a thread of its own: without that all the rest lives on, and is deaf."""
    wake = Wake([tmp_path], changes)
    wake.start()
    try:
        with monkeypatch.context() as broken:
            broken.setattr(inotify_c.InotifyFD, "handle_event", lambda *_: 1 / 0)
            (tmp_path / "a").touch()
            until(lambda: not wake.healthy())
        wake.start()
        assert wake.healthy()
        (tmp_path / "b").touch()
        assert changes.within()
    finally:
        wake.stop()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_folders_that_are_taken_and_dropped_again_leave_no_watcher_deaf(tmp_path: Path, changes: Changes) -> None:
    """As claims and users do it: with watchdog 7.1 this ends the thread that reads."""
    drop, done = tmp_path / "drop", tmp_path / "done"
    drop.mkdir()
    done.mkdir()
    threads = set(threading.enumerate())
    wake = Wake([drop], changes)
    wake.start()
    try:
        (drop / "run1").mkdir()
        assert changes.within()
        (drop / "run1").rename(done / "run1")
        time.sleep(0.7)  # half of a rename is kept for half a second
        (drop / "run1").mkdir()
        time.sleep(0.2)
        (drop / "run1").rmdir()
        time.sleep(0.2)
        (done / "run1").rmdir()
        time.sleep(0.2)
        for number in range(30):  # the reader may die a moment later, and with it what it was to tell
            if not wake.healthy():
                wake.start()
            changes.event.clear()
            (drop / f"file{number}").touch()
            if changes.within(1):
                break
        else:
            raise AssertionError("it is deaf and says that it is well")
    finally:
        wake.stop()
    assert set(threading.enumerate()) <= threads, "something of a watcher is left"


def test_the_watchers_are_looked_after(tmp_path: Path, changes: Changes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hung, "WATCHER_LOOK", 0.1)
    wake = Wake([tmp_path], changes)
    wakes = hung.Wakes([wake], SystemClock())
    wakes.start()
    try:
        until(wake.healthy)
        (first,) = emitters(wake)
        first.stop()
        first.join(60)
        until(wake.healthy)
        assert emitters(wake) != [first]
        changes.event.clear()
        (tmp_path / "a").touch()
        assert changes.within()
    finally:
        wakes.stop()
    assert not wake.healthy()


def test_the_queue_of_the_system_overflows(tmp_path: Path, changes: Changes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody reads it for a while. The scan finds what came meanwhile; the watch goes on, in the folders that were made then, too."""
    desk = Desk(tmp_path / "box")
    overflows: list[str] = []
    stalled = threading.Event()
    usual, told = inotify_c.InotifyFD.handle_event, inotify.InotifyWatchGroup.on_queue_overflow

    def slow(self: inotify_c.InotifyFD, event: inotify_c.InotifyEvent) -> None:
        stalled.wait(60)
        usual(self, event)

    def noted(self: inotify.InotifyWatchGroup) -> None:
        told(self)
        overflows.append(os.fsdecode(self.path))

    monkeypatch.setattr(inotify_c.InotifyFD, "handle_event", slow)
    monkeypatch.setattr(inotify.InotifyWatchGroup, "on_queue_overflow", noted)
    wake = Wake([desk.drop], changes)
    wake.start()
    try:
        with counted("events are lost", "the queue overflows"):
            (desk.home / ".flood0").touch()
            # Each is two events; the library may have read some two thousand before it was stalled.
            for number in range(int(Path("/proc/sys/fs/inotify/max_queued_events").read_text()) // 2 + 2_000):
                (desk.home / f".flood{number % 2}").rename(desk.home / f".flood{1 - number % 2}")
            desk.save("cells.tif")
            desk.save("cells.yaml", T)
            (desk.home / "new").mkdir()
            assert not overflows
            stalled.set()
            until(lambda: bool(overflows), 60)
            assert overflows == [str(desk.drop)]
            assert len(desk.settled().ready) == 1, "stuck"
            time.sleep(0.7)  # half of a rename is kept for half a second
            changes.event.clear()
            (desk.home / "new" / "later.yaml").write_text(T)
            assert changes.within(10) or not wake.healthy(), "stuck: nobody would know that the watch is dead"
    finally:
        stalled.set()
        wake.stop()


# The daemon itself with two additions: SIGUSR1 ends its watchers, and none is looked after while there is a file `no-look`.
PROGRAM = """
import os, signal, threading
from dropbox_import.cli import main
from dropbox_import.daemon import hung
from dropbox_import.intake import Wake
from watchdog.observers.api import EventEmitter
def watchers():
    return [one for one in threading.enumerate() if isinstance(one, EventEmitter)]
def end(*_):
    for one in watchers():
        one.stop()
def say():
    while True:
        with open("watchers.new", "w") as out:
            print(len(watchers()), file=out)
        os.replace("watchers.new", "watchers")
        threading.Event().wait(0.05)
usual = Wake.healthy
Wake.healthy = lambda self: os.path.exists("no-look") or usual(self)
hung.WATCHER_LOOK = 0.2
signal.signal(signal.SIGUSR1, end)
threading.Thread(target=say, daemon=True).start()
main()
"""


def test_a_daemon_whose_watcher_dies_goes_on_by_scans_and_has_a_new_one_after_the_look(tmp_path: Path) -> None:
    with real_run(tmp_path) as run, counted("events are lost", "the watcher of a real daemon dies"):
        words = [sys.executable, "-c", PROGRAM, "run", "--config", str(run.config)]
        with run.log.open("ab") as log:
            run.daemon = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=os.environ | {"PYTHONPATH": str(ROOT)}, cwd=tmp_path
            )

        def watchers() -> int:
            return int((tmp_path / "watchers").read_text())

        run.until((tmp_path / "watchers").exists)
        run.until(lambda: watchers() == 1)
        (tmp_path / "no-look").touch()
        time.sleep(0.5)  # a look that has begun before is over
        run.daemon.send_signal(signal.SIGUSR1)
        run.until(lambda: watchers() == 0)
        run.drop("by scans alone")
        run.rest()
        assert watchers() == 0
        (tmp_path / "no-look").unlink()
        run.until(lambda: watchers() == 1)
        run.drop("with a watcher")
        run.rest()
        run.check()
        assert run.terminate() == 0
