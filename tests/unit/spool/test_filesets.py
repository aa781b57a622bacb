"""The map of a drop's filesets: like a dict in what it says, and cheap to change however large it is."""

from __future__ import annotations

import time
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from dropbox_import.spool.filesets import Filesets


@dataclass(frozen=True)
class One:
    name: int = 0
    settled: bool = False
    attempt: int | None = None
    fences: tuple[int, ...] = ()


states = st.builds(One, st.integers(0, 3), st.booleans(), st.none() | st.integers(1, 3), st.sampled_from([(), (7,)]))


@given(st.dictionaries(st.integers(0, 40).map(str), states, max_size=40), st.lists(st.tuples(st.integers(0, 39), states), max_size=30))
def test_it_says_what_a_dict_says_after_any_changes(begin: dict[str, One], changes: list[tuple[int, One]]) -> None:
    plain, versions = dict(begin), [Filesets(begin)]
    for number, state in changes if begin else ():
        key = list(begin)[number % len(begin)]
        before = dict(versions[-1])
        versions.append(versions[-1].put(key, state))
        assert dict(versions[-2]) == before, "an older version changed"
        plain[key] = state
    found = versions[-1]
    assert list(found.items()) == list(plain.items())
    assert found.unsettled == sum(not one.settled for one in plain.values())
    assert found.sessions_of == {key for key, one in plain.items() if one.attempt is not None or one.fences}
    assert found.names is versions[0].names
    assert found.get("none") is None
    assert len(found) == len(plain)


def test_a_change_in_a_large_one_costs_about_what_it_costs_in_a_small_one() -> None:
    def seconds(size: int) -> float:
        found = Filesets({str(number): One(number) for number in range(size)})
        begun = time.perf_counter()
        for number in range(500):
            found = found.put(str(number % size), One(settled=True))
        return time.perf_counter() - begun

    small, large = min(seconds(100) for _ in range(3)), min(seconds(10_000) for _ in range(3))
    assert large < 30 * small, "a hundred times as many would be a copy of all"
