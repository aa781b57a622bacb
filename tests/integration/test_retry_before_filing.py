"""`retry` of a drop whose daemon ended right before its last rename: what is to be filed is filed, and only what failed is tried again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dropbox_import.daemon.order_files import answer_to, waiting_orders
from dropbox_import.daemon.orders import Result
from dropbox_import.disk import observe
from dropbox_import.spool.journal import read_newest
from dropbox_import.strict_yaml import load, to_value
from dropbox_import.workers.protocol import Command
from tests.support.lab import Crash
from tests.support.office import ONE, Office
from tests.support.scripted_commands import Commands

GOOD, ONE_BAD, TWO_BAD = {"p/good.tif": b"good"}, {"p/bad1.tif": b"bad 1"}, {"p/bad1.tif": b"bad 1", "p/bad2.tif": b"bad 2"}


@pytest.fixture
def office(tmp_path: Path) -> Office:
    made = Office(tmp_path)
    made.start()
    return made


def ended_before(office: Office, state: str, members: dict[str, bytes]) -> str:
    """The daemon ended when it was about to rename the first claim of this drop to that place; its id."""

    def ends(when: str, what: str, path: Path) -> None:
        if (when, what) == ("before", "rename") and f"/{state}/" in str(path):
            raise Crash

    office.lab.drop("p.yaml", ONE, members)
    observe.set_observer(ends)
    try:
        with pytest.raises(Crash):
            office.lab.turns(100)
    finally:
        observe.set_observer(None)
    return office.lab.claims()[0].removesuffix(".failed")


def retried(office: Office, drop_id: str, seconds: int = 30) -> Result:
    """An order that is left while no daemon runs, and the answer of the next one."""
    number = office.leave("retry", drop_id)
    office.start()
    office.work(seconds)
    answer = answer_to(office.state, number)
    assert answer is not None, "no answer"
    (result,) = answer.results
    office.work(60)
    return result


def mend(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """From now on the inspector takes these files: it has learned their format."""
    real = Commands._inspect

    def inspect(self: Commands, command: Command, root: str, members: list[dict[str, Any]], named: list[str]) -> dict[str, Any]:
        fine = [{**one, "path": one["path"].replace("bad", "fine")} if one["path"] in names else one for one in members]
        return named_back(real(self, command, root, fine, named))

    def named_back(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: named_back(one) for key, one in value.items()}
        if isinstance(value, list):
            return [named_back(one) for one in value]
        return value.replace("fine", "bad") if isinstance(value, str) else value

    monkeypatch.setattr(Commands, "_inspect", inspect)


def told(folder: Path) -> dict[str, Any]:
    said = to_value(load((folder / "result.yaml").read_bytes(), "result.yaml").root)
    assert isinstance(said, dict)
    return said


def tries(folder: Path) -> int:
    return [record.kind for record in read_newest(folder)].count("reopened")


@pytest.mark.parametrize("state", ["done", "failed"])
def test_a_drop_of_two_parts_is_filed_before_its_failed_part_is_tried_again(office: Office, state: str) -> None:
    """The first part was begun anew as if it had never been split, and both were held as damaged; the second one as if it were whole."""
    drop_id = ended_before(office, state, GOOD | ONE_BAD)
    result = retried(office, drop_id)
    assert result.ok and "tried again" in result.says, result
    assert office.lab.claims() == []
    office.lab.check(1, sidecar_copies=1)
    assert (tries(office.filed("done")), tries(office.filed("failed"))) == (0, 1)


@pytest.mark.parametrize("state", ["done", "failed"])
def test_what_is_imported_of_a_failed_part_then_is_done_and_told_so(office: Office, monkeypatch: pytest.MonkeyPatch, state: str) -> None:
    """It was filed in failed/ although it was in OMERO."""
    drop_id = ended_before(office, state, GOOD | ONE_BAD)
    mend(monkeypatch, "p/bad1.tif")
    assert retried(office, drop_id).ok
    office.lab.check(2, sidecar_copies=1)
    assert office.lab.filed("failed") == []
    assert [told(path)["state"] for path in office.lab.filed("done")] == ["done", "done"]
    assert not [path for folder in office.lab.filed("done") for path in folder.glob("REASON.txt")]


def test_a_failed_part_that_is_imported_in_part_then_has_two_parts_of_the_same_drop(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It became a claim with an id that is none, of a submission of its own."""
    drop_id = ended_before(office, "failed", GOOD | TWO_BAD)
    mend(monkeypatch, "p/bad1.tif")
    assert retried(office, drop_id).ok
    office.lab.check(2, sidecar_copies=2)
    assert office.lab.claims() == []
    assert {told(path)["submission"] for state in ("done", "failed") for path in office.lab.filed(state)} == {drop_id}
    assert [path.name for path in office.filed("failed").glob("d/p/*")] == ["bad2.tif"]


def test_what_is_on_its_way_to_done_is_not_begun_anew(office: Office) -> None:
    """People were told a second time that it is done."""
    drop_id = ended_before(office, "done", GOOD)
    assert retried(office, drop_id).ok
    office.lab.check(1)
    assert tries(office.filed("done")) == 0
    assert [record.kind for record in read_newest(office.filed("done"))].count("messages") == 1


def test_where_a_part_cannot_be_filed_the_order_says_so_in_the_end(office: Office) -> None:
    """The administrator has an answer, and the drop goes on when its place can be written to again."""
    drop_id = ended_before(office, "failed", GOOD | ONE_BAD)
    month = office.lab.layout.failed / "jdoe" / office.filed("done").parent.name

    def refused(when: str, what: str, path: Path) -> None:
        if (when, what) == ("before", "rename") and month in path.parents:
            raise PermissionError(13, "Permission denied", str(path))

    observe.set_observer(refused)
    try:
        number = office.leave("retry", drop_id)
        office.start()
        office.work(10)
        assert answer_to(office.state, number) is None and waiting_orders(office.state) != ()
        office.work(30)
    finally:
        observe.set_observer(None)
    answer = answer_to(office.state, number)
    assert answer is not None
    assert not answer.results[0].ok and "about to be filed" in answer.results[0].says
    assert office.lab.claims() == [f"{drop_id}.failed"]
    assert office.order("retry", drop_id).ok, "tried now"
    office.work(60)
    office.lab.check(1, sidecar_copies=1)
    assert office.order("retry", drop_id).ok
