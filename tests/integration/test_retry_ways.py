"""A drop of five files with one bad one, tried again in every way and in any order: always exactly five filesets in the end."""

from __future__ import annotations

import hashlib
import itertools
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dropbox_import.daemon.order_files import OrderDesk, answer_to, give
from dropbox_import.daemon.orders import AdminOrder
from dropbox_import.disk import observe
from dropbox_import.standin import samples
from dropbox_import.workers.protocol import Command
from tests.support.lab import Crash, Lab
from tests.support.realrun import RealRun, real_run
from tests.support.scripted_commands import Commands
from tests.support.tally import ALL, counted, points

KIND = "a drop is tried again"
PLAIN = "target: {dataset: HeLa}\ntags: [x]\n"
NAMED = PLAIN + "submission: run-7\n"
GOOD = {f"run7/{number}.tif": f"image {number}".encode() for number in range(1, 5)}
BAD = "run7/5.tif"
BADLY = {"that cannot be read": b"bad image", "that OMERO refuses": b"rotten image"}
MENDED = b"image 5, copied again"


@pytest.fixture(autouse=True)
def judged_by_content(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is bad is so by what is in it, and can be mended under its own name."""
    inspect, poll = Commands._inspect, Commands._poll
    rotten = hashlib.sha1(BADLY["that OMERO refuses"]).hexdigest()

    def content(self: Commands, command: Command, root: str, members: list[dict[str, Any]], named: list[str]) -> dict[str, Any]:
        wrong = {one["path"] for one in members if (Path(root) / one["path"]).read_bytes().startswith(b"bad")}
        told = inspect(self, command, root, [one for one in members if one["path"] not in wrong], named)
        bad = [{"files": [path], "code": "cut", "sentence": f"{path} is cut in half"} for path in sorted(wrong)]
        return told | {"bad": bad}

    def answer(self: Commands, command: Command, session: int) -> dict[str, Any]:
        number = self.holds.get(session, {}).get((command.drop, command.key, command.attempt), 0)
        told = poll(self, command, session)
        one = self.server.filesets.get(number)
        if told.get("state") == "done" and one is not None and rotten in one.contents:
            one.images, one.full_at = 0, float("inf")
            return {"state": "error", "class": "UnreadableImage", "code": "unreadable", "sentence": "OMERO cannot read it", "hint": ""}
        return told

    monkeypatch.setattr(Commands, "_inspect", content)
    monkeypatch.setattr(Commands, "_poll", answer)


class Five:
    """The lab with the drop, and what its user and the administrator do."""

    def __init__(self, folder: Path, sidecar: str, bad: bytes) -> None:
        self.lab = Lab(folder)
        self.sidecar = sidecar
        self.bad = bad
        self.number = 0
        self.lab.start()
        self.user_drops(GOOD | {BAD: bad})
        self.work()
        assert len(self.lab.server.complete()) == 4

    def user_drops(self, members: dict[str, bytes]) -> None:
        self.lab.drop("run7.yaml", self.sidecar, members)

    @property
    def failed(self) -> Path:
        (path,) = self.lab.filed("failed")
        return path

    def mend(self) -> None:
        (self.failed / "d" / BAD).write_bytes(MENDED)

    # --- the ways -----------------------------------------------------------------------

    def retry(self) -> None:
        """The order of an administrator."""
        self.number += 1
        about = self.failed.name.rpartition("__")[2]
        about = about if about.count("-") == 2 else about.rpartition("-")[0]
        give(self.lab.settings.state_dir, AdminOrder(f"order-{self.number}", "retry", str(self.lab.box), (about,)))

    def move_whole(self) -> None:
        self.failed.rename(self.lab.layout.drop / "jdoe" / "once more")

    def move_files(self) -> None:
        home, folder = self.lab.layout.drop / "jdoe", self.failed
        (folder / "d" / "run7").rename(home / "run7")
        (folder / "run7.yaml").rename(home / "run7.yaml")

    def drop_all_again(self) -> None:
        """All five once more, from where they were made: under the same submission."""
        self.user_drops(GOOD | {BAD: (self.failed / "d" / BAD).read_bytes()})

    def drop_one_fewer(self) -> None:
        fewer = {name: data for name, data in GOOD.items() if "1.tif" not in name}
        self.user_drops(fewer | {BAD: (self.failed / "d" / BAD).read_bytes()})

    # --- what the daemon does -----------------------------------------------------------

    def work(self, turns: int = 60) -> None:
        """The service's own loop in small: orders, then the box."""
        daemon = self.lab.daemons[0]
        desk = OrderDesk(daemon.settings.state_dir, {str(self.lab.box): daemon.runners[0]}, daemon.clock)
        for _ in range(turns):
            desk.tend()
            daemon.runners[0].turn(0)
            self.lab.clock.forward(1.1)
        assert self.lab.at_rest()
        if self.number:
            assert answer_to(daemon.settings.state_dir, f"order-{self.number}") is not None

    def check(self, filesets: int) -> None:
        lab = self.lab
        assert lab.claims() == []
        complete = Counter(path.rpartition("/")[2] for one in lab.server.complete() for path in one.paths)
        assert complete == Counter(f"{number}.tif" for number in range(1, filesets + 1)), complete
        assert len(lab.server.filesets) == filesets, "left on the server"
        assert not lab.server.broken, lab.server.broken
        stored = [path.read_bytes() for path in lab.files_below(lab.box)]
        for data in GOOD.values():
            assert data in stored, "lost"
        assert (MENDED if filesets == 5 else self.bad) in stored, "lost"


WAYS: dict[str, Callable[[Five], None]] = {
    "retry": Five.retry,
    "the folder moved back": Five.move_whole,
    "its files moved back": Five.move_files,
    "the same submission again": Five.drop_all_again,
    "the same submission with one file fewer": Five.drop_one_fewer,
}
SUBMITTED = [way for way in WAYS if "submission" in way]


def only_one_failed(five: Five) -> None:
    """What was dropped once more failed once more: the administrator clears the older one away."""
    first, *others = sorted(five.lab.filed("failed"), key=lambda path: (path / "d" / BAD).exists())
    for path in [first, *others][:-1]:
        path.rename(five.lab.box / f"handled-{path.name}")


@pytest.mark.parametrize("badly", BADLY)
@pytest.mark.parametrize("way", WAYS)
def test_five_filesets_whichever_way_it_is_tried_again(tmp_path: Path, way: str, badly: str) -> None:
    with counted(KIND, f"{way}, one file {badly}"):
        five = Five(tmp_path, NAMED if way in SUBMITTED else PLAIN, BADLY[badly])
        five.mend()
        WAYS[way](five)
        five.work()
        five.check(5)


# In a short run each way is once the first and once the second.
PAIRS = list(itertools.product(WAYS, WAYS)) if ALL else list(zip(WAYS, [*list(WAYS)[1:], "retry"], strict=True))


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_five_filesets_when_it_fails_again_and_is_mended_then(tmp_path: Path, first: str, second: str) -> None:
    with counted(KIND, f"{first}, then {second}"):
        five = Five(tmp_path, NAMED, BADLY["that cannot be read"])
        WAYS[first](five)
        five.work()
        five.check(4)
        only_one_failed(five)
        five.mend()
        WAYS[second](five)
        five.work()
        five.check(5)


def test_tried_again_when_nothing_is_missing_any_more(tmp_path: Path) -> None:
    """The last bad file was taken out of the folder: nothing is imported, and that is told."""
    with counted(KIND, "retry with nothing left"):
        five = Five(tmp_path, PLAIN, BADLY["that cannot be read"])
        (five.failed / "d" / BAD).rename(five.lab.box / "kept.tif")
        five.retry()
        five.work()
        five.check(4)


@pytest.mark.parametrize("way", ["retry", "the folder moved back"])
def test_the_reason_of_a_part_that_fails_again_still_says_that_it_is_a_part(tmp_path: Path, way: str) -> None:
    five = Five(tmp_path, PLAIN, BADLY["that cannot be read"])
    before = (five.failed / "REASON.txt").read_text()
    WAYS[way](five)
    five.work()
    after = (five.failed / "REASON.txt").read_text()
    assert after.splitlines()[0] == before.splitlines()[0] == "A part of run7.yaml was not imported into OMERO."
    assert "The other images of this drop are in OMERO" in after


@pytest.mark.timeout(600 if ALL else 120)
@pytest.mark.parametrize("badly", BADLY)
def test_retry_with_the_daemon_ended_at_any_point(tmp_path: Path, badly: str) -> None:
    def tried(folder: Path) -> Five:
        five = Five(folder, PLAIN, BADLY[badly])
        five.mend()
        five.retry()
        return five

    five = tried(tmp_path / "whole")
    five.lab.crash_after(None)
    five.work()
    effects = five.lab.effects
    observe.set_observer(None)
    for point in points(effects, f"retry of a file {badly}"):
        with counted("the daemon ends in a retry", f"{badly}, {point} of {effects}"):
            five = tried(tmp_path / str(point))
            try:
                five.lab.crash_after(point)
                five.work()
            except Crash:
                pass
            finally:
                observe.set_observer(None)
            assert five.lab.effects >= point, "it did not come to this effect"
            five.lab.start()
            five.work(200)  # a start that may have left us or not is watched for a minute, and then fenced off
            five.check(5)


# --- the whole daemon, with real processes -----------------------------------------------


def command(run: RealRun, *words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dropbox_import", *words, "--config", str(run.config), "--wait", "30"],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=Path(__file__).resolve().parents[2],
    )
    assert done.returncode == 0, done.stdout + done.stderr


def really_retry(run: RealRun, failed: Path) -> None:
    samples.plain_tiff(failed / "d" / "run7" / "4.tif", 77)
    command(run, "retry", "run7.yaml")


def really_move_whole(run: RealRun, failed: Path) -> None:
    samples.plain_tiff(failed / "d" / "run7" / "4.tif", 77)
    failed.rename(run.layout.drop / "alice" / "once more")


def really_move_files(run: RealRun, failed: Path) -> None:
    samples.plain_tiff(failed / "d" / "run7" / "4.tif", 77)
    home = run.layout.drop / "alice"
    (failed / "d" / "run7").rename(home / "run7")
    (failed / "run7.yaml").rename(home / "run7.yaml")


def really_drop_again(run: RealRun, failed: Path) -> None:
    """The same submission, with one file fewer: three of the four that are in, and the mended one."""
    home = run.layout.drop / "alice"
    (home / "run7").mkdir()
    (done,) = run.layout.done.glob("alice/*/run7__*")
    for number in (1, 2, 3):
        (home / "run7" / f"{number}.tif").write_bytes((done / "d" / "run7" / f"{number}.tif").read_bytes())
    samples.plain_tiff(home / "run7" / "4.tif", 77)
    (home / "run7.yaml").write_bytes((failed / "run7.yaml").read_bytes())


REALLY = {
    "retry": really_retry,
    "the folder moved back": really_move_whole,
    "its files moved back": really_move_files,
    "the same submission with one file fewer": really_drop_again,
}


@pytest.mark.slow
@pytest.mark.parametrize("way", REALLY if ALL else ["retry"])
def test_five_filesets_in_a_real_omero_whichever_way(tmp_path: Path, way: str) -> None:
    with counted(KIND, f"{way}, real processes"), real_run(tmp_path) as run:
        run.layout.drop.joinpath("alice").mkdir(exist_ok=True)
        run.start()
        dropped = run.drop("run7", fine=4, broken=1, dataset="HeLa")
        if "submission" in way:
            resubmit(run)
        run.rest()
        (failed,) = run.filed("failed", dropped)
        REALLY[way](run, failed)
        run.rest()
        emptied = way in ("retry", "the folder moved back")
        assert bool(run.filed("failed", dropped)) is not emptied
        run.terminate()
        held = Counter(str(path).rpartition("/")[2] for (path,) in run.ask("select e.clientPath from FilesetEntry e"))
        assert held == Counter(f"{number}.tif" for number in range(5)), run.tail()
        (images,) = run.ask("select count(*) from Image")
        assert images == (5,)
        tags = run.ask("select count(*) from ImageAnnotationLink l join Annotation a on a.id = l.child where a.kind = 'TagAnnotation'")
        assert tags == [(5,)]


def resubmit(run: RealRun) -> None:
    """Give the drop that lies there a submission, before it is taken."""
    sidecar = run.layout.drop / "alice" / "run7.yaml"
    sidecar.write_text(sidecar.read_text() + "submission: run-7\n")


def test_the_answer_of_a_retry_is_json_for_programs(tmp_path: Path) -> None:
    five = Five(tmp_path, PLAIN, BADLY["that cannot be read"])
    five.mend()
    five.retry()
    five.work()
    answer = answer_to(five.lab.settings.state_dir, "order-1")
    assert answer is not None
    raw = json.loads((five.lab.settings.state_dir / "commands" / "order-1.answer.json").read_bytes())
    assert raw["v"] == 1
    assert raw["results"][0]["ok"] is True
