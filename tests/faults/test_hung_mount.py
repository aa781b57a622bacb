"""A box on a mount that hangs stops only itself.

The other box goes on, people are told, the daemon can be stopped, and when the mount is back all goes on.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dropbox_import.clock import SystemClock
from dropbox_import.daemon.alerts import read_alerts
from dropbox_import.spool.layout import Layout, create_box
from tests.support.hungmount import HungMount, hung_mount
from tests.support.realrun import ROOT, Dropped, RealRun, real_run
from tests.support.tally import counted

SOON = 5  # seconds; the product waits for two minutes before it says that a box does not answer

pytestmark = [pytest.mark.needs_fuse, pytest.mark.timeout(240)]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUNG_AFTER", str(SOON))


@dataclass
class TwoBoxes:
    """alice drops into a healthy box, bob into one whose mount may hang."""

    run: RealRun
    share: Layout
    mount: HungMount

    def drop_on_share(self, name: str, fine: int = 1) -> Dropped:
        healthy, self.run.layout = self.run.layout, self.share
        try:
            return self.run.drop(name, user="bob", fine=fine)
        finally:
            self.run.layout = healthy

    def drop_and_hang(self, record: str, fine: int = 1) -> None:
        """The mount hangs when a drop there has come to that record."""
        self.drop_on_share("while", fine=fine)
        self.run.until(lambda: any(record in self.run.records(claim) for claim in self.share.inprogress.glob("*/2*")), 60)
        self.mount.hang()

    def share_at_rest(self) -> bool:
        """Asked twice, because a claim appears after its sidecar is seen."""

        def waiting() -> bool:
            return bool(list(self.share.drop.rglob("*.yaml")))

        return not waiting() and not [path for path in self.share.inprogress.glob("*/*") if path.name != "outbox"] and not waiting()

    def check(self) -> None:
        """Every drop is done in its box, and its images are in OMERO once."""
        for one in self.run.drops:
            layout = self.share if one.user == "bob" else self.run.layout
            filed = [path for state in ("done", "failed") for path in (layout.box / state / one.user).glob(f"*/{one.name}__*")]
            assert [path.parts[-4] for path in filed] == ["done"], f"{one.name} lies in {filed}\n{self.run.tail()}"
        self.run._check_server()

    def beat(self) -> int:
        (path,) = self.run.layout.box.glob(".heartbeat-*")
        return int(json.loads(path.read_bytes())["beat"])

    def status_says(self) -> dict[str, Any]:
        words = [sys.executable, "-m", "dropbox_import", "status", "--output", "json", "--config", str(self.run.config)]
        done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, timeout=60)
        return dict(json.loads(done.stdout))

    def stop(self, most: float) -> None:
        """SIGTERM, while the mount hangs."""
        assert self.run.daemon is not None
        begun = time.monotonic()
        self.run.daemon.send_signal(signal.SIGTERM)
        assert self.run.daemon.wait(90) == 0, self.run.tail()
        seconds = time.monotonic() - begun
        assert seconds < most, f"stuck: it ended after {seconds:.0f} s"

    def come_to_rest(self) -> None:
        self.mount.back()
        self.run.until(self.share_at_rest, 90)
        self.run.rest()
        self.check()


@contextmanager
def two_boxes(folder: Path) -> Iterator[TwoBoxes]:
    with real_run(folder, "alice", "bob") as run:
        share = Layout(folder / "share" / "box")
        create_box(share.box, SystemClock(), ("bob",))
        config = json.loads(run.config.read_text())
        config["boxes"].append(config["boxes"][0] | {"path": str(share.box)})
        run.config.write_text(json.dumps(config))
        with hung_mount(share.box) as mount:
            yield TwoBoxes(run, share, mount)


def test_the_other_box_goes_on_and_people_are_told(tmp_path: Path) -> None:
    with two_boxes(tmp_path) as boxes, counted("a mount hangs"):
        run = boxes.run
        run.start()
        boxes.drop_and_hang("begun", fine=2)
        beat = boxes.beat()
        run.drop("meanwhile")
        run.rest(60)
        key = f"hung:{boxes.share.box}"
        run.until(lambda: key in [alert.key for alert in read_alerts(run.state)], 30)
        run.until(lambda: f"the box {boxes.share.box} has not answered" in run.log.read_text(), 30)
        run.until(lambda: boxes.beat() > beat, 30)
        said = boxes.status_says()
        assert str(boxes.share.box) in json.dumps(said), "status says which box it is"
        assert said["counts"]["done"] == 1, "and what is in the other one"
        run.drop("and again")
        run.rest()
        boxes.come_to_rest()
        run.until(lambda: f"the box {boxes.share.box} answers again" in run.log.read_text())
        assert run.terminate() == 0


@pytest.mark.slow_faults
def test_it_holds_all_uploads_and_the_other_box_gets_them(tmp_path: Path) -> None:
    with two_boxes(tmp_path) as boxes, counted("a mount hangs"):
        run = boxes.run
        run.standin.faults({"operation": "write", "do": "delay", "seconds": 3})
        run.start()
        boxes.drop_and_hang("begun", fine=8)
        run.standin.faults()
        run.drop("meanwhile")
        run.rest(60)
        boxes.come_to_rest()


@pytest.mark.slow_faults
def test_the_daemon_ends_when_it_is_told_to(tmp_path: Path) -> None:
    with two_boxes(tmp_path) as boxes, counted("a mount hangs"):
        run = boxes.run
        run.standin.faults({"operation": "write", "do": "delay", "seconds": 4})
        run.start()
        boxes.drop_and_hang("begun")
        run.standin.faults()
        boxes.stop(50)
        run.start()
        boxes.come_to_rest()


@pytest.mark.slow_faults
def test_started_while_the_mount_hangs(tmp_path: Path) -> None:
    with two_boxes(tmp_path) as boxes, counted("a mount hangs"):
        run = boxes.run
        boxes.drop_on_share("before")
        boxes.mount.hang()
        run.start()
        run.drop("meanwhile")
        run.rest(60)
        boxes.stop(50)
        run.start()
        time.sleep(3)
        boxes.come_to_rest()
        assert run.terminate() == 0


@pytest.mark.slow_faults
def test_a_run_that_ends_by_itself_does_not_wait_for_it(tmp_path: Path) -> None:
    with two_boxes(tmp_path) as boxes, counted("a mount hangs"):
        run = boxes.run
        boxes.mount.hang()
        run.drop("one")
        assert run.start(once=True).wait(90) == 0, run.tail()
        boxes.check()
