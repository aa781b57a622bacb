"""An administrator's order, with the daemon ended at any effect on the disk: it is carried out, answered, and nothing is lost or twice."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from dropbox_import.daemon.order_files import answer_to, waiting_orders
from dropbox_import.disk import observe
from dropbox_import.errors import NotAllowed, ServerUnavailable
from dropbox_import.spool import layout
from dropbox_import.spool.journal import read_newest
from tests.support.lab import Crash
from tests.support.office import ONE, Office
from tests.support.tally import counted, points

KIND = "the daemon ends in an order"
BUSY = ServerUnavailable("OMERO is busy", code="busy")


def retry_failed(office: Office) -> str:
    return office.leave("retry", office.fail_one())


def discard_failed(office: Office) -> str:
    return office.leave("discard", office.fail_one())


def retry_discarded(office: Office) -> str:
    drop_id = office.fail_one()
    assert office.order("discard", drop_id).ok
    return office.leave("retry", drop_id)


def begun(office: Office) -> str:
    """A drop at work, whose fileset is made and its upload refused; its id."""
    office.lab.server.refuse["send"] = BUSY
    office.lab.drop("a.yaml", ONE, {"a.tif": b"image a"})
    office.work()
    (drop_id,) = office.lab.claims()
    return drop_id


def discard_at_work(office: Office) -> str:
    return office.leave("discard", begun(office))


def retry_changed(office: Office) -> str:
    drop_id = office.fail_one()
    sidecar = office.filed("failed") / "bad.yaml"
    sidecar.write_bytes(sidecar.read_bytes() + b"tags: [x]\n")
    return office.leave("retry", drop_id)


def retry_refused(office: Office) -> str:
    """Only its sidecar was taken, and goes back to its image."""
    office.lab.drop("typo.yaml", "target: {dataset: HeLa}\ntagz: [x]\n", {"typo.tif": b"image"})
    office.lab.turns()
    return office.leave("retry", office.filed("failed").name.rpartition("__")[2])


def adopt(office: Office) -> str:
    lab = office.lab
    lab.server.refuse["send"] = BUSY
    lab.drop("a.yaml", ONE, {"a.tif": b"image a"})
    for _ in range(8):
        lab.daemons[1].runners[0].turn(0)
        lab.clock.forward(1.1)
    lab.daemons[1].runners = []
    lab.server.refuse.clear()
    return office.leave("adopt", lab.daemons[1].identity().name)


def in_failed_again(office: Office) -> None:
    assert "reopened" in [record.kind for record in read_newest(office.filed("failed"))]


def in_failed(office: Office) -> None:
    assert (office.filed("failed") / layout.MEMBERS / "bad.tif").read_bytes() == b"image"


def refused_again(office: Office) -> None:
    assert (office.filed("failed") / "typo.yaml").exists()
    assert (office.lab.layout.drop / "jdoe" / "typo.tif").read_bytes() == b"image"


def in_discarded(office: Office) -> None:
    (place,) = office.lab.layout.discarded.iterdir()
    assert [path.read_bytes() for path in (place / layout.MEMBERS).iterdir()] in ([b"image"], [b"image a"])


def imported(office: Office) -> None:
    office.lab.check(1)


ORDERS: dict[str, tuple[Callable[[Office], str], Callable[[Office], None]]] = {
    "retry of a failed drop": (retry_failed, in_failed_again),
    "retry of a changed one": (retry_changed, in_failed),
    "retry of a refused one": (retry_refused, refused_again),
    "retry of a discarded one": (retry_discarded, in_failed_again),
    "discard of a failed drop": (discard_failed, in_discarded),
    "discard of one at work": (discard_at_work, in_discarded),
    "adopt": (adopt, imported),
}


def ordered(folder: Path, what: str) -> tuple[Office, str]:
    office = Office(folder, hosts=2 if what == "adopt" else 1)
    office.start()
    return office, ORDERS[what][0](office)


def working(office: Office, what: str) -> None:
    """Long enough for the order; what comes after it is not its matter."""
    office.work(45 if what == "adopt" else 4)


@pytest.mark.parametrize("what", ORDERS)
def test_an_order_is_carried_out_wherever_the_daemon_ends(tmp_path: Path, what: str) -> None:
    office, _ = ordered(tmp_path / "whole", what)
    office.lab.crash_after(None)
    working(office, what)
    effects = office.lab.effects
    observe.set_observer(None)
    assert effects > 10
    for point in points(effects, what):
        with counted(KIND, f"{what}, {point} of {effects}"):
            office, number = ordered(tmp_path / str(point), what)
            try:
                office.lab.crash_after(point)
                working(office, what)
            except Crash:
                pass
            finally:
                observe.set_observer(None)
            office.lab.daemons[0].start()
            office.renew()
            office.work(700 if what == "adopt" else 12)
            answer = answer_to(office.state, number)
            assert answer is not None, "stuck: no answer"
            assert all(result.ok for result in answer.results), f"wrongly told: {answer}"
            assert waiting_orders(office.state) == (), "stuck: the order is still there"
            assert office.lab.claims() == [], "stuck in inprogress/"
            ORDERS[what][1](office)
            if what == "discard of one at work":  # what OMERO has of it is found when it comes back
                office.lab.server.refuse.clear()
                (place,) = office.lab.layout.discarded.iterdir()
                assert office.order("retry", place.name, seconds=200).ok
                office.lab.check(1)
        shutil.rmtree(tmp_path / str(point))


def test_a_retry_that_is_done_before_it_is_answered_is_answered_as_done(tmp_path: Path) -> None:
    """The daemon ended between the two, and the next one finds the order and a drop in done/. Another order for it is refused."""
    office = Office(tmp_path)
    office.start()
    office.lab.server.refuse["resolve"] = NotAllowed("The group takes nothing now.")
    office.lab.drop("a.yaml", ONE, {"a.tif": b"image a"})
    office.lab.turns()
    office.lab.server.refuse.clear()
    drop_id = office.filed("failed").name.rpartition("__")[2]
    number = office.leave("retry", drop_id)
    office.desk.tend()
    office.lab.turns()
    assert answer_to(office.state, number) is None
    assert office.filed("done").name.endswith(drop_id)
    office.start()
    office.work()
    answer = answer_to(office.state, number)
    assert answer is not None and [(one.ok, "is done" in one.says) for one in answer.results] == [(True, True)], answer
    assert not office.order("retry", drop_id).ok
