"""Each sync of the product taken away in turn: a power cut must break a promise then, or a reason says why nothing depends on it."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Collection, Iterable, Mapping

from tests.support.powercuts import Cuts
from tests.support.tally import ALL, vital

# Why nothing depends on a sync.
AGAIN = "the step is done again with the same outcome"
OTHER = "another sync of the same folder or file follows, before anything depends on it"
EITHER = "a rename is whole or not at all, so the sync of its other folder does as well"

MOST_LIVES = 150 if ALL else 40  # without a sync, before it is said that nothing turns red


def known_to_survive(cuts: Cuts, rng: random.Random) -> None:
    """What the syncs that are there leave is tried elsewhere."""
    for state, effects in cuts.places:
        for cut in cuts.at(state, effects, 0, rng):
            cuts.left(cut)


def reason(name: str, why: Mapping[str, str]) -> str:
    return next((told for pattern, told in why.items() if re.fullmatch(pattern, name)), "")


def silent(
    cuts: Cuts, names: Collection[str], why: Mapping[str, str], rng: random.Random, also: Callable[[str], bool] = lambda _: False
) -> list[str]:
    """Those of which nothing turns red without them, and no reason says why. `also`: what else may turn red."""
    found = []
    for name in sorted(names):
        told = reason(name, why)
        red = bool(cuts.red(frozenset({name}), MOST_LIVES, rng)) or also(name)
        vital(name, red, told)
        if not red and not told:
            found.append(name)
    return found


def silent_together(cuts: Cuts, names: Collection[str], together: Mapping[str, str], rng: random.Random) -> list[str]:
    """As `silent`, for syncs that are taken away at once, since one alone is made good by another."""
    found = []
    for title, pattern in together.items():
        chosen = frozenset(name for name in names if re.fullmatch(pattern, name))
        if len(chosen) > 1:
            red = bool(cuts.red(chosen, MOST_LIVES, rng))
            vital(title, red)
            found += [] if red else [title]
    return found


def unused(names: Collection[str], patterns: Iterable[str]) -> list[str]:
    """Those of what is not there."""
    return [pattern for pattern in patterns if not any(re.fullmatch(pattern, name) for name in names)]
