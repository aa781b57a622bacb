"""`retry`, `discard`, `adopt`, and what `status` and `show` tell of their drops: typed by an administrator, with a daemon and without."""

from __future__ import annotations

import json
import os
import stat
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from dropbox_import.cli.entry import cli
from dropbox_import.clock import SystemClock
from dropbox_import.daemon.alerts import AFTER, Alerts
from dropbox_import.daemon.order_files import FOLDER, OrderDesk
from dropbox_import.errors import ServerUnavailable
from tests.conftest import Unprivileged
from tests.support.clocks import HandClock
from tests.support.lab import Lab

ONE = "target: {dataset: HeLa}\n"


class Site:
    """A lab whose daemon works by itself in a thread, and a config for the commands."""

    def __init__(self, folder: Path, *, hosts: int = 1) -> None:
        self.lab = Lab(folder, hosts=hosts)
        self.lab.start()
        self.state = self.lab.settings.state_dir
        self.config = folder / "config.yaml"
        self.config.write_text(
            json.dumps(
                {
                    "omero": {"host": "localhost", "user": "importer"},
                    "state_dir": str(self.state),
                    "instance": "lab",
                    "boxes": [{"path": str(self.lab.box), "min_free": "1 MB", "check_file_owner": False}],
                }
            )
        )
        self.thread: threading.Thread | None = None
        self.ending = threading.Event()

    def run(self, *args: str | Path) -> Result:
        return CliRunner().invoke(cli, [*(str(arg) for arg in args), "--config", str(self.config)])

    def begin(self) -> None:
        """From now on the daemon runs."""
        daemon = self.lab.daemons[0]
        desk = OrderDesk(self.state, {str(self.lab.box): daemon.runners[0]}, daemon.clock)
        self.ending.clear()

        def work() -> None:
            while not self.ending.is_set():
                self.shows_itself(running=True)
                desk.tend()
                daemon.runners[0].turn(0)
                self.lab.clock.forward(1.1)
                time.sleep(0.002)

        self.shows_itself(running=True)
        self.thread = threading.Thread(target=work)
        self.thread.start()

    def shows_itself(self, *, running: bool) -> None:
        facts = {"instance": "lab", "pid": 1, "running": running, "at": datetime.now(UTC).isoformat(), "boxes": []}
        fresh = self.state / "status.fresh"
        fresh.write_text(json.dumps(facts | {"omero": {"down": False}}))
        fresh.replace(self.state / "status.json")

    def end(self) -> None:
        if self.thread is not None:
            self.ending.set()
            self.thread.join(60)
            assert not self.thread.is_alive()
            self.thread = None
            self.shows_itself(running=False)

    def fail(self, name: str = "bad") -> str:
        """A drop that cannot be imported; its id."""
        self.lab.drop(f"{name}.yaml", ONE, {f"{name}.tif": b"image " + name.encode()})
        self.lab.turns()
        (path,) = (path for path in self.lab.filed("failed") if path.name.startswith(f"{name}__"))
        return path.name.rpartition("__")[2]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.end()


def test_a_failed_drop_is_retried_by_a_part_of_its_id_or_its_sidecars_name(site: Site) -> None:
    drop_id = site.fail()
    site.begin()
    for name in (drop_id, drop_id[-6:], "bad.yaml", "bad"):
        result = site.run("retry", name)
        assert result.exit_code == 0, result.output
        assert "it is tried again" in result.stdout
        until = time.monotonic() + 20
        while not site.lab.filed("failed") or site.lab.claims():
            assert time.monotonic() < until
            time.sleep(0.01)
    assert not list((site.state / FOLDER).glob("*.json")), "orders and answers are gone when they are done and read"


def test_all_failed_drops_are_retried_at_once_and_told_one_by_one(site: Site) -> None:
    ids = {site.fail(f"bad{number}") for number in range(5)}
    site.begin()
    result = site.run("retry", "--all-failed", "--output", "json")
    assert result.exit_code == 0, result.output
    (order,) = json.loads(result.stdout)["orders"]
    assert order["state"] == "done"
    assert {one["about"] for one in order["results"]} == ids


def test_nothing_to_retry_is_no_mistake_but_a_strange_box_is(site: Site) -> None:
    assert site.run("retry", "--all-failed").exit_code == 0
    assert json.loads(site.run("retry", "--all-failed", "--output", "json").stdout) == {"orders": []}
    assert site.run("retry", "--all-failed", "--box", "/nowhere").exit_code == 3
    assert site.run("retry", "--box", "/nowhere", "x").exit_code == 2
    assert site.run("retry").exit_code == 2
    assert site.run("retry", "x", "--all-failed").exit_code == 2
    assert site.run("retry", "nosuch").exit_code == 4
    assert site.run("adopt", "nosuch").exit_code == 4


