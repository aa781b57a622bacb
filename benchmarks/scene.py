"""Where a benchmark plays: a stand-in for OMERO, a box and daemons, each in a process of its own, all in one temporary folder."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dropbox_import.clock import SystemClock
from dropbox_import.spool import journal, layout
from dropbox_import.spool.journal import Record
from dropbox_import.spool.layout import Layout, create_box
from tests.support.standin_process import RunningStandin

ROOT = Path(__file__).resolve().parents[1]
USER = "alice"
PROGRAM = (sys.executable, "-m", "dropbox_import")
_STOP = 70.0
_HIDDEN = ("OMERO_PASSWORD", "CREDENTIALS_DIRECTORY", "JOURNAL_STREAM")


def environment(hooks: Path | None = None) -> dict[str, str]:
    """`hooks`: a folder of modules besides, for the daemon and its workers."""
    kept = {name: value for name, value in os.environ.items() if name not in _HIDDEN}
    return kept | {"PYTHONPATH": os.pathsep.join(map(str, filter(None, (ROOT, hooks)))), "NO_COLOR": "1"}


def until(look: Callable[[], Any], seconds: float, what: str) -> Any:
    """What `look` answers as soon as it is true."""
    end = time.monotonic() + seconds
    while not (found := look()):
        if time.monotonic() > end:
            raise RuntimeError(f"after {seconds:.0f} s still not: {what}")
        time.sleep(0.02)
    return found


@dataclass
class Scene:
    """A stand-in that runs, and what is needed to begin daemons on boxes."""

    folder: Path
    standin: RunningStandin
    password: Path
    boxes: int = field(default=0)

    def omero(self) -> dict[str, Any]:
        return {
            "host": "localhost",
            "port": self.standin.port,
            "user": "importer",
            "password_file": str(self.password),
            "ca_file": self.standin.ca_file,
        }

    def new_box(self) -> Layout:
        self.boxes += 1
        box = Layout(self.folder / f"box-{self.boxes}")
        create_box(box.box, SystemClock(), [USER])
        return box

    @contextmanager
    def daemon(
        self,
        box: Layout,
        *,
        workers: Mapping[str, Any] | None = None,
        notify: Mapping[str, Any] | None = None,
        hooks: Path | None = None,
        **of_box: Any,
    ) -> Iterator[Daemon]:
        """A daemon that runs, with the defaults of an administrator who only wrote what must be written, and these."""
        name = box.box.name
        config = {
            "omero": self.omero(),
            "state_dir": str(self.folder / f"state-{name}"),
            "instance": name,
            "boxes": [{"path": str(box.box), "min_free": "10 MB", "check_file_owner": False, **of_box}],
            "workers": dict(workers or {}),
            **({} if notify is None else {"notify": dict(notify)}),
        }
        path = self.folder / f"{name}.yaml"
        path.write_text(json.dumps(config))
        log = self.folder / f"{name}.log"
        with log.open("ab") as stream:
            child = subprocess.Popen(
                [*PROGRAM, "run", "--config", str(path)],
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                env=environment(hooks),
                cwd=self.folder,
            )
        found = Daemon(child, box, log)
        try:
            until(lambda: found.alive() and any(box.box.glob(".heartbeat-*")), 60, "the daemon's first sign of life")
            yield found
        finally:
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                child.wait(_STOP)
            child.kill()
            child.wait()


@dataclass
class Daemon:
    child: subprocess.Popen[bytes]
    box: Layout
    log: Path

    def alive(self) -> bool:
        if self.child.poll() is not None:
            raise RuntimeError(f"the daemon ended with {self.child.returncode}:\n{self.log.read_text()[-2000:]}")
        return True

    def finish(self, seconds: float) -> None:
        """Wait until every drop is filed."""
        until(lambda: self.alive() and at_rest(self.box), seconds, f"every drop is filed; {self.log.read_text()[-2000:]}")


def at_rest(box: Layout) -> bool:
    """Nothing to take and nothing at work; drop/ is asked twice, because a claim appears after its sidecar is seen."""
    sidecars = (box.drop / USER).glob("*.yaml")
    return next(sidecars, None) is None and not claims(box) and next((box.drop / USER).glob("*.yaml"), None) is None


def claims(box: Layout) -> list[Path]:
    return [path for path in box.inprogress.glob("*/*") if layout.is_id(path.name)]


def journals(folder: Path) -> list[tuple[Record, ...]]:
    """The journals of all drops below a folder such as done/."""
    return [journal.read(path.read_bytes())[0] for path in folder.rglob(layout.JOURNAL)]


def give(box: Layout, name: str, data: bytes) -> None:
    """Put a file into the drop folder as a careful program does: written under another name, then renamed."""
    hidden = box.drop / USER / f".{name}.part"
    hidden.write_bytes(data)
    hidden.rename(box.drop / USER / name)


@contextmanager
def scene() -> Iterator[Scene]:
    folder = Path(tempfile.mkdtemp(prefix="dropbox-import-benchmark-"))
    people = folder / "people.json"
    staff = {"name": "importer", "password": "importer", "groups": [], "admin": True, "privileges": ["Sudo"]}
    people.write_text(
        json.dumps(
            {
                "groups": [{"name": "lab", "permissions": "rwr---"}],
                "users": [staff, {"name": USER, "password": USER, "groups": ["lab"], "email": f"{USER}@example.org"}],
            }
        )
    )
    password = folder / "password"
    password.write_text("importer\n")
    password.chmod(0o600)
    standin = RunningStandin(folder / "omero", people)
    try:
        standin.start()
        yield Scene(folder, standin, password)
    finally:
        with suppress(Exception):
            standin.stop()
        shutil.rmtree(folder, ignore_errors=True)
