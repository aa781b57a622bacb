"""The daemon's core in a lab, with an administrator who gives it orders."""

from __future__ import annotations

from pathlib import Path

from dropbox_import.daemon.order_files import FOLDER, OrderDesk, answer_to, give, waiting_orders
from dropbox_import.daemon.orders import AdminOrder, Result
from tests.support.lab import Lab

ONE = "target: {dataset: HeLa}\n"


class Office:
    """A lab with the order desk of its first daemon: `leave` an order, let them `work`, read the answer."""

    def __init__(self, folder: Path, *, hosts: int = 1, lab: Lab | None = None) -> None:
        self.lab = lab or Lab(folder, hosts=hosts)
        self.number = 0

    @property
    def state(self) -> Path:
        return self.lab.settings.state_dir

    def start(self) -> None:
        """All daemons anew."""
        self.lab.start()
        self.renew()

    def renew(self) -> None:
        """The desk that goes with what is a new process of the first daemon."""
        daemon = self.lab.daemons[0]
        self.desk = OrderDesk(self.state, {str(runner.box.path): runner for runner in daemon.runners}, daemon.clock)

    def leave(self, do: str, *about: str, box: Path | None = None) -> str:
        self.number += 1
        order = AdminOrder(f"20261122-093912-order{self.number}", do, str(box or self.lab.box), about, "root", "2026-11-22T09:39:12")
        give(self.state, order)
        return order.id

    def work(self, seconds: int = 5) -> None:
        for _ in range(seconds):
            self.desk.tend()
            for _ in range(3):
                for runner in self.lab.runners:
                    runner.turn(0)
            self.lab.clock.forward(1.1)
        self.desk.tend()

    def order(self, do: str, *about: str, seconds: int = 5) -> Result:
        """Give it, work for a while, and return the one result."""
        number = self.leave(do, *about)
        self.work(seconds)
        answer = answer_to(self.state, number)
        assert answer is not None, "no answer"
        assert waiting_orders(self.state) == ()
        (result,) = answer.results
        return result

    def filed(self, state: str) -> Path:
        (path,) = self.lab.filed(state)
        return path

    def fail_one(self) -> str:
        """A drop of one image that cannot be imported, filed; its id."""
        self.lab.drop("bad.yaml", ONE, {"bad.tif": b"image"})
        self.lab.turns()
        return self.filed("failed").name.rpartition("__")[2]

    def names(self) -> list[str]:
        return sorted(path.name for path in (self.state / FOLDER).iterdir())