def test_without_a_daemon_the_order_is_carried_out_at_the_next_start(site: Site) -> None:
    drop_id = site.fail()
    site.shows_itself(running=False)
    result = site.run("discard", drop_id)
    assert result.exit_code == 0, result.output
    assert "no daemon is running" in result.stderr
    assert "at the next start" in result.stderr
    told = site.run("status")
    assert f"Not carried out yet: discard {drop_id}" in told.stderr
    assert json.loads(site.run("status", "--output", "json").stdout)["orders"][0]["about"] == [drop_id]
    site.begin()
    until = time.monotonic() + 20
    while site.lab.filed("failed"):
        assert time.monotonic() < until
        time.sleep(0.01)
    until = time.monotonic() + 20
    while "Not carried out" in site.run("status").stderr:
        assert time.monotonic() < until


def test_what_omero_may_have_is_said_when_a_drop_is_discarded(site: Site) -> None:
    plain = site.fail()
    site.lab.server.refuse["send"] = ServerUnavailable("OMERO is busy", code="busy")
    site.lab.drop("a.yaml", ONE, {"a.tif": b"image"})
    site.lab.turns(20)
    (drop_id,) = site.lab.claims()
    site.begin()
    result = site.run("discard", drop_id)
    assert result.exit_code == 0, result.output
    assert f"set aside as discarded/{drop_id}" in result.stdout
    assert "an import was begun (Fileset:" in result.stdout
    story = site.run("show", drop_id)
    assert story.exit_code == 0
    assert "discarded" in story.stdout.splitlines()[0]
    assert "dropbox-import retry" in story.stdout
    assert "1 drop discarded; --all shows them" in site.run("status").stderr
    assert drop_id in site.run("status", "--all").stdout
    assert site.run("discard", drop_id).exit_code == 0
    assert "OMERO has nothing of it" in site.run("discard", plain).stdout


def test_what_cannot_be_done_is_refused_with_a_plain_word_and_code_4(site: Site) -> None:
    site.lab.drop("a.yaml", ONE, {"a.tif": b"image"})
    site.lab.turns()
    (done,) = site.lab.filed("done")
    site.begin()
    for do in ("retry", "discard"):
        result = site.run(do, "a.yaml")
        assert result.exit_code == 4
        assert "it is done: its images are in OMERO" in result.stderr
        assert result.stdout == ""
    (own,) = (path.name for path in site.lab.layout.inprogress.iterdir())
    result = site.run("adopt", own)
    assert result.exit_code == 4
    assert "this very daemon" in result.stderr
    assert done.is_dir()


def test_a_share_that_is_away_is_said_and_the_order_waits(site: Site) -> None:
    drop_id = site.fail()
    site.lab.layout.marker.rename(site.lab.box / "kept")
    for path in site.lab.box.iterdir():
        path.rename(path.parent.parent / path.name)
    site.begin()
    result = site.run("retry", drop_id, "--wait", "0.3")
    assert result.exit_code == 5, result.output
    assert "not mounted" in result.stderr
    assert "The order waits" in result.stderr


def test_a_dead_instance_is_adopted_by_the_beginning_of_its_name(tmp_path: Path) -> None:
    site = Site(tmp_path, hosts=2)
    lab = site.lab
    lab.server.refuse["resolve"] = ServerUnavailable("OMERO is busy", code="busy")
    lab.daemons[0].runners[0].turn(0)
    lab.drop("a.yaml", ONE, {"a.tif": b"image"})
    for _ in range(5):
        lab.daemons[1].runners[0].turn(0)
        lab.clock.forward(1.1)
    (drop_id,) = lab.claims()
    lab.server.refuse.clear()
    site.begin()
    try:
        refused = site.run("retry", drop_id)
        assert refused.exit_code == 4
        assert "belongs to the instance lab2-" in refused.stderr
        result = site.run("adopt", "lab2")
        assert result.exit_code == 0, result.output
        assert "1 drop of lab2-" in result.stdout
        until = time.monotonic() + 30
        while lab.claims():
            assert time.monotonic() < until
            time.sleep(0.01)
        assert "taken over from another instance" in site.run("show", drop_id).stdout
    finally:
        site.end()
    lab.clock.forward(5.0)
    lab.daemons[1].runners[0].turn(0)  # which was not dead, and sees now that its claim is gone
    lab.check(imported=1)


# --- show and status -------------------------------------------------------------------


def test_the_story_of_a_drop_that_was_tried_again_has_both_lives(site: Site) -> None:
    drop_id = site.fail()
    site.begin()
    assert site.run("retry", drop_id).exit_code == 0
    until = time.monotonic() + 20
    while not site.lab.filed("failed") or site.lab.claims():
        assert time.monotonic() < until
    told = site.run("show", drop_id).stdout
    assert told.count("taken out of the drop folder") == 2
    assert "an administrator had it tried again" in told
    assert f"dropbox-import retry {drop_id}" in told


