"""A dispatcher on scripted workers, for the tests of the workers."""

from __future__ import annotations

import contextlib
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from dropbox_import.clock import Clock, SystemClock
from dropbox_import.workers.dispatcher import Workers
from dropbox_import.workers.protocol import Command, Progress, Role
from dropbox_import.workers.replies import Reply, Ticket

FAKE = Path(__file__).with_name("fake_worker.py")
PATIENCE = 30.0
ROLES: tuple[Role, ...] = ("importer", "inspector")


class HandClock(SystemClock):
    """Monotonic time that only the test moves."""

    def __init__(self) -> None:
        self.time = 1000.0

    def monotonic(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


@dataclass(frozen=True)
class Some:
    """As `settings.workers`."""

    importers: int = 1
    filesets_in_flight: int = 4
    inspectors: int = 1
    idle_after: float = 60.0
    inspector_memory: int = 2 << 30


@dataclass
class Crew:
    """Workers with a record of every reply and all progress."""

    workers: Workers
    replies: list[Reply] = field(default_factory=list)
    threads: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def on_reply(self, reply: Reply) -> None:
        with self.lock:
            self.replies.append(reply)
            self.threads.add(threading.current_thread().name)

    def submit(
        self, do: str, role: Role = "importer", *, alone: bool = False, worker: int | None = None, drop: str = "", **args: Any
    ) -> Ticket:
        return self.workers.submit(role, Command(1, do, args, drop=drop), self.on_reply, alone=alone, worker=worker)

    def ask(self, do: str, role: Role = "importer", **options: Any) -> Reply:
        reply = self.submit(do, role, **options).wait(PATIENCE)
        assert reply is not None, f"no answer to {do}"
        return reply

    def states(self) -> list[str]:
        return [f"{each['role']} {each['state']}" for each in self.workers.snapshot()]

    def calls(self) -> set[str]:
        """The calls that the workers have said they are in."""
        return {command["call"] for each in self.workers.snapshot() for command in each["commands"]}


@contextlib.contextmanager
def crew(
    state_dir: Path,
    settings: Some | None = None,
    clock: Clock | None = None,
    how: str = "",
    program: str = sys.executable,
    config: dict[str, Any] | None = None,
    on_progress: Callable[[Command, Progress], None] | None = None,
) -> Iterator[Crew]:
    """Stopped at the end; then every command must have been answered once, and nothing may be left of the workers."""
    commands = {role: (program, str(FAKE), role, *([how] if how else [])) for role in ROLES}
    workers = Workers(
        settings or Some(),
        state_dir,
        clock or SystemClock(),
        logging.getLogger("test.workers"),
        importer_config=config,
        on_progress=on_progress,
        commands=commands,
    )
    made = Crew(workers)
    try:
        yield made
    finally:
        workers.stop()
    assert workers.busy() == 0
    assert workers.snapshot() == []
    assert list((state_dir / "locks").glob("*")) == []


def until(condition: Callable[[], object], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, f"it did not come about that {what}"
        time.sleep(0.02)


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
