"""Whatever happens in whatever order: nothing lost, nothing twice, nothing stuck, nothing left behind.

Hypothesis makes up histories of drops, crashes, dying workers, a server that comes and goes, and a share that vanishes, and shortens
one that breaks a promise. Within a rule chance is decided by its `seed`, so that a history can be repeated.
"""

from __future__ import annotations

import errno
import random
import shutil
import tempfile
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from dropbox_import.disk import observe
from dropbox_import.errors import DropboxImportError, NotAllowed, ServerUnavailable, TargetUnusable
from dropbox_import.spool.layout import Layout
from tests.support import promises
from tests.support.lab import Crash, Lab
from tests.support.tally import ALL, counted

SEEDS = st.integers(0, 2**20)
USERS = ("jdoe", "asmith")
KINDS = ("one", "several", "partly", "again", "refused", "tagged")
REFUSALS: dict[str, DropboxImportError] = {
    "open_session": NotAllowed("The account is closed.", code="permission"),
    "resolve": TargetUnusable("There is no such dataset."),
    "begin": ServerUnavailable("OMERO is too busy for this now", code="busy"),
    "send": ServerUnavailable("OMERO is too busy for this now", code="busy"),
    "commit": NotAllowed("The group is read-only.", code="permission"),
    "annotate": NotAllowed("You may not tag here.", code="permission"),
    "discard": ServerUnavailable("OMERO did not remove it", code="delete-refused"),
}


