"""The importer as its own process: one import over the pipes, nothing in the home folder, no secret in anything it says."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.contract.driver import a_tiff
from tests.contract.omero_world import ROOT, Server, stand_in


class Child:
    """Talks to a worker, one command after the other."""

    def __init__(self, tmp_path: Path, password_file: Path) -> None:
        self.home = tmp_path / "home"
        self.home.mkdir()
        self.errors = (tmp_path / "stderr").open("wb")
        environment = {**os.environ, "HOME": str(self.home), "TMPDIR": str(tmp_path / "tmp")}
        (tmp_path / "tmp").mkdir()
        command = [sys.executable, "-m", "dropbox_import.importer"]
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors, text=True
        )
        self.password_file = password_file
        self.said: list[str] = []
        self.number = 0

    def line(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        while not (text := self.process.stdout.readline()).strip():
            assert text, "the worker has ended"
        self.said.append(text)
        return json.loads(text)

    def do(self, command: str, *, drop: str = "", **args: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.number += 1
        whole = {"id": self.number, "do": command, "args": args} | ({"drop": drop, "key": "k", "attempt": 1} if drop else {})
        self.process.stdin.write(json.dumps(whole) + "\n")
        self.process.stdin.flush()
        while (event := self.line())["event"] not in ("done", "error"):
            pass
        assert event["event"] == "done", event
        return event["result"]

    def end(self) -> int:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        code = self.process.wait(20)
        self.process.stdout.close()
        self.errors.close()
        return code


@pytest.fixture
def server(tmp_path: Path) -> Any:
    folder = tmp_path / "standin"
    folder.mkdir()
    with stand_in(folder) as started:
        yield started


def test_a_whole_import_in_a_process_of_its_own(server: Server, tmp_path: Path) -> None:
    password_file, sessions = tmp_path / "password", tmp_path / "sessions"
    password_file.write_text("root\n")
    sessions.mkdir()
    a_tiff(tmp_path / "cells.tif")
    child = Child(tmp_path, password_file)
    hello = child.line()
    assert (hello["event"], hello["role"], hello["pid"]) == ("hello", "importer", child.process.pid)
    child.do(
        "configure", host=server.host, port=server.port, user="root", password_file=str(password_file), password_env="X",
        ca_file=server.ca_file,
        insecure=False, group=None, instance="i", sessions_dir=str(sessions), client_limits={},
    )  # fmt: skip
    session = child.do("open_session", owner="alice", group=None)["session"]
    file = {"path": "cells.tif", "client_path": "i/alice/cells.tif", "size": (tmp_path / "cells.tif").stat().st_size}
    meta = {"drop": "d1", "instance": "i", "session": session, "attempt": 1}
    paths = [file["client_path"]]
    fileset = child.do("begin", drop="d1", session=session, token="d1/k", meta=meta, client_paths=paths, dataset=None)["fileset"]
    sent = child.do("send", drop="d1", session=session, root=str(tmp_path), files=[file])["files"]
    child.do("commit", drop="d1", session=session)
    while (state := child.do("poll", drop="d1", session=session)["state"]) == "running":
        pass
    assert state == "done"
    told = child.do("confirm", session=session, fileset=fileset, dataset=None, owner="alice", group="lab", files=sent)
    assert (told["state"], told["problems"]) == ("complete", [])
    uuid = json.loads((sessions / f"{session}.json").read_text())["uuid"]
    assert child.end() == 0
    everything = "".join(child.said) + (tmp_path / "stderr").read_text()
    assert uuid not in everything
    assert "Warning" not in everything
    assert list(child.home.iterdir()) == []
