"""What waits in the importer for what, and how it tells of it: an upload holds up nothing else, and who waits is not hung."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dropbox_import.clock import SystemClock
from dropbox_import.importer import connection, queries, target, turns
from dropbox_import.importer.records import SessionRecord
from dropbox_import.importer.sessions import OwnerSession
from dropbox_import.importer.worker import Importer
from dropbox_import.workers.crew import Act, Member, State
from dropbox_import.workers.protocol import Command, Event, InCall, Started
from dropbox_import.workers.replies import Ticket
from dropbox_import.workers.serve import Job
from tests.support.clocks import HandClock
from tests.unit.importer.foreign import errors

assert errors
PATIENCE = 60.0
CONFIG = connection.ServerConfig("omero.example.org", "importer")
_numbers = itertools.count(1)


class Bench:
    """An importer with two sessions of one owner in one group, on a server that remembers what was attached."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.importer = Importer(SystemClock())
        self.threads = ThreadPoolExecutor(8)
        self.attached: list[Any] = []
        self.uploads = 0
        self.uploading, self.go_on = threading.Event(), threading.Event()
        for number in (1, 2):
            session = OwnerSession(CONFIG, SystemClock(), SessionRecord(number, f"uuid-{number}", "jdoe", 2, "lab", 3), object())
            monkeypatch.setattr(session, "ask", self.ask)
            monkeypatch.setattr(session, "update", lambda: SimpleNamespace(saveAndReturnArray=self.save))
            self.importer._keep(session)
        monkeypatch.setattr("dropbox_import.importer.attachments._upload", self.upload)

    def ask(self, hql: str, **values: Any) -> list[list[Any]]:
        if hql == queries.MARKED["Dataset"]:
            return [[link.parent.id.val, 9] for link in self.attached if link.child.name.val == values["n"]]
        return [[9, "p.txt", values["h"]]] if hql == queries.ATTACHED_PLAIN["Dataset"] and self.attached else []

    def save(self, links: list[Any]) -> list[Any]:
        self.attached += links
        child = type("FileAnnotationI", (), {"id": SimpleNamespace(val=9)})()
        return [SimpleNamespace(parent=link.parent, child=child) for link in links]

    def upload(self, *_: object) -> int:
        self.uploads += 1
        self.uploading.set()
        assert self.go_on.wait(PATIENCE)
        return 8

    def start(self, do: str, session: int, hear: Callable[[Event], None] = lambda _: None, **args: Any) -> Future[dict[str, Any]]:
        job = Job(Command(next(_numbers), do, {"session": session, **args}), hear, SystemClock())
        return self.threads.submit(self.importer.handlers()[do], job)

    def attach(self, session: int, path: Path, hear: Callable[[Event], None] = lambda _: None) -> Future[dict[str, Any]]:
        files = [{"path": str(path), "name": path.name}]
        return self.start("annotate", session, hear, on="dataset", objects=[{"id": 5}], marker="m", attachments=files)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    made = Bench(monkeypatch)
    yield made
    made.go_on.set()
    made.threads.shutdown()


@pytest.fixture
def ready(monkeypatch: pytest.MonkeyPatch) -> target.Ready:
    """What the making of any target ends with, without a server."""
    found = target.Ready(None, 5, None, "HeLa")
    monkeypatch.setattr(target, "_find_or_make", lambda *_: found)
    return found


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, "it does not come about"
        time.sleep(0.005)


@pytest.mark.usefixtures("ready")
def test_a_target_does_not_wait_for_the_upload_of_an_attachment_to_a_container(bench: Bench, tmp_path: Path) -> None:
    """Whoever waited was over its limit in the end: the importer was killed with all that it did, and the upload began anew."""
    (tmp_path / "p.txt").write_text("a large one")
    attaching = bench.attach(1, tmp_path / "p.txt")
    assert bench.uploading.wait(PATIENCE)
    assert bench.start("target", 2).result(PATIENCE / 2)["dataset"] == 5
    assert not attaching.done()
    bench.go_on.set()
    assert attaching.result(PATIENCE)["made"] == ["Dataset:5 <- FileAnnotation:9"]


