"""What the models of faults share: only processes end in them, and a power cut is modelled."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _the_system_stays_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only processes end in these tests, so that nothing needs to be forced to the disk; they take half the time."""
    monkeypatch.setattr("os.fsync", lambda _: None)
