"""The demo is the main job end to end, as a newcomer runs it: real images, real processes, every outcome checked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from dropbox_import.cli.demo.mailbox import read_mail
from tests.conftest import Unprivileged

COMMAND = [sys.executable, "-m", "dropbox_import"]
SECONDS = 240


def children_of(folder: Path) -> list[int]:
    """Processes whose command line names the folder."""
    found = []
    for process in psutil.process_iter(["pid", "cmdline"]):
        if process.info["pid"] != os.getpid() and any(str(folder) in word for word in process.info["cmdline"] or ()):
            found.append(process.info["pid"])
    return found


@pytest.mark.slow
def test_the_demo_shows_the_main_job_and_leaves_everything_when_asked(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    done = subprocess.run([*COMMAND, "demo", "--keep", str(folder)], capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Every outcome is the right one." in done.stdout
    assert "Demo / HeLa / HeLa control" in done.stdout
    assert "Antibody=anti-tubulin;" in done.stdout
    assert "Antibody=DAPI; Barcode=00123;" in done.stdout
    assert 'typo.yaml:2:1: tagz: unknown key, did you mean "tags"?' in done.stdout
    assert "Mail that was sent" in done.stdout
    assert "So alice@example.org was told of 6 drops." in done.stdout
    assert "So ops@example.org was told of 3 drops." in done.stdout
    assert "run7.yaml: 2 images imported, but not everything" in done.stdout
    assert "\x1b" not in done.stdout + done.stderr
    assert children_of(folder) == []

    mails = [read_mail(path.read_bytes(), ()) for path in sorted((folder / "mail").glob("*.eml"))]
    assert len({drop for mail in mails for drop in mail.drops}) == 6
    listed = subprocess.run(
        [*COMMAND, "notify", "list", "--config", str(folder / "config.yaml")], capture_output=True, text=True, timeout=SECONDS
    )
    assert listed.returncode == 0, listed.stderr
    assert "There is nothing that is not told yet." in listed.stderr

    status = subprocess.run([*COMMAND, "status", "--config", str(folder / "config.yaml")], capture_output=True, text=True, timeout=SECONDS)
    assert status.returncode == 4, "three drops of the demo fail on purpose"
    assert status.stdout.count("failed ") == 3
    story = subprocess.run([*COMMAND, "show", "hela.yaml", "--config", str(folder / "config.yaml")], capture_output=True, text=True)
    assert "the images are in OMERO" in story.stdout
    log = (folder / "daemon.log").read_text()
    assert "Traceback" not in log
    assert " error " not in log

    again = subprocess.run([*COMMAND, "demo", "--keep", str(folder)], capture_output=True, text=True, timeout=SECONDS)
    assert again.returncode == 3
    assert "is not empty" in again.stderr


@pytest.mark.slow
def test_an_ordinary_user_can_run_it_and_nothing_is_left(unprivileged: Unprivileged) -> None:
    place = unprivileged.folder / "demo"
    place.mkdir()
    unprivileged.give(place)
    done = unprivileged.run([unprivileged.python, "-m", "dropbox_import", "demo"], env={"TMPDIR": str(place)})
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(place.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_who_ends_the_demo_ends_its_processes(tmp_path: Path, number: signal.Signals) -> None:
    environment = os.environ | {"TMPDIR": str(tmp_path)}
    # Tests that a shell started in the background ignore SIGINT, and a child would inherit that.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        child = subprocess.Popen([*COMMAND, "demo"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    finally:
        signal.signal(signal.SIGINT, before)
    until = time.monotonic() + SECONDS
    while not list(tmp_path.glob("*/box/.heartbeat-*")):
        assert child.poll() is None
        assert time.monotonic() < until
        time.sleep(0.05)
    child.send_signal(number)
    _, said = child.communicate(timeout=SECONDS)
    assert child.returncode == 130, said
    assert "Traceback" not in said
    assert children_of(tmp_path) == []
    assert list(tmp_path.iterdir()) == []
