"""Parked claims: whose turn it is, what is still known of them, and that thousands cost nothing while they wait."""

from __future__ import annotations

import time
from collections import Counter

from dropbox_import.daemon.parked import Parked, ParkedClaims
from dropbox_import.daemon.shared import Submissions
from dropbox_import.errors import ServerUnavailable


def one(name: str, owner: str = "ann", due: float = 0.0, **more: object) -> Parked:
    return Parked(name, owner, "claimed", due, **more)  # type: ignore[arg-type]


def turns(claims: ParkedClaims, now: float = 0.0, *, omero: bool = True) -> list[str]:
    """Who goes on, one after the other, when each stays at work."""
    at_work: Counter[str] = Counter()
    found = []
    while claims.ready(now, omero=omero):
        taken = claims.take(claims.next(at_work, omero=omero))
        at_work[taken.owner] += 1
        found.append(taken.name)
    return found


def test_one_users_thousands_do_not_starve_anothers_one() -> None:
    claims = ParkedClaims()
    for number in range(1000):
        claims.add(one(f"a{number}"), 0.0)
    claims.add(one("b0", "bob"), 0.0)
    assert "b0" in turns(claims)[:2]


def test_each_owner_has_its_turn_and_of_one_owner_who_came_first() -> None:
    claims = ParkedClaims()
    for number in range(3):
        for owner in ("ann", "bob", "eve"):
            claims.add(one(f"{owner}{number}", owner), 0.0)
    found = turns(claims)
    for number in range(3):
        assert sorted(found[3 * number : 3 * number + 3]) == [f"ann{number}", f"bob{number}", f"eve{number}"]


def test_who_waits_for_a_moment_has_no_turn_before_it() -> None:
    claims = ParkedClaims()
    claims.add(one("late", due=10.0), 0.0)
    assert not claims.ready(9.9, omero=True)
    assert claims.due(9.0) == 10.0
    assert turns(claims, 10.0) == ["late"]
    assert claims.due(11.0) is None


def test_who_waits_for_another_drop_has_its_turn_when_that_is_gone() -> None:
    claims = ParkedClaims()
    claims.add(one("next", due=600.0), 0.0)
    claims.hasten("next")
    claims.hasten("unknown")
    assert turns(claims) == ["next"]


def test_what_is_held_never_has_a_turn_by_itself() -> None:
    claims = ParkedClaims()
    claims.add(one("held", due=float("inf"), held=True), 0.0)
    claims.hasten("held")
    assert not claims.ready(1e9, omero=True)
    assert claims.due(0.0) is None
    assert "held" in claims


def test_while_omero_is_down_only_what_can_do_without_it_has_a_turn() -> None:
    claims = ParkedClaims()
    claims.add(one("needs", omero=True), 0.0)
    claims.add(one("not", omero=False), 0.0)
    assert turns(claims, omero=False) == ["not"]
    assert turns(claims) == ["needs"]


def test_sessions_are_known_as_long_as_one_refers_to_them() -> None:
    claims = ParkedClaims()
    claims.add(one("a", sessions=frozenset({1, 2})), 0.0)
    claims.add(one("b", sessions=frozenset({2})), 0.0)
    claims.take("a")
    assert claims.sessions() == {2}
    claims.take("b")
    assert not claims.sessions()


def test_a_run_that_ends_when_nothing_is_left_waits_for_turns_but_not_for_trouble() -> None:
    claims = ParkedClaims()
    assert not claims.moving(0.0, omero=True)
    claims.add(one("trouble", due=5.0, why=ServerUnavailable("busy")), 0.0)
    claims.add(one("other drop", due=600.0), 0.0)
    assert not claims.moving(0.0, omero=True)
    claims.add(one("needs", omero=True), 0.0)
    assert claims.moving(0.0, omero=True)
    assert not claims.moving(0.0, omero=False)
    claims.add(one("settles", due=20.0), 0.0)
    assert claims.moving(0.0, omero=False)


def test_thousands_come_and_go_in_a_time_that_grows_with_their_number_alone() -> None:
    def seconds(count: int) -> float:
        begun = time.perf_counter()
        claims = ParkedClaims()
        for number in range(count):
            claims.add(one(str(number), f"user{number % 20}", due=number % 3), 0.0)
        assert len(turns(claims, 5.0)) == count
        return time.perf_counter() - begun

    small, large = (min(seconds(count) for _ in range(3)) for count in (500, 10_000))
    assert large < 100 * small


def test_of_two_drops_of_one_submission_the_first_to_ask_goes_first_and_then_the_next() -> None:
    submissions = Submissions()
    assert submissions.enter("ann", "run-7", "a")
    assert not submissions.enter("ann", "run-7", "b")
    assert not submissions.enter("ann", "run-7", "c")
    assert submissions.enter("bob", "run-7", "d")
    assert submissions.leave("b") == "", "who only waited makes no room"
    assert submissions.leave("a") == "c"
    assert submissions.enter("ann", "run-7", "c")
    assert submissions.leave("c") == ""
    assert submissions.leave("unknown") == ""
