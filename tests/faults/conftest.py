"""The table of the points of failure that were tried, at the end of the report."""

from __future__ import annotations

import pytest

from tests.faults import tally


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if tally.ALL and tally.tried:
        terminalreporter.section("points of failure")
        for line in tally.table():
            terminalreporter.write_line(line)


@pytest.fixture(autouse=True)
def _the_system_stays_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only processes end in these tests, so that nothing needs to be forced to the disk; they take half the time."""
    monkeypatch.setattr("os.fsync", lambda _: None)
