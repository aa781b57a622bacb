"""Asks the importer for its commands as the daemon does, and small images to import."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from dropbox_import.clock import SystemClock
from dropbox_import.importer.connection import ServerConfig
from dropbox_import.workers.protocol import Command, Event
from dropbox_import.workers.serve import Job
from tests.contract.foreign import worker

_numbers = itertools.count(1)


def a_tiff(path: Path, size: int = 16) -> Path:
    """A small image whose pixels differ from run to run only by its size."""
    tifffile.imwrite(path, np.arange(size * size, dtype=np.uint16).reshape(size, size))
    return path


def two_series(path: Path) -> Path:
    """An OME-TIFF of two images: one fileset, two images in OMERO."""
    with tifffile.TiffWriter(path, ome=True) as writer:
        for name, size in (("left", 16), ("right", 24)):
            writer.write(np.zeros((size, size), np.uint8), photometric="minisblack", metadata={"axes": "YX", "Name": name})
    return path


class Driver:
    """One importer process's worth of commands."""

    def __init__(self, config: ServerConfig, hear: Callable[[Event], None] = lambda _event: None) -> None:
        self.importer = worker.Importer(SystemClock())
        self.handlers = self.importer.handlers()
        self.hear = hear
        args = {name: getattr(config, name) for name in config.__dataclass_fields__}
        self.do("configure", **args)

    def do(self, command: str, *, drop: str = "", key: str = "", attempt: int = 0, **args: Any) -> dict[str, Any]:
        job = Job(Command(next(_numbers), command, args, drop, key, attempt), self.hear, SystemClock())
        return self.handlers[command](job)

    def open(self, owner: str, group: str | None = None) -> int:
        return int(self.do("open_session", owner=owner, group=group)["session"])

    def held(self, number: int) -> Any:
        return self.importer._sessions[number]

    def close(self) -> None:
        """As if the process ended: connections go, sessions stay."""
        for session in self.importer._sessions.values():
            session.close()


class Import:
    """One fileset on its way, step by step; `submission` is unique."""

    def __init__(self, driver: Driver, session: int, root: Path, names: list[str], **more: Any) -> None:
        self.driver, self.session, self.root = driver, session, root
        self.submission = f"contract-{time.time_ns()}-{next(_numbers)}"
        self.of = {"drop": self.submission, "key": "k1", "attempt": 1}
        self.files = [{"path": name, "client_path": f"contract/alice/{name}", "size": (root / name).stat().st_size} for name in names]
        self.more = more
        self.fileset = 0

    def do(self, command: str, **args: Any) -> dict[str, Any]:
        return self.driver.do(command, **self.of, session=self.session, **args)

    def begin(self) -> int:
        meta = {"drop": self.submission, "instance": "contract", "session": self.session, "attempt": 1}
        wanted = {"dataset": None, "name": None, "description": None, "reader": "loci.formats.in.TiffReader", **self.more}
        paths = [each["client_path"] for each in self.files]
        self.fileset = self.do("begin", token=f"{self.submission}/k1", meta=meta, client_paths=paths, **wanted)["fileset"]
        return self.fileset

    def send(self) -> list[dict[str, Any]]:
        return self.do("send", root=str(self.root), files=self.files)["files"]

    def commit(self) -> None:
        self.do("commit")

    def wait(self, seconds: float = 60) -> dict[str, Any]:
        end = time.monotonic() + seconds
        while (state := self.do("poll"))["state"] == "running":
            assert time.monotonic() < end, "the import takes too long"
            time.sleep(0.05)
        return state

    def whole(self) -> list[dict[str, Any]]:
        """All of it; the images."""
        self.begin()
        self.sent = self.send()
        self.commit()
        assert self.wait()["state"] == "done"
        return self.confirm()["images"]

    def confirm(self, **more: Any) -> dict[str, Any]:
        record = self.driver.held(self.session).record
        given = {"dataset": self.more.get("dataset"), "owner": record.owner, "group": record.group, "files": getattr(self, "sent", [])}
        return self.driver.do("confirm", session=self.session, fileset=self.fileset, **{**given, **more})

    def look_up(self) -> list[dict[str, Any]]:
        return self.driver.do("look_up", session=self.session, submission=self.submission)["attempts"]

    def attempt(self) -> Any:
        return self.driver.held(self.session).attempts[(self.submission, "k1", 1)]
