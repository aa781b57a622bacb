"""One OMERO stand-in, one daemon and one box for every test of good and bad input: all is dropped at once, then looked at.

A test module says at import what its users drop (`drop(...)`); the fixture `house` (conftest) drops it and waits until all of it is
filed, and each test asks what became of its own. In texts of sidecars `$mine` stands for the id of a dataset that was there before.
"""

from __future__ import annotations

import glob
import json
import os
import signal
import string
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import omero.model
from omero.rtypes import rstring

from dropbox_import import strict_yaml
from dropbox_import.clock import SystemClock
from dropbox_import.spool import layout
from dropbox_import.spool.layout import Layout, create_box
from dropbox_import.standin import accounts, holdings, samples
from tests.support.standin_process import RunningStandin, ask, dataset, save

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 3.0
REST = 180.0
Content = str | bytes | Callable[[Path], None]
OURS = {layout.JOURNAL, layout.REQUEST, layout.RESULT, layout.REASON, layout.ATTENTION}
# What no user should have to read.
JARGON = ("Traceback", "Exception", "ome.", "omero.", "java.", "Errno", "errno", "\\udc", "None", "{'", "()", "inprogress", "  File ")
# Users besides those of the stand-in's standard set; the first group is the default one.
MORE_USERS = (
    {"name": "dave", "password": "dave", "groups": ["private"]},
    {"name": "erin", "password": "erin", "groups": ["lab"], "active": False},
)


@dataclass(frozen=True, eq=False, slots=True)
class Drop:
    """Files of one user, in the order in which they are put there, and their sidecar. Paths are below the user's folder."""

    sidecar: str
    text: Content
    files: Mapping[str, Content]
    user: str = "alice"
    box: str = "box"
    wave: int = 1

    @property
    def name(self) -> str:
        return self.sidecar.rpartition("/")[2]

    @property
    def folder(self) -> str:
        return self.sidecar.rpartition("/")[0]


DROPS: list[Drop] = []
_numbers = iter(range(1, 10_000))


def drop(sidecar: str, text: Content, files: Mapping[str, Content] | None = None, **more: Any) -> Drop:
    """A drop of the house; without `files` it is one sound TIFF of the sidecar's stem."""
    if files is None:
        stem = sidecar
        for suffix in (".txt", ".yaml", ".yml", ".json"):
            stem = stem.removesuffix(suffix)
        files = {f"{stem}.tif": tiff}
    made = Drop(sidecar, text, files, **more)
    DROPS.append(made)
    return made


def tiff(path: Path) -> None:
    """A sound image that differs from every other one."""
    samples.plain_tiff(path, next(_numbers))


def _filed_as(one: Drop) -> str:
    """How the folder of a filed drop begins, as a pattern; long names are cut there."""
    stem = one.name.rpartition(".")[0]
    return glob.escape(stem) if len(stem) < 200 else f"{stem[:200]}*"


