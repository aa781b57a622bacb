"""What several modules of this folder share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.input_house import House


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A running daemon with everything dropped that the collected modules of good and bad input drop; see House."""
    found = House(tmp_path_factory.mktemp("house"))
    try:
        found.open()
        yield found
    finally:
        found.close()
