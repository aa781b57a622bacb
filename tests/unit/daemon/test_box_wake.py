"""A hint that something has changed is never lost: it brings a scan, whatever the thread of the box is at when it comes."""

from __future__ import annotations

from pathlib import Path

from dropbox_import.daemon.box import BoxRunner
from dropbox_import.intake import Intake, Scan
from tests.support.lab import Lab


class Midst(float):
    """Seconds until the next scan; something changes while they are added to the time of now."""

    runner: BoxRunner

    def __radd__(self, now: float) -> float:
        self.runner.wake(scan=True)
        return now + float(self)


class Nothing(Intake):
    again_in: float | None = None

    def scan(self) -> Scan:
        return Scan(ready=(), waiting=(), notices=(), again_in=self.again_in)


def resting(folder: Path) -> tuple[BoxRunner, Nothing]:
    """A box that has scanned once and found nothing."""
    runner = Lab(folder).start()
    intake = runner._intake = Nothing(runner.box, runner.clock)
    runner.turn(0)
    assert runner.scans == 1
    return runner, intake


def test_a_change_brings_a_scan_at_once(tmp_path: Path) -> None:
    runner, _ = resting(tmp_path)
    runner.turn(0)
    assert runner.scans == 1
    assert runner.pause() > 0
    runner.wake()
    runner.turn(0)
    assert runner.scans == 1, "a mere wake-up is no change"
    runner.wake(scan=True)
    runner.turn(0)
    assert runner.scans == 2


def test_a_change_while_the_next_scan_is_set_is_not_lost(tmp_path: Path) -> None:
    runner, intake = resting(tmp_path)
    intake.again_in = Midst(0.5)
    intake.again_in.runner = runner
    runner.wake(scan=True)
    runner.turn(0)
    assert runner.scans == 2
    runner.turn(0)
    assert runner.scans == 3
