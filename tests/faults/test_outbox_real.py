"""People are told, with real processes: daemon and notifier killed at random, a mail server that is dead for the time of many drops, and
one that takes mails without saying so.
"""

from __future__ import annotations

import faulthandler
import os
import random
import signal
import time
from pathlib import Path

import pytest

from tests.support.postbox import Postbox
from tests.support.realrun import RealRun, real_run
from tests.support.tally import ALL, counted

pytestmark = pytest.mark.timeout(1200)

USERS = ("alice", "bob")
OPS = "ops@example.org"


def rules(postbox: Postbox) -> dict[str, object]:
    many = {"letters": 10_000, "per": "1 h"}
    return {"admin": OPS, "mail": f"127.0.0.1:{postbox.port}", "gather": "0.5 s", "digest": "1 s", "limit": many}


def unsent(run: RealRun) -> list[str]:
    folders = [run.state / "outbox", *run.layout.inprogress.glob("*/outbox")]
    return [path.name for folder in folders if folder.is_dir() for path in folder.glob("*.json")]


def check(run: RealRun, postbox: Postbox, again: int) -> None:
    """Each drop was told once to its user, and each that failed in part once to the administrator too; some mails may have come twice."""
    for user in USERS:
        told = postbox.drops(f"{user}@example.org")
        wanted = sum(one.user == user for one in run.drops)
        assert len(told) == wanted, f"lost: {user} heard of {len(told)} of {wanted} drops"
        assert set(told.values()) <= {1}, f"told twice, in other words: {[drop for drop, count in told.items() if count > 1]}"
    wanted = sum(bool(one.broken) for one in run.drops)
    assert len(postbox.drops(OPS)) == wanted, f"lost: the administrator heard of {len(postbox.drops(OPS))} of {wanted} drops"
    assert postbox.again() <= again, f"{postbox.again()} mails were told again"


def drop(run: RealRun, rng: random.Random) -> None:
    number = len(run.drops)
    run.drop(f"d{number:03}", user=rng.choice(USERS), fine=1, broken=int(rng.random() < 0.2), rich=False, dataset="one")


@pytest.mark.parametrize(("drops", "kills"), [(8, 4), pytest.param(80, 50, marks=pytest.mark.slow_faults(minutes=3))])
def test_daemon_and_notifier_killed_at_random(tmp_path: Path, drops: int, kills: int) -> None:
    faulthandler.cancel_dump_traceback_later()
    seed = int(time.time()) if ALL else 5
    rng, postbox = random.Random(seed), Postbox()
    postbox.start()
    try:
        kind = "people are told, random SIGKILLs of daemon and notifier"
        with real_run(tmp_path, *USERS, notify=rules(postbox)) as run, counted(kind, f"seed {seed}", points=kills):
            run.start()
            hits = 0
            while hits < kills:
                while len(run.drops) < drops * (hits + 1) // kills:
                    drop(run, rng)
                time.sleep(rng.uniform(0.1, 1.5))
                if rng.random() < 0.5:
                    found = run.workers("notifier")
                    try:
                        os.kill(rng.choice(found), signal.SIGKILL)
                    except (IndexError, ProcessLookupError):  # there is none, or none any more
                        continue
                else:
                    assert run.daemon is not None and run.daemon.poll() is None, f"the daemon ended by itself\n{run.tail()}"
                    run.kill()
                    run.start()
                hits += 1
            run.until_it_works()
            run.rest(120)
            run.until(lambda: not unsent(run), 120)
            assert run.terminate() == 0
            check(run, postbox, again=2 * kills)
    finally:
        postbox.stop()


@pytest.mark.slow_faults(minutes=2)
def test_a_mail_server_that_is_dead_for_the_time_of_200_drops(tmp_path: Path) -> None:
    faulthandler.cancel_dump_traceback_later()
    rng, postbox = random.Random(5), Postbox()
    with real_run(tmp_path, *USERS, notify=rules(postbox)) as run, counted("people are told, a mail server is dead", points=200):
        run.start()
        for _ in range(200):
            drop(run, rng)
        run.rest(300)
        assert postbox.mails == []
        postbox.start()
        try:
            run.until(lambda: not unsent(run), 400)
            assert run.terminate() == 0
        finally:
            postbox.stop()
        check(run, postbox, again=0)
        assert len(postbox.mails) <= 12, f"{len(postbox.mails)} mails are no digests"


@pytest.mark.parametrize("drops", [6, pytest.param(40, marks=pytest.mark.slow_faults(minutes=2))])
def test_a_mail_server_that_takes_mails_and_does_not_say_so(tmp_path: Path, drops: int) -> None:
    faulthandler.cancel_dump_traceback_later()
    rng, postbox = random.Random(7), Postbox(cut=2)
    postbox.start()
    try:
        with real_run(tmp_path, *USERS, notify=rules(postbox)) as run:
            run.start()
            for _ in range(drops):
                drop(run, rng)
                time.sleep(0.3)
            run.rest(120)
            run.until(lambda: not unsent(run), 200)
            assert run.terminate() == 0
            with counted("people are told, a mail is cut in its middle", points=postbox.cuts):
                check(run, postbox, again=postbox.cuts)
                assert postbox.cuts, "no mail was cut"
    finally:
        postbox.stop()
