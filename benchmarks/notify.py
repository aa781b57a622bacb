"""Telling people: what a message costs, how fast letters go out, how large they are, and what a bad mail server costs imports.

The first part is the daemon's own courier in this process, with a real notifier process and a mail server that only counts. Nothing is
gathered there, and no limit holds: it is to show how fast it can be, not how fast it is wanted. The second part are real daemons.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import smtplib
import socket
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

import psutil
from aiosmtpd.controller import Controller

from benchmarks.drops import LONGEST, SIDECAR
from benchmarks.figures import Figure, spread
from benchmarks.scene import Scene, give, journals, scene, until
from dropbox_import.clock import SystemClock
from dropbox_import.daemon.courier import Courier
from dropbox_import.daemon.notifier_config import notifier_config
from dropbox_import.daemon.outage import Backoff, Outage
from dropbox_import.daemon.post import Post
from dropbox_import.model import Candidate, ContainerRef, FileFacts, FilesetPlan, ImportRequest, Inspection, Target
from dropbox_import.notify import compose, plan
from dropbox_import.notify.message import MAIL, Letter, Message, Route
from dropbox_import.notify.outbox import Outbox, write_message
from dropbox_import.plain import to_plain
from dropbox_import.settings.model import Box, Listener, Mail, Notify, Omero, Settings
from dropbox_import.spool.fold import fold
from dropbox_import.spool.journal import Record
from dropbox_import.spool.layout import Layout, create_box, filed_name, month_of, new_id
from dropbox_import.standin import samples
from dropbox_import.workers.dispatcher import Workers
from dropbox_import.workers.protocol import Command

MESSAGES, USERS = 1000, 10
DIGESTS = (1, 10, 100, 1000)
TURNS = 20
DROPS, ROUNDS = 300, 3
HOST, ADMIN, ME = "127.0.0.1", "ops@example.org", "benchmark"
FACILITY = 10_000_000  # letters in an hour, which is as many as there can be
KB = 1000
MB = 1_000_000

logging.getLogger("mail.log").setLevel(logging.CRITICAL)  # aiosmtpd's


def run() -> list[Figure]:
    logging.getLogger("dropbox_import").setLevel(logging.CRITICAL)
    with tempfile.TemporaryDirectory(prefix="dropbox-import-benchmark-") as folder, postbox() as sink:
        figures = _writes(Path(folder))
        with _desk(Path(folder) / "desk", sink) as desk:
            figures += _digests(desk)
            figures += _letters(desk, "few", _messages(MESSAGES, USERS))
            figures += _letters(desk, "each", _messages(MESSAGES, MESSAGES))
            figures += _waiting(desk)
    return figures + _imports()


# --- what takes mail ------------------------------------------------------------------


@dataclass
class Sink:
    """A mail server that keeps what it gets."""

    port: int
    mails: list[tuple[str, bytes]] = field(default_factory=list)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self.mails.append((envelope.rcpt_tos[0], envelope.content))
        return "250 OK"


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as probe:
        return int(probe.getsockname()[1])


@contextmanager
def postbox() -> Iterator[Sink]:
    sink = Sink(_free_port())
    server = Controller(sink, hostname=HOST, port=sink.port)
    server.start()
    try:
        yield sink
    finally:
        server.stop()


# --- messages as drops make them --------------------------------------------------------


def _message(number: int, users: int) -> Message:
    """Of a drop of one image, every second one cut in half."""
    user, name = f"user{number % users}", f"cells_{number:05}"
    fails = bool((number + number // USERS) % 2)
    image = FileFacts(f"{name}.tif", 12_496, number + 1)
    sidecar = FileFacts(f"{name}.yaml", 361, number + 1)
    request = ImportRequest(Target(ContainerRef(name="Mitosis", create=True), ContainerRef(name="HeLa", create=True)))
    key = f"{number:020x}"
    at = SystemClock().now().isoformat(timespec="milliseconds")
    where = {"project": 1, "dataset": 3, "project_name": "Mitosis", "dataset_name": "HeLa"}
    failure = {
        "code": "truncated",
        "sentence": f"{image.path} ends after 6,248 of the 12,496 bytes that it announces.",
        "hint": "Copy it again from where it was made, and drop it with its sidecar once more.",
    }
    imported = {
        "fileset": number + 1,
        "images": [{"id": number + 1, "name": image.path, "series": 0, "series_name": "", "size": [96, 64, 1, 1, 1], "dataset": 3}],
        "files": [{"client_path": f"{user}/{image.path}", "size": image.size, "sha1": "0" * 40}],
    }
    candidate = to_plain(Candidate(user, user, sidecar, "0" * 64, user, request, (image,)))
    records = [
        Record("intent", {"candidate": candidate, "instance": ME, "seen": at}),
        Record("claimed"),
        Record("inspected", to_plain(Inspection((FilesetPlan(key, (image,)),)))),
        Record("resolved", {"owner": user, "group": "lab", "email": f"{user}@example.org", **where}),
        Record("target", where),
        *(
            [Record("fileset-failed", failure, key)]
            if fails
            else [Record("imported", imported, key), Record("annotated", {"made": [], "refused": []}, key)]
        ),
    ]
    drop = fold(new_id(SystemClock()), [replace(record, at=at) for record in records])
    return compose.outcome(drop, "/srv/imports")


def _messages(count: int, users: int) -> list[Message]:
    return [_message(number, users) for number in range(count)]


# --- writing them down ------------------------------------------------------------------


def _writes(folder: Path) -> list[Figure]:
    """In turns of a hundred, so that a disk that is busier for a while is so for both."""
    ours, bare = folder / "ours", folder / "bare"
    ours.mkdir()
    bare.mkdir()
    messages = _messages(MESSAGES, USERS)
    write_message(ours, messages[0])
    spent = {"ours": 0.0, "bare": 0.0}
    for begin in range(0, MESSAGES, 100):
        some = messages[begin : begin + 100]
        begun = time.perf_counter()
        for message in some:
            write_message(ours, message)
        spent["ours"] += time.perf_counter() - begun
        bytes_of = [(f"{one.name}.json", (ours / f"{one.name}.json").read_bytes()) for one in some]
        begun = time.perf_counter()
        for name, data in bytes_of:
            _bare_write(bare, name, data)
        spent["bare"] += time.perf_counter() - begun
    size = sum(path.stat().st_size for path in bare.iterdir()) / MESSAGES
    return [
        Figure(f"{MESSAGES:,} messages of {size / KB:.1f} kB, durable writes a second", f"{MESSAGES / spent['ours']:.0f}"),
        Figure(
            "  / those of a bare loop with the same syncs",
            f"{spent['bare'] / spent['ours']:.2f}",
            ">= 0.7",
            spent["bare"] >= 0.7 * spent["ours"],
        ),
    ]


def _bare_write(folder: Path, name: str, data: bytes) -> None:
    fresh = folder / f".{name}.new"
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    os.write(fd, data)
    os.fsync(fd)
    os.close(fd)
    fresh.rename(folder / name)
    fd = os.open(folder, os.O_RDONLY)
    os.fsync(fd)
    os.close(fd)


# --- letters ----------------------------------------------------------------------------


@dataclass
class Desk:
    """A box, and a notifier process that sends to the sink."""

    folder: Path
    sink: Sink
    settings: Settings
    workers: Workers

    @property
    def box(self) -> Layout:
        return Layout(self.settings.boxes[0].path)

    def post(self, rules: Notify) -> Post:
        outage = Outage(Backoff((600.0,), 0.1, SystemClock()), SystemClock())  # there is none
        return Post(rules, self.settings.state_dir, self.workers, outage, SystemClock())

    def fill(self, name: str, messages: Sequence[Message]) -> Outbox:
        """An outbox with these messages, each of a drop that is filed. Without syncs: what they cost is measured apart."""
        outbox = Outbox(self.box.outbox(name))
        outbox.folder.parent.mkdir()
        outbox.folder.mkdir()
        for message in messages:
            state = self.box.failed if message.event == "failed" else self.box.done
            (state / message.user / month_of(message.drop) / filed_name(message.sidecar, message.drop)).mkdir(parents=True)
            (outbox.folder / f"{message.name}.json").write_text(json.dumps(to_plain(message)))
        return outbox


@contextmanager
def _desk(folder: Path, sink: Sink) -> Iterator[Desk]:
    rules = Notify(Mail(HOST, sink.port), Listener((ADMIN,)), gather=0.0, digest=0.0, limit=FACILITY, web="https://omero.example.org")
    settings = Settings(Omero("localhost", "importer"), folder / "state", (Box(folder / "box"),), ME, notify=rules)
    settings.state_dir.mkdir(parents=True)
    create_box(folder / "box", SystemClock())
    workers = Workers(settings.workers, settings.state_dir, SystemClock(), notifier_config=notifier_config(settings, ME))
    try:
        yield Desk(folder, sink, settings, workers)
    finally:
        workers.stop()


def _digests(desk: Desk) -> list[Figure]:
    """The bytes of a mail, as the server gets it, by the number of messages that it tells."""
    sizes = []
    for count in DIGESTS:
        messages, folded = plan.content(_messages(count, USERS))
        now = SystemClock().now().isoformat(timespec="seconds")
        letter = Letter(new_id(SystemClock()), Route(MAIL, ADMIN), "admin", "en", now, messages, folded)
        reply = desk.workers.submit("notifier", Command(0, "send", {"letter": to_plain(letter)}), lambda _: None).wait(120)
        if reply is None or reply.error is not None:
            raise RuntimeError(f"a letter of {count} messages was not sent: {reply}")
        sizes.append(len(desk.sink.mails[-1][1]) / KB)
    many = sizes[-1] / sizes[-2]
    told = ", ".join(f"{count:,}" for count in DIGESTS)
    return [
        Figure(f"kB of a mail about {told} messages", ", ".join(f"{size:.1f}" for size in sizes)),
        Figure(f"  about {DIGESTS[-1]:,} / about {DIGESTS[-2]}", f"{many:.2f}", "<= 1.3", many <= 1.3),
    ]


def _letters(desk: Desk, name: str, messages: Sequence[Message]) -> list[Figure]:
    """From an outbox that is full to one that is empty, and the same mails by a loop that does nothing but send."""
    outbox = desk.fill(name, messages)
    before = len(desk.sink.mails)
    courier = Courier(outbox, desk.post(desk.settings.notify), box=desk.box)
    woken = threading.Event()
    courier.wake = woken.set
    begun, work = time.perf_counter(), time.thread_time()
    first = 0.0
    while True:
        pause = courier.turn()
        first = first or (time.perf_counter() - begun if courier.flying() else 0.0)
        if not any(outbox.names()):
            break
        if time.perf_counter() - begun > LONGEST or outbox.names()[2]:
            raise RuntimeError(f"letters are left: {courier.counts()}")
        woken.wait(pause)
        woken.clear()
    spent, work = time.perf_counter() - begun, time.thread_time() - work
    mails = desk.sink.mails[before:]
    begun = time.perf_counter()
    for address, data in mails:
        with smtplib.SMTP(HOST, desk.sink.port) as server:
            server.sendmail(ADMIN, [address], data)
    bare = time.perf_counter() - begun
    people = len({address for address, _ in mails}) - 1
    told = f"{len(messages):,} messages for {people:,} users and an administrator, all told: seconds, letters"
    return [
        Figure(told, f"{spent:.1f}, {len(mails):,}"),
        Figure("  messages, letters a second", f"{len(messages) / spent:.0f}, {len(mails) / spent:.1f}"),
        Figure("  letters a second / mails a second of a bare loop", f"{bare / spent:.2f} ({len(mails) / bare:.0f})"),
        Figure(
            "  seconds until the first letter was on its way; ms of courier for a letter", f"{first:.2f}; {1000 * work / len(mails):.1f}"
        ),
    ]


def _waiting(desk: Desk) -> list[Figure]:
    """What it costs that messages lie there and nobody can be told, because no way is configured or no letter is due."""
    figures = []
    for what, rules in (("no notify section", Notify()), ("letters not due yet", replace(desk.settings.notify, gather=3600.0))):
        found = [_turn(desk, f"{what} {count}", count, rules) for count in (MESSAGES, 10 * MESSAGES)]
        told = f"{MESSAGES:,}, {10 * MESSAGES:,} messages wait ({what}): milliseconds of processor for a turn"
        figures.append(Figure(told, ", ".join(f"{each:.0f}" for each, _ in found)))
        figures.append(Figure("  memory for one of the most, kB", f"{found[-1][1] / KB:.1f}"))
    return figures


def _turn(desk: Desk, name: str, count: int, rules: Notify) -> tuple[float, float]:
    """Milliseconds of processor for a turn of a courier that knows its messages already, and bytes of memory for each of them."""
    outbox = desk.fill(name, _messages(count, USERS))
    courier = Courier(outbox, desk.post(rules), box=desk.box)
    gc.collect()
    before = psutil.Process().memory_info().rss
    courier.turn()
    gc.collect()
    memory = psutil.Process().memory_info().rss - before
    begun = time.thread_time()
    for _ in range(TURNS):
        courier.turn()
    return 1000 * (time.thread_time() - begun) / TURNS, memory / count


# --- imports ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    """`rate`: drops a second; `work`: seconds of the daemon's processor for a drop; `peak`: bytes; `stop`: seconds; `mails` of the sink."""

    rate: float
    work: float
    peak: int
    stop: float
    mails: int


