"""Lives of the whole service in processes of their own, with all its threads, of which one is traced.

`python -m tests.support.servicerun NUMBER_OF_A_SOCKET` makes a child for each life that it is asked for: `service.run(..., once=True)` with
its own clock, locks, desk, couriers, sessions and status. Its workers are processes (`relay.py`) that ask the test for every answer.
"""

from __future__ import annotations

import logging
import os
import pickle
import re
import socket
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dropbox_import.daemon import replies, service
from dropbox_import.errors import DropboxImportError
from dropbox_import.settings import Settings
from dropbox_import.settings.model import PASSWORD_ENV
from dropbox_import.spool import steps
from dropbox_import.workers import dispatcher
from tests.support.labrun import MOST, keep_log, main

RELAY = str(Path(__file__).with_name("relay.py"))
MAIN = "main"


@dataclass(frozen=True)
class Life:
    """`port`: where workers find the test. `thread`: the pattern of the name of the one to trace, "" = none."""

    settings: Settings
    port: int
    thread: str = ""


def live(life: Life, line: socket.socket) -> None:
    kept = keep_log()
    log = logging.getLogger("dropbox_import")

    def ask(what: str, about: Any) -> Any:
        line.send(pickle.dumps((what, about, 0.0)))
        return pickle.loads(line.recv(MOST))

    awaited = [life.thread]

    def ready(name: str) -> None:
        if awaited and re.fullmatch(awaited[0], name):
            awaited.clear()
            ask("ready", threading.get_native_id())

    usual = threading.Thread.run

    def run(self: threading.Thread) -> None:
        ready(self.name)
        usual(self)

    threading.Thread.run = run  # type: ignore[method-assign]
    threading.excepthook = lambda args: log.error("a thread has ended", exc_info=args.exc_value)
    dispatcher.default_command = lambda role: (sys.executable, "-S", "-E", RELAY, role, str(life.port))
    steps.SETTLE_SECONDS, replies._MOST_WATCHED = 0.5, 2  # a minute each
    os.environ[PASSWORD_ENV] = "a password"
    ready(MAIN)
    try:
        service.run(life.settings, once=True, stop=service.StopRequest())
    except DropboxImportError as error:  # it cannot be started now, and says why
        log.error("%s", error)
    ask("end", kept.said[-800:])


if __name__ == "__main__":
    main(live)
