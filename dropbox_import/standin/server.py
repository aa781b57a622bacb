"""Puts the stand-in together: Ice, certificate, rows, accounts, the front door; and runs it until it is told to stop."""

from __future__ import annotations

import json
import logging
import os
import threading
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import Ice
import omero
import omero.clients
import omero.ObjectFactoryRegistrar
import omero.rtypes

from dropbox_import.standin import accounts
from dropbox_import.standin.faults import Faults
from dropbox_import.standin.house import House
from dropbox_import.standin.repository import ManagedRepository
from dropbox_import.standin.router import ROUTER, Locator, Router
from dropbox_import.standin.servants import Registry
from dropbox_import.standin.sessions import Sessions
from dropbox_import.standin.store import Store
from dropbox_import.standin.tls import certificates

LOG = logging.getLogger("standin")
PROPERTIES = {
    "Ice.ImplicitContext": "None",
    "Ice.MessageSizeMax": "65536",
    "Ice.ACM.Server.Timeout": "0",
    "Ice.ACM.Server.Close": "0",
    "Ice.ThreadPool.Server.Size": "4",
    "Ice.ThreadPool.Server.SizeMax": "64",
    "Ice.ThreadPool.Server.SizeWarn": "0",
    "Ice.ThreadPool.Client.Size": "1",
    "Ice.ThreadPool.Client.SizeMax": "4",
    "Ice.Warn.Connections": "0",
    "Ice.Warn.Dispatch": "0",
    "Ice.Plugin.IceSSL": "IceSSL:createIceSSL",
    "IceSSL.VerifyPeer": "0",
}
SSL = 2  # Ice's number for that kind of endpoint


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line asks for. Ports: 0 takes a free one."""

    folder: Path
    port: int = 0
    tcp_port: int = 0
    host: str = "127.0.0.1"
    users: Path | None = None
    faults: Path | None = None


class StandIn:
    """A running server. `start`, then `stop`; everything it keeps is below `wanted.folder`."""

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        wanted.folder.mkdir(parents=True, exist_ok=True)
        self.certificates = certificates(wanted.folder / "tls")
        self.house = House(
            wanted.folder, Store(wanted.folder / "omero.db"), Faults(wanted.folder, wanted.faults), self._identity(wanted.folder)
        )
        for folder in (self.house.files, self.house.attachments):
            folder.mkdir(exist_ok=True)
        accounts.seed(self.house.store, accounts.load(wanted.users))
        for name in ("Submitted", "Resubmitted", "Queued", "Requeued", "Running", "Error", "Waiting", "Finished"):
            self.house.store.enum("JobStatus", name)
        self._communicator = self._initialize()

    @staticmethod
    def _identity(folder: Path) -> str:
        path = folder / "repository.uuid"
        if not path.exists():
            path.write_text(str(uuid.uuid4()), encoding="ascii")
        return path.read_text(encoding="ascii")

    def _initialize(self) -> Any:
        settings = Ice.InitializationData()
        settings.properties = Ice.createProperties()
        found = self.certificates
        for key, value in (PROPERTIES | {"IceSSL.CertFile": str(found.certificate.resolve())}).items():
            settings.properties.setProperty(key, value)
        communicator = Ice.initialize(settings)
        omero.ObjectFactoryRegistrar.registerObjectFactory(communicator, None)
        for factory in list(omero.rtypes.ObjectFactories.values()):
            factory.register(communicator)
        return communicator

    def start(self) -> dict[str, Any]:
        """Opens the doors; answers what a client needs to know."""
        host = self.wanted.host
        endpoints = f"tcp -h {host} -p {self.wanted.tcp_port}:ssl -h {host} -p {self.wanted.port}"
        adapter = self._communicator.createObjectAdapterWithEndpoints("Standin", endpoints)
        ports = {
            ("ssl" if info.type() == SSL else "tcp"): info.port for info in (endpoint.getInfo() for endpoint in adapter.getEndpoints())
        }
        self.house.registry = Registry(adapter)
        self.house.sessions = Sessions(self.house)
        self.house.tcp_port = ports["tcp"]
        repository = ManagedRepository(self.house, None)
        self.house.repository_proxy = self.house.registry.add(repository, f"PublicRepository-{self.house.repository}", "")
        router = Router(self.house)
        adapter.addServantLocator(Locator(self.house, router), "")
        assert ROUTER.name == "router"
        adapter.activate()
        threading.Thread(target=self._reap, name="reaper", daemon=True).start()
        self.house.faults.watch.start(self.house.faults.stopping)
        ready = {
            "ready": True,
            "host": host,
            "tcp": ports["tcp"],
            "ssl": ports["ssl"],
            "ca_file": str(self.certificates.ca.resolve()),
            "users": sorted(self.house.sessions.accounts),
            "pid": os.getpid(),
        }
        (self.wanted.folder / "ready.json").write_text(json.dumps(ready), encoding="ascii")
        return ready

    def _reap(self) -> None:
        """Closes sessions whose time is over; asleep until the next one may be."""
        while not self.house.faults.stopping.is_set():
            self.house.sessions.changed.clear()
            self.house.sessions.changed.wait(self.house.sessions.reap())

    def stop(self) -> None:
        self.house.faults.stopping.set()
        self.house.sessions.changed.set()
        self._communicator.destroy()
        self.house.store.close()