def _imports() -> list[Figure]:
    """The same drops with each mail server; in every second round in the other order."""
    with scene() as stage, postbox() as sink, socket.create_server((HOST, 0), backlog=50) as silent:
        at_once = {"admin": ADMIN, "gather": "0 s", "digest": "0 s", "limit": {"letters": 1000, "per": "1 min"}}
        kinds: dict[str, Mapping[str, Any] | None] = {
            "no notify section": None,
            "a healthy mail server": {"admin": ADMIN, "mail": f"{HOST}:{sink.port}"},
            "  the same, and nothing is gathered": {**at_once, "mail": f"{HOST}:{sink.port}"},
            "a dead mail server, nothing is gathered": {**at_once, "mail": f"{HOST}:{_free_port()}"},
            "a mail server that hangs, nothing is gathered": {**at_once, "mail": f"{HOST}:{silent.getsockname()[1]}"},
            "no notify section once more, which shows the noise": None,
        }
        found: dict[str, list[Run]] = {what: [] for what in kinds}
        _import(stage, sink, None, min(DROPS, 20))  # files are in the page cache, the stand-in is warm
        for number in range(ROUNDS):
            for what in list(kinds)[:: -1 if number % 2 else 1]:
                found[what].append(_import(stage, sink, kinds[what], DROPS))
    plain = found.pop("no notify section")
    figures = [
        Figure(
            f"{DROPS} drops, no notify section: drops a second, ms of the daemon's processor for each, its MB",
            f"{median(one.rate for one in plain):.2f}, {1000 * median(one.work for one in plain):.0f}, "
            f"{median(one.peak for one in plain) / MB:.0f}",
        )
    ]
    for what, runs in found.items():
        pairs = list(zip(runs, plain, strict=True))
        rates = [one.rate / other.rate for one, other in pairs]
        work = median(one.work / other.work for one, other in pairs)
        peak = median(one.peak / other.peak for one, other in pairs)
        figures.append(Figure(f"{what}: drops a second / with none", spread(rates), ">= 0.9", median(rates) >= 0.9))
        figures.append(Figure("  daemon's processor for a drop, its peak of memory / with none", f"{work:.2f}, {peak:.2f}"))
        figures.append(Figure("  mails that arrived meanwhile; seconds to stop", f"{runs[-1].mails}; {runs[-1].stop:.1f}"))
    return figures


