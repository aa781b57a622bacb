"""An administrator's order, with the daemon ended at any effect on the disk: it is carried out, answered, and nothing is lost or twice."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dropbox_import.daemon.order_files import answer_to, waiting_orders
from dropbox_import.disk import observe
from dropbox_import.errors import NotAllowed
from dropbox_import.spool.journal import read_newest
from tests.support.belongings import give_away, not_given_back
from tests.support.lab import Crash, Lab
from tests.support.office import ONE, Office
from tests.support.ordercases import ORDERS
from tests.support.tally import counted, points

KIND = "the daemon ends in an order"


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


def end_while_filing(lab: Lab) -> None:
    """The daemon ends when it is about to give the modes back."""

    def ends(when: str, what: str, path: Path) -> None:
        if what == "restore":
            raise Crash

    observe.set_observer(ends)
    try:
        with pytest.raises(Crash):
            lab.turns()
    finally:
        observe.set_observer(None)


def test_a_claim_that_was_about_to_be_filed_and_is_retried_goes_back_to_its_user_as_it_came(tmp_path: Path) -> None:
    """It was still closed: its closed modes were taken for its user's, who could not read their own files any more."""
    office = Office(tmp_path)
    lab = office.lab
    lab.drop("bad.yaml", ONE, {"bad.tif": b"image"})
    give_away(lab)
    office.start()
    end_while_filing(lab)
    (drop_id,) = lab.claims()
    number = office.leave("retry", drop_id)
    office.start()
    office.work(8)
    answer = answer_to(office.state, number)
    assert answer is not None and answer.results[0].ok
    assert lab.claims() == []
    assert "reopened" in [record.kind for record in read_newest(office.filed("failed"))]
    assert not not_given_back(lab, lab.user_bytes)


def test_a_retry_that_was_about_to_be_filed_when_the_daemon_ended_is_not_begun_anew_by_the_same_order(tmp_path: Path) -> None:
    """Else a time that it came to an end would be one of which people are told nothing."""
    office = Office(tmp_path)
    lab = office.lab
    office.start()
    lab.server.refuse["resolve"] = NotAllowed("The group takes nothing now.")
    lab.drop("a.yaml", ONE, {"a.tif": b"image a"})
    lab.turns()
    lab.server.refuse.clear()
    number = office.leave("retry", office.filed("failed").name.rpartition("__")[2])
    office.desk.tend()

    end_while_filing(lab)
    assert answer_to(office.state, number) is None and len(lab.claims()) == 1
    office.start()
    office.work(8)
    answer = answer_to(office.state, number)
    assert answer is not None and answer.results[0].ok
    assert [record.kind for record in read_newest(office.filed("done"))].count("reopened") == 1
    lab.check(1)


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
