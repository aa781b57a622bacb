"""What users, and the programs that write for them, do in a made-up history."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import rule

from dropbox_import.disk import observe
from tests.support.history import BOXES, SEEDS, USERS, History


class Users(History):
    """What happens to one drop folder, at any time and in the middle of what a daemon does there."""

    @rule(seed=SEEDS, box=BOXES)
    def a_user_meddles(self, seed: int, box: int) -> None:
        """Edits, renames or deletes what lies there, or keeps it open."""
        self.people.meddle(box, self.life(seed))

    @rule(seed=SEEDS, effects=st.integers(1, 60), box=BOXES)
    def a_user_meddles_in_the_middle(self, seed: int, effects: int, box: int) -> None:
        """Between two effects of a daemon on the disk."""
        rng = self.life(seed)
        self._at_effect(effects, rng, lambda: self.people.meddle(box, rng))

    @rule(seed=SEEDS, user=st.sampled_from(USERS), box=BOXES, sidecar_first=st.booleans())
    def a_program_begins_to_write(self, seed: int, user: str, box: int, sidecar_first: bool) -> None:
        self.life(seed)
        if box not in self.away:
            self.people.begin_to_write(self.people.home(user, box), sidecar_first)

    @rule(seed=SEEDS, ends=st.booleans())
    def a_program_writes_on(self, seed: int, ends: bool) -> None:
        """Its file may have been taken long ago."""
        rng = self.life(seed)
        if self.people.writers:
            writer = rng.choice(self.people.writers)
            self.people.write(writer)
            if ends:
                self.people.stop(writer)

    @rule(seed=SEEDS, effects=st.integers(1, 60))
    def a_program_writes_on_in_the_middle(self, seed: int, effects: int) -> None:
        rng = self.life(seed)
        if self.people.writers:
            writer = rng.choice(self.people.writers)
            self._at_effect(effects, rng, lambda: self.people.write(writer))

    def _at_effect(self, effects: int, rng: random.Random, act: Callable[[], None]) -> None:
        count = 0

        def observer(_when: str, _what: str, _path: Path) -> None:
            nonlocal count
            count += 1
            if count == effects:
                act()

        observe.set_observer(observer)
        try:
            self.goes_on(30, rng)
        finally:
            observe.set_observer(None)

    @rule(seed=SEEDS)
    def a_user_takes_back_what_failed(self, seed: int) -> None:
        """As REASON.txt says."""
        rng = self.life(seed)
        if folders := self.lab.filed("failed"):
            folder = rng.choice(folders)
            box = next(number for number, root in enumerate(self.lab.boxes) if root in folder.parents)
            self.people.take_back(folder, self.people.home(folder.parts[-3], box))
