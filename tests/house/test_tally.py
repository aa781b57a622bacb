"""The table of `make faults` says what went wrong, and fails when something did, or when a kind of fault was not tried."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support import run_faults, tally


@pytest.fixture(autouse=True)
def _counts_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("tried", "wrong", "vitals", "left_out"):
        monkeypatch.setattr(tally, name, type(getattr(tally, name))())
    monkeypatch.setattr(tally, "_saved", float("inf"))  # nothing of this is kept for the table of a real run


@pytest.mark.parametrize(
    ("told", "column"),
    [
        ("lost: {b'one': 1}", "lost"),
        ("imported twice: Counter()", "imported twice"),
        ("left on the server: [Stored()]", "left behind"),
        ("nobody was told of 20261122", "wrongly told"),
        ("never at rest", "stuck"),
        ("what no column names", "stuck"),
    ],
)
def test_each_broken_promise_has_its_column(told: str, column: str) -> None:
    with pytest.raises(AssertionError, match="a fault here: "), tally.counted("a fault", "here"):
        raise AssertionError(told)
    assert tally.wrong["a fault"] == {column: 1}
    assert tally.complaints(whole=False) == [f"a fault: 1 {column}"]


def test_an_error_that_is_no_assertion_counts_too() -> None:
    with pytest.raises(OSError, match="full"), tally.counted("a fault"):
        raise OSError("the disk is full")
    assert sum(tally.wrong["a fault"].values()) == 1


def test_the_counts_of_all_processes_come_together(tmp_path: Path) -> None:
    for number in (1, 2):
        said = {"tried": {"a fault": 20}, "wrong": {}, "vitals": {"a sync": [True, ""]}, "left out": {"they need root": number}}
        (tmp_path / f"{number}.json").write_text(json.dumps(said))
    tally.take(tmp_path)
    told = "\n".join(tally.table())
    assert tally.tried == {"a fault": 40} and "40" in told and "not run here: 3 tests, they need root" in told
    assert tally.complaints(whole=False) == []


def test_a_kind_that_was_not_tried_fails_the_whole() -> None:
    assert "not tried: the daemon ends at an effect" in tally.complaints()


def test_a_sync_that_nothing_depends_on_fails_unless_a_reason_says_why() -> None:
    tally.vital("needed", True)
    tally.vital("only work", False, "it is done again")
    assert tally.complaints(whole=False) == []
    tally.vital("for nothing", False)
    assert tally.complaints(whole=False) == ["for nothing: nothing turns red without it"]


def test_files_of_faults_are_found_by_what_they_use_the_longest_first(tmp_path: Path) -> None:
    for name, text in (("short", "from tests.support.tally import counted"), ("long", "@pytest.mark.slow_faults(minutes=9)"), ("none", "")):
        (tmp_path / f"test_{name}.py").write_text(text)
    assert [path.stem for path in run_faults.chosen(tmp_path)] == ["test_long", "test_short"]


def test_each_marked_file_of_faults_is_found() -> None:
    found = {path.name for path in run_faults.chosen(run_faults.ROOT / "tests")}
    assert {"test_every_pair.py", "test_power_model.py", "test_survives_killed_daemon.py"} <= found
