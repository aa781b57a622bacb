"""The same made-up histories with two places for claims at work, so that nearly each of them is parked and loaded again and again."""

from __future__ import annotations

from unittest import mock

import pytest
from hypothesis import HealthCheck, settings

from dropbox_import.daemon import working
from tests.faults.test_any_history import AnyHistory
from tests.support.tally import ALL


class ParkedHistory(AnyHistory):
    """All rules, and hardly any place."""

    def __init__(self) -> None:
        super().__init__()
        self._places = mock.patch.object(working, "AT_WORK", 2)
        self._places.start()

    def teardown(self) -> None:
        try:
            super().teardown()
        finally:
            self._places.stop()


TestAnyHistoryParked = ParkedHistory.TestCase
TestAnyHistoryParked.settings = settings(
    max_examples=150 if ALL else 8,
    derandomize=not ALL,
    stateful_step_count=50,
    print_blob=True,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestAnyHistoryParked.pytestmark = [pytest.mark.timeout(7200 if ALL else 120), pytest.mark.faults(minutes=2)]
