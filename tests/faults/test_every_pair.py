"""The daemon ends at an effect on the disk, the next one ends at any effect of its own life, and the third one finds what they left.

Most pairs leave what another one has left: the same tree and the same server but for times, check sums and the chance in ids. Such a
state is lived on from once, and counts once. In `make faults` what every pair of every case leaves is lived on from.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.crashes import CASES, Stage, State, as_on_a_share, quick_folder
from tests.support.modeldisk import ModelDisk, Tree
from tests.support.tally import ALL, STRIDE, counted

pytestmark = [pytest.mark.timeout(3600 if ALL else 120), pytest.mark.faults(minutes=3)]


@pytest.fixture
def folder() -> Iterator[Path]:
    with as_on_a_share(), quick_folder() as found:
        yield found


class Found:
    """The states that a first or a second end leaves, and at how many effects it does so."""

    def __init__(self) -> None:
        self.states: dict[bytes, State] = {}
        self.ends = 0

    def visit(self, state: State, effects: int) -> None:
        self.states.setdefault(state.likeness(), state)
        self.ends += effects

    def some(self, stride: int) -> list[State]:
        """All of them, or a sample."""
        return list(self.states.values())[:: 1 if ALL else stride]


@pytest.mark.parametrize("case", CASES)
def test_an_end_at_any_effect_and_again_at_any_effect_of_the_next_life_is_survived(folder: Path, case: str) -> None:
    stage = Stage(folder, CASES[case])
    first, second = Found(), Found()
    stage.judge(stage.life(stage.first, first.visit), {})
    assert first.ends > 100
    for state in first.some(STRIDE):
        stage.life(state, second.visit)
    for state in second.some(3 * STRIDE):
        with counted("the daemon ends at every pair of effects", case):
            stage.judge(stage.rest(state), state.synced)
    if ALL:
        assert second.ends > 3000


@pytest.mark.parametrize("case", CASES)
def test_the_model_of_the_disk_misses_nothing(folder: Path, case: str) -> None:
    """What the log of the calls makes is what lies on the real disk in the end."""
    stage = Stage(folder, CASES[case])
    stage.life(stage.first, lambda state, effects: None)
    assert contents(stage.disk.now()) == contents(ModelDisk.of(folder).now())


def contents(tree: Tree) -> dict[str, bytes | None]:
    return {path: content[0] if content is not None else None for path, content in tree.items()}
