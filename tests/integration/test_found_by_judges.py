"""Defects that stricter judges of the fault tests brought to light, each by itself."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from dropbox_import.disk import observe
from dropbox_import.spool import journal
from dropbox_import.spool.adopt import adopt
from dropbox_import.spool.survey import survey
from tests.support.lab import Crash, Lab

PARTLY = ("p.yaml", "target: {dataset: HeLa}\n", {"p/good.tif": b"good", "p/bad.tif": b"broken"})


def end_at(lab: Lab, record: str) -> Path:
    """The daemon ends right after that record; the claim."""

    def observer(when: str, what: str, path: Path) -> None:
        if any(f'"r":"{record}"'.encode() in one.read_bytes() for one in lab.layout.inprogress.glob("*/*/journal.jsonl")):
            raise Crash

    observe.set_observer(observer)
    try:
        lab.start()
        with pytest.raises(Crash):
            lab.turns()
    finally:
        observe.set_observer(None)
    return next(path for path in lab.layout.inprogress.glob("*/2*") if not path.name.endswith(".failed"))


def test_who_adopts_a_drop_that_was_just_being_filed_vouches_for_its_journal(tmp_path: Path) -> None:
    """The last record was "adopted" then, so that a retry did not believe the journal."""
    lab = Lab(tmp_path, hosts=2)
    lab.drop("bad.yaml", "target: {dataset: HeLa}\n", {"bad.tif": b"image"})
    end_at(lab, "file")
    first, second = lab.daemons
    first.runners = []
    second.start()
    adopt(lab.layout, first.identity().name, second.identity())
    for _ in range(60):
        second.runners[0].turn(0)
        lab.clock.forward(1.0)
    (filed,) = lab.filed("failed")
    assert journal.vouched(journal.read_newest(filed), second.identity().journal_key)
    lab.check(0)


def test_a_journal_that_does_not_know_of_the_part_beside_it_holds_its_drop(tmp_path: Path) -> None:
    """What was left was put back, as changed, and imported once more as another drop."""
    lab = Lab(tmp_path)
    lab.drop(*PARTLY)
    claim = end_at(lab, "split-done")
    path = claim / "journal.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2]))  # intent and seal
    lab.start()
    lab.turns(60)
    lab.clock.forward(100.0)
    lab.turns(60)
    imported = Counter(one for each in lab.server.complete() for one in each.paths)
    assert list(imported.values()) == [1]
    (held,) = [one for one in survey([lab.box]) if one.id == claim.name and one.path == str(claim)]
    assert "a part of this drop was moved into the claim beside it" in held.why
    assert (claim / "d" / "p" / "good.tif").read_bytes() == b"good"
