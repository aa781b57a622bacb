"""From what a worker says to what the journal says: images of which OMERO does not show the end."""

from __future__ import annotations

from typing import Any

from dropbox_import.daemon.commands import Order
from dropbox_import.daemon.outcomes import records_of
from dropbox_import.model import Candidate, FileFacts, FilesetPlan, ImportRequest, Inspection, Target
from dropbox_import.plain import to_plain
from dropbox_import.spool.fold import Drop, fold
from dropbox_import.spool.journal import Record
from dropbox_import.spool.steps import Do, Step

A = FileFacts("a.svs", 7, 1)
CANDIDATE = Candidate("jdoe", "jdoe", FileFacts("a.yaml", 3, 1), "00", "jdoe", ImportRequest(target=Target()), (A,))
START = [
    Record("intent", {"instance": "lab", "candidate": to_plain(CANDIDATE)}),
    Record("seal", {"modes": []}),
    Record("claimed"),
    Record("inspected", to_plain(Inspection((FilesetPlan("k", (A,)),)))),
]
CONFIRMED = {"state": "complete", "images": [{"id": 770}], "problems": [], "files": [{"client_path": "a.svs", "size": 7, "sha1": "ff"}]}


def _looked_up(**found: Any) -> tuple[Drop, list[Record]]:
    """The drop, and the records of a look-up that found one attempt at its fileset."""
    one = {"fileset": 77, "token": "s/k", "drop": "other", "instance": "x", "session": 9, "attempt": 1, "committed": True, "images": [770]}
    drop = fold("20261122-093912-k7f3q2mzt4", START)
    records = records_of(Step(Do.LOOK_UP, "k"), drop, {"attempts": [one | found]}, Order("importer", "look_up", {}))
    return fold("20261122-093912-k7f3q2mzt4", [*START, *records]), records


def _confirmed(drop: Drop) -> tuple[list[str], Record]:
    *told, last = records_of(Step(Do.CONFIRM, "k", 77), drop, CONFIRMED, Order("importer", "confirm", {}))
    assert {record.kind for record in told} <= {"attention"}
    return [str(record.data["text"]) for record in told], last


def test_images_that_are_kept_in_doubt_are_told() -> None:
    drop, records = _looked_up(complete=False, doubtful=True)
    (known,) = records[0].data["attempts"]
    assert known["doubtful"] is True
    (text,), imported = _confirmed(drop)
    assert "fileset 77" in text
    assert "drop the files again" in text
    assert (imported.kind, imported.data["files"]) == ("imported", CONFIRMED["files"])


def test_what_is_complete_needs_no_attention() -> None:
    told, imported = _confirmed(_looked_up(complete=True, doubtful=False)[0])
    assert (told, imported.kind) == ([], "imported")
