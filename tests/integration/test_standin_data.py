"""The stand-in goes on with its own data, and says so in one sentence when they are of another build."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from dropbox_import.errors import ConfigError
from dropbox_import.standin.store import Store


def test_a_second_start_finds_what_the_first_kept(tmp_path: Path) -> None:
    first = Store(tmp_path / "omero.db")
    kept = first.enum("JobStatus", "Running")
    first.close()
    second = Store(tmp_path / "omero.db")
    assert second.enum("JobStatus", "Running") == kept
    second.close()


@pytest.mark.parametrize("change", ["PRAGMA user_version=7", "PRAGMA user_version=0"])
def test_data_of_another_build_are_refused_and_stay_as_they_are(tmp_path: Path, change: str) -> None:
    path = tmp_path / "omero.db"
    Store(path).close()
    with sqlite3.connect(path) as changed:
        changed.execute(change)
    changed.close()
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="made by another build of the stand-in") as refused:
        Store(path)
    assert "--dir" in refused.value.hint
    assert path.read_bytes() == before


def test_the_command_says_it_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "omero.db").write_bytes(b"no database at all" * 100)
    done = subprocess.run(
        [sys.executable, "-m", "dropbox_import.standin", "--dir", str(tmp_path)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 3
    assert "cannot be read" in done.stderr
    assert "Name another folder with --dir" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 1