def _import(stage: Scene, sink: Sink, notify: Mapping[str, Any] | None, drops: int) -> Run:
    box = stage.new_box()
    for number in range(drops):
        give(box, f"{number}.tif", samples.plain_tiff(stage.folder / "one.tif", number).read_bytes())
        give(box, f"{number}.yaml", SIDECAR.encode())
    before = len(sink.mails)
    with stage.daemon(box, notify=notify, quiet_period=1, scan_interval=1) as daemon:
        process = psutil.Process(daemon.child.pid)
        begun = sum(process.cpu_times()[:2])
        daemon.finish(LONGEST)
        work = sum(process.cpu_times()[:2]) - begun
        text = Path(f"/proc/{process.pid}/status").read_text()
        peak = 1024 * next(int(line.split()[1]) for line in text.splitlines() if line.startswith("VmHWM"))
        mails = len(sink.mails) - before
        if notify is not None and f":{sink.port}" in notify["mail"]:
            until(lambda: len(sink.mails) > before, 60, "a mail")
        stopping = time.monotonic()
    stop = time.monotonic() - stopping
    said = daemon.log.read_text()
    if "Traceback" in said:
        raise RuntimeError(said[said.index("Traceback") - 500 :][:3000])
    found = journals(box.done)
    if len(found) != drops:
        raise RuntimeError(f"{len(found)} of {drops} drops are in done/")
    ends = [[datetime.fromisoformat(records[place].at).timestamp() for place in (0, -1)] for records in found]
    length = max(last for _, last in ends) - min(first for first, _ in ends)
    return Run(drops / length, work / drops, peak, stop, mails)
