"""How often a running import is asked about: soon at first, then every five seconds, for as long as it takes."""

from __future__ import annotations

import pytest

from dropbox_import.daemon.replies import poll_pause


@pytest.mark.parametrize(("tries", "seconds"), [(0, 0.2), (1, 0.3), (2, 0.45), (10, 5.0), (2_000, 5.0), (1_000_000, 5.0)])
def test_an_import_of_some_hours_is_asked_about_to_its_end(tries: int, seconds: float) -> None:
    """After about 1,750 polls the pause had no number any more, and each further answer was an error in the thread of its box."""
    assert poll_pause(tries) == pytest.approx(seconds)
