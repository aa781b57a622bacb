"""What happens to daemons, workers, clocks, disks, shares and the server in a made-up history."""

from __future__ import annotations

import errno
import random

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from dropbox_import.disk import observe
from dropbox_import.errors import DropboxImportError, NotAllowed, ServerUnavailable, TargetUnusable
from tests.support.history import BOXES, HOSTS, SEEDS, History
from tests.support.lab import Crash

REFUSALS: dict[str, DropboxImportError] = {
    "open_session": NotAllowed("The account is closed.", code="permission"),
    "resolve": TargetUnusable("There is no such dataset."),
    "begin": ServerUnavailable("OMERO is too busy for this now", code="busy"),
    "send": ServerUnavailable("OMERO is too busy for this now", code="busy"),
    "commit": NotAllowed("The group is read-only.", code="permission"),
    "annotate": NotAllowed("You may not tag here.", code="permission"),
    "discard": ServerUnavailable("OMERO did not remove it", code="delete-refused"),
}


class Hosts(History):
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

    @rule(host=HOSTS, seconds=st.sampled_from((-86400.0, -3600.0, -5.0, 5.0, 3600.0, 40 * 86400.0)))
    def the_clock_of_a_host_is_set(self, host: int, seconds: float) -> None:
        self.lab.daemons[host].clock.ahead += seconds

    @precondition(lambda self: self.awake)
    @rule(seed=SEEDS, events=st.integers(1, 5))
    def events_of_the_file_system_arrive(self, seed: int, events: int) -> None:
        """Else there are none: scans come at their interval."""
        rng = random.Random(seed)
        for _ in range(events):
            rng.choice(self.awake).runners[0].wake(scan=True)
            self.lab.step(rng)

    # --- ends ---------------------------------------------------------------------------

    @precondition(lambda self: self.awake)
    @rule(seed=SEEDS, effects=st.integers(1, 60))
    def a_daemon_crashes(self, seed: int, effects: int) -> None:
        rng = random.Random(seed)
        self.lab.crash_after(effects)
        try:
            for _ in range(300):
                self.lab.step(rng)
        except Crash:
            self.lab.server.note("crash-at-an-effect")
        observe.set_observer(None)
        if self.lab.turning.running:
            self.lab.turning.kill(rng)

    @precondition(lambda self: self.awake)
    @rule(seed=SEEDS, effects=st.integers(1, 60), errors=st.integers(1, 10), full=st.booleans())
    def the_disk_fails(self, seed: int, effects: int, errors: int, full: bool) -> None:
        rng = random.Random(seed)
        self.lab.fail_after(effects, errors, errno.ENOSPC if full else errno.EIO)
        try:
            for _ in range(100):
                self.lab.step(rng)
        finally:
            observe.set_observer(None)

    @rule()
    def the_disk_fills_or_is_tidied_up(self) -> None:
        self.full = not self.full

    @rule(host=HOSTS, rebooted=st.booleans())
    def a_daemon_starts(self, host: int, rebooted: bool) -> None:
        daemon = self.lab.daemons[host]
        if daemon.running:
            return
        if rebooted:
            daemon.clock.booted = self.lab.clock.monotonic() - 3.0
        daemon.start()
        self.lost.discard(daemon)

    @rule(host=HOSTS)
    def a_daemon_is_stopped_or_goes_on(self, host: int) -> None:
        """SIGSTOP, SIGCONT; its workers go on."""
        daemon = self.lab.daemons[host]
        daemon.stopped = daemon.running and not daemon.stopped

    @rule(seed=SEEDS, host=HOSTS, role=st.sampled_from(("importer", "importer", "inspector")), hung=st.booleans(), most=st.integers(0, 6))
    def a_worker_dies(self, seed: int, host: int, role: str, hung: bool, most: int) -> None:
        rng, daemon = random.Random(seed), self.lab.daemons[host]
        if daemon.running:
            daemon.gather(rng, role, most)
            company = daemon.workers.die(rng, role, hung=hung)
            self.lab.server.note(f"worker-died-with-{min(company, 4)}")

    @rule(host=HOSTS)
    def an_idle_worker_is_ended(self, host: int) -> None:
        if self.lab.daemons[host].running:
            self.lab.daemons[host].workers.retire()

    # --- the server ---------------------------------------------------------------------

    @rule(seed=SEEDS, most=st.integers(0, 6))
    def the_server_is_killed_and_started(self, seed: int, most: int) -> None:
        self.lab.server.note("server-restart")
        rng = random.Random(seed)
        for daemon in self.lab.daemons:
            if daemon.running:
                daemon.gather(rng, "importer", most)
                daemon.workers.cut_all(rng)
        self.lab.server.restart()

    @rule()
    def all_sessions_are_ended_by_somebody_else(self) -> None:
        """What runs in the server goes on for a while, or not."""
        self.lab.server.note("sessions-ended")
        for number in list(self.lab.server.sessions):
            self.lab.server.close(number)

    @rule(seed=SEEDS)
    def the_network_comes_or_goes(self, seed: int) -> None:
        server, rng = self.lab.server, random.Random(seed)
        for daemon in self.lab.daemons:
            if server.up and daemon.running:
                daemon.workers.cut_all(rng)
        server.up = not server.up
        server.note("network")

    @rule(command=st.sampled_from(sorted(REFUSALS)))
    def the_server_begins_to_refuse(self, command: str) -> None:
        self.lab.server.refuse = {command: REFUSALS[command]}

    @rule()
    def the_server_refuses_nothing(self) -> None:
        self.lab.server.refuse = {}

    # --- the shares ---------------------------------------------------------------------

    @rule(box=BOXES)
    def a_share_comes_or_goes(self, box: int) -> None:
        if box in self.away:
            self._share_comes(box)
        else:
            self._share_goes(box)
        self.lab.server.note("share")
