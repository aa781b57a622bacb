"""Whatever happens in whatever order: nothing lost, nothing twice, nothing stuck, nothing left behind, and everything told once.

Hypothesis makes up histories of users, writers, two daemons, their workers, clocks, disks, shares and the server, and shortens one that
breaks a promise.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

from tests.support.history_admins import Admins
from tests.support.history_hosts import Hosts
from tests.support.history_users import Users
from tests.support.tally import ALL


class AnyHistory(Users, Hosts, Admins):
    """All rules together."""


TestAnyHistory = AnyHistory.TestCase
TestAnyHistory.settings = settings(
    max_examples=2000 if ALL else 40,
    derandomize=not ALL,  # the same histories at each `make test`, new ones at each `make faults`
    # Many different ones: the usual search would try each of them five more times with a small change.
    backend="hypothesis-urandom" if ALL else "hypothesis",
    stateful_step_count=50,
    print_blob=True,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestAnyHistory.pytestmark = [pytest.mark.timeout(7200 if ALL else 300), pytest.mark.faults(minutes=15)]
