"""The daemon stays small: what is large is loaded by its workers only, also when it has imported something."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.realrun import ROOT, real_run

LARGE = {"omero", "Ice", "IcePy", "Glacier2", "numpy", "tifffile", "apprise"}
MOST = 60_000_000

# The daemon itself with one addition: at SIGUSR1 it says what it has loaded.
PROGRAM = """
import json, os, signal, sys
def tell(*_):
    with open("modules.new", "w") as out:
        json.dump(sorted(sys.modules), out)
    os.replace("modules.new", "modules.json")
signal.signal(signal.SIGUSR1, tell)
from dropbox_import.cli import main
main()
"""


def start(folder: Path, config: Path) -> subprocess.Popen[bytes]:
    hidden = ("OMERO_PASSWORD", "CREDENTIALS_DIRECTORY", "JOURNAL_STREAM")
    environment = {name: value for name, value in os.environ.items() if name not in hidden} | {"PYTHONPATH": str(ROOT)}
    with (folder / "daemon.log").open("ab") as log:
        words = [sys.executable, "-c", PROGRAM, "run", "--config", str(config)]
        return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, cwd=folder)


@pytest.mark.skipif(sys.platform != "linux", reason="looks at what only Linux shows")
def test_a_daemon_that_has_imported_is_small_and_has_loaded_nothing_large(tmp_path: Path) -> None:
    with real_run(tmp_path) as run:
        run.daemon = start(run.folder, run.config)
        run.until(lambda: list(run.layout.box.glob(".heartbeat-*")))
        run.drop("good", fine=2)
        run.drop("bad", broken=1)
        run.rest()
        run.check()
        assert run.workers("importer"), "it is the workers that have worked"
        assert loaded(run.workers("importer")[0]) >= {"IcePy"}, "the maps do tell"
        assert not loaded(run.daemon.pid), "in its memory"
        known = modules(run)
        assert {"dropbox_import.daemon.pipeline", "dropbox_import.workers.dispatcher"} <= known, "it told the truth"
        assert not LARGE & {name.split(".")[0] for name in known}
        assert psutil.Process(run.daemon.pid).memory_info().rss < MOST


def modules(run: Any) -> set[str]:
    run.daemon.send_signal(signal.SIGUSR1)
    path = run.folder / "modules.json"
    run.until(path.exists)
    return set(json.loads(path.read_bytes()))


def loaded(pid: int) -> set[str]:
    """Which of the large ones have a library of machine code in the memory of a process."""
    parts = {part.split(".")[0] for one in psutil.Process(pid).memory_maps() for part in Path(one.path).parts}
    return parts & LARGE
