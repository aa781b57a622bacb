"""The filesets of one drop as an immutable map whose next version costs little, however many they are. Pure.

A fold makes a new state at each record. With ten thousand filesets in a plain dict each record would
copy them all; here it copies the two small tuples that the changed one lies in. What is asked for
again and again (how many are not settled, which of them have something under way) is kept along.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Generic, Protocol, TypeVar


class OneFileset(Protocol):
    """What the map has to know of its values."""

    @property
    def settled(self) -> bool: ...

    @property
    def attempt(self) -> Any: ...

    @property
    def fences(self) -> tuple[int, ...]: ...


State = TypeVar("State", bound=OneFileset)

_NOWHERE: Mapping[str, int] = MappingProxyType({})


class Filesets(Mapping[str, State], Generic[State]):
    """In the order in which they were found. `names` is one object for all versions with the same keys."""

    __slots__ = ("_chunks", "_size", "names", "sessions_of", "unsettled")

    def __init__(self, states: Mapping[str, State] = MappingProxyType({})) -> None:
        self.names: Mapping[str, int] = {key: place for place, key in enumerate(states)} if states else _NOWHERE
        self._size = max(1, math.isqrt(len(self.names)))
        found = tuple(states.values())
        self._chunks = tuple(found[start : start + self._size] for start in range(0, len(found), self._size))
        self.unsettled = sum(not one.settled for one in found)
        # The filesets with an attempt, or with sessions in which something of theirs may still land.
        self.sessions_of = frozenset(key for key, one in states.items() if _refers(one))

    def __getitem__(self, key: str) -> State:
        chunk, place = divmod(self.names[key], self._size)
        return self._chunks[chunk][place]

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return f"Filesets({dict(self)!r})"

    def put(self, key: str, state: State) -> Filesets[State]:
        """The same with another state for one of its keys."""
        chunk, place = divmod(self.names[key], self._size)
        old = self._chunks[chunk]
        fresh: Filesets[State] = Filesets.__new__(Filesets)
        fresh.names, fresh._size = self.names, self._size
        fresh._chunks = (*self._chunks[:chunk], (*old[:place], state, *old[place + 1 :]), *self._chunks[chunk + 1 :])
        fresh.unsettled = self.unsettled + old[place].settled - state.settled
        fresh.sessions_of = self.sessions_of
        if _refers(state) != (key in self.sessions_of):
            fresh.sessions_of = self.sessions_of | {key} if _refers(state) else self.sessions_of - {key}
        return fresh


def _refers(state: OneFileset) -> bool:
    return state.attempt is not None or bool(state.fences)