@dataclass
class House:
    folder: Path
    ids: dict[str, int] = field(default_factory=dict)
    written: dict[tuple[Drop, str], bytes] = field(default_factory=dict)
    daemon: subprocess.Popen[bytes] | None = None

    def open(self) -> None:
        people = self.folder / "people.json"
        people.write_text(json.dumps({**accounts.STANDARD, "users": [*accounts.STANDARD["users"], *MORE_USERS]}))
        self.standin = RunningStandin(self.folder / "omero", people).start()
        self._furnish()
        users = {(one.box, one.user) for one in DROPS}
        self.boxes = {name: Layout(self.folder / name) for name in ("box", "open")}
        for name, box in self.boxes.items():
            create_box(box.box, SystemClock(), [user for where, user in users if where == name])
        self.log = self.folder / "daemon.log"
        with self.log.open("wb") as log:
            kept = {name: value for name, value in os.environ.items() if name not in ("OMERO_PASSWORD", "CREDENTIALS_DIRECTORY")}
            self.daemon = subprocess.Popen(
                [sys.executable, "-m", "dropbox_import", "run", "--config", str(self._config())],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=kept | {"PYTHONPATH": str(ROOT), "NO_COLOR": "1"},
                cwd=self.folder,
            )
        for wave in sorted({one.wave for one in DROPS}):
            for one in DROPS:
                if one.wave == wave:
                    self._put(one)
            self._rest([one for one in DROPS if one.wave == wave])

    def close(self) -> None:
        if self.daemon is not None and self.daemon.poll() is None:
            self.daemon.send_signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self.daemon.wait(30)
            self.daemon.kill()
            self.daemon.wait(20)
        self.standin.stop()

    def _config(self) -> Path:
        password = self.folder / "password"
        password.write_text("importer\n")
        password.chmod(0o600)
        box = {
            "quiet_period": 0.3,
            "scan_interval": 0.3,
            "min_free": "10 MB",
            "check_file_owner": False,
            "wait_for_files": {"tell_after": 1, "refuse_after": PATIENCE},
        }
        defaults = {"tags": ["from the box"], "target": {"project": {"name": "Box project", "create": True}}}
        config = {
            "omero": {
                "host": "localhost",
                "port": self.standin.port,
                "user": "importer",
                "password_file": str(password),
                "ca_file": self.standin.ca_file,
            },
            "state_dir": str(self.folder / "state"),
            "instance": "house",
            "boxes": [
                {"path": str(self.boxes["box"].box), **box},
                {"path": str(self.boxes["open"].box), **box, "owners": ["bob", "carol", "nobody"], "defaults": defaults},
            ],
            "retry": {"delays": [1], "jitter": 0.0},
        }
        path = self.folder / "config.yaml"
        path.write_text(json.dumps(config))
        return path

    def _furnish(self) -> None:
        """What OMERO holds before anything is dropped."""
        root = self.standin.log_in("root")
        for number in range(160):  # so that no project has the id of a dataset
            filler = omero.model.ProjectI() if number < 120 else omero.model.DatasetI()
            filler.name = rstring("of root")
            save(root, filler)
        alice, _ = self.standin.sudo("alice", "lab")
        self.ids["mine"] = dataset(alice, "Mine")
        herself = self.standin.log_in("alice")  # what importers make beside each other is one, what people make is not
        self.ids["old_twin"], self.ids["new_twin"] = dataset(herself, "Twins"), dataset(herself, "Twins")
        project = omero.model.ProjectI()
        project.name = rstring("Mitosis")
        self.ids["mitosis"] = int(save(alice, project).id.val)
        tag = omero.model.TagAnnotationI()
        tag.textValue = rstring("known")
        self.ids["known"] = int(save(alice, tag).id.val)
        shared, _ = self.standin.sudo("alice", "shared")
        self.ids["shared"] = dataset(shared, "Shared one")
        bob, _ = self.standin.sudo("bob", "together")
        self.ids["bobs"] = dataset(bob, "Where alice is not")
        reader, _ = self.standin.sudo("bob", "lab")
        self.ids["readable"] = dataset(reader, "To be read only")
        dave, _ = self.standin.sudo("dave", "private")
        self.ids["secret"] = dataset(dave, "Secret")
        self.standin.close_clients()

    def _put(self, one: Drop) -> None:
        home = self.boxes[one.box].drop / one.user
        for name, content in {**one.files, one.sidecar: one.text}.items():
            path = home / os.fsdecode(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            if callable(content):
                content(path)
            else:
                text = string.Template(content).safe_substitute(self.ids).encode() if isinstance(content, str) else content
                hidden = path.with_name(f".{next(_numbers)}.part")
                hidden.write_bytes(text)
                self.written[one, name] = text
                hidden.rename(path)  # from now on the daemon may take it
            if callable(content) and path.is_file():
                self.written[one, name] = path.read_bytes()

    def _rest(self, drops: Iterable[Drop]) -> None:
        """Until all is filed. What never is, is found by its own test."""
        end = time.monotonic() + REST
        while time.monotonic() < end and self.daemon is not None and self.daemon.poll() is None:
            waiting = any(os.path.lexists(self.boxes[one.box].drop / one.user / one.sidecar) for one in drops)
            claimed = any(layout.is_id(path.name) for box in self.boxes.values() for path in box.inprogress.glob("*/*"))
            if not waiting and not claimed:
                return
            time.sleep(0.05)

    # --- what became of a drop ----------------------------------------------------------

    def filed(self, one: Drop, state: str) -> Path:
        """Its one folder in done/ or failed/."""
        stem = _filed_as(one)
        box = self.boxes[one.box]
        found = sorted((box.box / state / one.user).glob(f"*/{stem}__*"))
        assert len(found) == 1, f"{one.sidecar} is {len(found)} times in {state}/; {self._about(one)}"
        return found[0]

    def _about(self, one: Drop) -> str:
        box = self.boxes[one.box]
        stem = _filed_as(one)
        reasons = [path.read_text() for path in box.failed.glob(f"{one.user}/*/{stem}__*/{layout.REASON}")]
        lines = [line for line in self.log.read_text(errors="replace").splitlines() if one.name.rpartition(".")[0] in line]
        return "\n".join([f"still in drop/: {os.path.lexists(box.drop / one.user / one.sidecar)}", *reasons, *lines[-8:]])

    def result(self, one: Drop, state: str = "done") -> dict[str, Any]:
        text = (self.filed(one, state) / layout.RESULT).read_bytes()
        value = strict_yaml.to_value(strict_yaml.load(text, layout.RESULT).root)
        assert isinstance(value, dict)
        return value

    def refused(self, one: Drop, *words: str) -> str:
        """The sidecar is in failed/ by itself, all other files are where they were; its reason says the `words`."""
        folder = self.filed(one, "failed")
        assert {path.name for path in folder.iterdir()} <= OURS | {one.name, "d"}
        assert (folder / one.name).read_bytes() == self.written[one, one.sidecar]
        assert not [path for path in (folder / "d").rglob("*") if not path.is_dir()]
        for name in one.files:
            self._is_kept(one, name, self.boxes[one.box].drop / one.user / os.fsdecode(name))
        return self._reason(one, folder, words)

    def failed(self, one: Drop, *words: str, files: Iterable[str] | None = None) -> str:
        """The sidecar and its files (or these `files` of it, if another part was imported) are in failed/, byte for byte."""
        folder = self.filed(one, "failed")
        assert (folder / one.name).read_bytes() == self.written[one, one.sidecar]
        self._are(one, folder, one.files if files is None else files)
        return self._reason(one, folder, words)

    def imported(self, one: Drop, *, files: Iterable[str] | None = None) -> list[dict[str, Any]]:
        """The sidecar and its files are in done/, byte for byte; answers its images as OMERO holds them."""
        folder = self.filed(one, "done")
        assert (folder / one.name).read_bytes() == self.written[one, one.sidecar]
        assert not (folder / layout.ATTENTION).exists(), (folder / layout.ATTENTION).read_text()
        self._are(one, folder, one.files if files is None else files)
        numbers = {image["id"] for each in self.result(one)["filesets"] for image in each["images"]}
        found = [image for image in self.held["images"] if image["id"] in numbers]
        assert len(found) == len(numbers), "result.yaml names images that OMERO does not hold"
        return found

    def image(self, one: Drop, **more: Any) -> dict[str, Any]:
        """The only image of a drop."""
        (found,) = self.imported(one, **more)
        return found

    def _are(self, one: Drop, folder: Path, files: Iterable[str]) -> None:
        below = f"{one.folder}/" if one.folder else ""
        there = {path.relative_to(folder / "d").as_posix() for path in (folder / "d").rglob("*") if not path.is_dir()}
        assert there == {name.removeprefix(below) for name in files}
        for name in files:
            self._is_kept(one, name, folder / "d" / name.removeprefix(below))
            assert not os.path.lexists(self.boxes[one.box].drop / one.user / name)

    def _is_kept(self, one: Drop, name: str, path: Path) -> None:
        assert os.path.lexists(path), f"{name} is lost"
        if (one, name) in self.written:
            assert path.read_bytes() == self.written[one, name]

    def _reason(self, one: Drop, folder: Path, words: Iterable[str]) -> str:
        text = (folder / layout.REASON).read_text()
        told = text.replace(one.name, "")
        assert one.name in text
        for word in words:
            assert word.lower() in text.lower(), text
        assert "(" in told or "What to do:" in text, f"no cure in:\n{text}"
        found = [word for word in (*JARGON, str(self.folder)) if word in told]
        assert not found, f"{found} in:\n{text}"
        return text

    # --- what OMERO holds ---------------------------------------------------------------

    @cached_property
    def held(self) -> dict[str, Any]:
        return holdings.read("localhost", self.standin.port, "root", "root", self.standin.ca_file)

    def ask(self, hql: str, **values: Any) -> list[list[Any]]:
        """The rows of a query of the root user's own."""
        client = self.standin.log_in("root")
        try:
            return ask(client, hql, **values)
        finally:
            self.standin.close_clients()
