"""The demo never waits for what will not come: a wrong outcome is shown as one, and what is stuck is told in time."""

from __future__ import annotations

from dropbox_import.cli.demo.patience import LONGEST, STILL, Patience, Verdict


def test_it_judges_as_soon_as_all_is_filed() -> None:
    patience = Patience(7, 100.0)
    assert patience.look(101.0, 6, 0) is Verdict.WAIT
    assert patience.look(102.0, 7, 1) is Verdict.WAIT
    assert patience.look(103.0, 7, 0) is Verdict.JUDGE


def test_a_folder_too_few_is_judged_once_nothing_moves() -> None:
    patience = Patience(7, 100.0)
    assert patience.look(105.0, 6, 1) is Verdict.WAIT
    assert patience.look(106.0, 6, 0) is Verdict.WAIT
    assert patience.look(105.0 + STILL, 6, 0) is Verdict.WAIT
    assert patience.look(105.1 + STILL, 6, 0) is Verdict.JUDGE


def test_what_is_under_way_too_long_is_given_up() -> None:
    patience = Patience(7, 100.0)
    assert patience.look(100.0 + LONGEST, 3, 2) is Verdict.WAIT
    assert patience.look(100.1 + LONGEST, 3, 2) is Verdict.GIVE_UP