@pytest.mark.parametrize("other", ["p.txt", "q.txt"])
def test_two_drops_that_attach_the_same_file_at_once_upload_it_once(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: str
) -> None:
    monkeypatch.setattr(turns, "SLICE", 0.01)
    for name in {"p.txt", other}:
        (tmp_path / name).write_text("a large one")
    heard: list[Event] = []
    first = bench.attach(1, tmp_path / "p.txt")
    assert bench.uploading.wait(PATIENCE)
    second = bench.attach(2, tmp_path / other, heard.append)
    until(lambda: [one for one in heard if isinstance(one, InCall) and one.call == "turn"])
    bench.go_on.set()
    assert len(first.result(PATIENCE)["made"]) == 1
    assert second.result(PATIENCE) == {"made": [], "refused": []}
    assert (bench.uploads, len(bench.attached)) == (1, 1)


def test_who_waits_for_its_turn_says_so_again_and_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "SLICE", 0.01)
    inside, most, now = threading.Event(), 0, 0

    def slow(*_: object) -> target.Ready:
        nonlocal most, now
        now += 1
        most = max(most, now)
        inside.set()
        assert bench.go_on.wait(PATIENCE)
        now -= 1
        return target.Ready(None, 5, None, "HeLa")

    monkeypatch.setattr(target, "_find_or_make", slow)
    heard: list[Event] = []
    first = bench.start("target", 1)
    assert inside.wait(PATIENCE)
    second = bench.start("target", 2, heard.append)
    until(lambda: len([one for one in heard if isinstance(one, InCall)]) > 3)
    assert not second.done()
    bench.go_on.set()
    assert first.result(PATIENCE) == second.result(PATIENCE)
    assert most == 1, "two made containers at once"


@pytest.mark.usefixtures("ready")
def test_a_command_that_fails_in_its_turn_leaves_it_to_the_next(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(target, "_find_or_make", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            bench.start("target", 1).result(PATIENCE)
    assert bench.start("target", 2).result(PATIENCE)["dataset"] == 5


@pytest.mark.parametrize("do", ["resolve", "target"])
def test_a_server_that_answers_slowly_is_not_taken_for_one_that_hangs(monkeypatch: pytest.MonkeyPatch, do: str) -> None:
    """Each of the questions has its time; all of them together had the time of one."""
    clock = HandClock()
    member = Member(1, "importer", False, 8, clock.monotonic())
    member.enter(State.READY, clock.monotonic())
    asked = 0

    def ask(_client: object, hql: str, **_: object) -> list[list[Any]]:
        nonlocal asked
        asked += 1
        clock.forward(50.0)
        assert member.judge(clock.monotonic(), 3600.0)[0] is Act.NOTHING
        assert member.over_since is None
        if hql in (queries.DATASET_PERMISSIONS, queries.PROJECT_PERMISSIONS):
            return [[{"x_details_permissions": {"canLink": True}}]]
        return [[7, "jdoe", 3, "lab"]]

    monkeypatch.setattr(connection, "ask", ask)
    importer = Importer(clock)
    importer._keep(OwnerSession(CONFIG, clock, SessionRecord(1, "uuid", "jdoe", 2, "lab", 3), object()))
    args = {"session": 1, "target": {"project": {"name": "P"}, "dataset": {"name": "D"}}}
    ticket = Ticket("importer", Command(0, do, args), lambda _: None, alone=False, worker=1)
    command = member.fly(ticket, ticket.command, clock.monotonic())
    member.note(Started(command.id), clock.monotonic())
    job = Job(command, lambda event: member.note(event, clock.monotonic()), clock)
    assert importer.handlers()[do](job)["dataset"] == 7
    assert asked >= 4
