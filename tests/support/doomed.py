"""The daemon, run so that it or its workers end by SIGKILL at an exact place.

`python -m tests.support.doomed ARGUMENTS OF dropbox-import`; the variable DOOM says where: words like `self:after:begin` or
`importer:before:begun`, apart by spaces, each used once, in this order or not. "after:KIND": the record is on the disk, and what it
announces has not happened. "before:KIND": what it tells has happened, and is not on the disk. `done:after:file` never comes: `file` is
the last record. A line `DOOM ...` on stderr says that one struck. `stop:after:begin` is a SIGSTOP of the daemon.
HURRY=1 makes a wait of a minute one of two seconds. LIMITS, in JSON, shortens what calls may take: `client` names the importer's own
time-outs, `worker` the limits after which the daemon ends a worker.
HUNG_AFTER: seconds after which a box counts as hung. BEAT: seconds between two heartbeats.
From SIGUSR1 on a session that nobody needs is ended at once, and not after 90 seconds.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import Iterable
from typing import Any

import psutil

from dropbox_import.cli import main
from dropbox_import.daemon import heartbeat, keeper, replies, service, troubles
from dropbox_import.settings import Settings
from dropbox_import.spool import steps
from dropbox_import.spool.journal import Journal, Record
from dropbox_import.workers import crew, limits

_dooms = os.environ.get("DOOM", "").split()
_append = Journal.append


def _strike(when: str, records: Iterable[Record]) -> None:
    for record in records:
        for doom in list(_dooms):
            whom, moment, kind = doom.split(":")
            if (moment, kind) == (when, record.kind):
                if whom in ("self", "stop"):
                    _dooms.remove(doom)
                    _tell(doom)  # before it: afterwards it cannot
                    os.kill(os.getpid(), signal.SIGSTOP if whom == "stop" else signal.SIGKILL)
                elif _kill(whom):  # else nobody was there to be struck, and it waits for the next such record
                    _dooms.remove(doom)
                    _tell(doom)


def _tell(doom: str) -> None:
    """In one call: between the two of a `print`, another thread's line would get in."""
    os.write(2, f"DOOM {doom}\n".encode())


def _kill(role: str) -> bool:
    """Whether there was such a worker."""
    found = False
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess):  # it is dead already, and only nobody has fetched its end
            if f"dropbox_import.{role}" in child.cmdline():
                child.kill()
                found = True
    return found


def append(self: Journal, records: Iterable[Record], *, sync: bool = True) -> None:
    fresh = tuple(records)
    _strike("before", fresh)
    _append(self, fresh, sync=sync)
    _strike("after", fresh)


def shorten(given: dict[str, dict[str, float]]) -> None:
    usual = service.importer_config

    def shorter(settings: Settings, instance: str) -> dict[str, Any]:
        return {**usual(settings, instance), "client_limits": given.get("client", {})}

    service.importer_config = shorter
    limits.LIMITS.update({name: limits.Limit(seconds) for name, seconds in given.get("worker", {}).items()})
    crew.OVER_GRACE = 1.0


if __name__ == "__main__":
    if os.environ.get("LIMITS"):
        shorten(json.loads(os.environ["LIMITS"]))
    Journal.append = append  # type: ignore[method-assign]
    if os.environ.get("HURRY"):
        steps.SETTLE_SECONDS = 2.0
        replies._MOST_WATCHED = 6
    if seconds := os.environ.get("BEAT"):
        heartbeat.HEARTBEAT_SECONDS = float(seconds)
    if seconds := os.environ.get("HUNG_AFTER"):
        troubles.AFTER = float(seconds)
    if sys.platform != "win32":
        signal.signal(signal.SIGUSR1, lambda *_: setattr(keeper, "_SESSION_IDLE", -1.0))
    main()
