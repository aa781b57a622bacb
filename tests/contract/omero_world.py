"""The server that the contract suite talks to, and the users and groups that it makes there for itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dropbox_import.importer import connection, queries
from dropbox_import.importer.connection import ServerConfig
from tests.contract.foreign import omero

ROOT = Path(__file__).resolve().parents[2]
PERMISSIONS = {"ro": "rwr---", "private": "rw----", "shared": "rwra--", "together": "rwrw--"}
MEMBERS = {"alice": ("ro", "private", "shared"), "bob": ("ro", "shared", "together")}
PASSWORD = "contract suite 8f2"


@dataclass(frozen=True)
class Server:
    """Where it is and its administrator. `folder` is there for a stand-in only."""

    host: str
    port: int
    user: str
    password: str
    ca_file: str | None
    insecure: bool
    folder: Path | None = None

    def config(self, sessions_dir: Path, **more: Any) -> ServerConfig:
        """As the administrator, whose password the environment holds under OMERO_CONTRACT_PASSWORD."""
        os.environ["OMERO_CONTRACT_PASSWORD"] = self.password
        given = {"host": self.host, "port": self.port, "user": self.user, "ca_file": self.ca_file, "insecure": self.insecure}
        return ServerConfig.from_args(
            {**given, "password_env": "OMERO_CONTRACT_PASSWORD", "instance": "contract", "sessions_dir": sessions_dir, **more}
        )


def of_environment() -> Server | None:
    """A server that somebody named, to be run against as it is."""
    host = os.environ.get("OMERO_HOST")
    if not host:
        return None
    ca_file = os.environ.get("OMERO_CA_FILE")
    port = int(os.environ.get("OMERO_PORT", "4064"))
    return Server(host, port, os.environ["OMERO_USER"], os.environ["OMERO_PASSWORD"], ca_file, ca_file is None)


@contextmanager
def stand_in(folder: Path) -> Iterator[Server]:
    """The stand-in as a process of its own."""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-m", "dropbox_import.standin", "--dir", str(folder)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        yield Server("127.0.0.1", int(ready["ssl"]), "root", "root", ready["ca_file"], False, folder)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(20)
        assert process.stdout is not None
        process.stdout.close()


@dataclass
class World:
    """Names of the suite's users and groups: `world.user("alice")`, `world.group("ro")`."""

    server: Server
    tag: str
    groups: dict[str, int] = field(default_factory=dict)
    users: dict[str, int] = field(default_factory=dict)

    def user(self, name: str) -> str:
        return f"{self.tag}-{name}"

    def group(self, name: str) -> str:
        return f"{self.tag}-{name}"

    @contextmanager
    def admin(self) -> Iterator[Any]:
        with connection.service_login(self.server.config(Path())) as client:
            yield client

    @contextmanager
    def logged_in(self, name: str) -> Iterator[Any]:
        """As one of its users, who works with OMERO by hand."""
        client = connection.make_client(self.server.config(Path()))
        try:
            client.createSession(self.user(name), PASSWORD)
            yield client
        finally:
            connection.close(client)

    def populate(self) -> None:
        with self.admin() as client:
            service = client.getSession().getAdminService()
            for name, permissions in PERMISSIONS.items():
                group = omero.model.ExperimenterGroupI()
                group.name, group.ldap = omero.rtypes.rstring(self.group(name)), omero.rtypes.rbool(False)
                group.details.permissions = omero.model.PermissionsI(permissions)
                self.groups[name] = int(service.createGroup(group))
            everybody = int(service.getSecurityRoles().userGroupId)
            for name, groups in (*MEMBERS.items(), ("sleeper", ("ro",))):
                default, *others = [omero.model.ExperimenterGroupI(self.groups[each], False) for each in groups]
                if name != "sleeper":  # who is not in that group is not active
                    others.append(omero.model.ExperimenterGroupI(everybody, False))
                self.users[name] = int(
                    service.createExperimenterWithPassword(self._person(name), omero.rtypes.rstring(PASSWORD), default, others)
                )

    def _person(self, name: str) -> Any:
        person = omero.model.ExperimenterI()
        person.omeName, person.ldap = omero.rtypes.rstring(self.user(name)), omero.rtypes.rbool(False)
        person.firstName, person.lastName = omero.rtypes.rstring(name.title()), omero.rtypes.rstring("Contract")
        person.email = omero.rtypes.rstring(f"{name}@example.org")
        return person

    def clean(self) -> None:
        """Data, users, groups; what the server does not let go of (it keeps who wrote history) is left inactive."""
        with self.admin() as client:
            for kind in ("Fileset", "Dataset", "Project", "Annotation", "OriginalFile"):
                for group in self.groups.values():
                    rows = connection.ask(client, f"select o.id from {kind} o where o.details.group.id=:g", g=group)
                    self._delete(client, kind, [int(row[0]) for row in rows])
            service = client.getSession().getAdminService()
            for number in self.users.values():
                with suppress(omero.ServerError):
                    service.deleteExperimenter(omero.model.ExperimenterI(number, False))
            for number in self.groups.values():
                with suppress(omero.ServerError):
                    service.deleteGroup(omero.model.ExperimenterGroupI(number, False))

    def _delete(self, client: Any, kind: str, ids: list[int]) -> None:
        if not ids:
            return
        with suppress(omero.ServerError):
            handle = client.getSession().submit(omero.cmd.Delete2(targetObjects={kind: ids}), client.getContext(-1))
            while handle.getResponse() is None:
                time.sleep(0.1)
            handle.close()


def mapping_pairs(client: Any, name: str) -> list[list[Any]]:
    """What the map annotations of that marker hold, in order."""
    text = "select a.id, mv.name, mv.value from MapAnnotation a join a.mapValue mv where a.name=:n order by a.id, index(mv)"
    return connection.ask(client, text, n=name)


__all__ = ["Server", "World", "mapping_pairs", "of_environment", "queries", "stand_in"]
