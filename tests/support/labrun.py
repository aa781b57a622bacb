"""Lives of a daemon's core in processes of their own, so that a tracer can end them, or refuse what they ask, at any call of the system.

`python -m tests.support.labrun NUMBER_OF_A_SOCKET` makes a child for each life that it is asked for. The child has the real boxes,
journals and disk; OMERO and the workers are in the test, which `Remote` asks. It hears "go" before it does anything.
"""

from __future__ import annotations

import ctypes
import logging
import os
import pickle
import random
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dropbox_import.daemon.box import BoxRunner
from dropbox_import.daemon.outage import Backoff, Outage
from dropbox_import.daemon.sessions import SessionBook
from dropbox_import.daemon.shared import Shared
from dropbox_import.daemon.slots import Slots
from dropbox_import.daemon.turning import Awake
from dropbox_import.settings import Settings
from dropbox_import.spool.identity import load_instance
from dropbox_import.workers.protocol import Command
from dropbox_import.workers.replies import Reply
from tests.support.clocks import HandClock

MOST = 190_000  # bytes of one message
PUT_BACK = 700.0  # seconds: what could not be taken is left alone for ten minutes


@dataclass(frozen=True)
class Life:
    """`seconds` and `seed` of its clock. `troubled`: turns before the time is set forward, as many as a fault may last; then `most`."""

    settings: Settings
    seconds: float
    seed: str
    troubled: int = 0
    most: int = 400


class Remote:
    """The workers, as far as a box needs them: each command is done in the test."""

    def __init__(self, ask: Callable[[str, Any], Any]) -> None:
        self._ask = ask

    def submit(
        self, role: str, command: Command, on_reply: Callable[[Reply], None], *, alone: bool = False, worker: int | None = None
    ) -> None:
        on_reply(self._ask("submit", (role, command, alone, worker)))

    def alive(self, incarnation: int) -> bool:
        return bool(self._ask("alive", incarnation))

    def snapshot(self) -> list[dict[str, Any]]:
        return []


class Kept(logging.Handler):
    """All that the product's log says: level, words, and whether it is a bug's traceback."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.said: list[tuple[int, str, bool]] = []

    def emit(self, record: logging.LogRecord) -> None:
        trace = record.exc_info is not None and record.levelno >= logging.ERROR
        self.said.append((record.levelno, record.getMessage()[:200], trace))


def core(settings: Settings, clock: HandClock, workers: Any) -> list[BoxRunner]:
    """What of a daemon is without threads."""
    instance = load_instance(settings.state_dir, settings.instance, clock)
    backoff = Backoff((5.0,), 0.0, clock)
    shared = Shared(
        settings=settings,
        instance=instance,
        clock=clock,
        workers=workers,
        book=SessionBook(instance.sessions, clock),
        outage=Outage(backoff, clock),
        backoff=backoff,
        slots=Slots(4, clock),
        awake=Awake(clock),
    )
    return [BoxRunner(box, shared) for box in settings.boxes]


def turns(runner: BoxRunner, clock: HandClock, most: int) -> None:
    """Until nothing moves any more."""
    quiet = 0
    for _ in range(most):
        runner.turn(0)
        clock.forward(max(0.05, min(runner.pause(), 1.0)))
        resting = not runner.busy() and runner.scans > 5 and not runner.state()["waiting"] and not runner.state()["trouble"]
        quiet = quiet + 1 if resting else 0
        if quiet > 3:
            return


def keep_log() -> Kept:
    kept = Kept()
    log = logging.getLogger("dropbox_import")
    log.addHandler(kept)
    log.setLevel(logging.DEBUG)
    log.propagate = False
    return kept


def live(life: Life, line: socket.socket) -> None:
    kept = keep_log()
    clock = HandClock()
    clock.seconds, clock._random = life.seconds, random.Random(life.seed)

    def ask(what: str, about: Any) -> Any:
        line.send(pickle.dumps((what, about, clock.seconds)))
        return pickle.loads(line.recv(MOST))

    (runner,) = core(life.settings, clock, Remote(ask))
    ask("ready", os.getpid())
    if life.troubled:
        turns(runner, clock, life.troubled)
        clock.forward(PUT_BACK)
    turns(runner, clock, life.most)
    ask("end", kept.said[-800:])


def main(live: Callable[[Any, socket.socket], None]) -> None:
    """A child for each life that comes along the line; it is told of its end."""
    line = socket.socket(fileno=int(sys.argv[1]))
    if sys.platform == "linux":
        any_tracer, set_tracer = -1, 0x59616D61
        ctypes.CDLL(None).prctl(set_tracer, ctypes.c_ulong(any_tracer & (1 << 64) - 1), 0, 0, 0)
    while data := line.recv(MOST):
        child = os.fork()
        if child == 0:
            if sys.platform == "linux":  # not inherited; where only parents may trace, this lets the tracer of the test do it
                ctypes.CDLL(None).prctl(set_tracer, ctypes.c_ulong(any_tracer & (1 << 64) - 1), 0, 0, 0)
            try:
                live(pickle.loads(data), line)
            except BaseException as error:  # noqa: BLE001 - the test is told, and raises it
                line.send(pickle.dumps(("failed", repr(error), 0.0)))
                os._exit(3)
            os._exit(0)
        line.send(pickle.dumps(("gone", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0.0)))


if __name__ == "__main__":
    main(live)
