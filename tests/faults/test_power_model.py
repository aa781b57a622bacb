"""The power fails at any moment: what was not synced is gone in part or whole, and the work goes on from what is left.

tests/support/modeldisk.py says what a cut may take. And the proof that the model can see it: each sync of the product is taken away in
turn, and that must break a promise, or there is a reason here why nothing but some work, done again, depends on it.
"""

from __future__ import annotations

import pickle
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.crashes import CASES, Stage, as_on_a_share, pack, quick_folder
from tests.support.modeldisk import Kind, nothing_kept
from tests.support.powercuts import Cuts
from tests.support.tally import ALL, STRIDE, counted
from tests.support.vitals import AGAIN, EITHER, OTHER, known_to_survive, silent, silent_together, unused

pytestmark = [pytest.mark.timeout(3600 if ALL else 120), pytest.mark.faults(minutes=7)]

SUBSETS = 6 if ALL else 2
SAMPLE = ("journal: making", "journal: intent", "journal: seal", "taking.take: inprogress", "taking._take_members: the claim")
REMOVED_IN = ("partly", "attached", "refused", "released")  # the cases of which each sync is taken away

# Taken away together, because one alone is made good by another.
TOGETHER = {
    "C4: both folders of the renames of members": r"taking\.(_take_members: (drop/jdoe|the claim/d)|gather: drop/jdoe)",
    "F0: both folders of the renames of failed members": r"filing\.split: .*/d/p",
    "C3 to C6: the claim's folder": r"taking\.(_take_sidecar|_take_members|_close): the claim",
    "F0: the second claim's folder": r"filing\.(_copy|_second_claim): the failed part",
    "F1: the journal of what is filed": r"journal: file|claim\.restore_modes: what is in the claim",
    "the names of identity and journal key": r"identity\.\w+: state",
}
ONCE_MORE = "what we made gets its mode after that, and is synced again"
WHY = {
    r"claim\.restore_modes: (the claim|the failed part)": ONCE_MORE,
    r"journal: file": OTHER,
    r"journal: (claimed|annotated|messages|split|split-done|intent \(failed part\)|release)": AGAIN,
    r"filing\.file: .*": "the last rename: it is done again",
    r"filing\._copy: the failed part(/refs)?": OTHER,
    r"filing\.split: .*/d/p": EITHER,
    r"identity\.\w+: state": OTHER,
    r"taking\.(_take_sidecar: the claim|_close: the claim)": OTHER,
    r"taking\.(_take_members: (drop/jdoe|the claim/d)|gather: drop/jdoe)": EITHER,
}


@pytest.fixture
def folder() -> Iterator[Path]:
    with as_on_a_share(), quick_folder() as found:
        yield found


def stage_of(folder: Path, case: str) -> Stage:
    """`released`: a drop that is put back, because it changed, and taken again."""
    stage = Stage(folder, CASES["one" if case == "released" else case])
    if case == "released":
        stage.after_a_change()
    return stage


@pytest.mark.parametrize("case", [*CASES, "released"])
def test_a_power_cut_at_any_effect_is_survived(folder: Path, case: str) -> None:
    cuts, rng = Cuts(stage_of(folder, case)), random.Random(case)
    for state, effects in cuts.places[:: 1 if ALL else STRIDE]:
        for cut in cuts.at(state, effects, SUBSETS, rng):
            left = cuts.left(cut)
            if left is not None:
                with counted(f"power cut, {cut.kind.value}", f"{case}: {cut}"):
                    cuts.survive(left, rng)


def test_a_power_cut_while_the_first_one_is_mended_is_survived(folder: Path) -> None:
    for case in CASES if ALL else ("partly",):
        stage, rng = Stage(folder, CASES[case]), random.Random(f"{case} again")
        first = Cuts(stage)
        for _ in range(30 if ALL else 2):
            cut = rng.choice(list(first.at(*rng.choice(first.places), 3, rng)))
            left = first.left(cut)
            if left is None:
                continue
            stage.first = replace(left, server=_landed(left.server))
            second = Cuts(stage)
            for again in [rng.choice(list(second.at(*place, 2, rng))) for place in rng.sample(second.places, min(12, len(second.places)))]:
                state = second.left(again)
                if state is not None:
                    with counted("a second power cut", f"{case}: {cut}, then {again}"):
                        second.survive(state, rng)


def _landed(packed: bytes) -> bytes:
    server = pickle.loads(packed)
    server.land()
    return pack(server)


def test_the_reasons_and_samples_are_of_syncs_that_there_are(folder: Path) -> None:
    names = set().union(*(Cuts(stage_of(folder, case)).sites() for case in REMOVED_IN))
    assert unused(names, WHY) == [] == unused(names, TOGETHER.values())
    assert set(SAMPLE) <= names


@pytest.mark.parametrize("case", REMOVED_IN if ALL else ["partly"])
def test_without_any_one_vital_sync_a_power_cut_breaks_a_promise(folder: Path, case: str) -> None:
    cuts, rng = Cuts(stage_of(folder, case)), random.Random(case)
    known_to_survive(cuts, rng)
    # The second part of a drop has all syncs but a few of the others' own.
    names = cuts.sites() if case == "partly" else cuts.sites() - Cuts(stage_of(folder, "partly")).sites()
    chosen = names if ALL else names & set(SAMPLE)
    without = silent(cuts, chosen, WHY, rng, lambda name: name == "journal: imported" and deleted(cuts))
    without += silent_together(cuts, names, TOGETHER, rng) if ALL else []
    assert not without, f"nothing turns red without {without}"


def deleted(cuts: Cuts) -> bool:
    """Whether, without the sync of `imported`, what its user deletes in OMERO meanwhile is imported again."""
    return bool(imported_again(cuts, frozenset({"journal: imported"})))


def imported_again(cuts: Cuts, missing: frozenset[str]) -> list[str]:
    told = []
    for state, _ in cuts.places:
        if not any(kind == "imported" for story in state.synced.values() for kind, _, _ in story):
            continue
        server = pickle.loads(state.server)
        gone = server.complete()
        for one in gone:
            del server.filesets[one.number]
        loss = cuts.disk.durable(Kind.BARE, state.log, nothing_kept(), lambda site: bool(missing & site.names))
        lab = cuts.stage.rest(replace(state, tree=loss.tree, modes=loss.modes, server=pack(server)))
        known = [token for token in (one.token for one in gone) if token in {one.token for one in lab.server.complete()}]
        told += [f"{token} was imported twice, though its user had deleted it" for token in known]
        if told or not ALL:
            break
    return told


def test_what_is_imported_is_not_imported_again_though_it_was_deleted_before_the_cut(folder: Path) -> None:
    cuts = Cuts(Stage(folder, CASES["one"]))
    with counted("power cut, and its user has deleted what was imported"):
        told = imported_again(cuts, frozenset())
        assert not told, told
