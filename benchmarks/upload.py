"""One large file: the importer's `send` against a loop that does nothing but send."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from benchmarks.figures import Figure, spread
from benchmarks.scene import USER, Scene, environment, scene
from dropbox_import.importer.upload import BLOCK
from dropbox_import.workers.protocol import Command, Done, Failed, Hello, decode_event, encode_command
from tests.support import standin_process

MIB = 1 << 20
LARGE, SMALL = 1024 * MIB, 64 * MIB
TIMES = 5


class Worker:
    """A worker process as the daemon has it, driven by hand, one command at a time."""

    def __init__(self, stage: Scene) -> None:
        words = [sys.executable, "-m", "dropbox_import.importer"]
        self.process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment(), cwd=stage.folder
        )
        self._ids = itertools.count(1)
        while not isinstance(self._event(), Hello):
            pass
        sessions = stage.folder / "sessions"
        sessions.mkdir(exist_ok=True)
        self.do("configure", **stage.omero(), instance="benchmark", sessions_dir=str(sessions))
        self.session = int(self.do("open_session", owner=USER, group=None)["session"])

    def _event(self) -> Any:
        assert self.process.stdout is not None
        while not (line := self.process.stdout.readline()).strip():
            if not line:
                raise RuntimeError("the worker has ended")
        return decode_event(line)

    def do(self, word: str, *, attempt: int = 0, **args: Any) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(encode_command(Command(next(self._ids), word, args, "drop", "key", attempt)))
        self.process.stdin.flush()
        while not isinstance(event := self._event(), Done):
            if isinstance(event, Failed):
                raise RuntimeError(f"{word}: {event.code}: {event.sentence}")
        return event.result

    def upload(self, path: Path, attempt: int) -> float:
        """Seconds of `send` alone."""
        name = f"benchmark/{path.name}-{attempt}"
        meta = {"drop": "drop", "instance": "benchmark", "session": self.session, "attempt": attempt}
        self.do("begin", attempt=attempt, session=self.session, token=f"t{attempt}/key", meta=meta, client_paths=[name])
        file = {"path": path.name, "client_path": name, "size": path.stat().st_size}
        begun = time.perf_counter()
        self.do("send", attempt=attempt, session=self.session, root=str(path.parent), files=[file])
        spent = time.perf_counter() - begun
        self.do("cancel", attempt=attempt, session=self.session)
        return spent

    def peak(self) -> int:
        """The most memory it ever had, in bytes."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return 1024 * next(int(line.split()[1]) for line in text.splitlines() if line.startswith("VmHWM"))


@contextmanager
def _worker(stage: Scene) -> Iterator[Worker]:
    found = Worker(stage)
    try:
        yield found
    finally:
        assert found.process.stdin is not None and found.process.stdout is not None
        found.process.stdin.close()
        found.process.wait(20)
        found.process.stdout.close()


def _plain(client: Any, size: int, number: int) -> float:
    """Seconds of a loop that sends as many bytes, out of memory, and does nothing else."""
    process = standin_process.begin(client, [f"benchmark/plain-{number}"])
    block = os.urandom(BLOCK)
    begun = time.perf_counter()
    store = process.getUploader(0)
    for at in range(0, size, BLOCK):
        length = min(BLOCK, size - at)
        store.write(block if length == BLOCK else block[:length], at, length)
    store.close()
    spent = time.perf_counter() - begun
    process.close()
    return spent


def _tidy(stage: Scene) -> None:
    """What the server stored is no use any more; left there, its way to the disk would slow down the next upload."""
    for path in (stage.folder / "omero").rglob("*"):
        if path.is_file() and path.stat().st_size > SMALL // 2:
            path.unlink()


def _file(folder: Path, size: int) -> Path:
    path = folder / f"{size // MIB}.bin"
    with path.open("wb") as stream:
        for _ in range(size // (16 * MIB)):
            stream.write(os.urandom(16 * MIB))
        stream.flush()
        os.fsync(stream.fileno())
    return path


def _seconds_of_processor(*pids: int) -> float:
    """What these processes have used so far, of all processors together."""
    spent = [psutil.Process(pid).cpu_times() for pid in pids]
    return sum(one.user + one.system for one in spent)


def run() -> list[Figure]:
    with scene() as stage:
        large, small = _file(stage.folder, LARGE), _file(stage.folder, SMALL)
        with _worker(stage) as worker:
            for number in range(1, TIMES + 1):
                worker.upload(small, number)
            low = worker.peak()
        ours: list[float] = []
        plain: list[float] = []
        our_work: list[float] = []
        plain_work: list[float] = []
        client, _ = stage.standin.sudo(USER)
        server = stage.standin.pid
        with _worker(stage) as worker:
            _plain(client, SMALL, 0)
            for number in range(1, TIMES + 1):
                for mine in (True, False) if number % 2 else (False, True):
                    pids = (server, worker.process.pid if mine else os.getpid())
                    before = _seconds_of_processor(*pids)
                    spent = worker.upload(large, number) if mine else _plain(client, LARGE, number)
                    (ours if mine else plain).append(spent)
                    (our_work if mine else plain_work).append(_seconds_of_processor(*pids) - before)
                    _tidy(stage)
            high = worker.peak()
    ratios = [theirs / own for theirs, own in zip(plain, ours, strict=True)]
    work = [theirs / own for theirs, own in zip(plain_work, our_work, strict=True)]
    memory = f"{high / low:.2f} ({high / MIB:.0f} MiB, {low / MIB:.0f} MiB)"
    return [
        Figure("speed of `send` / speed of a bare loop, 1 GiB", spread(ratios), ">= 0.9", median(ratios) >= 0.9),
        Figure("  MiB/s of `send`, of the bare loop", f"{1024 / median(ours):.0f}, {1024 / median(plain):.0f}"),
        Figure("processor time of a bare loop / of `send`, client and server", spread(work)),
        Figure("worker's peak memory with 1 GiB / with 64 MiB", memory, "<= 1.3", high <= 1.3 * low),
    ]
