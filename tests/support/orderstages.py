"""Stages that begin with something filed: an administrator's order about it is left, or its user has put it back into drop/."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dropbox_import.daemon.order_files import answer_to, waiting_orders
from tests.support import promises
from tests.support.belongings import give_away
from tests.support.crashes import ONE, PARTLY, Case, Stage, Story, later
from tests.support.lab import Lab
from tests.support.office import Office
from tests.support.ordercases import ORDERS
from tests.support.promises import always

PUT_BACK = {"put back": Case(PARTLY, 1, 1), "put back, mended": Case(PARTLY, 2, 1)}


def stage_of(folder: Path, what: str) -> Stage:
    return PutBackStage(folder, what) if what in PUT_BACK else OrderStage(folder, what)


class OrderStage(Stage):
    """`what`: one of ORDERS. The other host of an adopt is off."""

    def __init__(self, folder: Path, what: str) -> None:
        self.what = what
        self.adopts = what == "adopt"
        super().__init__(folder, Case(ONE, 0))

    def _lab(self) -> Lab:
        return Lab(self.folder, hosts=2 if self.adopts else 1)

    def before(self) -> Lab:
        lab = self._lab()
        lab.drop = _drops_of_users(lab)  # type: ignore[method-assign]
        office = Office(self.folder, lab=lab)
        office.start()
        self.number = ORDERS[self.what][0](office)
        return lab

    def start(self, lab: Lab) -> None:
        lab.daemons[0].start()
        self.office = Office(self.folder, lab=lab)
        self.office.renew()

    def turns(self, lab: Lab) -> None:
        quiet = 0
        for _ in range(600):
            self.office.desk.tend()
            for _ in range(3):
                lab.daemons[0].runners[0].turn(0)
            lab.server.tick()
            lab.clock.forward(5.0 if self.adopts else 1.1)
            resting = not waiting_orders(self.office.state) and lab.at_rest() and lab.daemons[0].runners[0].scans > 3
            quiet = quiet + 1 if resting else 0
            if quiet > 2:
                return

    def check(self, lab: Lab, synced: dict[str, Story]) -> None:
        answer = answer_to(self.office.state, self.number)
        assert answer is not None, "stuck: no answer"
        assert all(result.ok for result in answer.results), f"wrongly told: {answer}"
        assert waiting_orders(self.office.state) == (), "stuck: the order is still there"
        assert lab.claims() == [], "stuck in inprogress/"
        later(lab)
        told = [*always(lab, lab.boxes), *promises.at_rest(lab)]
        told += self.torn(synced)
        assert not told, "\n".join(told)
        ORDERS[self.what][1](self.office)


class PutBackStage(Stage):
    """The failed part of a drop was moved back into drop/, where the good one was imported. `mended`: under another name it is good."""

    def __init__(self, folder: Path, what: str) -> None:
        self.mended = "mended" in what
        super().__init__(folder, PUT_BACK[what])

    def before(self) -> Lab:
        lab = super().before()
        lab.life()
        (failed,) = lab.filed("failed")
        if self.mended:
            (failed / "d/p/bad.tif").rename(failed / "d/p/mended.tif")
        failed.rename(lab.layout.drop / "jdoe" / "again")
        lab.clock.forward(100_000)
        return lab


def _drops_of_users(lab: Lab) -> Any:
    """As `lab.drop`, and then it is the user's."""

    def drop(*args: Any, **more: Any) -> None:
        Lab.drop(lab, *args, **more)
        give_away(lab)

    return drop