def test_the_story_of_a_damaged_drop_shows_what_can_be_read(site: Site) -> None:
    site.lab.server.refuse["resolve"] = ServerUnavailable("OMERO is busy", code="busy")
    site.lab.drop("a.yaml", ONE, {"a.tif": b"image"})
    site.lab.turns(20)
    (drop_id,) = site.lab.claims()
    (journal,) = site.lab.layout.inprogress.glob(f"*/{drop_id}/journal.jsonl")
    journal.write_bytes(journal.read_bytes().replace(b'"claimed"', b'"claimeX"'))
    told = site.run("show", drop_id)
    assert told.exit_code == 0
    assert told.stdout.splitlines()[0].endswith("held")
    assert "seen; what it asks for was written down: a.yaml" in told.stdout
    assert "is damaged after record" in told.stdout
    assert f"dropbox-import retry {drop_id}" in told.stdout
    assert f"dropbox-import discard {drop_id}" in told.stdout
    assert site.run("status").exit_code == 4


def test_open_alerts_are_shown_until_they_end(site: Site) -> None:
    clock = HandClock()
    alerts = Alerts(site.state, clock)
    alerts.begins("omero", "OMERO cannot be used: it cannot be reached", "Nothing is lost.")
    clock.forward(AFTER)
    alerts.tend()
    told = site.run("status")
    assert "Since 2026-11-22 09:39 UTC: OMERO cannot be used: it cannot be reached Nothing is lost." in told.stderr
    (alert,) = json.loads(site.run("status", "--output", "json").stdout)["alerts"]
    assert alert["key"] == "omero"


def test_what_the_daemon_has_noticed_is_shown_while_it_runs(site: Site) -> None:
    facts = {"running": True, "at": "x", "omero": {"down": False}, "boxes": [{"box": "b", "notices": [f"notice {n}" for n in range(7)]}]}
    (site.state / "status.json").write_text(json.dumps(facts))
    assert "notice" not in site.run("status").stderr
    site.lab.layout.heartbeat("lab").write_text(json.dumps({"instance": "lab", "interval": 10}))
    told = site.run("status")
    assert "notice 4" in told.stderr
    assert "and 2 more notices" in told.stderr
    assert len(json.loads(site.run("status", "--output", "json").stdout)["notices"]) == 7


def test_no_command_hangs_with_a_box_whose_volume_hangs(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from dropbox_import.cli import drops

    drop_id, answers = site.fail(), threading.Event()

    def hangs(folder: Path) -> list[str]:
        answers.wait(20)
        return os.listdir(folder)

    monkeypatch.setattr(drops, "_ANSWERS_WITHIN", 0.1)
    monkeypatch.setattr(drops, "_list", hangs)
    try:
        site.begin()
        told = site.run("status")
        assert told.exit_code == 5
        assert "its volume does not answer" in told.stderr
        assert json.loads(site.run("status", "--output", "json").stdout)["hung"] == [str(site.lab.box)]
        assert "does not answer" in site.run("show", drop_id).stderr
        assert "does not answer" in site.run("retry", "--all-failed").stderr
        site.end()
        waits = site.run("retry", drop_id)
        assert "The order waits" in waits.stderr
    finally:
        answers.set()


# --- who may -----------------------------------------------------------------------------


def orders(state: Path) -> list[Path]:
    return sorted((state / FOLDER).glob("*.json"))


def test_an_order_by_root_belongs_to_the_daemons_account(site: Site, unprivileged: Unprivileged) -> None:
    drop_id = site.fail()
    account = unprivileged.uid
    for path in (site.state, *site.state.rglob("*")):
        os.chown(path, account, -1)
    assert site.run("discard", drop_id).exit_code == 0
    (order,) = orders(site.state)
    assert order.stat().st_uid == account
    assert stat.S_IMODE(order.stat().st_mode) == 0o600


def test_who_may_not_order_is_told_what_to_type(tmp_path: Path, unprivileged: Unprivileged) -> None:
    folder = unprivileged.folder / "no-orders"
    folder.mkdir()
    site = Site(folder)
    site.fail()
    if os.geteuid() != 0:
        (site.state / FOLDER).chmod(0o500)
    else:
        for path in (folder, *folder.rglob("*")):
            if site.state not in (path, *path.parents):
                os.chmod(path, 0o755 if path.is_dir() else 0o644)
    done = unprivileged.run([unprivileged.python, "-m", "dropbox_import", "retry", "bad.yaml", "--config", str(site.config)])
    assert done.returncode == 3, done.stderr
    assert "you may not leave orders" in done.stderr
    assert "sudo -u" in done.stderr
    if os.geteuid() != 0:
        (site.state / FOLDER).chmod(0o700)


def test_the_order_says_who_gave_it(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    drop_id = site.fail()
    monkeypatch.setenv("SUDO_USER", "jane")
    days = {f"{SystemClock().now():%Y-%m-%d}"}
    site.run("retry", drop_id)
    days.add(f"{SystemClock().now():%Y-%m-%d}")
    (order,) = orders(site.state)
    said: dict[str, Any] = json.loads(order.read_bytes())
    assert (said["by"], said["do"], said["about"], said["box"]) == ("jane", "retry", [drop_id], str(site.lab.box))
    assert said["at"][:10] in days
