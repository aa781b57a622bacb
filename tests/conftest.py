"""What all tests share: a way to run a command as somebody without privileges; what cannot run here is left out and told."""

from __future__ import annotations

import os
import shutil
import site
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.support import here, tally

# A busy machine is slow, not wrong; and continuous integration tries the same examples each time.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=bool(os.environ.get("CI")))
settings.load_profile("house")

ROOT = Path(__file__).resolve().parent.parent
NOBODY = 65534


# After -m and -k have chosen, so that only what was asked for is told.
@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    here.leave_out(config, items)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if tally.ALL:  # what is skipped there is not tried
        for report in terminalreporter.getreports("skipped"):
            tally.not_run(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext, 1)
    for line in tally.not_here():
        terminalreporter.write_line(line, yellow=True)
    if tally.ALL and (tally.tried or tally.vitals) and not os.environ.get("DROPBOX_IMPORT_TALLY"):
        terminalreporter.section("points of failure")
        for line in tally.table():
            terminalreporter.write_line(line)


@dataclass(frozen=True)
class Unprivileged:
    """Runs commands with no right that an ordinary user lacks: as user and group 65534 where the tests run as root, else as oneself.

    `python` is an interpreter that this user can run, `environment` lets it import dropbox_import and its libraries from places that
    everybody can read, `folder` belongs to this user. Example:

        done = unprivileged.run([unprivileged.python, "-m", "dropbox_import", "version"])
    """

    python: str
    folder: Path
    environment: dict[str, str]
    uid: int = field(default_factory=os.getuid)
    become: tuple[str, ...] = ()

    def command(self, command: Sequence[str | Path]) -> list[str]:
        """`command` with what makes it run unprivileged, for subprocess.Popen; give `environment` as its env."""
        return [*self.become, *(str(part) for part in command)]

    def run(self, command: Sequence[str | Path], **options: Any) -> subprocess.CompletedProcess[str]:
        """Like subprocess.run with captured text; `env` is added to `environment`; `folder` is the working folder."""
        environment = self.environment | options.pop("env", {})
        usual: dict[str, Any] = {"capture_output": True, "text": True, "cwd": self.folder, "timeout": 100}
        done: subprocess.CompletedProcess[str] = subprocess.run(self.command(command), env=environment, **usual | options)
        return done

    def give(self, path: Path) -> Path:
        """Makes a file or a whole folder belong to this user; returns it."""
        for each in [path, *(path.rglob("*") if path.is_dir() else [])]:
            os.chown(each, self.uid, self.uid if self.become else -1, follow_symlinks=False)
        return path


def _libraries() -> list[str]:
    return [path for path in (*site.getsitepackages(), *sys.path) if path.endswith("site-packages") and Path(path).is_dir()]


def _readable_libraries(user: Unprivileged, copies: Path) -> str:
    """PYTHONPATH with the libraries: where they are if `user` can read them there, else (a checkout in a closed folder) copies."""
    places = list(dict.fromkeys(_libraries()))
    probe = "import pydantic, yaml, click, portalocker, omero, numpy"
    path = os.pathsep.join(places)
    if user.run([user.python, "-c", probe], cwd="/", env={"PYTHONPATH": path}).returncode == 0:
        return path
    for number, place in enumerate(places):
        shutil.copytree(place, copies / str(number), symlinks=False, ignore=shutil.ignore_patterns("__pycache__", "*.pth"))
    return os.pathsep.join(str(copies / str(number)) for number in range(len(places)))


def _python_for_all(become: Sequence[str]) -> str:
    """This interpreter, or the system's of the same version where this one lies in a closed folder (pyenv in root's home)."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for python in (os.path.realpath(sys.executable), f"/usr/bin/{version}", f"/usr/local/bin/{version}"):
        # By way of a shell, because setpriv itself still has root's rights when it looks for the program.
        probe = [*become, "sh", "-c", f"exec '{python}' -c 'import ssl, sqlite3'"]
        if subprocess.run(probe, capture_output=True, cwd="/").returncode == 0:
            return python
    pytest.fail(f"No {version} that other users can run: set up with PYTHON=/usr/bin/python3 or another one that everybody can run")


@pytest.fixture(scope="session")
def unprivileged() -> Iterator[Unprivileged]:
    """Somebody without privileges, with a copy of the product that everybody can read; see Unprivileged."""
    # Not pytest's own temporary folders: they are closed to other users.
    with tempfile.TemporaryDirectory(prefix="dropbox-import-tests-", ignore_cleanup_errors=True) as name:
        base = Path(name)
        base.chmod(0o755)
        shutil.copytree(ROOT / "dropbox_import", base / "lib" / "dropbox_import", ignore=shutil.ignore_patterns("__pycache__"))
        for path in [base / "lib", *(base / "lib").rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)
        home = base / "home"
        home.mkdir(mode=0o755)
        environment = {
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "PATH": os.environ.get("PATH", os.defpath),
            "PYTHONDONTWRITEBYTECODE": "1",
            "TMPDIR": str(home),
        }
        if os.getuid() != 0:
            environment["PYTHONPATH"] = os.pathsep.join([str(base / "lib"), *_libraries()])
            yield Unprivileged(sys.executable, home, environment)
            return
        become = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs", "--bounding-set=-all")
        user = Unprivileged(_python_for_all(become), home, environment, NOBODY, become)
        os.chown(home, NOBODY, NOBODY)
        libraries = _readable_libraries(user, base / "libraries")
        environment["PYTHONPATH"] = os.pathsep.join([str(base / "lib"), libraries])
        yield user
