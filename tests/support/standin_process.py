"""A stand-in in a process of its own, and clients for it."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import omero
import omero.clients
import omero.cmd
import omero.grid
import omero.model
import omero.sys
from omero.rtypes import rbool, rlist, rlong, rstring, unwrap

from tests.support.ports import kept_port

TOKEN_NS = "dropbox-import/token"


class RunningStandin:
    """Start it with `start`, end it with `stop` or `kill`; `start` again takes the same ports."""

    def __init__(self, folder: Path, users: Path | None = None) -> None:
        self.folder = folder
        self.users = users
        self.port = 0
        self.tcp = 0
        self.ca_file = ""
        self._child: subprocess.Popen[str] | None = None
        self._clients: list[Any] = []
        self._asked: list[str] = []  # the ids of the rules in force, in their order

    def start(self) -> RunningStandin:
        self.port, self.tcp = self.port or kept_port(), self.tcp or kept_port()
        command = [sys.executable, "-m", "dropbox_import.standin", "--dir", str(self.folder)]
        command += ["--port", str(self.port), "--tcp-port", str(self.tcp)]
        if self.users is not None:
            command += ["--users", str(self.users)]
        self._child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._child.stdout is not None
        ready = json.loads(self._child.stdout.readline())
        self.port, self.tcp, self.ca_file = ready["ssl"], ready["tcp"], ready["ca_file"]
        return self

    @property
    def pid(self) -> int:
        assert self._child is not None
        return self._child.pid

    def _end(self) -> int:
        assert self._child is not None and self._child.stdout is not None
        code = self._child.wait(60)
        self._child.stdout.close()
        self._child = None
        return code

    def kill(self) -> None:
        assert self._child is not None
        self._child.kill()
        self._end()

    def stop(self) -> int:
        self.close_clients()
        if self._child is None:
            return 0
        self._child.terminate()
        return self._end()

    def close_clients(self) -> None:
        while self._clients:
            close(self._clients.pop())

    def client(self, **properties: str) -> Any:
        """A client that is not connected, with verified TLS."""
        known = {
            "omero.host": "localhost",
            "omero.port": str(self.port),
            "Ice.Override.ConnectTimeout": "30000",
            "IceSSL.VerifyPeer": "2",
            "IceSSL.CAs": self.ca_file,
            "IceSSL.CheckCertName": "1",
            "Ice.Default.InvocationTimeout": "30000",
        }
        found = omero.client(pmap=known | {name.replace("__", "."): value for name, value in properties.items()})
        self._clients.append(found)
        return found

    def plain_client(self) -> Any:
        """A client without TLS that is not connected."""
        found = omero.client(f"tcp://127.0.0.1:{self.tcp}")
        self._clients.append(found)
        return found

    def log_in(self, name: str, password: str | None = None) -> Any:
        found = self.client()
        found.createSession(name, password if password is not None else name)
        return found

    def sudo(self, name: str, group: str = "", *, live: int = 0, idle: int = 600_000) -> tuple[Any, str]:
        """A client in a session that the service account made for `name`, and its uuid."""
        service = self.log_in("importer")
        try:
            uuid = make_sudo_session(service, name, group, live=live, idle=idle)
        finally:
            close(service)
        return self.log_in(uuid), uuid

    def faults(self, *rules: dict[str, Any], **settings: float) -> None:
        """Puts these faults in force, and no others."""
        path = self.folder / "faults.json"
        stamp = time.monotonic_ns()
        named = [{"id": f"{stamp}-{number}", **rule} for number, rule in enumerate(rules)]
        self._asked = [str(rule["id"]) for rule in named]
        new = path.with_suffix(".new")
        new.write_text(json.dumps({"rules": named, "settings": settings, "stamp": stamp}))
        new.replace(path)

    def strikes(self) -> list[int]:
        """How often each of the faults in force has come about, in the order in which they were given."""
        told = [line["rule"] for line in self._logged("struck.jsonl")]
        return [told.count(rule) for rule in self._asked]

    def calls(self) -> list[dict[str, Any]]:
        return self._logged("calls.jsonl")

    def _logged(self, name: str) -> list[dict[str, Any]]:
        """The lines that are whole: the server may be writing the last one."""
        return [json.loads(line) for line in (self.folder / name).read_text().split("\n")[:-1]]


def make_sudo_session(service: Any, name: str, group: str = "", *, live: int = 0, idle: int = 600_000) -> str:
    principal = omero.sys.Principal(name, group, "User", None)
    made = service.sf.getSessionService().createSessionWithTimeouts(principal, live, idle)
    return str(made.uuid.val)


def close(client: Any) -> None:
    """Ends the client, connected or not, with its server alive or not."""
    with suppress(Exception):
        client.closeSession()


def ask(client: Any, hql: str, group: int | None = -1, **values: Any) -> list[list[Any]]:
    """The rows of a query, as plain values; over all groups unless another is given (None: the session's)."""
    params = omero.sys.ParametersI()
    for name, value in values.items():
        params.add(name, rlist([rlong(item) for item in value]) if isinstance(value, list) else wire(value))
    context = client.getContext() if group is None else {**client.getContext(), "omero.group": str(group)}
    return [[unwrap(cell) for cell in row] for row in client.sf.getQueryService().projection(hql, params, context)]


def wire(value: Any) -> Any:
    return rstring(value) if isinstance(value, str) else rlong(value)


def save(client: Any, item: Any) -> Any:
    return client.sf.getUpdateService().saveAndReturnObject(item)


def dataset(client: Any, name: str = "a dataset") -> int:
    item = omero.model.DatasetI()
    item.name = rstring(name)
    return int(save(client, item).id.val)


def fileset(client_paths: Sequence[str], token: str = "") -> Any:
    found = omero.model.FilesetI()
    for path in client_paths:
        entry = omero.model.FilesetEntryI()
        entry.clientPath = rstring(path)
        found.addFilesetEntry(entry)
    job = omero.model.UploadJobI()
    job.versionInfo = [omero.model.NamedValue("client.language.name", "Python")]
    found.linkJob(job)
    if token:
        note = omero.model.CommentAnnotationI()
        note.ns, note.name, note.textValue = rstring(TOKEN_NS), rstring(token), rstring("{}")
        found.linkAnnotation(note)
    return found


def settings(target: Any = None, name: str | None = None, annotations: Sequence[Any] = (), algorithm: str = "SHA1-160") -> Any:
    found = omero.grid.ImportSettings()
    found.doThumbnails, found.noStatsInfo = rbool(True), rbool(False)
    found.checksumAlgorithm = omero.model.ChecksumAlgorithmI()
    found.checksumAlgorithm.value = rstring(algorithm)
    found.userSpecifiedTarget = target
    found.userSpecifiedName = rstring(name) if name else None
    found.userSpecifiedAnnotationList = list(annotations)
    return found


def begin(client: Any, client_paths: Sequence[str], wanted: Any = None, token: str = "") -> Any:
    return client.getManagedRepository().importFileset(fileset(client_paths, token), wanted or settings())


def upload(process: Any, index: int, data: bytes) -> str:
    """Sends one file whole; answers its SHA-1."""
    store = process.getUploader(index)
    store.write(b"", 0, 0)
    for at in range(0, len(data), 5_000_000):
        piece = data[at : at + 5_000_000]
        store.write(piece, at, len(piece))
    store.close()
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


def answer(handle: Any, seconds: float = 10) -> Any:
    """Polls until there is a response."""
    return until(handle.getResponse, seconds)


def until(look: Callable[[], Any], seconds: float = 10) -> Any:
    """The first truth that `look` answers."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"nothing came within {seconds} s")


def import_one(client: Any, data: bytes, client_path: str = "data/one.tif", wanted: Any = None, token: str = "") -> Any:
    """A whole import of one file; answers the response (which may be an ERR)."""
    process = begin(client, [client_path], wanted, token)
    handle = process.verifyUpload([upload(process, 0, data)])
    found = answer(handle)
    process.close()
    handle.close()
    return found


@contextmanager
def running(folder: Path, users: Path | None = None) -> Iterator[RunningStandin]:
    """A stand-in for the length of a `with`."""
    found = RunningStandin(folder, users).start()
    try:
        yield found
    finally:
        found.stop()
