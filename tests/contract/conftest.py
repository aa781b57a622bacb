"""One server for the whole suite: the one that OMERO_HOST names, or else the stand-in. At the end: how far it can be trusted."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.driver import Driver
from tests.contract.omero_world import Server, World, of_environment, stand_in
from tests.contract.relay import Relay

_ran = pytest.StashKey[bool]()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Server]:
    request.config.stash[_ran] = True
    named = of_environment()
    if named is not None:
        yield named
        return
    with stand_in(tmp_path_factory.mktemp("standin")) as started:
        yield started


@pytest.fixture(scope="session")
def world(server: Server) -> Iterator[World]:
    made = World(server, f"ct{int(time.time())}x{os.getpid()}")
    try:
        made.populate()
        yield made
    finally:
        made.clean()


@pytest.fixture
def driver(server: Server, tmp_path: Path) -> Iterator[Driver]:
    made = Driver(server.config(_sessions(tmp_path)))
    yield made
    made.close()


@pytest.fixture
def successor(server: Server, tmp_path: Path) -> Iterator[Driver]:
    """Another importer process on the same host: it finds the session files."""
    made = Driver(server.config(_sessions(tmp_path)))
    yield made
    made.close()


@pytest.fixture
def relay(server: Server) -> Iterator[Relay]:
    host = server.host.rpartition("/")[2].partition(":")[0] if "://" in server.host else server.host
    made = Relay(host, server.port)
    yield made
    made.close()


@pytest.fixture
def relayed(server: Server, relay: Relay, tmp_path: Path) -> Iterator[Driver]:
    """An importer whose connections the test can cut."""
    made = Driver(server.config(_sessions(tmp_path), host="127.0.0.1", port=relay.port))
    yield made
    made.close()


def _sessions(tmp_path: Path) -> Path:
    folder = tmp_path / "sessions"
    folder.mkdir(exist_ok=True)
    return folder


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if not config.stash.get(_ran, False):
        return
    from dropbox_import.standin import server as _server  # noqa: F401 - fills the table
    from dropbox_import.standin.sources import counts

    told = ", ".join(f"{number} {kind}" for kind, number in counts().items())
    terminalreporter.write_line(f"behaviours of the stand-in: {told}; last run against a real OMERO: never")
