"""Which images count as finished, and that a submission of ten thousand filesets is looked up in time in proportion to its size."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from dropbox_import.importer import queries
from dropbox_import.importer.fileset import look_up
from dropbox_import.importer.finished import PENDING, Work, work_on
from dropbox_import.workers.limits import limit_of
from tests.unit.importer.foreign import errors

assert errors
SMALL, LARGE, HASH = (512, 512), (40_000, 30_000), "0f" * 20
Image = tuple[int, str | None, tuple[int, int]]  # series, hash, plane


class Session:
    """Answers the questions of a look-up; `seen` filesets have a row of the third step from the session of their import."""

    def __init__(self, images: dict[int, list[Image]], seen: dict[str, set[int]] | None = None) -> None:
        self.record = SimpleNamespace(owner="jdoe")
        self.images = images
        self.seen = seen or {}
        self.asked: list[int] = []
        self.told: list[str] = []

    def ask(self, hql: str, **values: Any) -> list[list[Any]]:
        wanted = values.get("f", [])
        self.asked.append(len(wanted))
        if hql == queries.ATTEMPTS:
            return [[number, f"s/k{number}", '{"session": 9}', "jdoe", "lab", "Finished"] for number in self.images]
        if hql == queries.STATE_OF_IMAGES:
            return [
                [fileset, fileset * 10 + place, series, sha1, *plane]
                for fileset in wanted
                for place, (series, sha1, plane) in enumerate(self.images[fileset])
            ]
        (kind,) = [kind for kind, text in queries.THIRD_STEP.items() if text == hql]
        return [[fileset] for fileset in wanted if fileset in self.seen.get(kind, ())]

    def in_call(self, name: str, _bytes: int = 0) -> None:
        self.told.append(name)


def _work(images: list[Image], **seen: set[int]) -> Work:
    session: Any = Session({7: images}, seen)
    return work_on(session, [7], session).get(7, Work())


@pytest.mark.parametrize(
    ("images", "finished", "doubtful"),
    [
        pytest.param([], False, False, id="no image"),
        pytest.param([(0, HASH, SMALL)], True, False, id="a hash"),
        pytest.param([(0, PENDING, SMALL)], False, False, id="none yet, of a plane that gets one"),
        pytest.param([(0, None, SMALL)], False, False, id="nothing there"),
        pytest.param([(0, PENDING, LARGE)], False, True, id="none, of a plane that gets none"),
        pytest.param([(0, PENDING, LARGE), (0, PENDING, LARGE)], False, True, id="several, none of them beyond the first step"),
        pytest.param([(0, PENDING, LARGE), (1, PENDING, LARGE)], True, False, id="each knows its series"),
        pytest.param([(0, PENDING, LARGE), (0, HASH, SMALL)], True, False, id="the label of a slide has one"),
    ],
)
def test_one_sign_of_the_second_step_tells_it_of_the_whole_fileset(images: list[Image], finished: bool, doubtful: bool) -> None:
    work = _work(images)
    assert (work.finished, work.doubtful, len(work.images)) == (finished, doubtful, len(images))


@pytest.mark.parametrize("kind", queries.THIRD_STEP)
@pytest.mark.parametrize("plane", [SMALL, LARGE], ids=["of a format that knows its minimum", "large"])
def test_a_row_of_the_third_step_tells_that_the_second_is_over(kind: str, plane: tuple[int, int]) -> None:
    work = _work([(0, PENDING, plane)], **{kind: {7}})
    assert (work.finished, work.doubtful) == (True, False)


def test_a_look_up_of_twenty_thousand_filesets_asks_for_some_at_a_time_and_costs_no_square() -> None:
    number = 20_000
    session: Any = Session({one: [(0, PENDING, LARGE)] for one in range(1, number + 1)}, {"Thumbnail": set(range(1, number + 1, 2))})
    began = time.process_time()
    found = look_up(session, "s", session)
    assert time.process_time() - began < 6.0  # with a pass over all for each of them it is twenty
    assert [one["fileset"] for one in found] == list(range(1, number + 1))
    assert all(one["complete"] is (one["fileset"] % 2 == 1) for one in found)
    assert all(one["doubtful"] is not one["complete"] for one in found)
    assert found[0]["images"] == [10]
    assert max(session.asked) <= 500
    # Each question has the limit of a call for itself.
    assert session.told == ["look_up"] * (len(session.asked) - 1)
    assert limit_of("look_up", 0) >= 60.0
