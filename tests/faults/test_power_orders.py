"""The power fails, or the daemon ends twice, in what begins with something filed: an order of an administrator, a folder put back; and
where a sync of a journal failed before.

As tests/faults/test_power_model.py for drops on their plain way: cuts at any effect, and each sync taken away that these have of their own.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.crashes import CASES, Stage, State, as_on_a_share, quick_folder
from tests.support.ordercases import ORDERS
from tests.support.orderstages import PUT_BACK, stage_of
from tests.support.powercuts import Cuts
from tests.support.tally import ALL, STRIDE, counted
from tests.support.vitals import AGAIN, EITHER, OTHER, known_to_survive, silent, silent_together, unused

pytestmark = [pytest.mark.timeout(3600 if ALL else 120), pytest.mark.faults(minutes=4)]

WHATS = (*ORDERS, *PUT_BACK)
MOST = 70  # places in a life at which the power fails
PAIRS = 60 if ALL else 4  # of which the second end is lived on from
# The first such sync fails; in a drop of two parts, whose second journal is written while the first one goes on.
BROKEN = ("intent", "claimed", "begin", "imported", "split", "file", "intent (failed part)", "claimed (failed part)", "file (failed part)")
SAMPLE = ("reopen.begin_anew: the claim", "reopen._remove_for_good: failed/jdoe/MONTH", "orders._give_back: state/commands")
TOGETHER = {
    "retry and discard: both folders of a rename": r"reopen\._sync_names: .*",
    "retry: both folders of what goes back": r"reopen\.give_back: .*",
    "C4: both folders of what was put back": r"taking\.(_take_members|gather): (drop/jdoe/again.*|the claim/d)",
}
WHY = {
    r"reopen\._sync_names: .*": EITHER,
    r"reopen\.(give_back|_give_back_sidecar): (drop/jdoe|failed/jdoe/MONTH)": EITHER,
    r"taking\.(_take_members|gather): drop/jdoe/.*": EITHER,
    r"taking\._move_in: the claim": OTHER,
    r"order_files\._remove: state/commands": "its answer is there, so it is not carried out again",
    r"(adopt\.make_ours: the claim|journal: (discard|lost))": AGAIN,
}


@pytest.fixture
def folder() -> Iterator[Path]:
    with as_on_a_share(), quick_folder() as found:
        yield found


def cut(cuts: Cuts, kind: str, what: str, stride: int) -> None:
    rng = random.Random(what)
    for state, effects in cuts.places[:: 1 + len(cuts.places) // MOST if ALL else stride]:
        for one in cuts.at(state, effects, 1, rng):
            left = cuts.left(one)
            if left is not None:
                with counted(f"{kind}, {one.kind.value}", f"{what}: {one}"):
                    cuts.survive(left, rng)


@pytest.mark.parametrize("what", WHATS)
def test_a_power_cut_at_any_effect_is_survived(folder: Path, what: str) -> None:
    cut(Cuts(stage_of(folder, what)), "power cut in an order, or in what was put back", what, STRIDE)


@pytest.mark.parametrize("what", BROKEN if ALL else ["intent", "claimed (failed part)"])
def test_a_power_cut_after_a_sync_that_failed_is_survived(folder: Path, what: str) -> None:
    """What the old file shows is not believed any more, by whoever opens it: the journal goes on in a new segment."""
    stage = Stage(folder, CASES["partly"])
    stage.breaks = f"journal: {what}"
    cut(Cuts(stage), "power cut after a failed sync of a journal", what, 2 * STRIDE)


@pytest.mark.parametrize("what", WHATS)
def test_an_end_at_any_effect_and_again_at_any_effect_of_the_next_life_is_survived(folder: Path, what: str) -> None:
    stage, rng = stage_of(folder, what), random.Random(what)
    first: dict[bytes, State] = {}
    second: dict[bytes, State] = {}
    stage.judge(stage.life(stage.first, lambda state, _: first.setdefault(state.likeness(), state)), {})
    for state in _some(list(first.values()), PAIRS // 4, rng):
        stage.life(state, lambda state, _: second.setdefault(state.likeness(), state))
    for state in _some(list(second.values()), PAIRS, rng):
        with counted("the daemon ends twice in an order, or in what was put back", what):
            stage.judge(stage.rest(state), state.synced)


def _some(states: list[State], most: int, rng: random.Random) -> list[State]:
    return rng.sample(states, min(most, len(states)))


def own(folder: Path) -> dict[str, str]:
    """Each sync that a drop on its plain way does not have, and where it is."""
    plain = set().union(*(Cuts(Stage(folder, case)).sites() for case in CASES.values()))
    found: dict[str, str] = {}
    for what in WHATS:
        for name in Cuts(stage_of(folder, what)).sites() - plain:
            found.setdefault(name, what)
    return found


def test_without_any_one_vital_sync_a_power_cut_breaks_a_promise(folder: Path) -> None:
    names = own(folder)
    assert unused(names, WHY) == []
    assert set(SAMPLE) <= set(names)
    without = []
    for what in WHATS:
        mine = {name for name, where in names.items() if where == what}
        chosen = mine if ALL else mine & set(SAMPLE)
        if chosen:
            cuts, rng = Cuts(stage_of(folder, what)), random.Random(what)
            known_to_survive(cuts, rng)
            without += silent(cuts, chosen, WHY, rng)
            without += silent_together(cuts, cuts.sites(), TOGETHER, rng) if ALL else []
    assert not without, f"nothing turns red without {without}"
