"""Who gets which command, decided without processes: children are recorded, not started."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropbox_import import __version__
from dropbox_import.clock import SystemClock
from dropbox_import.workers.child import Child, Start, environment
from dropbox_import.workers.crew import Member
from dropbox_import.workers.floor import MAX_ALONE, Floor
from dropbox_import.workers.protocol import NO_WORKER, PROTOCOL, Command, Done, Hello, Role
from dropbox_import.workers.replies import Reply, Ticket


class Some:
    importers = 2
    filesets_in_flight = 2
    inspectors = 1
    idle_after = 60.0
    inspector_memory = 1 << 30


def nothing(reply: Reply) -> None:
    pass


class HandClock(SystemClock):
    time = 1000.0

    def monotonic(self) -> float:
        return self.time


def floor(clock: SystemClock | None = None) -> Floor:
    def launch(member: Member, child: Child) -> None:
        pass

    roles: tuple[Role, ...] = ("importer", "inspector")
    how = {role: Start(role, ("never",), Path("/none")) for role in roles}
    return Floor(Some(), clock or SystemClock(), logging.getLogger("test"), how, {}, launch)


def ticket(role: Role = "importer", do: str = "poll", *, alone: bool = False, worker: int | None = None) -> Ticket:
    return Ticket(role, Command(1, do), nothing, alone=alone, worker=worker)


def greet(there: Floor, number: int, *, protocol: int = PROTOCOL, package: str = __version__, role: str = "") -> None:
    member, child = there.crew[number]
    there.greeted(member, child, Hello(protocol, package, role or member.role, 1))


def test_a_second_worker_starts_only_when_the_first_is_full_and_never_a_third() -> None:
    there = floor()
    for count, workers in ((6, 1), (1, 2), (20, 2)):
        for _ in range(count):
            there.take(ticket())
        assert len(there.crew) == workers
    assert there.busy() == 27


def test_there_are_never_more_dedicated_workers_than_allowed() -> None:
    there = floor()
    for _ in range(5):
        there.take(ticket(alone=True))
    assert len(there.crew) == MAX_ALONE
    assert all(len(member.waiting) == 1 for member, _ in there.crew.values())


def test_a_worker_of_another_protocol_or_role_is_refused_and_says_what_to_do() -> None:
    for protocol, role in ((2, "importer"), (1, "inspector")):
        there = floor()
        there.take(ticket())
        greet(there, 1, protocol=protocol, role=role)
        assert not there.flying()
        answers = there.bury(there.crew[1][0], "exit code 0")
        errors = [reply.error for _, reply in answers if reply.error is not None]
        assert [error.kind for error in errors] == ["worker-would-not-start"]
        assert "restarted" in str(errors[0])


def test_a_worker_of_another_version_works_but_is_told(caplog: pytest.LogCaptureFixture) -> None:
    there = floor()
    there.take(ticket())
    greet(there, 1, package="0.0.1")
    assert there.flying() == 1
    assert "0.0.1" in caplog.text


def test_a_command_for_a_worker_of_the_other_role_is_refused() -> None:
    there = floor()
    there.take(ticket("inspector"))
    there.take(ticket("importer", worker=1))
    assert [reply.error.kind for _, reply in there.answers if reply.error] == ["no-such-session"]


def test_what_a_dead_worker_had_not_got_yet_goes_to_the_next_in_its_order() -> None:
    there = floor()
    for number in range(8):
        there.take(ticket(do=f"step-{number}"))
    greet(there, 1)
    assert there.flying() == 6
    answers = there.bury(there.crew[1][0], "signal 9")
    assert [(each.command.do, reply.died) for each, reply in answers] == [(f"step-{number}", False) for number in range(6)]
    waiting = [each.command.do for member, _ in there.crew.values() for each in member.waiting]
    assert waiting == ["step-6", "step-7"]


def inspection(box: str, drop: str) -> Ticket:
    command = Command(1, "inspect", {"root": f"/{box}/inprogress/{drop}/d"}, drop=drop)
    return Ticket("inspector", command, nothing, alone=False, worker=None)


def hangs(there: Floor, clock: HandClock) -> Member:
    """The drop that is inspected now is not answered within its limit; returns the worker that was killed for it."""
    (member,) = (each for each, _ in there.crew.values() if each.flights and not each.killed)
    clock.time += 600
    there.judge()
    assert member.killed
    return member


def inspected(there: Floor) -> list[str]:
    return [flight.command.drop for member, _ in there.crew.values() for flight in member.flights.values()]


def test_after_a_share_that_hung_the_other_boxes_have_their_turn() -> None:
    clock = HandClock()
    there = floor(clock)
    for box, drop in (("a", "a1"), ("a", "a2"), ("a", "a3"), ("b", "b1"), ("b", "b2")):
        there.take(inspection(box, drop))
    greet(there, 1)
    there.bury(hangs(there, clock), "signal 9")
    seen = []
    for _ in range(4):
        number = max(there.crew)
        if not there.crew[number][0].flights:
            greet(there, number)
        seen += inspected(there)
        there.land(there.crew[number][0], min(there.crew[number][0].flights), clock.time)
        there.assign()
    assert seen == ["b1", "b2", "a2", "a3"]


def test_a_share_that_answers_again_waits_no_longer_than_others() -> None:
    clock = HandClock()
    there = floor(clock)
    there.take(inspection("a", "a1"))
    greet(there, 1)
    there.bury(hangs(there, clock), "signal 9")
    there.take(inspection("a", "a2"))
    greet(there, 2)
    there.land(there.crew[2][0], 1, clock.time)
    for box, drop in (("a", "a3"), ("a", "a4"), ("b", "b1")):
        there.take(inspection(box, drop))
    there.land(there.crew[2][0], 2, clock.time)
    there.assign()
    assert inspected(there) == ["a4"]


def test_a_share_that_holds_an_inspector_for_good_gets_no_other() -> None:
    clock = HandClock()
    there = floor(clock)
    there.take(inspection("a", "a1"))
    greet(there, 1)
    there.take(inspection("a", "a2"))
    member = hangs(there, clock)
    there.take(inspection("b", "b1"))
    clock.time += 9
    there.judge()
    assert len(there.crew) == 1
    clock.time += 1
    there.judge()
    greet(there, 2)
    assert inspected(there) == ["a1", "b1"]
    there.land(there.crew[2][0], 1, clock.time)
    there.assign()
    assert inspected(there) == ["a1"]
    there.bury(member, "signal 9")
    assert inspected(there) == ["a2"]


steps = st.lists(
    st.tuples(
        st.sampled_from(["take", "alone", "named", "inspect", "greet", "done", "die", "close"]), st.integers(min_value=0, max_value=6)
    ),
    max_size=40,
)


@given(steps)
def test_whatever_happens_each_command_is_answered_once_or_still_in_hand(script: list[tuple[str, int]]) -> None:
    there = floor()
    taken: list[Ticket] = []
    answered: list[Ticket] = []
    for what, number in script:
        living = [member for member, _ in there.crew.values()]
        some = living[number % len(living)] if living else None
        if what in ("take", "alone", "named", "inspect"):
            role: Role = "inspector" if what == "inspect" else "importer"
            taken.append(ticket(role, alone=what == "alone", worker=number if what == "named" else None))
            there.take(taken[-1])
        elif what == "greet" and some is not None:
            greet(there, some.number)
        elif what == "done" and some is not None and some.flights:
            flight = some.land(min(some.flights), 0.0)
            if flight is not None and flight.ticket is not None:
                answered.append(flight.ticket)
            there.assign()
        elif what == "die" and some is not None:
            answered += [each for each, _ in there.bury(some, "it died")]
        elif what == "close":
            there.close()
    assert there.busy() == len(taken) - len(answered)
    answered += [each for each, _ in there.answers]
    there.answers.clear()
    there.close()
    there.stopping = True
    for member in [member for member, _ in there.crew.values()]:
        answered += [each for each, _ in there.bury(member, "stopped")]
    answered += [each for each, _ in there.answers]
    assert sorted(map(id, answered)) == sorted(map(id, taken))
    assert there.crew == {}


def test_configure_comes_before_any_work_and_its_answer_goes_to_nobody() -> None:
    there = floor()
    there._configs = {"importer": {"host": "x"}}
    there.take(ticket(do="check"))
    greet(there, 1)
    member, child = there.crew[1]
    assert [flight.command.do for flight in member.flights.values()] == ["configure"]
    flight = member.land(1, 0.0)
    assert flight is not None
    assert flight.ticket is None
    there.configured(member, child, Done(1, {}))
    assert [each.command.do for each in member.flights.values()] == ["check"]


def test_the_environment_of_a_worker_is_a_list_of_what_it_needs() -> None:
    parent = {"PATH": "/bin", "LC_ALL": "C", "SECRET": "x", "NAMED": "y", "LD_PRELOAD": "evil.so", "PYTHONSTARTUP": "evil.py"}
    made = environment(parent, ["NAMED"], 20)
    assert set(made) - {"PYTHONPATH"} == {
        *("PATH", "LC_ALL", "NAMED", "PYTHONSAFEPATH", "PYTHONUTF8", "DROPBOX_IMPORT_LOG_LEVEL"),
        *("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"),
    }


def test_where_no_more_threads_can_be_had_every_command_is_answered_once_and_later_ones_try_again() -> None:
    there, left = floor(), [False]

    def launch(member: Member, child: Child) -> None:
        if not left[0]:
            raise RuntimeError("can't start new thread")

    there._launch = launch
    for _ in range(3):
        there.take(ticket())
    assert [reply.error.kind if reply.error else "" for _, reply in there.answers] == [NO_WORKER] * 3
    assert (len(there.crew), there.busy()) == (0, 3)
    left[0] = True
    there.take(ticket())
    assert len(there.crew) == 1
