"""Two real users: the service's account with the capabilities of its future unit, and somebody whose files it imports. Needs root.

Both have made-up numbers; nobody is added to this machine.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dropbox_import.spool import layout
from tests.conftest import Unprivileged
from tests.support.realrun import RealRun

SERVICE, ALICE = 71000, 71001
CAPABILITIES = ("chown", "dac_override", "fowner", "lease")

_SHELL = """
import json, os, sys
held = {}
for line in sys.stdin:
    try:
        said = {"value": eval(line)}
        json.dumps(said)
    except Exception as error:
        said = {"error": type(error).__name__ + ": " + str(error)}
    print(json.dumps(said), flush=True)
"""


def become(number: int, capabilities: Sequence[str] = ()) -> tuple[str, ...]:
    """What to put before a command. Who keeps no capability loses all of them for good."""
    words = [f"--reuid={number}", f"--regid={number}", "--clear-groups", "--no-new-privs"]
    if capabilities:
        kept = ",".join(f"+{name}" for name in capabilities)
        words += [f"--inh-caps=-all,{kept}", f"--ambient-caps=-all,{kept}", f"--bounding-set=-all,{kept}"]
    else:
        words += ["--inh-caps=-all", "--bounding-set=-all"]
    return ("setpriv", *words)


class Somebody:
    """A process of that user, which stays where it is and keeps open what it opened (in `held`)."""

    def __init__(self, python: str, number: int, folder: Path) -> None:
        self._process = subprocess.Popen(
            [*become(number), python, "-I", "-c", _SHELL], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder
        )

    def tries(self, expression: str) -> Any:
        """The value of a Python expression there, or the error as text."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(expression + "\n")
        self._process.stdin.flush()
        said = json.loads(self._process.stdout.readline())
        return said["error"] if "error" in said else said["value"]

    def does(self, expression: str) -> Any:
        said = self.tries(expression)
        assert not (isinstance(said, str) and "Error: " in said), f"{expression}: {said}"
        return said

    def end(self) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


@dataclass
class TwoUsers:
    """A real run whose daemon is the service's account; its user alice has a drop folder of her own."""

    run: RealRun
    anybody: Unprivileged
    people: list[Somebody] = field(default_factory=list)

    @property
    def home(self) -> Path:
        return self.run.layout.drop / "alice"

    def somebody(self, folder: Path) -> Somebody:
        self.people.append(Somebody(self.anybody.python, ALICE, folder))
        return self.people[-1]

    def start(self, capabilities: Sequence[str] = CAPABILITIES) -> subprocess.Popen[bytes]:
        words = [*become(SERVICE, capabilities), self.anybody.python, "-m", "dropbox_import", "run", "--config", str(self.run.config)]
        with self.run.log.open("ab") as log:
            self.run.daemon = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.anybody.environment, cwd=self.run.folder
            )
        return self.run.daemon

    def check(self, capabilities: Sequence[str] = CAPABILITIES) -> str:
        words = [*become(SERVICE, capabilities), self.anybody.python, "-m", "dropbox_import", "check", "--config", str(self.run.config)]
        done = subprocess.run(words, env=self.anybody.environment, capture_output=True, text=True, cwd=self.run.folder, timeout=100)
        return done.stdout + done.stderr

    def take_drop_from(self, name: str) -> Path:
        """Make a drop under root's hands, then give it to alice; the sidecar last."""
        self.run.drop(name, fine=2, rich=False)
        for path in sorted(self.home.rglob("*")):
            os.chown(path, ALICE, ALICE)
        return self.home / name

    def claimed(self, *records: str) -> Path:
        """The claim, once one of these records is in its journal."""
        found = self.run.until(
            lambda: [claim for claim in self.run.claims() if not records or set(records) & set(self.run.records(claim))], 60
        )
        return Path(found[0])


@contextmanager
def two_users(base: Path, anybody: Unprivileged) -> Iterator[TwoUsers]:
    """`base` must be a folder that everybody may enter."""
    run = RealRun(base / "run")
    two = TwoUsers(run, anybody)
    config = json.loads(run.config.read_text())
    config["boxes"][0]["check_file_owner"] = True
    authority = run.folder / "ca.pem"  # the stand-in's own folder is closed
    authority.write_bytes(Path(run.standin.ca_file).read_bytes())
    config["omero"]["ca_file"] = str(authority)
    run.config.write_text(json.dumps(config))
    try:
        run.state.mkdir(mode=0o700)
        places = layout.Layout(run.layout.box)
        for path in (run.folder / "password", run.state, places.box, places.drop, places.inprogress, places.done, places.failed):
            os.chown(path, SERVICE, SERVICE)
        os.chown(places.marker, SERVICE, SERVICE)
        os.chown(two.home, ALICE, ALICE)
        yield two
    finally:
        for person in two.people:
            person.end()
        run.close()
