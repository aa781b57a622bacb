"""The daemon as a whole: starts a thread per box, looks after OMERO sessions, writes the status, stops well."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from dropbox_import.clock import Clock, SystemClock
from dropbox_import.daemon.alerts import Alerts
from dropbox_import.daemon.box import BoxRunner
from dropbox_import.daemon.couriers import Couriers
from dropbox_import.daemon.hung import JOIN, Hung, Wakes, join_all
from dropbox_import.daemon.keeper import SessionKeeper
from dropbox_import.daemon.notifier_config import notifier_config
from dropbox_import.daemon.order_files import OrderDesk
from dropbox_import.daemon.outage import Backoff, Outage
from dropbox_import.daemon.sessions import SessionBook
from dropbox_import.daemon.shared import Happening, Shared
from dropbox_import.daemon.slots import Slots
from dropbox_import.daemon.troubles import Watch, hangs
from dropbox_import.daemon.turning import Awake
from dropbox_import.disk import files
from dropbox_import.disk.trouble import as_ours
from dropbox_import.errors import ConfigError
from dropbox_import.intake import Intake, Wake
from dropbox_import.intake.ready import SCANS
from dropbox_import.model import Candidate
from dropbox_import.settings import Settings
from dropbox_import.settings.secrets import find_password
from dropbox_import.spool.identity import OnlyOne, load_instance
from dropbox_import.workers.dispatcher import Workers

log = logging.getLogger(__name__)

_TICK = 0.25
_STATUS_SECONDS = 2.0
_DRAIN_SECONDS = 60.0
_RESTING_SCANS = 2
_BEGIN_SECONDS = 350  # ten importers at once were seen to hold importFileset up for 215 s; below the limit in workers/limits.py


class StopRequest:
    """How the daemon is asked to stop; may be called from any thread, any number of times."""

    def __init__(self) -> None:
        self.draining = threading.Event()
        self.at_once = threading.Event()

    def drain(self) -> None:
        self.draining.set()

    def now(self) -> None:
        self.draining.set()
        self.at_once.set()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the drops of one run. `waiting`: seen or claimed, and not at their end."""

    done: int
    failed: int
    waiting: int


class _Counts:
    def __init__(self, on_event: Callable[[Happening], None] | None) -> None:
        self._on_event = on_event
        self._lock = threading.Lock()
        self.done = self.failed = 0

    def tell(self, happening: Happening) -> None:
        with self._lock:
            self.done += happening.what == "done"
            self.failed += happening.what == "failed"
        if self._on_event is not None:
            self._on_event(happening)


def run(
    settings: Settings,
    *,
    once: bool,
    stop: StopRequest,
    on_event: Callable[[Happening], None] | None = None,
    clock: Clock | None = None,
) -> Outcome:
    """Work until stopped; with `once` until nothing is left that can be done now.

    Raises ConfigError; TryLater for a state folder that cannot be used now.
    """
    clock = clock or SystemClock()
    try:
        instance = load_instance(settings.state_dir, settings.instance, clock)
    except OSError as error:
        raise as_ours(error, f"starting with the state folder {settings.state_dir}") from error
    with OnlyOne(instance):
        backoff = Backoff(settings.retry.delays, settings.retry.jitter, clock)
        counts = _Counts(on_event)
        shared = Shared(
            settings=settings,
            instance=instance,
            clock=clock,
            workers=Workers(
                settings.workers,
                settings.state_dir,
                clock,
                importer_config=importer_config(settings, instance.name),
                notifier_config=notifier_config(settings, instance.name),
            ),
            book=SessionBook(instance.sessions, clock),
            outage=Outage(backoff, clock),
            backoff=backoff,
            slots=Slots(settings.workers.importers * settings.workers.filesets_in_flight, clock),
            awake=Awake(clock),
            tell=counts.tell,
        )
        runners = [BoxRunner(box, shared) for box in settings.boxes]
        service = _Service(shared, runners, stop)
        service.run(once)
        waiting = sum(runner.busy() + runner.waiting() for runner in runners)
        return Outcome(counts.done, counts.failed, waiting)


def importer_config(settings: Settings, instance: str) -> dict[str, Any]:
    """The arguments of an importer's `configure`: where things are, never a secret. Raises ConfigError without a password."""
    omero, source = settings.omero, find_password(settings)
    return {
        "host": omero.host,
        "port": omero.port,
        "user": omero.user,
        "group": omero.group,
        "password_file": str(source.file) if source.file else None,
        "password_env": source.env,
        "ca_file": str(omero.ca_file) if omero.ca_file else None,
        "insecure": omero.insecure,
        "instance": instance,
        "sessions_dir": str(settings.state_dir / "sessions"),
        "client_limits": {"begin": _BEGIN_SECONDS},
    }


