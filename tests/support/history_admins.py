"""What administrators do in a made-up history: retry, discard, adopt, and a host that is gone for good."""

from __future__ import annotations

import hashlib
import random
import shutil

from hypothesis import strategies as st
from hypothesis.stateful import rule

from dropbox_import.daemon.box import BoxRunner
from dropbox_import.daemon.orders import AdminOrder, OrderAnswer
from dropbox_import.spool import layout
from dropbox_import.spool.reopen import id_of
from tests.support.history import SEEDS, SHARED_BOX, History
from tests.support.lab_daemon import Daemon

_SILENCE = 40.0  # seconds after which another instance is believed to be dead


class Admins(History):
    def _order(self, runner: BoxRunner, do: str, about: str, rng: random.Random) -> list[OrderAnswer]:
        """Give an order, and let the world go on for a while: it may have been carried out then."""
        answers: list[OrderAnswer] = []
        left_alone = next(daemon.workers.left_alone for daemon in self.lab.daemons if runner in daemon.runners)
        set_aside = {about} if do == "discard" else set[str]()  # from the order to its answer nobody goes on with it
        left_alone.update(set_aside)

        def answered(answer: OrderAnswer) -> None:
            answers.append(answer)
            left_alone.difference_update(set_aside)

        order = AdminOrder(f"order-{self.people.next()}", do, str(runner.box.path), (about,))
        runner.order(order, answered)
        self.goes_on(rng.choice((3, 20, 40)), rng)
        return answers

    def _runner(self, box: int, rng: random.Random) -> BoxRunner | None:
        found = [runner for daemon in self.awake for runner in daemon.runners if runner.box.path == self.lab.boxes[box]]
        return rng.choice(found) if found else None

    def _drops(self, box: int, *states: str) -> list[str]:
        """The ids of the drops that are in that state, `inprogress` or a filed one."""
        places = {"inprogress": "inprogress/*/*", "discarded": "discarded/*"}
        found = [path for state in states for path in sorted(self.lab.boxes[box].glob(places.get(state, f"{state}/*/*/*")))]
        return [id_of(path) for path in found if id_of(path)]

    @rule(seed=SEEDS, box=st.integers(0, 1))
    def a_drop_is_retried(self, seed: int, box: int) -> None:
        """One that failed or was set aside, or is at work and waits."""
        rng = self.life(seed)
        runner, ids = self._runner(box, rng), self._drops(box, "failed", "failed", "discarded", "inprogress")
        if runner is not None and ids:
            self._order(runner, "retry", rng.choice(ids), rng)

    @rule(seed=SEEDS, box=st.integers(0, 1))
    def a_drop_is_discarded(self, seed: int, box: int) -> None:
        rng = self.life(seed)
        runner, ids = self._runner(box, rng), self._drops(box, "inprogress", "failed")
        if runner is not None and ids:
            self._order(runner, "discard", rng.choice(ids), rng)

    @rule(seed=SEEDS, host=st.integers(0, 1), gone=st.sampled_from(("stopped", "killed", "lost")))
    def a_host_falls_silent_and_is_adopted(self, seed: int, host: int, gone: str) -> None:
        """It may wake up later; one that is lost has lost its state folder too."""
        rng, old, by = self.life(seed), self.lab.daemons[host], self.lab.daemons[1 - host]
        if SHARED_BOX in self.away or not by.awake:
            return
        name = old.shared.instance.name
        if gone == "stopped":
            old.stopped = old.running
        elif old.running:
            old.kill(rng)
        if gone == "lost":
            self._loses_all(old)
        runner = next(runner for runner in by.runners if runner.box.path == self.lab.boxes[SHARED_BOX])
        for _ in range(5):
            runner.turn(0)
            self.lab.clock.forward(_SILENCE / 4)
        self._order(runner, "adopt", name, rng)

    def _loses_all(self, daemon: Daemon) -> None:
        shutil.rmtree(daemon.settings.state_dir, ignore_errors=True)
        self.lost.add(daemon)

    @rule(seed=SEEDS, state=st.sampled_from(("failed", "failed", "done")))
    def a_user_moves_a_filed_folder_back_whole(self, seed: int, state: str) -> None:
        rng = self.life(seed)
        if folders := self.lab.filed(state):
            folder = rng.choice(folders)
            target = layout.Layout(folder.parents[3]).drop / folder.parts[-3] / folder.name
            if not target.exists():
                if state == "done":
                    images = [path for path in self.lab.files_below(folder) if path.suffix == ".tif"]
                    self.lab.dropped_again |= {hashlib.sha1(path.read_bytes()).hexdigest() for path in images}
                folder.rename(target)
