"""Each release reads the journals of all earlier ones: what was recorded stays as it is, and each version has its recordings."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from dropbox_import.spool import journal
from dropbox_import.spool.fold import fold

KEPT = Path(__file__).resolve().parents[1] / "golden" / "journals"
SUMS = {name: digest for digest, name in (line.split("  ") for line in (KEPT / "SHA256SUMS").read_text().splitlines())}
RUNS = ("one", "several", "partly", "partly.failed", "refused", "companion", "companion.failed", "attached", "released", "retried")


def test_no_recorded_journal_is_missing_or_changed() -> None:
    assert {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in KEPT.glob("*.jsonl")} == SUMS


def test_each_version_of_the_journal_has_its_recordings() -> None:
    """A new version: run `python -m tests.support.record_journals` once."""
    assert {f"v{version}-{run}.jsonl" for version in range(1, journal.VERSION + 1) for run in RUNS} <= set(SUMS)


@pytest.mark.parametrize("name", SUMS)
def test_every_recorded_journal_is_read_to_its_end(name: str) -> None:
    raw = (KEPT / name).read_bytes()
    records, good = journal.read(raw, name)
    assert good == len(raw)
    drop = fold("20261122-093912-k7f3q2mzt4", records)
    assert drop.candidate is not None
    assert drop.destination or drop.release
