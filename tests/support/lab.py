"""Boxes, a daemon's core and a scripted server on a real disk, run by hand: every turn, crash and restart is exact.

Plain, the workers do each command at once. `Lab(..., queued=True)` keeps their commands in flight: `step` does one random thing that
can happen next, `calm` goes on without faults until all is at rest.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path

from dropbox_import.daemon.box import BoxRunner
from dropbox_import.daemon.keeper import SessionKeeper
from dropbox_import.daemon.shared import Shared
from dropbox_import.disk import observe
from dropbox_import.settings import Box, WaitForFiles
from dropbox_import.settings.model import Notify
from dropbox_import.spool import layout
from dropbox_import.spool.adopt import adopt
from dropbox_import.spool.layout import Layout, create_box
from tests.support import promises
from tests.support.clocks import HandClock
from tests.support.lab_daemon import Daemon
from tests.support.scripted import ScriptedWorkers, Server


class Crash(BaseException):
    """The process ends here. Not an Exception, so that nothing in the product can catch it."""


class Lab:
    """`hosts`: how many installations work on these boxes; what belongs to one (`workers`, `shared`, ...) is the first one's.

    `later_hosts`: the boxes, by number, of all but the first (None = all). `min_free` and `refuse_after` are those of every box.
    `notify`: with couriers, which do their work after each turn of the first box. `delays`: of tries, as in the configuration.
    """

    def __init__(
        self,
        folder: Path,
        *,
        boxes: int = 1,
        users: tuple[str, ...] = ("jdoe",),
        queued: bool = False,
        hosts: int = 1,
        later_hosts: tuple[int, ...] | None = None,
        min_free: int = 0,
        refuse_after: float = 86400.0,
        notify: Notify | None = None,
        delays: Sequence[float] = (5.0,),
    ) -> None:
        self.clock = HandClock()
        self.server = Server(self.clock)
        self.boxes = [folder / ("box" if number == 0 else f"box{number + 1}") for number in range(boxes)]
        self.server.boxes = self.boxes
        patience = WaitForFiles(refuse_after=refuse_after)
        interval = 3.0 if queued else 1.0
        set_up = [
            Box(path=path, quiet_period=1.0, scan_interval=interval, min_free=min_free, wait_for_files=patience) for path in self.boxes
        ]
        for path in self.boxes:
            create_box(path, self.clock, users)
        states = [folder / ("state" if number == 0 else f"state{number + 1}") for number in range(hosts)]
        shared = set_up if later_hosts is None else [set_up[number] for number in later_hosts]
        self.daemons = [
            Daemon(state, shared if number else set_up, self.server, queued=queued, notify=notify, delays=delays)
            for number, state in enumerate(states)
        ]
        self.turning = self.daemons[0]
        self.settings = self.daemons[0].settings
        self.box = self.boxes[0]
        self.layout = Layout(self.box)
        self.user_bytes: Counter[bytes] = Counter()
        self.dropped_again: set[str] = set()  # SHA-1 of what users moved out of done/: theirs to import once more as something new
        self.effects = 0

    # --- the first daemon's -------------------------------------------------------------

    @property
    def workers(self) -> ScriptedWorkers:
        return self.daemons[0].workers

    @property
    def shared(self) -> Shared:
        return self.daemons[0].shared

    @property
    def keeper(self) -> SessionKeeper:
        return self.daemons[0].keeper

    @property
    def runner(self) -> BoxRunner | None:
        return self.daemons[0].runners[0] if self.daemons[0].runners else None

    @property
    def runners(self) -> list[BoxRunner]:
        return [runner for daemon in self.daemons for runner in daemon.runners]

    # --- the user -----------------------------------------------------------------------

    def drop(self, sidecar: str, text: str, members: dict[str, bytes], user: str = "jdoe", box: int = 0) -> None:
        home = Layout(self.boxes[box]).drop / user
        for name, data in {**members, sidecar: text.encode()}.items():
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            (home / name).write_bytes(data)
            self.user_bytes[data] += 1

    # --- the daemon ---------------------------------------------------------------------

    def start(self) -> BoxRunner:
        """All daemons anew."""
        for daemon in self.daemons:
            daemon.start()
        return self.daemons[0].runners[0]

    def turns(self, most: int = 400) -> int:
        """Run until nothing moves any more; returns the turns that it took. What lies in drop/ has its quiet time."""
        assert self.runner is not None
        quiet = 0
        for turn in range(most):
            self.runner.turn(0)
            for courier in self.daemons[0].couriers:
                with suppress(OSError):  # as in its thread: it goes on in a moment
                    courier.turn()
            self.clock.forward(max(0.05, min(self.runner.pause(), 1.0)))
            resting = not self.claims() and not self.runner.state()["waiting"] and not self.unsent()
            quiet = quiet + 1 if resting and self.runner.scans > 5 else 0
            if quiet > 3:
                return turn
        return most

    def life(self, crash_at: int | None = None) -> int:
        """Start and run; with `crash_at` end at that effect on the disk (1 = before the first). Returns how many effects there were."""
        self.effects = 0
        self.crash_after(crash_at)
        try:
            self.start()
            self.turns()
        except Crash:
            pass
        finally:
            observe.set_observer(None)
        return self.effects

    def crash_after(self, effects: int | None) -> None:
        """From now on count the effects on the disk, and end the process at that one of them."""
        self.effects = 0

        def observer(when: str, what: str, path: Path) -> None:
            self.effects += 1
            if self.effects == effects:
                raise Crash

        observe.set_observer(observer)

    def fail_after(self, effects: int, errors: int, number: int) -> None:
        """From now on the disk refuses that many effects, after so many that work."""
        self.effects = 0

        def observer(when: str, what: str, path: Path) -> None:
            self.effects += when == "before"
            if when == "before" and effects <= self.effects < effects + errors:
                self.server.note("disk-error")
                raise OSError(number, os.strerror(number), str(path))

        observe.set_observer(observer)

    # --- queued: one thing after the other ------------------------------------------------

    def step(self, rng: random.Random, trouble: float = 0.0) -> None:
        """One random thing that can happen next. Raises Crash where one was ordered: it is `turning` that ends."""
        running = [daemon for daemon in self.daemons if daemon.running]
        self.turning = daemon = running[0] if len(running) == 1 else rng.choice(running)
        self.server.tick()
        what = rng.random()
        if what >= 0.95:
            self.server.land(rng)
        elif 0.35 <= what < 0.9:
            daemon.workers.deliver(rng, trouble, mute=daemon.stopped)
        elif daemon.awake and what < 0.35:
            rng.choice(daemon.runners).turn(0)
        elif daemon.awake:
            daemon.keeper.tend()
        self.clock.forward(rng.choice((0.0, 0.01, 0.1, 0.5, 1.0)))

    def gather(self, rng: random.Random, role: str, most: int) -> None:
        self.daemons[0].gather(rng, role, most)

    def kill(self, rng: random.Random) -> None:
        """The first daemon is dead."""
        observe.set_observer(None)
        self.daemons[0].kill(rng)

    def wake_up(self, dead: Collection[Daemon] = ()) -> list[Daemon]:
        """Start or let go on all but the `dead`."""
        daemons = [daemon for daemon in self.daemons if daemon not in dead]
        for daemon in daemons:
            daemon.stopped = False
            if not daemon.running:
                daemon.start()
        return daemons

    def adopt_orphans(self) -> None:
        """The first daemon takes over what belongs to installations that are no more."""
        alive = {daemon.shared.instance.name for daemon in self.daemons if daemon.running}
        for box in self.boxes:
            for folder in sorted(Layout(box).inprogress.iterdir()):
                if folder.name not in alive:
                    adopt(Layout(box), folder.name, self.shared.instance)

    def calm(self, rng: random.Random, most: int = 1500, dead: Collection[Daemon] = ()) -> bool:
        """Without faults, until all is at rest; all run but the `dead`. False: it never came to rest."""
        observe.set_observer(None)
        self.server.faults, self.server.up = False, True
        self.server.refuse.clear()
        daemons = self.wake_up(dead)
        still, before = 0, -1
        for turn in range(most):
            self.server.tick()
            for daemon in daemons:
                for runner in rng.sample(daemon.runners, len(daemon.runners)):
                    runner.turn(0)
                for _ in range(20):
                    if not daemon.workers.deliver(rng):
                        break
                daemon.keeper.tend()
            if rng.random() < 0.2:
                self.server.land(rng)
            self.clock.forward(max(0.05, min(runner.pause() for runner in self.runners)))
            if turn > 100:
                self.clock.forward(10.0)  # sessions of others end by themselves after ten minutes
            busy = any(daemon.workers.flights or daemon.workers.answers for daemon in daemons) or self.server.commands != before
            still, before = 0 if busy else still + 1, self.server.commands
            if still > 4:
                if self.at_rest():
                    return True
                self.clock.forward(20.0)  # only time is waited for
        return False

    def at_rest(self) -> bool:
        return not self.unrest()

    def unrest(self) -> list[str]:
        """What is still to be done: drops that are not taken, not filed, or waited for; boxes that cannot be used."""
        states = [runner.state() for runner in self.runners]
        found = [f"{path} is not taken" for box in self.boxes for path in Layout(box).drop.rglob("*.yaml") if path.name != layout.RESULT]
        found += [f"{claim} is at work" for claim in self.claims()]
        found += [f"{one['sidecar']} waits: {one['reason']}" for state in states for one in state["waiting"]]
        return found + [state["trouble"] for state in states if state["trouble"]]

    # --- looking ------------------------------------------------------------------------

    def claims(self) -> list[str]:
        roots = [Layout(box).inprogress for box in self.boxes]
        return [path.name for root in roots for instance in root.iterdir() for path in instance.iterdir() if layout.is_id(path.name)]

    def unsent(self) -> int:
        """Messages and letters that the first daemon still has; 0 where nobody is told anything."""
        counts = [courier.counts() for courier in self.daemons[0].couriers]
        return sum(one["messages"] + one["letters"] for one in counts)

    def files_below(self, folder: Path) -> list[Path]:
        return [Path(top) / name for top, _, names in os.walk(folder) for name in names]

    def filed(self, state: str) -> list[Path]:
        return sorted(path for box in self.boxes for path in (box / state).glob("*/*/*") if path.is_dir())

    def check(self, imported: int, *, sidecar_copies: int = 0, forgotten: Collection[str] = ()) -> None:
        """Nothing lost, nothing twice, nothing stuck, nothing left behind on the server, nobody told what is not so.

        `forgotten`: drops whose journals were damaged.
        """
        assert self.claims() == [], "stuck in inprogress/"
        everything = [path for box in self.boxes for path in self.files_below(box)]
        found = Counter(path.read_bytes() for path in everything if path.name not in promises.OURS and "outbox" not in path.parts)
        kept = {data: found[data] for data in self.user_bytes}
        lost = {data: count for data, count in self.user_bytes.items() if found[data] < count}
        assert not lost, f"lost: {lost}"
        extra = sum(kept.values()) - sum(self.user_bytes.values())
        assert extra == sidecar_copies, f"{extra} copies more than expected"
        complete = Counter(path for one in self.server.complete() for path in one.paths)
        assert all(count == 1 for count in complete.values()), f"imported twice: {complete}"
        assert sum(complete.values()) == imported, f"imported: {complete}"
        self.end_sessions()
        told = [*self.server.broken, *promises.at_rest(self, forgotten=forgotten)]
        told += [*promises.left_open(self), *promises.told_of_nothing(self)]
        if not told and promises.never_told_of(self):
            for daemon in self.daemons:
                if daemon.running:
                    daemon.start()
            self.end_sessions()
            told = promises.never_told_of(self)
        assert not told, "\n".join(told)

    def end_sessions(self) -> None:
        """Time goes by without work, and each daemon that runs ends the sessions that nobody needs. Where none runs, all are started."""
        if not any(daemon.running for daemon in self.daemons):
            self.start()
        self.clock.forward(100.0)
        for _ in range(3):
            for daemon in self.daemons:
                daemon.tend()
            self.clock.forward(1.0)


def refused_after(lab: Lab, point: int, errors: int, number: int) -> int:
    """Some turns of a daemon to which the disk refuses so many effects, from that one on; returns how many there were."""
    lab.start()
    lab.fail_after(point, errors, number)
    lab.turns(60)
    observe.set_observer(None)
    return lab.effects
