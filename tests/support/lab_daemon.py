"""One installation of the daemon in a lab: a state folder, workers, a runner for each box. Nothing of it moves by itself."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

from dropbox_import.daemon.box import BoxRunner
from dropbox_import.daemon.courier import Courier
from dropbox_import.daemon.keeper import SessionKeeper
from dropbox_import.daemon.outage import Backoff, Outage
from dropbox_import.daemon.post import Post
from dropbox_import.daemon.sessions import SessionBook
from dropbox_import.daemon.shared import Shared
from dropbox_import.daemon.slots import Slots
from dropbox_import.daemon.turning import Awake
from dropbox_import.notify.outbox import Outbox
from dropbox_import.settings import Box, Omero, Settings
from dropbox_import.settings.model import Notify
from dropbox_import.spool.identity import Instance, load_instance
from tests.support.clocks import HostClock
from tests.support.scripted import ScriptedWorkers, Server


class Daemon:
    """`runners` is empty while it does not run. A `stopped` one (SIGSTOP) runs and does nothing; its workers go on."""

    def __init__(
        self,
        state: Path,
        boxes: Sequence[Box],
        server: Server,
        *,
        queued: bool = False,
        notify: Notify | None = None,
        delays: Sequence[float] = (5.0,),
    ) -> None:
        self.server = server
        self.queued = queued
        self.delays = delays
        self.stopped = False
        self.clock = HostClock(server.clock)
        self.settings = Settings(
            omero=Omero(host="localhost", user="importer"),
            state_dir=state,
            boxes=tuple(boxes),
            instance=state.name.replace("state", "lab"),
            notify=notify or Notify(),
        )
        self.runners: list[BoxRunner] = []
        self.couriers: list[Courier] = []

    @property
    def running(self) -> bool:
        return bool(self.runners)

    @property
    def awake(self) -> bool:
        return self.running and not self.stopped

    def identity(self) -> Instance:
        return load_instance(self.settings.state_dir, self.settings.instance, self.clock)

    def start(self) -> None:
        """A fresh process on what the disk and the server hold; whatever an earlier one knew in memory is gone."""
        instance = self.identity()
        self.stopped = False
        self.workers = ScriptedWorkers(self.server, instance.sessions, queued=self.queued)
        backoff = Backoff(self.delays, 0.0, self.clock)
        self.shared = Shared(
            settings=self.settings,
            instance=instance,
            clock=self.clock,
            workers=self.workers,  # type: ignore[arg-type]
            book=SessionBook(instance.sessions, self.clock),
            outage=Outage(backoff, self.clock),
            backoff=backoff,
            slots=Slots(4, self.clock),
            awake=Awake(self.clock),
        )
        self.runners = [BoxRunner(box, self.shared) for box in self.settings.boxes]
        runners = self.runners
        self.workers.known_boxes = lambda: [one.box.path for one in runners if one.loaded]
        self.keeper = SessionKeeper(self.shared, self.runners)
        self.couriers = self._couriers(instance) if self.settings.notify.mail is not None else []

    def _couriers(self, instance: Instance) -> list[Courier]:
        post = Post(self.settings.notify, instance.state_dir, self.workers, self.shared.outage, self.clock)
        name = instance.name
        return [Courier(Outbox(one.layout.outbox(name)), post, box=one.layout, wishes=one.box.notify) for one in self.runners]

    def kill(self, rng: random.Random) -> None:
        """It is dead, and its workers with it."""
        self.workers.abandon(rng)
        self.runners, self.stopped = [], False

    def tend(self) -> None:
        """A look at the sessions, once all claims are known; what that sends is done."""
        if self.awake:
            for runner in self.runners:
                if self.queued or not runner.loaded:
                    runner.turn(0)
            self.keeper.tend()
            while self.queued and self.workers.deliver(random.Random(1)):
                pass

    def gather(self, rng: random.Random, role: str, most: int) -> None:
        """Go on until that many commands of a role are in flight beside each other, as far as they come together."""
        for _ in range(20):
            if sum(one.role == role for one in self.workers.flights) >= most:
                return
            if not self.stopped:
                rng.choice(self.runners).turn(0)
            if rng.random() < 0.3:
                self.workers.deliver(rng, mute=self.stopped)
            self.server.clock.forward(rng.choice((0.0, 0.1, 0.5)))
            self.server.tick()