class History(RuleBasedStateMachine):
    @initialize(seed=SEEDS)
    def begin(self, seed: int) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="history-"))
        self._no_sync = mock.patch("os.fsync", return_value=None)  # the system stays up; only processes end
        self._no_sync.start()
        self.lab = Lab(self.folder, boxes=2, users=USERS, queued=True)
        self.lab.server.chance, self.lab.server.faults = random.Random(seed), True
        self.dropped = 0
        self.away: set[int] = set()
        self.lab.start()

    @property
    def running(self) -> bool:
        return bool(self.lab.runners)

    # --- users --------------------------------------------------------------------------

    @rule(user=st.sampled_from(USERS), box=st.integers(0, 1), kind=st.sampled_from(KINDS))
    def a_user_drops(self, user: str, box: int, kind: str) -> None:
        if box in self.away:
            return
        self.dropped += 1
        name = f"n{self.dropped:03}" if kind != "again" else "again"
        if any((Layout(self.lab.boxes[box]).drop / user).glob(f"{name}.*")):
            return  # who writes over a file of their own has lost it themselves
        unique = f"{self.dropped:03}-{kind}".encode()
        members = {f"{name}.tif": b"a" + unique}
        if kind in ("several", "partly"):
            last = "bad.tif" if kind == "partly" else "notes.txt"
            members = {f"{name}/{one}": one[:1].encode() + unique for one in ("1.tif", "2.tif", last)}
        more = {"again": "submission: run-7\n", "refused": "tagz: 1\n", "tagged": "tags: [x]\n"}.get(kind, "")
        self.lab.drop(f"{name}.yaml", f"target: {{dataset: HeLa}}\n{more}# {self.dropped}\n", members, user, box)

    # --- time ---------------------------------------------------------------------------

    @precondition(lambda self: self.running)
    @rule(seed=SEEDS, steps=st.integers(1, 150), trouble=st.sampled_from((0.0, 0.02, 0.2)))
    def it_goes_on(self, seed: int, steps: int, trouble: float) -> None:
        rng = random.Random(seed)
        for _ in range(steps):
            self.lab.step(rng, trouble)

    @rule(seconds=st.sampled_from((2.0, 40.0, 70.0, 130.0, 700.0)))
    def time_passes(self, seconds: float) -> None:
        self.lab.clock.forward(seconds)
        self.lab.server.tick()

    # --- ends ---------------------------------------------------------------------------

    @precondition(lambda self: self.running)
    @rule(seed=SEEDS, effects=st.integers(1, 60))
    def the_daemon_crashes(self, seed: int, effects: int) -> None:
        rng = random.Random(seed)
        self.lab.crash_after(effects)
        try:
            for _ in range(300):
                self.lab.step(rng)
        except Crash:
            self.lab.server.note("crash-at-an-effect")
        self.lab.kill(rng)

    @precondition(lambda self: self.running)
    @rule(seed=SEEDS, effects=st.integers(1, 60), errors=st.integers(1, 10), full=st.booleans())
    def the_disk_fails(self, seed: int, effects: int, errors: int, full: bool) -> None:
        rng = random.Random(seed)
        self.lab.fail_after(effects, errors, errno.ENOSPC if full else errno.EIO)
        try:
            for _ in range(100):
                self.lab.step(rng)
        finally:
            observe.set_observer(None)

    @precondition(lambda self: not self.running)
    @rule()
    def the_daemon_starts(self) -> None:
        self.lab.start()

    @precondition(lambda self: self.running)
    @rule(seed=SEEDS, role=st.sampled_from(("importer", "importer", "inspector")), hung=st.booleans(), most=st.integers(0, 6))
    def a_worker_dies(self, seed: int, role: str, hung: bool, most: int) -> None:
        rng = random.Random(seed)
        self.lab.gather(rng, role, most)
        company = self.lab.workers.die(rng, role, hung=hung)
        self.lab.server.note(f"worker-died-with-{min(company, 4)}")

    @precondition(lambda self: self.running)
    @rule()
    def an_idle_worker_is_ended(self) -> None:
        self.lab.workers.retire()

    # --- the server ---------------------------------------------------------------------

    @rule(seed=SEEDS, most=st.integers(0, 6))
    def the_server_is_killed_and_started(self, seed: int, most: int) -> None:
        self.lab.server.note("server-restart")
        if self.running:
            rng = random.Random(seed)
            self.lab.gather(rng, "importer", most)
            self.lab.workers.cut_all(rng)
        self.lab.server.restart()

    @rule()
    def all_sessions_are_ended_by_somebody_else(self) -> None:
        """What runs in the server goes on for a while, or not."""
        self.lab.server.note("sessions-ended")
        for number in list(self.lab.server.sessions):
            self.lab.server.close(number)

    @rule(seed=SEEDS)
    def the_network_comes_or_goes(self, seed: int) -> None:
        server = self.lab.server
        if server.up and self.running:
            self.lab.workers.cut_all(random.Random(seed))
        server.up = not server.up
        server.note("network")

    @rule(command=st.sampled_from(sorted(REFUSALS)))
    def the_server_begins_to_refuse(self, command: str) -> None:
        self.lab.server.refuse = {command: REFUSALS[command]}

    @rule()
    def the_server_refuses_nothing(self) -> None:
        self.lab.server.refuse = {}

    # --- the share ----------------------------------------------------------------------

    def _elsewhere(self, box: int) -> Path:
        return self.folder / f"away-{box}"

    @rule(box=st.integers(0, 1))
    def a_share_comes_or_goes(self, box: int) -> None:
        """What is left in its place is an empty folder, and stays empty."""
        here = self.lab.boxes[box]
        if box not in self.away:
            here.rename(self._elsewhere(box))
            here.mkdir()
            self.away.add(box)
        else:
            self._nothing_where_a_share_was()
            here.rmdir()
            self._elsewhere(box).rename(here)
            self.away.discard(box)
        self.lab.server.note("share")

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
        if not hasattr(self, "lab"):
            return
        with counted("made-up histories"):
            self._come_to_rest()

    def _come_to_rest(self) -> None:
        try:
            for box in sorted(self.away):
                self.a_share_comes_or_goes(box)
            rested = self.lab.calm(random.Random(1))
            self.the_promises_are_kept()
            told = promises.at_rest(self.lab)
            assert rested and not told, "\n".join(["never at rest"] * (not rested) + told)
        finally:
            observe.set_observer(None)
            self.lab._drop_handles()
            self._no_sync.stop()
            shutil.rmtree(self.folder)


TestAnyHistory = History.TestCase
TestAnyHistory.settings = settings(
    max_examples=400 if ALL else 40,
    derandomize=not ALL,  # the same histories at each `make test`, new ones at each `make faults`
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestAnyHistory.pytestmark = [pytest.mark.timeout(7200 if ALL else 120)]
