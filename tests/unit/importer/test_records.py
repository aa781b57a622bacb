"""The record of a session, which several workers may write and take away."""

from __future__ import annotations

from pathlib import Path

import pytest

from dropbox_import.disk import observe
from dropbox_import.errors import OutcomeUnknown
from dropbox_import.importer import records
from dropbox_import.importer.errors import effect_of
from dropbox_import.importer.records import SessionRecord

RECORD = SessionRecord(26, "secret", "ann", 2, "lab", 3)


def test_a_record_that_is_taken_away_while_it_is_written_tells_that_its_session_has_ended(tmp_path: Path) -> None:
    """It was told as a bug of the program."""

    def ended(when: str, what: str, _: Path) -> None:
        if (when, what) == ("before", "replace"):
            observe.set_observer(None)
            records.remove(tmp_path, RECORD.number)

    records.write(tmp_path, RECORD)
    observe.set_observer(ended)
    try:
        with pytest.raises(OutcomeUnknown) as told:
            records.write(tmp_path, RECORD)
    finally:
        observe.set_observer(None)
    assert (told.value.kind, effect_of(told.value)) == ("no-such-session", "unknown")
    assert list(tmp_path.iterdir()) == []


def test_a_state_folder_that_is_gone_is_no_session_that_has_ended(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        records.write(tmp_path / "gone", RECORD)
