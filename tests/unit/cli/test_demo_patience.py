"""The demo never waits for what will not come: a wrong outcome is shown as one, and what is stuck is told in time."""

from __future__ import annotations

from dropbox_import.cli.demo.patience import LONGEST, STILL, Patience, Verdict


def test_it_judges_as_soon_as_all_is_filed() -> None:
    patience = Patience(7)
    assert patience.look(101.0, 6, 0) is Verdict.WAIT
    assert patience.look(102.0, 7, 1) is Verdict.WAIT
    assert patience.look(103.0, 7, 0) is Verdict.JUDGE


def test_a_folder_too_few_is_judged_once_nothing_moves() -> None:
    patience = Patience(7)
    assert patience.look(105.0, 6, 1) is Verdict.WAIT
    assert patience.look(106.0, 6, 0) is Verdict.WAIT
    assert patience.look(106.0 + STILL, 6, 0) is Verdict.WAIT
    assert patience.look(106.1 + STILL, 6, 0) is Verdict.JUDGE


def test_what_is_stuck_is_given_up_and_what_is_slow_is_not() -> None:
    patience = Patience(7)
    for number in range(6):
        assert patience.look(100.0 + number * LONGEST, number, 2) is Verdict.WAIT
    assert patience.look(100.0 + 6 * LONGEST, 5, 2) is Verdict.WAIT
    assert patience.look(100.1 + 6 * LONGEST, 5, 2) is Verdict.GIVE_UP
