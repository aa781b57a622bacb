"""How long a call may take, and what becomes of a worker that takes longer: pure decisions with times given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import dropbox_import
from dropbox_import.workers.crew import Act, Member, State
from dropbox_import.workers.limits import END_GRACE, LIMITS, OTHERS, OVER_GRACE, Limit, limit_of
from dropbox_import.workers.protocol import Command, InCall, Role, Started
from dropbox_import.workers.replies import Reply, Ticket

IDLE = 60.0


def nothing(reply: Reply) -> None:
    pass


def ready(cap: int = 4, role: Role = "importer") -> Member:
    member = Member(5, role, False, cap, 0.0)
    member.enter(State.READY, 0.0)
    return member


def fly(member: Member, do: str, now: float, started: bool = True, **args: Any) -> int:
    ticket = Ticket("importer", Command(1, do, args, drop=do), nothing, alone=False, worker=None)
    number = member.fly(ticket, ticket.command, now).id
    if started:
        member.note(Started(number), now)
    return number


@pytest.mark.parametrize(
    ("call", "size", "seconds"),
    [
        ("inspect", 0, 600),
        ("inspect", 10**14, 600),
        ("login", 10**12, 60),
        ("write", 5_000_000, 600),
        ("close", 50_000_000_000, 10_120),
        ("commit", 0, 4500),
        ("poll", 0, 120),
        ("anything else", 10**12, 120),
    ],
)
def test_each_call_has_its_limit_by_name_and_size(call: str, size: int, seconds: float) -> None:
    assert limit_of(call, size) == seconds


def test_the_table_in_the_documentation_is_the_table_in_the_code() -> None:
    page = Path(dropbox_import.__file__).parent.parent / "docs" / "worker-protocol.md"
    rows = [line.strip("| ").split(" | ") for line in page.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    named = {row[0].strip("`"): row for row in rows if len(row) == 3}
    for name, limit in {**LIMITS, "others": OTHERS}.items():
        assert named[name][1] == said(limit), name


def said(limit: Limit) -> str:
    return f"{limit.seconds:.0f} s" + (f" + 1 s per {limit.bytes_per_second // 1_000_000} MB" if limit.bytes_per_second else "")


def test_an_inspection_has_its_limit_whatever_the_sizes_of_its_members() -> None:
    """Only headers are read: a sparse file of 100 TB kept the one inspector from all boxes for 58 days."""
    member = ready()
    fly(member, "inspect", 0.0, members=[{"path": "a", "size": 10**14}])
    assert member.judge(600.0, IDLE)[0] is Act.KILL


def test_an_inspector_that_cannot_be_killed_is_lost_and_an_importer_never() -> None:
    roles: tuple[Role, ...] = ("inspector", "importer")
    for role in roles:
        member = ready(role=role)
        fly(member, "inspect", 0.0)
        assert member.judge(600.0, IDLE)[0] is Act.KILL
        assert not member.lost(600.0 + END_GRACE - 1)
        assert member.lost(600.0 + END_GRACE) is (role == "inspector")


def test_a_worker_that_was_not_killed_is_not_lost() -> None:
    member = ready(role="inspector")
    fly(member, "inspect", 0.0)
    assert not member.lost(10_000.0)


def test_the_limit_counts_from_the_begin_of_the_running_call() -> None:
    member = ready()
    number = fly(member, "send", 0.0)
    for now in range(500, 5000, 500):
        member.note(InCall(number, "write", 5_000_000), float(now))
        assert member.judge(float(now), IDLE)[0] is Act.NOTHING
    assert member.judge(4500.0 + 599, IDLE)[0] is Act.NOTHING
    assert member.judge(4500.0 + 600, IDLE)[0] is Act.KILL


def test_when_to_look_again_is_the_first_limit_that_comes_due() -> None:
    member = ready()
    fly(member, "commit", 0.0)
    number = fly(member, "send", 0.0)
    member.note(InCall(number, "login"), 10.0)
    assert member.judge(20.0, IDLE) == (Act.NOTHING, 70.0)


def test_over_the_limit_the_others_get_a_short_time_and_no_new_work_is_given() -> None:
    member = ready()
    hung, other = fly(member, "poll", 0.0), fly(member, "commit", 0.0)
    assert member.room() == 2
    assert member.judge(120.0, IDLE) == (Act.NOTHING, 120.0 + OVER_GRACE)
    assert member.room() == 0
    assert member.judge(120.0 + OVER_GRACE - 1, IDLE)[0] is Act.NOTHING
    assert member.judge(120.0 + OVER_GRACE, IDLE)[0] is Act.KILL
    answers = member.obituary(160.0, "signal 9", by_us=False)
    replies = {ticket.command.do: reply for ticket, reply in answers}
    assert (replies["poll"].died, replies["poll"].error and replies["poll"].error.kind, replies["poll"].company) == (True, "hung", 0)
    assert (replies["commit"].died, replies["commit"].error and replies["commit"].error.kind) == (False, "worker-stopped")
    assert {reply.effect for reply in replies.values()} == {"unknown"}
    assert {hung, other} == {1, 2}


def test_a_call_that_comes_back_in_the_grace_gives_the_worker_back_its_work() -> None:
    member = ready()
    late, _ = fly(member, "poll", 0.0), fly(member, "commit", 0.0)
    member.judge(121.0, IDLE)
    member.land(late, 125.0)
    assert member.judge(125.0, IDLE)[0] is Act.NOTHING
    assert member.room() == 3


def test_a_command_that_waits_inside_the_worker_is_not_the_one_that_hangs() -> None:
    member = ready()
    fly(member, "commit", 0.0)
    fly(member, "poll", 0.0, started=False)
    assert member.judge(4000.0, IDLE)[0] is Act.NOTHING


def test_a_worker_that_takes_nothing_up_hangs() -> None:
    member = ready()
    fly(member, "poll", 0.0, started=False)
    assert member.judge(119.0, IDLE)[0] is Act.NOTHING
    assert member.judge(120.0, IDLE)[0] is Act.KILL


def test_the_dead_leave_an_answer_to_each_command_and_what_was_not_begun_had_no_effect() -> None:
    member = ready()
    fly(member, "begin", 0.0)
    fly(member, "send", 0.0)
    fly(member, "poll", 0.0, started=False)
    replies = {ticket.command.do: reply for ticket, reply in member.obituary(1.0, "signal 11", by_us=False)}
    assert [(replies[do].died, replies[do].effect, replies[do].company) for do in ("begin", "send", "poll")] == [
        (True, "unknown", 1),
        (True, "unknown", 1),
        (False, "none", 0),
    ]
    assert "signal 11" in str(replies["begin"].error)


def test_an_idle_worker_is_let_go_and_killed_if_it_does_not_go() -> None:
    member = ready()
    member.land(fly(member, "poll", 0.0), 10.0)
    assert member.judge(69.0, IDLE) == (Act.NOTHING, 70.0)
    assert member.judge(70.0, IDLE)[0] is Act.LET_GO
    member.enter(State.ENDING, 70.0)
    assert not member.open()
    assert member.judge(70.0 + END_GRACE - 1, IDLE)[0] is Act.NOTHING
    assert member.judge(70.0 + END_GRACE, IDLE)[0] is Act.KILL
    assert member.judge(70.0 + END_GRACE + 1, IDLE)[0] is Act.NOTHING


def test_a_worker_that_never_says_hello_is_killed() -> None:
    member = Member(5, "importer", False, 4, 0.0)
    assert member.judge(119.0, IDLE)[0] is Act.NOTHING
    assert member.judge(120.0, IDLE)[0] is Act.KILL
    assert member.killed == "did not say that it is ready"


def test_urgent_commands_pass_those_that_wait_and_nobody_gets_more_than_its_cap() -> None:
    member = ready(cap=2)
    for do in ("send", "send", "send", "cancel", "poll"):
        member.waiting.append(Ticket("importer", Command(1, do), nothing, alone=False, worker=5))
    taken = member.next_tickets()
    assert [ticket.command.do for ticket in taken] == ["send", "send", "cancel"]
    for ticket in taken:
        member.fly(ticket, ticket.command, 0.0)
    assert member.next_tickets() == []
    assert [ticket.command.do for ticket in member.waiting] == ["send", "poll"]
