"""Real processes, real files: daemon, workers and server are killed again and again at random moments, until all is at rest.

No healthy drop is in failed/, nothing is lost, imported twice, stuck or left behind. The seed says whom it hits and how long it waits;
what was going on at that moment is chance.
"""

from __future__ import annotations

import faulthandler
import os
import random
import signal
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.realrun import RealRun, real_run
from tests.support.tally import counted

USERS = ("alice", "bob", "carol")
WHOM = ("importer",) * 4 + ("inspector",) * 2 + ("daemon",) * 3 + ("server",) * 2
_BACKLOG = 20  # no more kills while more drops than these are on their way: else nothing would ever end
_PATIENCE = 60.0  # seconds for one drop of the backlog to be filed
WORKERS = {"importers": 2, "filesets_in_flight": 2}
_OUTAGES = (0.0, 0.0, 0.3, 2.0)


class Storm:
    """Drops and kills in step, so that both come to their end together."""

    def __init__(self, run: RealRun, seed: int, drops: int, kills: int) -> None:
        self.run, self.drops, self.kills = run, drops, kills
        self.rng = random.Random(seed)
        self.hits: Counter[str] = Counter()
        self.importers = 0  # the most that were seen at work at a time

    def blow(self) -> None:
        self.run.start()
        while (killed := sum(self.hits.values())) < self.kills:
            self.drop_until(self.drops * (killed + 1) // self.kills)
            self.until_the_backlog_is_small()
            time.sleep(self.rng.uniform(0.0, 1.2))
            self.hit(self.rng.choice(WHOM))
        self.drop_until(self.drops)
        self.run.rest(120)

    def drop_until(self, number: int) -> None:
        while len(self.run.drops) < number:
            what = self.rng.random()
            fine, broken = (1, 0) if what < 0.8 else (3, 0) if what < 0.93 else (2, 1)
            name = f"drop{len(self.run.drops):03}"
            dataset = "" if broken else f"day {len(self.run.drops) % 7}"
            self.run.drop(name, user=self.rng.choice(USERS), fine=fine, broken=broken, rich=False, dataset=dataset)

    def filed(self) -> int:
        """Drops that are in done/ or failed/; one of two outcomes counts when its second part is there."""
        places = [folder for state in ("done", "failed") for folder in self.run.layout.box.glob(f"{state}/*/*")]
        names = Counter(entry.name.partition("__")[0] for place in places for entry in os.scandir(place))
        return sum(names[one.name] >= (2 if one.fine and one.broken else 1) for one in self.run.drops)

    def until_the_backlog_is_small(self) -> None:
        most = min(_BACKLOG, self.drops // 3)
        last, since = -1, time.monotonic()
        while len(self.run.drops) - (filed := self.filed()) > most:
            if filed != last:
                last, since = filed, time.monotonic()
            assert time.monotonic() - since < _PATIENCE, f"stuck: nothing was filed for a minute\n{self.run.tail()}"
            assert self.run.daemon is not None and self.run.daemon.poll() is None, f"the daemon ended by itself\n{self.run.tail()}"
            self.importers = max(self.importers, len(self.run.workers("importer")))
            time.sleep(0.1)

    def hit(self, whom: str) -> None:
        run = self.run
        if whom == "daemon":
            run.kill()
            run.start()
        elif whom == "server":
            run.standin.kill()
            time.sleep(self.rng.choice(_OUTAGES))
            run.standin.start()
        else:
            found = run.workers(whom)
            if not found:
                return
            with suppress(ProcessLookupError):
                os.kill(self.rng.choice(found), signal.SIGKILL)
        self.hits[whom] += 1


def storm(folder: Path, seed: int, drops: int, kills: int, importers: int) -> None:
    """`importers`: how many of them must have been at work at a time."""
    print(f"seed {seed}")
    with real_run(folder, *USERS, workers=WORKERS) as run, counted("random SIGKILLs, real processes", f"seed {seed}", points=kills):
        wind = Storm(run, seed, drops, kills)
        begun = time.monotonic()
        wind.blow()
        print(f"{drops} drops, killed: {dict(wind.hits)}, {wind.importers} importers, {time.monotonic() - begun:.0f} s")
        run.check()
        assert wind.importers >= importers, f"only {wind.importers} importer was at work at a time"
        run.until_it_works()  # it may have been started a moment ago
        assert run.terminate() == 0
        run.check_sessions()


def test_a_few_random_kills(tmp_path: Path) -> None:
    storm(tmp_path, 4, drops=12, kills=4, importers=1)


@pytest.mark.slow_faults(minutes=4)
@pytest.mark.timeout(2400)
def test_two_hundred_random_kills_in_five_hundred_drops(tmp_path: Path) -> None:
    faulthandler.cancel_dump_traceback_later()  # which ends whatever takes longer than five minutes
    storm(tmp_path, int(time.time()), drops=500, kills=200, importers=2)
