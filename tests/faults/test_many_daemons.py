"""Several daemons on one share: exactly one claims each drop, everything is imported once, and nobody takes another's work by time-out.

Eight daemons and 2,000 drops with DROPBOX_IMPORT_FAULTS=all (`make faults`), else three and 60; fewer where every rename is made as on a
share that has no rename which refuses an existing target.
"""

from __future__ import annotations

import faulthandler
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from dropbox_import.spool import journal, layout
from tests.support.crowd import Crowd, One, crowd
from tests.support.lab import Lab
from tests.support.tally import ALL, counted

DAEMONS, DROPS, SECONDS = (8, 2000, 900) if ALL else (3, 60, 60)
FEW = 100 if ALL else 6
ON_A_SHARE = 400 if ALL else 30
USERS = ("jdoe", "asmith", "chen")

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="processes meet over sockets that Windows does not have"),
    pytest.mark.faults(minutes=2),
    pytest.mark.timeout(1200 if ALL else 120),
]


def fill(lab: Lab, drops: int) -> None:
    for number in range(drops):
        user = USERS[number % len(USERS)]
        home = f"run {number % 7}/" if number % 2 else ""
        members = {f"{home}{number}.tif": f"image {number}".encode()}
        if number % 5 == 0:
            members = {f"{home}set{number}/{each}.tif": f"image {number}.{each}".encode() for each in range(2)}
        name = f"{home}set{number}.yaml" if number % 5 == 0 else f"{home}{number}.yaml"
        lab.drop(name, f"target: {{dataset: HeLa}}\ncomments: [of {number}]\n", members, user)


def images(drops: int) -> int:
    return sum(2 if number % 5 == 0 else 1 for number in range(drops))


def records(folder: Path) -> tuple[journal.Record, ...]:
    return journal.read((folder / "journal.jsonl").read_bytes())[0]


def claims_of(lab: Lab, number: int) -> list[str]:
    folder = lab.layout.instance(lab.daemons[number].identity().name)
    return [path.name for path in folder.iterdir() if layout.is_id(path.name)]


def judge(lab: Lab, many: Crowd, drops: int) -> None:
    many.close()
    lab.check(images(drops))
    filed = lab.filed("done")
    assert len(filed) == drops, f"{len(filed)} drops are in done/, {len(lab.filed('failed'))} in failed/"
    taken = sum((one.happened for one in many.ones), Counter[str]())
    assert taken["claimed"] == taken["done"] == drops, f"claimed {taken['claimed']} times, filed {taken['done']} times"
    for folder in filed:
        counts = Counter(record.kind for record in records(folder))
        assert (counts["intent"], counts["claimed"], counts["adopted"]) == (1, 1, 0), f"{folder.name} was claimed twice: {counts}"
    assert len(lab.server.targets) == 1, f"datasets made twice: {lab.server.targets}"


@pytest.mark.parametrize(("drops", "share"), [(DROPS, False), (ON_A_SHARE, True)], ids=["one rename", "a look and a rename"])
def test_each_drop_is_claimed_by_exactly_one_daemon_and_imported_once(tmp_path: Path, drops: int, share: bool) -> None:
    lab = Lab(tmp_path, users=USERS, hosts=DAEMONS)
    fill(lab, drops)
    begun = time.monotonic()
    faulthandler.cancel_dump_traceback_later()  # which ends whatever takes longer than five minutes
    with crowd(lab, share=share) as many:
        many.rest(SECONDS)
        with counted(f"{DAEMONS} daemons on one share", f"{drops} drops{', renamed as there' if share else ''}", points=drops):
            judge(lab, many, drops)
        shares = [one.happened["done"] for one in many.ones]
        lost = sum(one.happened["lost"] for one in many.ones)
        renamed = sum(one.happened["renamed as on a share"] for one in many.ones)
        print(
            f"{drops} drops by {DAEMONS} daemons in {time.monotonic() - begun:.1f} s: {shares}; lost races: {lost}; {renamed} plain renames"
        )
        assert renamed >= 3 * drops if share else not renamed, f"{renamed} plain renames"


@pytest.mark.parametrize("do", ["inspect", "resolve", "begin", "commit", "annotate"] if ALL else ["begin"])
def test_what_a_stopped_daemon_has_claimed_stays_its_own_however_long_it_sleeps(tmp_path: Path, do: str) -> None:
    lab = Lab(tmp_path, users=USERS, hosts=2)
    fill(lab, FEW)
    stopped: list[One] = []

    def stop(one: One, command: str) -> None:
        if command == do and not stopped:
            many.stop(one)
            stopped.append(one)

    with crowd(lab) as many, counted("a stopped daemon keeps its claims", do):
        many.when(stop)
        many.until(lambda: stopped, "its command never came")
        (first,) = stopped
        (second,) = (one for one in many.ones if one is not first)
        mine = set(claims_of(lab, many.ones.index(first)))
        many.rest(SECONDS, but=(first,))
        since = second.seconds
        many.until(lambda: second.seconds > since + 300, "its clock does not go on", 180)
        kept = set(lab.claims())
        assert kept and kept == mine, f"claimed twice: {kept ^ mine}"
        told = " ".join(second.state["notices"])
        name = lab.daemons[many.ones.index(first)].identity().name
        assert f"dropbox-import adopt {name}" in told and f"{len(kept)} drop" in told, f"it is not told: {told}"
        first.process.send_signal(signal.SIGCONT)
        many.rest(SECONDS)
        judge(lab, many, FEW)
