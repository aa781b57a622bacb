"""What happens to daemons, workers, clocks, disks, shares and the server in a made-up history."""

from __future__ import annotations

import errno

from hypothesis import strategies as st
from hypothesis.stateful import rule

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

    @rule(seed=SEEDS, seconds=st.sampled_from((2.0, 40.0, 70.0, 130.0, 700.0)))
    def time_passes(self, seed: int, seconds: float) -> None:
        self.life(seed)
        self.lab.clock.forward(seconds)
        self.lab.server.tick()

    @rule(seed=SEEDS, host=HOSTS, seconds=st.sampled_from((-86400.0, -3600.0, -5.0, 5.0, 3600.0, 40 * 86400.0)))
    def the_clock_of_a_host_is_set(self, seed: int, host: int, seconds: float) -> None:
        self.life(seed)
        self.lab.daemons[host].clock.ahead += seconds

    @rule(seed=SEEDS, events=st.integers(1, 5))
    def events_of_the_file_system_arrive(self, seed: int, events: int) -> None:
        """Else there are none: scans come at their interval."""
        rng = self.life(seed)
        for _ in range(events if self.awake else 0):
            rng.choice(self.awake).runners[0].wake(scan=True)
            self.goes_on(1, rng)

    @rule(seed=SEEDS, steps=st.integers(1, 150))
    def all_goes_well_for_a_while(self, seed: int, steps: int) -> None:
        rng = self.life(seed)
        self.mend(rng, 1.0)
        self.goes_on(steps, rng)

    # --- ends ---------------------------------------------------------------------------

    @rule(seed=SEEDS, effects=st.integers(1, 60))
    def a_daemon_crashes(self, seed: int, effects: int) -> None:
        rng = self.life(seed)
        self.lab.crash_after(effects)
        try:
            self.goes_on(80, rng)
        except Crash:
            self.lab.server.note("crash-at-an-effect")
        observe.set_observer(None)
        if self.lab.turning.running:
            self.lab.turning.kill(rng)

    @rule(seed=SEEDS, effects=st.integers(1, 60), errors=st.integers(1, 10), full=st.booleans())
    def the_disk_fails(self, seed: int, effects: int, errors: int, full: bool) -> None:
        rng = self.life(seed)
        self.lab.fail_after(effects, errors, errno.ENOSPC if full else errno.EIO)
        try:
            self.goes_on(40, rng)
        finally:
            observe.set_observer(None)

    @rule(seed=SEEDS)
    def the_disk_fills(self, seed: int) -> None:
        """Nothing new is taken any more."""
        self.life(seed)
        self.full = True

    @rule(seed=SEEDS, host=HOSTS)
    def a_daemon_is_stopped(self, seed: int, host: int) -> None:
        """SIGSTOP; its workers go on."""
        self.life(seed)
        self.lab.daemons[host].stopped = self.lab.daemons[host].running

    @rule(seed=SEEDS, host=HOSTS, role=st.sampled_from(("importer", "importer", "inspector")), hung=st.booleans(), most=st.integers(0, 6))
    def a_worker_dies(self, seed: int, host: int, role: str, hung: bool, most: int) -> None:
        rng = self.life(seed)
        daemon = self.lab.daemons[host]
        if daemon.running:
            daemon.gather(rng, role, most)
            company = daemon.workers.die(rng, role, hung=hung)
            self.lab.server.note(f"worker-died-with-{min(company, 4)}")

    @rule(seed=SEEDS, host=HOSTS)
    def an_idle_worker_is_ended(self, seed: int, host: int) -> None:
        self.life(seed)
        if self.lab.daemons[host].running:
            self.lab.daemons[host].workers.retire()

    # --- the server ---------------------------------------------------------------------

    @rule(seed=SEEDS, most=st.integers(0, 6))
    def the_server_is_killed_and_started(self, seed: int, most: int) -> None:
        rng = self.life(seed)
        self.lab.server.note("server-restart")
        for daemon in self.lab.daemons:
            if daemon.running:
                daemon.gather(rng, "importer", most)
                daemon.workers.cut_all(rng)
        self.lab.server.restart()

    @rule(seed=SEEDS)
    def all_sessions_are_ended_by_somebody_else(self, seed: int) -> None:
        """What runs in the server goes on for a while, or not."""
        self.life(seed)
        self.lab.server.note("sessions-ended")
        for number in list(self.lab.server.sessions):
            self.lab.server.close(number)

    @rule(seed=SEEDS)
    def the_network_goes(self, seed: int) -> None:
        rng = self.life(seed)
        for daemon in self.lab.daemons:
            if daemon.running:
                daemon.workers.cut_all(rng)
        self.lab.server.up = False
        self.lab.server.note("network")

    @rule(seed=SEEDS, command=st.sampled_from(sorted(REFUSALS)))
    def the_server_begins_to_refuse(self, seed: int, command: str) -> None:
        self.life(seed)
        self.lab.server.refuse = {command: REFUSALS[command]}

    # --- the shares ---------------------------------------------------------------------

    @rule(seed=SEEDS, box=BOXES)
    def a_share_comes_or_goes(self, seed: int, box: int) -> None:
        self.life(seed)
        if box in self.away:
            self._share_comes(box)
        else:
            self._share_goes(box)
        self.lab.server.note("share")
