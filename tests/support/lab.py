"""A box, a daemon's core and a scripted server on a real disk, run by hand: every turn, crash and restart is exact."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

from dropbox_import.daemon.box import BoxRunner
from dropbox_import.daemon.outage import Backoff, Outage
from dropbox_import.daemon.sessions import SessionBook
from dropbox_import.daemon.shared import Shared
from dropbox_import.daemon.slots import Slots
from dropbox_import.disk import observe
from dropbox_import.settings import Box, Omero, Settings
from dropbox_import.spool import layout
from dropbox_import.spool.identity import load_instance
from dropbox_import.spool.layout import Layout, create_box
from tests.support.clocks import HandClock
from tests.support.scripted import ScriptedWorkers, Server

OURS = {layout.JOURNAL, layout.REQUEST, layout.RESULT, layout.REASON, layout.ATTENTION, layout.MARKER}


class Crash(BaseException):
    """The process ends here. Not an Exception, so that nothing in the product can catch it."""


class Lab:
    def __init__(self, folder: Path) -> None:
        self.clock = HandClock()
        self.box = folder / "box"
        self.server = Server()
        self.settings = Settings(
            omero=Omero(host="localhost", user="importer"),
            state_dir=folder / "state",
            boxes=(Box(path=self.box, quiet_period=1.0, scan_interval=1.0, min_free=0),),
            instance="lab",
        )
        create_box(self.box, self.clock, ["jdoe"])
        self.layout = Layout(self.box)
        self.user_bytes: Counter[bytes] = Counter()
        self.runner: BoxRunner | None = None

    # --- the user -----------------------------------------------------------------------

    def drop(self, sidecar: str, text: str, members: dict[str, bytes], user: str = "jdoe") -> None:
        home = self.layout.drop / user
        for name, data in {**members, sidecar: text.encode()}.items():
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            (home / name).write_bytes(data)
            self.user_bytes[data] += 1

    # --- the daemon ---------------------------------------------------------------------

    def start(self) -> BoxRunner:
        """A fresh daemon on what the disk and the server hold; whatever an earlier one knew in memory is gone."""
        instance = load_instance(self.settings.state_dir, "lab", self.clock)
        self.workers = ScriptedWorkers(self.server, instance.sessions)
        backoff = Backoff((5.0,), 0.0, self.clock)
        runner: BoxRunner
        shared = Shared(
            settings=self.settings,
            instance=instance,
            clock=self.clock,
            workers=self.workers,  # type: ignore[arg-type]
            book=SessionBook(instance.sessions, self.clock),
            outage=Outage(backoff, self.clock),
            backoff=backoff,
            slots=Slots(4, self.clock),
        )
        runner = self.runner = BoxRunner(self.settings.boxes[0], shared)
        self.shared = shared
        return runner

    def turns(self, most: int = 400) -> int:
        """Run until nothing moves any more; returns the turns that it took. What lies in drop/ has its quiet time."""
        assert self.runner is not None
        quiet = 0
        for turn in range(most):
            self.runner.turn(0)
            self.clock.forward(max(0.05, min(self.runner.pause(), 1.0)))
            quiet = quiet + 1 if not self.claims() and self.runner.scans > 5 and not self.runner.state()["waiting"] else 0
            if quiet > 3:
                return turn
        return most

    def life(self, crash_at: int | None = None) -> int:
        """Start and run; with `crash_at` end at that effect on the disk (1 = before the first). Returns how many effects there were."""
        count = 0

        def observer(when: str, what: str, path: Path) -> None:
            nonlocal count
            count += 1
            if count == crash_at:
                raise Crash

        observe.set_observer(observer)
        try:
            self.start()
            self.turns()
        except Crash:
            pass
        finally:
            observe.set_observer(None)
            self._drop_handles()
        return count

    def _drop_handles(self) -> None:
        for active in self.runner._active.values() if self.runner else ():
            active.claim.close()

    # --- looking ------------------------------------------------------------------------

    def claims(self) -> list[str]:
        root = self.layout.inprogress
        return [path.name for instance in root.iterdir() for path in instance.iterdir() if layout.is_id(path.name)]

    def files_below(self, folder: Path) -> list[Path]:
        return [Path(top) / name for top, _, names in os.walk(folder) for name in names]

    def filed(self, state: str) -> list[Path]:
        return sorted(path for path in (self.box / state).glob("*/*/*") if path.is_dir())

    def check(self, imported: int, *, sidecar_copies: int = 0) -> None:
        """Nothing lost, nothing twice, nothing stuck, nothing left behind on the server."""
        assert self.claims() == [], "stuck in inprogress/"
        found = Counter(path.read_bytes() for path in self.files_below(self.box) if path.name not in OURS and "outbox" not in path.parts)
        kept = {data: found[data] for data in self.user_bytes}
        lost = {data: count for data, count in self.user_bytes.items() if found[data] < count}
        assert not lost, f"lost: {lost}"
        extra = sum(kept.values()) - sum(self.user_bytes.values())
        assert extra == sidecar_copies, f"{extra} copies more than expected"
        complete = Counter(path for one in self.server.complete() for path in one.paths)
        assert all(count == 1 for count in complete.values()), f"imported twice: {complete}"
        assert sum(complete.values()) == imported, f"imported: {complete}"
        dead = [one for one in self.server.filesets.values() if not one.images]
        assert not dead, f"left on the server: {dead}"
