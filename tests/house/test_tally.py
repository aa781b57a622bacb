"""The table of `make faults` says what went wrong, and fails when something did, or when less was tried than a whole run tries."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support import here, kinds, run_faults, tally
from tests.support.run_faults import LONGEST, NOTHING_CHOSEN, ROOT, Done

FILE = ROOT / "tests" / "faults" / "test_strace_kills.py"


@pytest.fixture(autouse=True)
def _counts_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("tried", "wrong", "vitals", "left_out"):
        monkeypatch.setattr(tally, name, type(getattr(tally, name))())
    monkeypatch.setattr(tally, "_saved", float("inf"))  # nothing of this is kept for the table of a real run
    monkeypatch.setattr(kinds, "EXPECTED", kinds.EXPECTED | {"a fault": 1})


def whole_run(*reasons: str) -> None:
    """As much as is owed, exactly, where tests were left out for these reasons."""
    for reason in reasons:
        tally.not_run(reason, 2)
    tally.tried.update(kinds.owed(reasons))
    for number in range(kinds.SYNCS):
        tally.vital(f"sync {number}", True)


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


def test_a_whole_run_is_good() -> None:
    whole_run()
    assert tally.complaints() == []
    assert tally.ending([]) == (0, "Good, and whole.")


def test_one_point_less_than_a_whole_run_has_is_too_few() -> None:
    whole_run()
    for kind, least in kinds.EXPECTED.items():
        tally.tried[kind] -= 1
        assert tally.complaints() == [f"{kind}: {least - 1:,} points, a whole run has {least:,} or more"]
        assert tally.complaints(whole=False) == []
        tally.tried[kind] += 1
    assert tally.ending(["one point less"])[0] == 1


@pytest.mark.parametrize(
    ("kind", "least"), {"made-up histories": 2000, "random SIGKILLs, real processes": 200, "8 daemons on one share": 2000}.items()
)
def test_what_was_asked_for_in_numbers_is_owed(kind: str, least: int) -> None:
    assert kinds.EXPECTED[kind] >= least


def test_a_sync_less_is_too_few() -> None:
    whole_run()
    tally.vitals.popitem()
    assert tally.complaints() == [f"{kinds.SYNCS - 1} syncs were taken away, in a whole run {kinds.SYNCS} or more"]


def test_a_kind_that_is_not_listed_is_complained_of() -> None:
    whole_run()
    tally.tried["a new kind"] += 1
    assert tally.complaints() == tally.complaints(whole=False) == ["a new kind: is not listed in tests/support/kinds.py"]


@pytest.mark.parametrize("reason", [*kinds.NEEDING, kinds.ROOT, "another reason"])
def test_what_a_machine_lacks_excuses_what_needs_it_and_nothing_else(reason: str) -> None:
    whole_run(reason)
    assert tally.complaints() == []
    for kind in kinds.EXPECTED:
        tally.tried[kind] = 0
    assert len(tally.complaints()) == len(kinds.EXPECTED) - len(kinds.NEEDING.get(reason, ()))


def test_a_run_that_left_something_out_ends_with_a_code_and_a_word_of_its_own() -> None:
    whole_run(kinds.STRACE, kinds.FUSE)
    assert tally.ending(tally.complaints()) == (
        tally.NOT_WHOLE,
        "Not whole: 4 tests did not run, for the reasons above. All others are good.",
    )
    assert tally.ending(tally.complaints(whole=False), whole=False)[0] == tally.NOT_WHOLE


def test_each_reason_that_excuses_is_one_of_a_machine() -> None:
    assert set(kinds.NEEDING) < {why for _, why in here.NEEDS.values()} == {kinds.ROOT, kinds.STRACE, kinds.FUSE}
    assert sum(map(len, kinds.NEEDING.values())) + len(kinds.EVERYWHERE) + 1 == len(kinds.EXPECTED), "a kind is listed once"


def test_a_part_is_good_and_says_that_it_is_one() -> None:
    tally.tried["a fault"] += 1
    assert tally.complaints(whole=False) == []
    assert tally.ending([], whole=False) == (0, "Good, as far as it goes: a part was asked for.")


def test_a_part_in_which_nothing_was_tried_is_not_good() -> None:
    assert tally.complaints(whole=False) == ["no point was tried"]


def test_a_run_that_takes_too_long_is_not_good() -> None:
    whole_run()
    assert run_faults.complaints([], LONGEST, whole=True) == run_faults.complaints([], LONGEST + 60, whole=False) == []
    assert run_faults.complaints([], LONGEST + 60, whole=True) == ["it took 41.0 minutes, and may take 40 on two cores"]


@pytest.mark.parametrize(
    ("code", "told", "whole", "good"),
    [
        (0, "", True, True),
        (1, "", False, False),
        (NOTHING_CHOSEN, "", True, False),
        (NOTHING_CHOSEN, "", False, True),
        (NOTHING_CHOSEN, f"{tally.NOT_HERE}: 3 tests, {kinds.STRACE}", True, True),
    ],
)
def test_a_file_without_tests_is_good_only_where_words_or_the_machine_leave_none(code: int, told: str, whole: bool, good: bool) -> None:
    whole_run()
    found = run_faults.complaints([Done(FILE, 1.0, code, told)], 1.0, whole=whole)
    assert found == ([] if good else [f"tests/faults/test_strace_kills.py: pytest ended with {code}"])


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
