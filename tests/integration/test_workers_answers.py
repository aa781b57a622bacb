"""Every command is answered exactly once, in the worker's words or in ours, whatever becomes of the worker."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from dropbox_import.errors import DropboxImportError, OutcomeUnknown, Paused, SidecarInvalid, TryLater
from dropbox_import.workers import dispatcher
from dropbox_import.workers.protocol import Command, Progress
from tests.integration.workers_help import PATIENCE, ROLES, Crew, HandClock, Some, crew, until

CONFIG = {"host": "omero.example.org"}


def test_both_roles_answer_and_carry_every_field(tmp_path: Path) -> None:
    name = b"caf\xe9.tif".decode("utf-8", "surrogateescape")
    with crew(tmp_path, config=CONFIG) as here:
        for role in ROLES:
            ticket = here.workers.submit(role, Command(7, "echo", {"name": name}, drop="D", key="K", attempt=2), here.on_reply)
            reply = ticket.wait(PATIENCE)
            assert reply is not None
            assert reply.result is not None
            assert (reply.error, reply.effect, reply.died, reply.command.id) == (None, "done", False, 7)
            assert {key: reply.result[key] for key in ("args", "drop", "key", "attempt")} == {
                "args": {"name": name},
                "drop": "D",
                "key": "K",
                "attempt": 2,
            }


def test_a_thousand_commands_with_one_id_are_answered_once_each(tmp_path: Path) -> None:
    with crew(tmp_path, config=CONFIG) as here:
        tickets = [here.submit("echo", number=number) for number in range(1000)]
        for number, ticket in enumerate(tickets):
            reply = ticket.wait(PATIENCE)
            assert reply is not None
            assert reply.result is not None
            assert reply.result["args"] == {"number": number}
    assert len(here.replies) == 1000
    assert here.threads == {"importer-1"}


def test_noise_on_stdout_does_not_touch_the_protocol_and_reaches_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="test.workers")
    with crew(tmp_path) as here:
        reply = here.ask("noise", drop="20261122-x")
    assert reply.result == {"true": True}
    lines = caplog.text
    for noise in ("noise before the start", "noise while importing", "garbage", "forged", "from a grandchild"):
        assert noise in lines
    record = next(record for record in caplog.records if "a line of the log" in record.getMessage())
    assert (record.levelno, record.__dict__["drop"], record.__dict__["step"]) == (logging.WARNING, "20261122-x", "noise")
    assert record.getMessage() == "importer 1: a line of the log"


def test_an_error_of_a_handler_comes_back_with_its_mistakes(tmp_path: Path) -> None:
    with crew(tmp_path) as here:
        reply = here.ask("fail")
    assert isinstance(reply.error, SidecarInvalid)
    assert [str(mistake) for mistake in reply.error.mistakes] == ["a.yaml:3:4: no (write yes)", "a.yaml:5:1: neither"]
    assert (reply.effect, reply.died) == ("none", False)


def test_a_bug_is_told_by_its_kind_and_its_traceback_is_in_the_log_only(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with crew(tmp_path) as here:
        reply = here.ask("bug")
        assert here.ask("echo").worker == reply.worker
    assert type(reply.error) is DropboxImportError
    assert (reply.error.kind, reply.effect, reply.died) == ("bug", "unknown", False)
    assert "Traceback" not in str(reply.error)
    assert "Traceback" in caplog.text
    assert "fake_worker.py" in caplog.text


def test_the_effects_of_what_cannot_be_known_sent_or_done(tmp_path: Path) -> None:
    with crew(tmp_path) as here:
        assert here.ask("unknown").effect == "unknown"
        assert here.ask("unsendable").effect == "done"
        assert here.ask("no such command").effect == "none"
        assert here.ask("echo", bad=object()).effect == "none"
        assert here.ask("echo").effect == "done"


@pytest.mark.parametrize("how", ["exit", "signal"])
def test_the_death_of_a_worker_is_an_answer_and_the_next_command_gets_a_new_one(tmp_path: Path, how: str) -> None:
    with crew(tmp_path) as here:
        reply = here.ask("crash", signal=how == "signal")
        assert isinstance(reply.error, OutcomeUnknown)
        assert (reply.error.kind, reply.effect, reply.died, reply.company) == ("worker-died", "unknown", True, 0)
        assert ("signal 9" if how == "signal" else "exit code 7") in str(reply.error)
        until(lambda: not here.workers.alive(reply.worker), "the worker is gone")
        assert here.ask("echo").worker == reply.worker + 1


def test_a_death_tells_how_many_others_the_worker_was_at(tmp_path: Path) -> None:
    with crew(tmp_path) as here:
        other = here.submit("hang")
        until(lambda: "login" in here.calls(), "the other is in its call")
        assert here.ask("crash").company == 1
        reply = other.wait(PATIENCE)
        assert reply is not None
        assert (reply.died, reply.company, reply.effect) == (True, 1, "unknown")


def test_a_death_that_nobody_expects_is_found_out_without_a_command(tmp_path: Path) -> None:
    with crew(tmp_path) as here:
        first = here.ask("echo")
        assert first.result is not None
        os.kill(first.result["pid"], signal.SIGKILL)
        until(lambda: here.states() == [], "the worker is gone")
        reply = here.ask("echo", worker=first.worker)
        assert isinstance(reply.error, OutcomeUnknown)
        assert (reply.error.kind, reply.effect, reply.died) == ("no-such-session", "none", False)


def test_a_command_that_names_a_worker_waits_for_that_one_and_never_goes_to_another(tmp_path: Path) -> None:
    with crew(tmp_path, Some(importers=2, filesets_in_flight=1)) as here:
        first = here.ask("echo").worker
        slow = [here.submit("slow", seconds=1.0) for _ in range(6)]
        named = here.ask("echo", worker=first)
        assert named.worker == first
        assert {reply.worker for ticket in slow if (reply := ticket.wait(PATIENCE)) is not None} == {1, 2}


def test_alone_means_a_worker_of_its_own_that_gets_only_what_names_it(tmp_path: Path) -> None:
    with crew(tmp_path) as here:
        alone = here.ask("echo", alone=True).worker
        assert here.ask("echo").worker != alone
        assert here.ask("echo", worker=alone).worker == alone
        assert here.workers.alive(alone)


def test_a_lone_inspector_is_ended_when_it_is_done(tmp_path: Path) -> None:
    with crew(tmp_path) as here:
        worker = here.ask("echo", "inspector", alone=True).worker
        until(lambda: not here.workers.alive(worker), "it has ended")


def at_work(here: Crew) -> list[str]:
    return [command["call"] for each in here.workers.snapshot() for command in each["commands"]]


def test_an_importer_works_at_several_commands_at_once_and_an_inspector_at_one(tmp_path: Path) -> None:
    with crew(tmp_path) as here:
        at_once = [here.submit("until_cancelled") for _ in range(3)]
        until(lambda: at_work(here) == ["write"] * 3, "all three run")
        here.ask("cancel")
        assert [reply.effect for ticket in at_once if (reply := ticket.wait(PATIENCE)) is not None] == ["done"] * 3
        here.ask("echo", "inspector")
        begun = time.monotonic()
        for ticket in [here.submit("slow", "inspector", seconds=0.4) for _ in range(3)]:
            ticket.wait(PATIENCE)
        assert time.monotonic() - begun >= 1.2, "one after the other"


def test_a_cancel_does_not_wait_behind_what_it_cancels(tmp_path: Path) -> None:
    with crew(tmp_path, Some(filesets_in_flight=12)) as here:
        uploads = [here.submit("until_cancelled") for _ in range(20)]
        until(lambda: "write" in here.calls(), "they are in a call")
        assert here.ask("cancel", worker=1).effect == "done"
        assert all(ticket.wait(PATIENCE) for ticket in uploads)


def test_progress_is_told_with_its_command(tmp_path: Path) -> None:
    seen: list[tuple[str, int | None, int | None]] = []

    def show(command: Command, progress: Progress) -> None:
        seen.append((command.drop, progress.step, progress.steps))
        raise ValueError("a mistake of the receiver")

    with crew(tmp_path, on_progress=show) as here:
        assert here.ask("crash", drop="D").died
    assert seen == [("D", 1, 2)]


def test_a_receiver_that_fails_does_not_cost_the_others_their_answers(tmp_path: Path) -> None:
    def fails(_: object) -> None:
        raise ValueError("a mistake of the receiver")

    with crew(tmp_path) as here:
        assert here.workers.submit("importer", Command(1, "echo"), fails).wait(PATIENCE)
        assert here.ask("echo").effect == "done"


@pytest.mark.parametrize("how", ["broken", "unconfigurable"])
def test_a_worker_that_cannot_start_is_an_answer_to_all_that_waits_for_it(tmp_path: Path, how: str) -> None:
    with crew(tmp_path, how=how, config=CONFIG) as here:
        tickets = [here.submit("echo") for _ in range(20)]
        for ticket in tickets:
            reply = ticket.wait(PATIENCE)
            assert reply is not None
            assert isinstance(reply.error, TryLater)
            assert (reply.error.kind, reply.effect, reply.died) == ("worker-would-not-start", "none", False)
    assert len(here.replies) == 20
    assert ("exit code 3" if how == "broken" else "Two mistakes.") in str(here.replies[0].error)


def test_a_program_that_is_not_there_is_an_answer(tmp_path: Path) -> None:
    with crew(tmp_path, program="/no/such/program") as here:
        reply = here.ask("echo")
    assert isinstance(reply.error, TryLater)
    assert reply.error.kind == "worker-would-not-start"
    assert "/no/such/program" in str(reply.error)


@pytest.mark.parametrize("how", ["silent", "deaf"])
def test_a_worker_that_never_gets_ready_is_killed_after_its_time(tmp_path: Path, how: str) -> None:
    clock = HandClock()
    with crew(tmp_path, clock=clock, how=how) as here:
        ticket = here.submit("echo")
        until(lambda: here.workers.snapshot()[0]["pid"] is not None, "it is started")
        clock.time += 121
        here.workers.tick()
        reply = ticket.wait(PATIENCE)
    assert reply is not None
    assert isinstance(reply.error, TryLater)
    assert "did not say that it is ready" in str(reply.error)


def test_stop_answers_all_that_runs_and_all_that_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher, "END", 60.0)  # nobody is killed
    with crew(tmp_path, Some(filesets_in_flight=1)) as here:
        for _ in range(8):
            here.submit("hang")
        until(lambda: "login" in here.calls(), "it is busy")
        here.submit("echo", "inspector")
        begun = time.monotonic()
        here.workers.stop()
        assert time.monotonic() - begun < 60
        assert len(here.replies) == 9
        kinds = [reply.error.kind for reply in here.replies if reply.error is not None]
        assert kinds.count("worker-stopped") >= 1
        assert kinds.count("stopping") >= 3
        assert not any(reply.died for reply in here.replies)
        late = here.ask("echo")
        assert isinstance(late.error, Paused)


def test_drain_waits_for_what_runs_and_refuses_the_rest(tmp_path: Path) -> None:
    with crew(tmp_path) as here:
        here.ask("echo")
        running = here.submit("slow", seconds=2.0)
        until(lambda: "slow" in here.calls(), "it is busy")
        drained: list[bool] = []
        thread = threading.Thread(target=lambda: drained.append(here.workers.drain(PATIENCE)))
        thread.start()
        until(lambda: here.ask("echo").effect == "none", "new work is refused")
        thread.join()
        reply = running.wait(0)
        assert reply is not None
        assert reply.effect == "done"
        assert drained == [True]


def test_drain_stops_what_takes_too_long(tmp_path: Path) -> None:
    with crew(tmp_path) as here:
        running = here.submit("hang")
        until(lambda: "login" in here.calls(), "it is busy")
        assert not here.workers.drain(0.2)
        reply = running.wait(0)
        assert reply is not None
        assert (reply.effect, reply.died) == ("unknown", False)
