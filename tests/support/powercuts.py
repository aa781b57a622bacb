"""Power cuts in one life of the daemon: at each place in it, what each kind of file system may leave; and a sync taken away.

The daemon's machine goes off, OMERO's does not: what the server was asked last may still happen, after the daemon's next look.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import yaml

from dropbox_import.errors import DropboxImportError
from tests.support.crashes import Stage, State
from tests.support.modeldisk import Choice, Kind, ModelDisk, Synced, by_chance, nothing_kept, only_lost
from tests.support.sites import Site

LANDINGS = 3  # moments at which what is still inside the server may happen


def none(_: Site) -> bool:
    return False


@dataclass(frozen=True)
class Cut:
    """One cut: after so much of the log, with what the server knows then."""

    state: State
    effects: int
    kind: Kind
    choice: Choice
    what: str

    def __str__(self) -> str:
        return f"after {self.state.log} of the log, {self.kind.value}, {self.what}"


class Cuts:
    """The cuts of one life of a case. States that were lived on from already are not tried twice."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.bare = stage.first.bare  # it begins with what such a cut has left
        self.places: list[tuple[State, int]] = []
        stage.life(stage.first, lambda state, effects: self.places.append((state, effects)), late=True)
        self.disk: ModelDisk = stage.disk
        self.known: set[bytes] = set()

    def sites(self) -> set[str]:
        return {name for entry in self.disk.log if isinstance(entry, Synced) for name in entry.site.names}

    def at(self, state: State, effects: int, subsets: int, rng: random.Random) -> Iterator[Cut]:
        for kind in Kind:
            yield Cut(state, effects, kind, nothing_kept(), "nothing kept")
            for number in range(subsets):
                yield Cut(state, effects, kind, by_chance(rng), f"subset {number}")

    def left(self, cut: Cut, without: Callable[[Site], bool] = none) -> State | None:
        """What the cut leaves; None when that was lived on from before."""
        loss = self.disk.durable(cut.kind, cut.state.log, cut.choice, without)
        # Of a journal whose sync is taken away nobody was promised anything.
        synced = cut.state.synced if without is none else {}
        state = replace(cut.state, tree=loss.tree, modes=loss.modes, synced=synced, bare=self.bare or cut.kind is Kind.BARE)
        key = state.likeness()
        if key in self.known:
            return None
        self.known.add(key)
        return state

    def survive(self, state: State, rng: random.Random) -> None:
        """Raises AssertionError where a promise is broken."""
        late = b"Late" in state.server
        try:
            lab = self.stage.rest(state, land_at=rng.randint(1, 9) if late else 0)
        except (OSError, DropboxImportError) as error:
            raise AssertionError(f"stuck: the daemon does not start: {error}") from error
        try:
            self.stage.judge(lab, state.synced)
        except (OSError, ValueError, TypeError, KeyError, AttributeError, yaml.YAMLError) as error:
            raise AssertionError(f"what should be in a filed folder is lost: {error!r}") from error

    def without(self, names: frozenset[str], rng: random.Random) -> Iterator[Cut]:
        """Cuts that may tell whether these syncs are needed: with what they alone make last lost; then with all lost, and by chance."""
        first = next(place for place, entry in enumerate(self.disk.log) if isinstance(entry, Synced) and names & entry.site.names)
        behind = [(state, effects) for state, effects in self.places if state.log > first]
        for state, effects in behind:
            for kind in Kind:
                alone, contents = self._made_last_by(names, kind, state.log)
                if alone or contents:
                    yield Cut(state, effects, kind, only_lost(alone), "only what that makes last is lost")
        for (state, effects), (other, others) in zip(behind, rng.sample(behind, len(behind)), strict=True):
            for kind in Kind:
                yield Cut(state, effects, kind, only_lost(frozenset()), "only contents are lost")
                yield Cut(state, effects, kind, nothing_kept(), "nothing kept")
                yield Cut(other, others, kind, by_chance(rng), "by chance")

    def _made_last_by(self, names: frozenset[str], kind: Kind, upto: int) -> tuple[frozenset[int], bool]:
        """Which names and modes, and whether anything of contents."""
        log = self.disk.log[:upto]
        with_it, safe = self.disk._forced(kind, log, none)
        without_it, less = self.disk._forced(kind, log, lambda site: bool(names & site.names))
        return frozenset(with_it - without_it), safe != less

    def red(self, names: frozenset[str], most: int, rng: random.Random) -> str:
        """What turns red when the syncs of these names are taken away; "" when nothing does in so many lives."""
        before, self.known = self.known, set(self.known)
        lives = 0
        try:
            for cut in self.without(names, rng):
                state = self.left(cut, lambda site: bool(names & site.names))
                if state is None:
                    continue
                for _ in range(LANDINGS if b"Late" in state.server else 1):
                    try:
                        self.survive(state, rng)
                    except AssertionError as error:
                        return f"{cut}: {error}"
                    lives += 1
                if lives >= most:
                    break
        finally:
            self.known = before
        return ""
