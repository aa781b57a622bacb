"""A made-up history: a lab to which anything happens in any order, and what is asked of it after every step and at its end.

The rules are in history_users.py and history_hosts.py. Within a rule chance is decided by its `seed`, so that a history can be repeated.
"""

from __future__ import annotations

import faulthandler
import random
import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple
from unittest import mock

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant

from dropbox_import.daemon.order_files import OrderDesk
from dropbox_import.disk import observe
from tests.support import promises
from tests.support.lab import Lab
from tests.support.lab_daemon import Daemon
from tests.support.people import KINDS, People
from tests.support.tally import counted

SEEDS = st.integers(0, 2**20)
BOXES = st.integers(0, 1)
HOSTS = st.integers(0, 1)
USERS = ("jdoe", "asmith")
SHARED_BOX = 1
MIN_FREE = 1_000_000
IN_MEMORY = Path("/dev/shm")  # what is on a disk is read again and again


class _Usage(NamedTuple):
    total: int
    used: int
    free: int


class History(RuleBasedStateMachine):
    """Two hosts; the first works on both boxes, the second only on the second box.

    `away`: boxes whose share is gone. `lost`: hosts that have lost everything; they begin anew when they are started again.
    """

    @initialize(seed=SEEDS)
    def begin(self, seed: int) -> None:
        faulthandler.cancel_dump_traceback_later()  # which ends whatever takes longer than five minutes
        self.folder = Path(tempfile.mkdtemp(prefix="history__", dir=IN_MEMORY if IN_MEMORY.is_dir() else None))
        self.full = False
        self._mocks = [
            mock.patch("os.fsync", return_value=None),  # the system stays up; only processes end
            mock.patch("shutil.disk_usage", side_effect=self._usage),
        ]
        for each in self._mocks:
            each.start()
        self.lab = Lab(
            self.folder, boxes=2, users=USERS, queued=True, hosts=2, later_hosts=(SHARED_BOX,), min_free=MIN_FREE, refuse_after=300.0
        )
        self.lab.server.chance, self.lab.server.faults = random.Random(seed), True
        self.people = People(self.lab, USERS)
        self.away: set[int] = set()
        self.lost: set[Daemon] = set()
        self.lab.start()

    def _usage(self, _: object) -> _Usage:
        free = MIN_FREE - 1 if self.full else 10 * MIN_FREE
        return _Usage(100 * MIN_FREE, 100 * MIN_FREE - free, free)

    @property
    def running(self) -> bool:
        return any(daemon.running for daemon in self.lab.daemons)

    @property
    def awake(self) -> list[Daemon]:
        return [daemon for daemon in self.lab.daemons if daemon.awake]

    # --- life ---------------------------------------------------------------------------

    def life(self, seed: int) -> random.Random:
        """Before each misfortune: something may be mended or dropped, and the world goes on. Returns what decides in the rest of the rule.

        It is part of every rule because Hypothesis leaves out some rules in each history: misfortunes, and not the work.
        """
        rng = random.Random(seed)
        self.mend(rng, 0.2)
        if rng.random() < 0.3:
            kind, user, box = rng.choice(KINDS), rng.choice(USERS), rng.randrange(2)
            if box not in self.away:
                self.people.drop(kind, user, box)
        self.goes_on(rng.choice((0, 0, 5, 10, 20)), rng, rng.choice((0.0, 0.02, 0.2)))
        return rng

    def mend(self, rng: random.Random, chance: float) -> None:
        """What is broken is in order again, each with that chance; shares come back by themselves only."""
        server = self.lab.server
        self.full = self.full and rng.random() >= chance
        server.up = server.up or rng.random() < chance
        if rng.random() < chance:
            server.refuse = {}
        for daemon in self.lab.daemons:
            if daemon.stopped and rng.random() < chance:
                daemon.stopped = False
            if not daemon.running and rng.random() < chance:
                if rng.random() < 0.5:  # the machine was switched off and on
                    daemon.clock.booted = self.lab.clock.monotonic() - 3.0
                daemon.start()
                self.lost.discard(daemon)

    def goes_on(self, steps: int, rng: random.Random, trouble: float = 0.0) -> None:
        for _ in range(steps if self.running else 0):
            self.lab.step(rng, trouble)

    # --- the shares ---------------------------------------------------------------------

    def _elsewhere(self, box: int) -> Path:
        return self.folder / f"away-{box}"

    def _share_goes(self, box: int) -> None:
        """What is left in its place is an empty folder, and stays empty."""
        here = self.lab.boxes[box]
        here.rename(self._elsewhere(box))
        here.mkdir()
        self.away.add(box)

    def _share_comes(self, box: int) -> None:
        self._nothing_where_a_share_was()
        self.lab.boxes[box].rmdir()
        self._elsewhere(box).rename(self.lab.boxes[box])
        self.away.discard(box)

    def _nothing_where_a_share_was(self) -> None:
        for box in self.away:
            left = sorted(str(path) for path in self.lab.boxes[box].rglob("*"))
            assert not left, f"made where a share was: {left}"

    # --- promises -----------------------------------------------------------------------

    @invariant()
    def the_promises_are_kept(self) -> None:
        if hasattr(self, "lab"):
            self._nothing_where_a_share_was()
            places = [self._elsewhere(number) if number in self.away else box for number, box in enumerate(self.lab.boxes)]
            told = promises.always(self.lab, places)
            assert not told, "\n".join(told)

    def teardown(self) -> None:
        if hasattr(self, "lab"):
            with counted("made-up histories"):
                self._come_to_rest()

    def _finish_orders(self) -> None:
        """As a daemon does at its start: what was begun of an order when it ended is carried out again."""
        for daemon in self.lab.daemons:
            if daemon.running:
                desk = OrderDesk(daemon.settings.state_dir, {str(runner.box.path): runner for runner in daemon.runners}, daemon.clock)
                for _ in range(5):
                    desk.tend()
                    for runner in daemon.runners:
                        runner.turn(0)
                    self.lab.clock.forward(1.1)

    def _come_to_rest(self) -> None:
        try:
            observe.set_observer(None)
            self.full = False
            self.people.stop_all()
            for box in sorted(self.away):
                self._share_comes(box)
            dead = self.lost & {self.lab.daemons[1]}  # the first one's other box is nobody else's
            self.lab.wake_up(dead)
            self.lab.adopt_orphans()
            self._finish_orders()
            rested = self.lab.calm(random.Random(1), dead=dead)
            self.the_promises_are_kept()
            told = promises.at_rest(self.lab, self.people.late)
            unrest = [] if rested else ["never at rest", *self.lab.unrest()]
            assert not unrest and not told, "\n".join([*unrest, *told])
        finally:
            observe.set_observer(None)
            for each in self._mocks:
                each.stop()
            shutil.rmtree(self.folder)
