"""The commands as real processes: signals, the stand-in in a process of its own, and `check` against it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dropbox_import.clock import SystemClock
from dropbox_import.spool.layout import Layout, create_box

SECONDS = 60


def command(*args: str | Path) -> list[str]:
    return [sys.executable, "-m", "dropbox_import", *map(str, args)]


def run(*args: str | Path, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*args), capture_output=True, text=True, timeout=SECONDS, **more)


@pytest.fixture(scope="module")
def omero(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """`dropbox-import standin`, ready."""
    folder = tmp_path_factory.mktemp("omero")
    child = subprocess.Popen(command("standin", "--dir", folder, "--port", "0"), stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    line = child.stdout.readline()
    assert line, "it prints one line when it is ready"
    yield json.loads(line)
    child.terminate()
    assert child.wait(SECONDS) == 0
    child.stdout.close()


def write_config(folder: Path, **omero: object) -> Path:
    box = folder / "box"
    if not box.exists():
        create_box(box, SystemClock(), ["alice"])
    password = folder / "password"
    if not password.exists():
        password.write_text("importer\n")
        password.chmod(0o600)
    facts = {"host": "localhost", "user": "importer", "password_file": str(password), **omero}
    config = {
        "omero": facts,
        "state_dir": str(folder / "state"),
        "instance": "lab1",
        "boxes": [{"path": str(box), "min_free": "1 MB", "check_file_owner": False, "quiet_period": 0, "scan_interval": "0.2 s"}],
    }
    path = folder / "config.json"
    path.write_text(json.dumps(config))
    return path


def test_check_finds_nothing_wrong_with_a_good_set_up(omero: dict[str, Any], tmp_path: Path) -> None:
    own = tmp_path / "tmp"
    own.mkdir()
    config = write_config(tmp_path, port=omero["ssl"], ca_file=omero["ca_file"])
    done = run("check", "--config", config, env=os.environ | {"TMPDIR": str(own)})
    assert done.returncode == 0, done.stdout + done.stderr
    for words in ("certificate: is valid", "log-in: as importer", "privilege Sudo: importer has it", "clock: OMERO's and ours"):
        assert words in done.stdout
    assert list(own.iterdir()) == [], "what it wrote for itself is gone"


@pytest.mark.parametrize(
    ("changes", "password", "words"),
    [
        ({}, "wrong", "log-in"),
        ({"user": "alice"}, "alice", "privilege Sudo: alice"),
        ({"ca_file": None}, "importer", "certificate"),
        ({"host": "no-such-host.invalid"}, "importer", "no computer has that name"),
    ],
)
def test_check_says_at_which_step_omero_refuses(
    omero: dict[str, Any], tmp_path: Path, changes: dict[str, Any], password: str, words: str
) -> None:
    facts = {"port": omero["ssl"], "ca_file": omero["ca_file"]} | changes
    path = write_config(tmp_path, **{key: value for key, value in facts.items() if value is not None})
    (tmp_path / "password").write_text(password)
    done = run("check", "--config", path)
    assert done.returncode == 3, done.stdout + done.stderr
    assert any(line.startswith("PROBLEM") and words in line for line in done.stdout.splitlines()), done.stdout
    assert "Traceback" not in done.stderr


def start(config: Path) -> subprocess.Popen[str]:
    child = subprocess.Popen(command("run", "--config", config), stderr=subprocess.PIPE, text=True)
    box = Layout(config.parent / "box")
    until = time.monotonic() + SECONDS
    while not box.heartbeat("lab1").exists() and not list(box.box.glob(".heartbeat-*")):
        assert child.poll() is None and time.monotonic() < until
        time.sleep(0.05)
    return child


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_daemon_well(tmp_path: Path, number: signal.Signals) -> None:
    child = start(write_config(tmp_path, port=1))
    child.send_signal(number)
    _, said = child.communicate(timeout=SECONDS)
    assert child.returncode == 0, said
    assert "Stopping" in said
    assert "Traceback" not in said


def test_two_signals_at_once_are_no_trouble(tmp_path: Path) -> None:
    child = start(write_config(tmp_path, port=1))
    child.send_signal(signal.SIGTERM)
    child.send_signal(signal.SIGTERM)
    _, said = child.communicate(timeout=SECONDS)
    assert child.returncode == 0, said


def test_a_second_daemon_on_one_state_dir_is_refused(tmp_path: Path) -> None:
    config = write_config(tmp_path, port=1)
    child = start(config)
    try:
        done = run("run", "--config", config, "--once")
        assert done.returncode == 3, done.stderr
        assert f"a daemon with the state folder {tmp_path / 'state'} is running already" in done.stderr
        assert "Traceback" not in done.stderr
    finally:
        child.terminate()
        child.communicate(timeout=SECONDS)


def test_a_reader_that_goes_away_is_no_error() -> None:
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {sys.executable} -m dropbox_import --help | head -n 1"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_names_that_are_not_utf8_do_not_stop_a_command(tmp_path: Path) -> None:
    config = write_config(tmp_path, port=1)
    name = os.path.join(os.fsencode(tmp_path / "box/drop/alice"), b"caf\xe9.yaml")
    with open(name, "w") as stream:
        stream.write("target: {dataset: x}\n")
    for environment in ({"LC_ALL": "C.UTF-8"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}):
        for output in ("table", "json"):
            done = run("status", "--config", config, "--output", output, env=os.environ | environment)
            assert done.returncode == 5, done.stderr
            assert "caf" in done.stdout
