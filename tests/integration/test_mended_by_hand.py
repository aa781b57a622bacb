"""What docs/administrator-guide.md says can be done with mv, done with mv: nothing is lost, nothing imported twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from dropbox_import.errors import ServerUnavailable
from dropbox_import.model import DropState
from dropbox_import.spool import layout
from dropbox_import.spool.survey import survey
from tests.support.office import ONE, Office

BUSY = ServerUnavailable("OMERO is busy", code="busy")
TAGGED = ONE + "tags: [x]\n"
THREE = {f"run7/{number}.tif": f"image {number}".encode() for number in range(3)}


@pytest.fixture
def office(tmp_path: Path) -> Office:
    made = Office(tmp_path)
    made.start()
    return made


def at_work(office: Office, step: str) -> Path:
    """A claim of three files that waits at this step."""
    office.lab.server.refuse[step] = BUSY
    office.lab.drop("run7.yaml", TAGGED, dict(THREE))
    office.work(10)
    (name,) = office.lab.claims()
    (path,) = office.lab.layout.inprogress.glob(f"*/{name}")
    return path


@pytest.mark.parametrize("step", ["resolve", "begin", "send", "annotate"])
def test_a_claim_that_is_moved_away_is_left_alone_and_goes_on_when_it_is_back(office: Office, step: str) -> None:
    claim = at_work(office, step)
    office.lab.layout.discarded.mkdir(mode=0o700)
    aside = office.lab.layout.discarded / claim.name
    claim.rename(aside)
    office.lab.server.refuse.clear()
    before = sorted(path.relative_to(aside) for path in aside.rglob("*"))
    office.work(100)
    assert sorted(path.relative_to(aside) for path in aside.rglob("*")) == before, "left alone"
    assert not claim.exists()
    assert [one.state for one in survey([office.lab.box])] == [DropState.DISCARDED]
    aside.rename(claim)
    office.work(300)
    office.lab.check(3)


def test_the_claims_of_another_instance_are_taken_over_by_moving_them(tmp_path: Path) -> None:
    office = Office(tmp_path, hosts=2)
    office.start()
    office.lab.server.refuse["send"] = BUSY
    office.lab.drop("run7.yaml", TAGGED, dict(THREE))
    for _ in range(8):
        office.lab.daemons[1].runners[0].turn(0)
        office.lab.clock.forward(1.1)
    old = office.lab.layout.instance(office.lab.daemons[1].identity().name)
    mine = office.lab.layout.instance(office.lab.daemons[0].identity().name)
    office.lab.daemons[1].runners = []
    office.lab.server.refuse.clear()
    mine.mkdir(exist_ok=True)
    for path in old.iterdir():
        if layout.is_id(path.name):
            path.rename(mine / path.name)
    office.work(800)
    office.lab.check(3)


@pytest.mark.parametrize("step", ["resolve", "send", "annotate"])
def test_a_drop_whose_journal_is_lost_is_dropped_again_under_its_id(office: Office, step: str) -> None:
    """The fourth way of the guide for a damaged journal."""
    claim = at_work(office, step)
    drop_id = claim.name
    journal = claim / layout.JOURNAL
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join([lines[0], b"x" + lines[1], *lines[2:]]))
    office.start()  # what the earlier daemon knew is gone
    office.lab.server.refuse.clear()
    office.work(30)
    assert [one.state for one in survey([office.lab.box])] == [DropState.HELD]
    assert office.order("discard", drop_id).ok
    (aside,) = office.lab.layout.discarded.iterdir()
    home = office.lab.layout.drop / "jdoe"
    sidecar = (aside / "run7.yaml").read_text() + f"submission: {drop_id}\n"
    (aside / layout.MEMBERS / "run7").rename(home / "run7")
    (home / "run7.yaml").write_text(sidecar)
    office.work(900)
    complete = sorted(path.rpartition("/")[2] for one in office.lab.server.complete() for path in one.paths)
    assert complete == ["0.tif", "1.tif", "2.tif"]
    assert len(office.lab.server.filesets) == 3, "nothing dead is left on the server"
    assert not office.lab.server.broken
    assert [one.state for one in survey([office.lab.box])] == [DropState.DONE, DropState.DISCARDED]
