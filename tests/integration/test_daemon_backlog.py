"""Many drops at once: all are claimed, few are at work, nobody starves, an outage costs nothing and its end is no stampede."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from dropbox_import.daemon import box as box_module
from dropbox_import.daemon import working
from dropbox_import.errors import NotAllowed, ServerUnavailable, TryLater
from dropbox_import.spool import steps
from dropbox_import.spool.journal import Journal
from tests.support.lab import Lab
from tests.support.tally import counted

SIDECAR = "target: {dataset: HeLa}\n"
DOWN = ServerUnavailable("OMERO cannot be reached", code="unreachable")
PLACES = 5


@pytest.fixture(autouse=True)
def _few_places() -> Iterator[None]:
    """A working set so small that some dozens of drops are many, and no syncs: only the order of things counts here."""
    with mock.patch.object(working, "AT_WORK", PLACES), mock.patch("os.fsync", return_value=None):
        yield


def give(lab: Lab, count: int, user: str = "jdoe", more: str = "", first: int = 0) -> None:
    for number in range(first, first + count):
        lab.drop(f"{user}{number}.yaml", f"{SIDECAR}{more}# {number}\n", {f"{user}{number}.tif": f"{user} {number}".encode()}, user)


class Reads:
    """How often journals were read."""

    def __enter__(self) -> Reads:
        self.count = 0
        plain = Journal.open.__func__  # type: ignore[attr-defined]

        def opened(cls: type[Journal], *args: Any) -> Any:
            self.count += 1
            return plain(cls, *args)

        self._patch = mock.patch.object(Journal, "open", classmethod(opened))
        self._patch.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._patch.stop()


def test_all_are_claimed_at_once_and_few_are_at_work(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.server.refuse["open_session"] = DOWN
    give(lab, 30)
    runner = lab.start()
    for _ in range(4):
        runner.turn(0)
        lab.clock.forward(1.1)
    assert len(lab.claims()) == 30
    assert not list(lab.layout.drop.rglob("*.tif")), "users may log out"
    assert len(runner.claims.active) <= PLACES
    assert runner.busy() == 30
    lab.server.refuse.clear()
    lab.clock.forward(700)
    lab.turns()
    with counted("30 drops, 5 at work"):
        lab.check(30)


def test_an_outage_costs_no_reading_of_journals(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.server.refuse["open_session"] = DOWN
    give(lab, 40)
    runner = lab.start()
    lab.turns(60)
    asked = lab.server.commands
    with Reads() as reads:
        before = runner.scans
        lab.turns(200)
    assert runner.scans > before + 50
    assert reads.count == 0
    assert lab.server.commands - asked < 60, "only one asks, when a try is due"
    assert len(runner.claims.active) <= PLACES


def test_at_a_start_each_journal_is_read_once_and_again_only_when_it_is_its_turn(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.server.refuse["open_session"] = DOWN
    give(lab, 30)
    lab.start()
    lab.turns(60)
    with Reads() as reads:
        lab.start()
        lab.turns(60)
    assert reads.count <= 30 + PLACES
    lab.server.refuse.clear()
    lab.clock.forward(700)
    with Reads() as reads:
        lab.turns()
    lab.check(30)
    assert reads.count <= 2 * 30


def test_one_users_many_do_not_starve_anothers_one(tmp_path: Path) -> None:
    lab = Lab(tmp_path, users=("jdoe", "asmith"))
    give(lab, 40)
    give(lab, 1, "asmith")
    lab.life()
    lab.check(41)
    order = [one.owner for one in lab.server.filesets.values()]
    assert order.index("asmith") <= PLACES + 1


def test_who_comes_late_with_one_drop_has_its_turn_soon(tmp_path: Path) -> None:
    lab = Lab(tmp_path, users=("jdoe", "asmith"))
    lab.server.refuse["open_session"] = DOWN
    give(lab, 40)
    lab.start()
    lab.turns(20)
    give(lab, 1, "asmith")
    lab.turns(20)
    lab.server.refuse.clear()
    lab.clock.forward(700)
    lab.turns()
    lab.check(41)
    order = [one.owner for one in lab.server.filesets.values()]
    assert order.index("asmith") <= 3 * PLACES


def test_who_waits_for_long_gives_its_place_to_others_and_keeps_its_count_of_tries(tmp_path: Path) -> None:
    lab = Lab(tmp_path, users=("jdoe", "asmith"))
    give(lab, 20, "asmith")
    runner = lab.start()
    busy = TryLater("it is busy", code="busy")
    resolve = type(lab.workers)._resolve
    tries: Counter[str] = Counter()

    def refused(self: Any, command: Any, session: int, **args: Any) -> dict[str, Any]:
        if self.server.sessions[session].owner == "asmith":
            tries[command.drop] += 1
            raise busy
        return dict(resolve(self, command, session, **args))

    with mock.patch.object(type(lab.workers), "_resolve", refused):
        lab.turns(40)
        give(lab, 10)
        for _ in range(300):
            runner.turn(0)
            lab.clock.forward(1.0)
        assert len(lab.filed("done")) == 10, "twenty that only wait kept ten others from working"
        assert len(tries) == 20, "each of them is tried"
        assert min(tries.values()) > 5
        assert len(runner.claims.active) <= PLACES
    lab.turns()
    lab.check(30)


def test_many_drops_of_one_submission_go_one_after_the_other(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    give(lab, 20, more="submission: run-7\n")
    lab.start()
    with Reads() as reads:
        lab.turns(600)
    lab.check(20)
    assert reads.count <= 3 * 20, "who waits for another drop is not read again and again"


def test_a_drop_with_a_running_attempt_keeps_its_place(tmp_path: Path) -> None:
    lab = Lab(tmp_path, queued=True)
    lab.server.chance = random.Random(3)
    give(lab, 30)
    runner = lab.start()
    rng = random.Random(1)
    for _ in range(1500):
        lab.step(rng)
        running = {one.held[0] for one in lab.server.filesets.values() if one.process and one.over_at > lab.clock.monotonic()}
        at_work = {name for name in running if name in runner.claims}
        assert at_work <= set(runner.claims.active)
    assert lab.calm(rng)
    lab.check(30)


def test_after_a_long_outage_the_backlog_drains_without_a_stampede(tmp_path: Path) -> None:
    users = tuple(f"user{number:02}" for number in range(20))
    lab = Lab(tmp_path, users=users, queued=True)
    lab.server.up = False
    for user in users:
        give(lab, 5, user)
    runner = lab.start()
    rng = random.Random(5)
    for _ in range(2000):
        lab.step(rng)
    assert len(lab.claims()) == 100
    lab.clock.forward(3600.0)
    lab.server.up = True
    most: Counter[str] = Counter()
    with counted("the end of an outage", "100 drops of 20 users"):
        for _ in range(20_000):
            lab.step(rng)
            flying = Counter(one.command.do for one in lab.workers.flights if one.role == "importer")
            flying["begin or send"] = flying["begin"] + flying["send"]
            for word, count in flying.items():
                most[word] = max(most[word], count)
            most["session"] = max(most["session"], sum(not one.closed for one in lab.server.sessions.values()))
            if not lab.claims():
                break
        assert lab.calm(rng)
        lab.check(100)
        assert most["open_session"] <= PLACES
        assert most["look_up"] <= PLACES
        assert most["begin or send"] <= 4, "never more than there are slots"
        assert most["session"] <= len(users), "never two of one user beside each other"
        assert len(lab.server.sessions) <= 100, "less than one for each drop, although a user's next turn comes late here"
    assert runner.busy() == 0


def test_a_parked_claim_that_was_moved_away_by_hand_is_forgotten(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.server.refuse["open_session"] = DOWN
    give(lab, 10)
    runner = lab.start()
    lab.turns(20)
    name = next(iter(runner.claims.parked.names()))
    (tmp_path / "elsewhere").mkdir()
    (lab.layout.instance(lab.shared.instance.name) / name).rename(tmp_path / "elsewhere" / name)
    lab.turns(5)
    assert name not in runner.claims
    assert runner.busy() == 9


def test_the_status_says_how_many_and_shows_the_first_of_them(tmp_path: Path) -> None:
    with mock.patch.object(working, "SHOWN", 4), mock.patch.object(box_module, "SHOWN", 4):
        lab = Lab(tmp_path)
        lab.server.refuse["open_session"] = NotAllowed("The account is closed.", code="permission")
        lab.server.refuse["inspect"] = DOWN
        lab.server.refuse["open_session"] = DOWN
        give(lab, 12)
        for number in range(6):
            lab.drop(f"w{number}.yaml", SIDECAR + "files: {include: [missing.tif]}\n", {})
        runner = lab.start()
        lab.turns(20)
        state = runner.state()
    assert (state["active_in_all"], len(state["active"])) == (12, 4)
    assert (state["waiting_in_all"], len(state["waiting"])) == (6, 4)
    assert state["parked"] == 12 - PLACES


@pytest.mark.parametrize("count", [100, 400])
def test_a_drop_of_many_filesets_looks_at_few_of_them_for_each_reply(tmp_path: Path, count: int) -> None:
    lab = Lab(tmp_path)
    lab.drop("set.yaml", SIDECAR, {f"set/{number:04}.tif": b"%d" % number for number in range(count)})
    looks = 0
    plain = steps._fileset

    def counting(*args: Any) -> Any:
        nonlocal looks
        looks += 1
        return plain(*args)

    with mock.patch.object(steps, "_fileset", counting):
        lab.start()
        lab.turns(3000)
    lab.check(count)
    assert looks < 150 * count


def test_filesets_of_a_large_drop_that_wait_do_not_keep_the_others_waiting(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    count = 150
    lab.drop("set.yaml", SIDECAR, {f"set/{number:04}.tif": b"%d" % number for number in range(count)})
    lab.start()
    begin = type(lab.workers)._begin
    refused: Counter[str] = Counter()

    def busy(self: Any, command: Any, **args: Any) -> dict[str, Any]:
        if len(refused) < 60 and refused[command.key] < 3 and not lab.server.filesets:
            refused[command.key] += 1
            raise TryLater("it is busy", code="busy")
        return dict(begin(self, command, **args))

    with mock.patch.object(type(lab.workers), "_begin", busy):
        lab.turns(2000)
    lab.check(count)


def test_a_scan_takes_at_most_a_tenth_of_the_time(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    give(lab, 1)
    runner = lab.start()
    plain = runner._intake.scan

    def slow() -> Any:
        lab.clock.forward(20.0)
        return plain()

    with mock.patch.object(runner._intake, "scan", slow):
        runner.turn(0)
        begun, scans = lab.clock.monotonic(), runner.scans
        runner.wake(scan=True)
        while runner.scans == scans:
            lab.clock.forward(1.0)
            runner.turn(0)
        between = lab.clock.monotonic() - begun - 20.0
    assert between >= 9 * 20.0
