"""The processes of the demo: the stand-in and the daemon as children, in one folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dropbox_import import strict_yaml
from dropbox_import.cli.demo.mailbox import Mail, Mailbox
from dropbox_import.cli.demo.scenario import OPS, SAMPLES, USER
from dropbox_import.clock import Clock
from dropbox_import.disk import files as disk
from dropbox_import.errors import DropboxImportError
from dropbox_import.spool.layout import create_box

START_SECONDS = 60.0
STOP_SECONDS = 30.0
ACCOUNT = "importer"
SENDER = "imports@example.org"


class DemoFailed(DropboxImportError):
    """A process of the demo did not do its part."""

    code = "demo"


@dataclass(slots=True)
class Stage:
    """Where everything is. `close` stops what was started, in the right order, and may be called twice."""

    folder: Path
    clock: Clock
    port: int = 0
    ca_file: str = ""
    children: list[tuple[str, subprocess.Popen[bytes]]] = field(default_factory=list)
    keepers: dict[str, threading.Thread] = field(default_factory=dict)
    mailbox: Mailbox | None = None

    @property
    def box(self) -> Path:
        return self.folder / "box"

    @property
    def omero(self) -> Path:
        return self.folder / "omero"

    @property
    def images(self) -> Path:
        return self.folder / "images"

    @property
    def mail(self) -> Path:
        return self.folder / "mail"

    @property
    def config(self) -> Path:
        return self.folder / "config.yaml"

    def log(self, name: str) -> Path:
        return self.folder / f"{name}.log"

    # --- what is made before -------------------------------------------------------------

    def make_images(self) -> None:
        """Real images, by a process of its own: this one must not load what makes them."""
        kinds = [word for kind in SAMPLES for word in ("--kind", kind)]
        self._run("dropbox_import.standin.samples", str(self.images), *kinds)

    def make_box(self) -> None:
        create_box(self.box, self.clock, [USER])
        disk.write_new(self.folder / "omero-password", ACCOUNT.encode() + b"\n", 0o600)
        disk.write_new(self.config, strict_yaml.dump(self._config()).encode())

    def _config(self) -> dict[str, Any]:
        return {
            "omero": {
                "host": "localhost",
                "port": self.port,
                "user": ACCOUNT,
                "password_file": str(self.folder / "omero-password"),
                "ca_file": self.ca_file,
            },
            "state_dir": str(self.folder / "state"),
            "instance": "demo",
            "boxes": [
                {
                    "path": str(self.box),
                    "quiet_period": "1 s",
                    "scan_interval": "1 s",
                    "min_free": "10 MB",
                    # The users of the demo are no users of this machine.
                    "check_file_owner": False,
                }
            ],
            "log": {"level": "info", "format": "text"},
            # The demo does not wait long for more of the same.
            "notify": {
                "admin": OPS,
                "mail": {"host": "127.0.0.1", "port": self.mailbox.port if self.mailbox is not None else 25, "from": SENDER},
                "gather": "1 s",
                "digest": "1 s",
            },
        }

    # --- processes -----------------------------------------------------------------------

    def open_mailbox(self) -> None:
        """Take mail in on a free port of this machine, in this process."""
        disk.make_dir(self.mail)
        self.mailbox = Mailbox(self.mail)
        self.mailbox.open()

    def mails(self) -> list[Mail]:
        """The mail that has come so far."""
        return self.mailbox.got() if self.mailbox is not None else []

    def start_standin(self) -> None:
        """Start the OMERO stand-in on a free port of this machine and wait until it says that it is ready."""
        child = self._start(
            "standin", "-m", "dropbox_import.standin", "--dir", str(self.omero), "--port", str(self.port), stdout=subprocess.PIPE
        )
        assert child.stdout is not None
        line = child.stdout.readline()
        if not line:
            raise self._died("standin", child)
        ready = json.loads(line)
        self.port, self.ca_file = int(ready["ssl"]), str(ready["ca_file"])

    def start_daemon(self) -> None:
        """Start the daemon and wait for its heartbeat."""
        child = self._start("daemon", "-m", "dropbox_import", "run", "--config", str(self.config))
        until = self.clock.monotonic() + START_SECONDS
        while not any(self.box.glob(".heartbeat-*")):
            if child.poll() is not None:
                raise self._died("daemon", child)
            if self.clock.monotonic() > until:
                raise DemoFailed(f"the daemon gave no sign of life within {START_SECONDS:.0f} s", hint=f"Its log: {self.log('daemon')}")
            self.clock.sleep(0.05)

    def check_alive(self) -> None:
        """Raises DemoFailed when one of the processes has ended."""
        for name, child in self.children:
            if child.poll() is not None:
                raise self._died(name, child)

    def last_trouble(self) -> str:
        """The last line of the daemon's log that tells of an error or a warning; "" if none does."""
        lines = self.log("daemon").read_text(encoding="utf-8", errors="replace").splitlines()
        return next((line for line in reversed(lines) if " error " in line or " warning " in line), "")

    def stop_daemon(self) -> None:
        """SIGTERM, and it must end well by itself."""
        for name, child in list(self.children):
            if name == "daemon":
                self.children.remove((name, child))
                _terminate(child)
                if child.returncode not in (0, None) and sys.platform != "win32":
                    raise self._died(name, child)

    def holdings(self) -> dict[str, Any]:
        """What OMERO holds, asked by a process of its own."""
        text = self._run("dropbox_import.standin.holdings", "--dir", str(self.omero))
        found: dict[str, Any] = json.loads(text)
        return found

    def close(self) -> None:
        while self.children:
            _terminate(self.children.pop()[1])
        for keeper in self.keepers.values():
            keeper.join(STOP_SECONDS)
        if self.mailbox is not None:
            self.mailbox.close()

    def _start(self, name: str, *arguments: str, stdout: int = subprocess.DEVNULL) -> subprocess.Popen[bytes]:
        child = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            env=_environment(),
            # Ctrl-C in the terminal must reach only the demo, which stops the others in order.
            start_new_session=sys.platform != "win32",
        )
        self.children.append((name, child))
        keeper = threading.Thread(target=_keep_log, args=(child, self.log(name)), name=f"log of {name}", daemon=True)
        keeper.start()
        self.keepers[name] = keeper
        return child

    def _run(self, module: str, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments], stdin=subprocess.DEVNULL, capture_output=True, env=_environment(), check=False
        )
        if done.returncode:
            last = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
            raise DemoFailed(f"{module} ended with code {done.returncode}: {''.join(last)}")
        return done.stdout.decode("utf-8")

    def _died(self, name: str, child: subprocess.Popen[bytes]) -> DemoFailed:
        code = child.wait(STOP_SECONDS)
        self.keepers[name].join(STOP_SECONDS)
        log = self.log(name).read_text(encoding="utf-8", errors="replace").strip().splitlines()
        said = f": {log[-1]}" if log else ""
        return DemoFailed(f"the process {name} ended with code {code}{said}", hint=f"Its log: {self.log(name)}")


def _keep_log(child: subprocess.Popen[bytes], path: Path) -> None:
    """What a child says on stderr, into a file; ends with the child."""
    assert child.stderr is not None
    with child.stderr, disk.Appender(path, create=True) as log:
        for line in child.stderr:
            log.append(line)


def _terminate(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    if child.stdout is not None:
        child.stdout.close()


def _environment() -> Mapping[str, str]:
    # The demo's password is in its own file; one from outside must not win, and no colour belongs into a log.
    hidden = ("OMERO_PASSWORD", "CREDENTIALS_DIRECTORY", "JOURNAL_STREAM")
    return {key: value for key, value in os.environ.items() if key not in hidden} | {"NO_COLOR": "1"}