class _Service:
    def __init__(self, shared: Shared, runners: list[BoxRunner], stop: StopRequest) -> None:
        self._shared = shared
        self._runners = runners
        self._stop = stop
        self._clock = shared.clock
        self._keeper = SessionKeeper(shared, runners)
        self._desk = OrderDesk(shared.instance.state_dir, {str(runner.box.path): runner for runner in runners}, shared.clock)
        alerts = Alerts(shared.instance.state_dir, shared.clock)
        self._couriers = Couriers(shared, runners, lambda: alerts.told("omero"))
        self._watch = Watch(alerts, shared.outage, runners, shared.instance.state_dir, shared.clock, self._couriers.post)
        self._hung = Hung(shared, runners)
        self._next_status = 0.0
        self._rest_since: dict[BoxRunner, int] = {}

    def run(self, once: bool) -> None:
        threads = [threading.Thread(target=runner.run, name=f"box-{number}") for number, runner in enumerate(self._runners)]
        wakes = Wakes([Wake((runner.layout.drop,), partial(runner.wake, scan=True)) for runner in self._runners], self._clock)
        log.info("started, instance %s", self._shared.instance.name, extra={"step": "start"})
        self._desk.tend()  # before the first scan: it must find what an order has moved
        for thread in threads:
            thread.daemon = True  # a hung mount must not keep the process alive after its stop
            thread.start()
        wakes.start()
        self._couriers.start()
        started = self._clock.monotonic()
        try:
            while not self._stop.draining.is_set() and not (once and self._nothing_left(started)):
                try:
                    self._tend()
                except Exception:  # a bug here must not end what imports
                    log.exception("a bug in looking after sessions and status; the daemon goes on")
                self._stop.draining.wait(_TICK)
            if once:
                self._couriers.flush(self._stop.draining)
            self._drain()
        finally:
            wakes.stop()
            for runner in self._runners:
                runner.stop()
            self._shared.workers.stop()
            self._couriers.stop()
            join_all(threads, JOIN, self._clock)
            self._desk.finish()
            self._write_status(running=False)
            log.info("stopped", extra={"step": "stop"})

    def _tend(self) -> None:
        now = self._clock.monotonic()
        self._keeper.tend()
        self._desk.tend()
        self._watch.tend()
        self._hung.tend()
        if now >= self._next_status:
            self._next_status = now + _STATUS_SECONDS
            self._write_status(running=True)

    def _nothing_left(self, started: float) -> bool:
        """--once: every box has rested over two scans, and what may still become quiet has had its time."""
        for runner in self._runners:
            box = runner.box
            moving = runner.flying() > 0 or runner.moving()
            early = self._clock.monotonic() - started < box.quiet_period + 4 * box.scan_interval
            if moving or (runner.waiting() and early and not runner.trouble):
                self._rest_since.pop(runner, None)
            if runner.trouble or hangs(runner):
                continue
            if runner not in self._rest_since:
                if not moving and not (runner.waiting() and early):
                    self._rest_since[runner] = runner.scans
                return False
            if runner.scans - self._rest_since[runner] < _RESTING_SCANS:
                return False
        return True

    def _drain(self) -> None:
        """What runs is finished where that takes moments; the rest is left as its journal says. No session that nobody needs stays open."""
        self._shared.draining.set()
        deadline = self._clock.monotonic() + _DRAIN_SECONDS
        self._couriers.drain(self._stop.at_once)
        while not self._stop.at_once.is_set() and self._clock.monotonic() < deadline:
            if not self._hung.flying():
                break
            self._stop.at_once.wait(_TICK)
        if self._stop.at_once.is_set() or self._shared.outage.down:
            return
        book = self._shared.book
        self._keeper.end_all()
        deadline = min(deadline, self._clock.monotonic() + 10.0)
        while book.ending() and self._clock.monotonic() < deadline and not self._stop.at_once.is_set():
            self._stop.at_once.wait(_TICK)

    def _write_status(self, *, running: bool) -> None:
        outage = self._shared.outage
        facts = {
            "instance": self._shared.instance.name,
            "pid": os.getpid(),
            "running": running,
            "at": self._clock.now().isoformat(timespec="seconds"),
            "omero": {"down": outage.down, "why": outage.reason, "since": outage.since},
            "boxes": [runner.state() for runner in self._runners],
            "workers": self._shared.workers.snapshot(),
            "notify": self._couriers.state(),
        }
        try:
            files.replace(self._shared.instance.status, json.dumps(facts).encode(), 0o600, durable=False)
        except OSError as error:
            log.warning("the status cannot be written: %s", error, extra={"step": "status"})


def observe(settings: Settings, clock: Clock | None = None, foresee: Callable[[Candidate], str] = lambda _: "") -> list[dict[str, Any]]:
    """What a run would take right now or soon, for whom and into which target; nothing is touched.

    `foresee` says what else is known of a candidate that would be taken, "" for nothing.
    Raises ConfigError for a folder that is no box, OSError for one that cannot be read.
    """
    clock = clock or SystemClock()
    found: list[dict[str, Any]] = []
    for box in settings.boxes:
        if not (box.path / "drop").is_dir():
            raise ConfigError(f"{box.path} is no drop box: it has no folder drop/", hint=f"dropbox-import init {box.path}")
        intake = Intake(box, clock)
        scan = intake.scan()
        deadline = clock.monotonic() + box.quiet_period + 4 * box.scan_interval
        looks = 1
        while scan.waiting and (looks <= SCANS or clock.monotonic() < deadline):  # on a slow share each look takes its time
            clock.sleep(min(box.scan_interval, 1.0))
            scan = intake.scan()
            looks += 1
        for one in scan.ready:
            target = one.request.target if one.request else None
            into = " / ".join(ref.name or f"id:{ref.id}" for ref in ((target.project, target.dataset) if target else ()) if ref is not None)
            refused = "; ".join(str(mistake) for mistake in one.mistakes)
            found.append(
                {
                    "sidecar": f"{one.folder}/{one.sidecar.path}",
                    "owner": one.owner,
                    "target": into or ("" if refused else "none"),
                    "files": len(one.members),
                    "bytes": sum(member.size for member in one.members),
                    "says": f"would be refused: {refused}" if refused else foresee(one) or "would be imported",
                }
            )
        found += [
            {
                "sidecar": f"{one.user}/{one.sidecar}",
                "owner": one.user,
                "target": "",
                "files": 0,
                "bytes": 0,
                "says": f"waits: {one.reason}",
            }
            for one in scan.waiting
        ]
    return found
