"""Two daemons that do not hear of each other get a drop each with the same submission: OMERO has it once in the end."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from dropbox_import.spool import journal
from tests.support.lab import Lab
from tests.support.tally import ALL, counted

SEEDS = 300 if ALL else 12
TEXT = "target: {dataset: HeLa}\nsubmission: run-7\n"

pytestmark = [pytest.mark.faults(minutes=1), pytest.mark.timeout(600 if ALL else 120)]


def yielded(lab: Lab) -> int:
    """How many attempts were taken back because somebody else had begun the same."""
    found = [folder / "journal.jsonl" for folder in lab.filed("done")]
    records = [record for path in found for record in journal.read(path.read_bytes())[0]]
    return sum(record.data.get("code") == "begun-elsewhere" for record in records)


def test_one_submission_that_two_daemons_get_at_once_is_imported_once(tmp_path: Path) -> None:
    races = 0
    for seed in range(SEEDS):
        rng = random.Random(seed)
        lab = Lab(tmp_path / str(seed), queued=True, hosts=2)
        lab.server.chance = rng if seed % 2 else None  # every other server takes its time
        lab.start()
        for number, daemon in enumerate(lab.daemons):
            lab.drop(f"{number}/again.yaml", TEXT, {f"{number}/again.tif": b"image %d" % number})
            while len(lab.claims()) <= number:  # each of them has claimed one
                daemon.runners[0].turn(0)
                daemon.workers.deliver(rng)
                lab.clock.forward(0.5)
        for step in range(rng.choice((50, 200, 800))):
            lab.step(rng)
            if seed % 3 == 0 and step % 20 == 19:  # besides, one of them dies, and its calls may land later
                daemon = rng.choice(lab.daemons)
                daemon.kill(rng)
                daemon.start()
        with counted("one submission, two daemons", f"seed {seed}"):
            assert lab.calm(rng), f"stuck: {lab.unrest()}"
            lab.check(1)
            assert len(lab.filed("done")) == 2, "a healthy drop is in failed/"
            races += yielded(lab)
    assert races, "nobody met anybody: nothing was tried"
