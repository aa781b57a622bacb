"""Which sidecars were seen to claim the same file, for as long as it takes to refuse them all."""

from __future__ import annotations

from collections.abc import Hashable

from dropbox_import.intake.members import Problem

# From the moment that one of them has left the folder to the claim of the last one.
REMEMBERED = 120.0


class Disputes:
    """They leave the folder one after the other, and the last one must not get the file because it is alone by then."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Hashable, tuple[Problem, ...], float]] = {}

    def remember(self, sidecar: str, state: Hashable, problems: tuple[Problem, ...], now: float) -> None:
        """This sidecar, in this state of its file, is refused for these problems."""
        self._known[sidecar] = (state, problems, now)

    def recall(self, sidecar: str, state: Hashable, now: float) -> tuple[Problem, ...]:
        """For what it was refused a moment ago; empty if it has been saved anew since, or was never disputed."""
        known = self._known.get(sidecar)
        if known is None:
            return ()
        if known[0] != state or now - known[2] > REMEMBERED:
            del self._known[sidecar]
            return ()
        return known[1]
