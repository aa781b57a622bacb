"""One container or tag of a name, even if several importers make it at the same moment.

OMERO has nothing that forbids a second one, so each importer makes its own and then looks: who finds others settles on one of them by
a rule that gives all of them the same answer, and what is empty and not chosen is removed. A commit may show itself later than one
with a higher number; but of two the one that commits last sees the other, so no two of them can both be in use unseen.

Twins are told from what people made by their history: through a session that our account opened for the owner, within a short time,
in the same place. What is not a twin is never removed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dropbox_import.errors import DropboxImportError
from dropbox_import.importer import queries
from dropbox_import.importer.discard import delete
from dropbox_import.importer.errors import calling
from dropbox_import.importer.sessions import OwnerSession

TOGETHER = 120_000  # milliseconds between the making of two twins
PATIENCE = 2.0  # seconds in which who made the other one takes it away, or puts something into it
_LOOK = 0.1
_LOOKS = 20
_KEPT = {"Project": "Dataset", "Dataset": "Image"}
_LEFT = ("permission", "refused", "delete-refused")


def in_use(session: OwnerSession, kind: str, number: int) -> bool:
    """Whether anything lies in that project or dataset, or bears that tag."""
    with calling("looking what holds something"):
        return any(session.ask(text, o=number)[0][0] for text in queries.USES[kind])


def groups(session: OwnerSession, kind: str, numbers: Sequence[int]) -> list[list[int]]:
    """The twins among `numbers`, those that were made together in one list; each list is sorted and has two at least."""
    if len(numbers) < 2:
        return []
    with calling("asking who made containers of one name"):
        rows = session.ask(queries.MADE_BY[kind], i=list(numbers), u=session.config.user)
    made = sorted((int(row[2] or 0) if len(row) > 2 else 0, int(row[1]), int(row[0])) for row in rows)
    found: list[list[int]] = []
    last: tuple[int, int] | None = None
    for place, time, number in made:
        if last is not None and last[0] == place and time - last[1] <= TOGETHER:
            found[-1].append(number)
        else:
            found.append([number])
        last = (place, time)
    return [sorted(group) for group in found if len(group) > 1]


def chosen(session: OwnerSession, kind: str, group: Sequence[int]) -> int:
    """The lowest that is in use, else the lowest: what is chosen stays so for all who ask later."""
    return next((number for number in sorted(group) if in_use(session, kind, number)), min(group))


def steady(session: OwnerSession, kind: str, look: Callable[[], Sequence[int]]) -> tuple[list[int], list[list[int]]]:
    """What `look` finds and the twins in it, with nothing gone in between: half of a pair looks like something that a person made."""
    found, together = sorted(look()), list[list[int]]()
    for _ in range(_LOOKS):
        together = groups(session, kind, found)
        again = found if len(found) < 2 else sorted(look())
        if again == found:
            break
        found = again
    return found, together


def without_doubles(session: OwnerSession, kind: str, look: Callable[[], Sequence[int]]) -> tuple[list[int], bool]:
    """What `look` finds, with only the chosen one of each group of twins, and whether there were any. Nothing is changed."""
    found, together = steady(session, kind, look)
    left = set(found)
    for group in together:
        left -= set(group) - {chosen(session, kind, group)}
    return sorted(left), bool(together)


def settle(session: OwnerSession, kind: str, look: Callable[[], Sequence[int]], ours: int = 0) -> list[int]:
    """What `look` finds (the owner's own of one name), after the twins that are not chosen were removed if they are empty.

    `ours` is what this call has made, and takes away at once if it is not chosen. The makers of the others do the same if they live,
    so they are given a moment.
    """
    waited = 0.0
    while True:
        found, together = steady(session, kind, look)
        for group in together:
            if ours in group and chosen(session, kind, group) != ours:
                remove_if_empty(session, kind, ours)
                found.remove(ours)
                group.remove(ours)
        if waited >= PATIENCE or not any(len(group) > 1 and not in_use(session, kind, min(group)) for group in together):
            break
        session.clock.sleep(_LOOK)
        waited += _LOOK
    for group in together:
        winner = chosen(session, kind, group)
        for number in group:
            if number != winner:
                remove_if_empty(session, kind, number)
                found.remove(number)
    return found


def remove_if_empty(session: OwnerSession, kind: str, number: int) -> None:
    """It may be gone already. What is put into it in this very moment is not removed with it."""
    try:
        if not in_use(session, kind, number):
            delete(session, kind, number, keep=_KEPT.get(kind))
    except DropboxImportError as error:
        if error.kind not in _LEFT:
            raise
