"""Is somebody still writing? Asked of the real system."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from dropbox_import.disk.writers import Writing, being_written
from tests.conftest import Unprivileged


def other_process(code: str, path: Path) -> subprocess.Popen[str]:
    """A process that runs `code` with `path`, says so, and waits for a line."""
    text = f"import sys, os, mmap; path = {str(path)!r}\n{code}\nprint('there', flush=True); sys.stdin.readline()"
    process = subprocess.Popen([sys.executable, "-c", text], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "there\n"
    return process


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("f = open(path, 'ab')", Writing.OPEN),
        ("f = open(path, 'r+b')", Writing.OPEN),
        ("f = open(path, 'rb')", Writing.CLOSED),
        ("f = open(path, 'r+b'); m = mmap.mmap(f.fileno(), 0); f.close()", Writing.OPEN),
        ("f = open(path, 'r+b'); os.posix_fallocate(f.fileno(), 0, 1 << 20)", Writing.OPEN),
    ],
)
def test_a_writer_in_another_process_is_seen(tmp_path: Path, code: str, expected: Writing) -> None:
    path = tmp_path / "cells.czi"
    path.write_bytes(b"x" * 5000)
    with other_process(code, path) as process:
        assert being_written(path) is expected
        process.communicate("\n")
    assert being_written(path) is Writing.CLOSED


def test_a_writer_in_our_own_process_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "cells.czi"
    path.write_bytes(b"x" * 5000)
    with path.open("r+b") as file, mmap.mmap(file.fileno(), 0):
        assert being_written(path) is Writing.OPEN
    assert being_written(path) is Writing.CLOSED


def test_asking_disturbs_no_writer_and_no_signal_ends_us(tmp_path: Path) -> None:
    path = tmp_path / "cells.czi"
    path.write_bytes(b"x")
    code = """
import time
end = time.monotonic() + 1.0
slow = 0
while time.monotonic() < end:
    began = time.monotonic()
    open(path, "ab").close()
    slow = max(slow, time.monotonic() - began)
print(slow, flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", f"path = {str(path)!r}\n{code}"], stdout=subprocess.PIPE, text=True) as process:
        answers = set()
        while process.poll() is None:
            answers.add(being_written(path))
        assert process.stdout is not None
        # A lease that is kept would hold a writer for 45 seconds; a busy machine holds it for a moment.
        assert float(process.stdout.read()) < 10
    assert Writing.CLOSED in answers
    assert Writing.UNKNOWN not in answers


def test_it_can_be_asked_in_any_thread_of_a_fresh_process(tmp_path: Path) -> None:
    """Python sets signals in its main thread only; the box threads ask all the same and must not be ended by SIGIO."""
    path = tmp_path / "cells.czi"
    path.write_bytes(b"x")
    code = f"""
import signal, os, threading
from pathlib import Path
from dropbox_import.disk.writers import being_written
def ask():
    print(being_written(Path({str(path)!r})).value)
    os.kill(os.getpid(), signal.SIGIO)
thread = threading.Thread(target=ask)
thread.start()
thread.join()
print("alive")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.stdout.split() == ["closed", "alive"], done.stderr


def test_somebody_elses_file_is_unknown_without_rights(unprivileged: Unprivileged, tmp_path: Path) -> None:
    path = unprivileged.folder / "theirs.czi"
    path.write_bytes(b"x")
    path.chmod(0o644)
    expected = "closed" if os.getuid() == unprivileged.uid else "unknown"
    code = (
        f"from pathlib import Path; from dropbox_import.disk.writers import being_written; print(being_written(Path({str(path)!r})).value)"
    )
    done = unprivileged.run([unprivileged.python, "-c", code])
    assert done.stdout.strip() == expected, done.stderr


def test_on_a_share_it_is_unknown(tmp_path: Path) -> None:
    path = tmp_path / "cells.czi"
    with path.open("wb"):
        assert being_written(path, network=True) is Writing.UNKNOWN


def test_a_fifo_does_not_hold_us_up_and_a_missing_file_is_told(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    answer: list[Writing] = []
    thread = threading.Thread(target=lambda: answer.append(being_written(tmp_path / "pipe")), daemon=True)
    started = time.monotonic()
    thread.start()
    thread.join(10)
    assert time.monotonic() - started < 10
    assert answer == [Writing.UNKNOWN]
    with pytest.raises(FileNotFoundError):
        being_written(tmp_path / "nothing", network=False)
