"""Many daemons on one share: each one's core in a process of its own, with the real boxes, journals and disk; OMERO is in the test.

`python -m tests.support.crowd NUMBER_OF_A_SOCKET` is one of them. It has a clock of its own, which runs as fast as it gets on, and
stumbles at random between two effects on the disk, so that the processes meet in ever other orders.
"""

from __future__ import annotations

import os
import pickle
import random
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dropbox_import.daemon.shared import Happening
from dropbox_import.disk import files, observe
from dropbox_import.intake import Intake, Scan
from dropbox_import.settings import Settings
from tests.support.clocks import HandClock
from tests.support.lab import Lab
from tests.support.labrun import MOST, Remote, core
from tests.support.scripted import ScriptedWorkers

ROOT = Path(__file__).resolve().parents[2]
REST_TURNS = 40  # without anything to do before a process asks whether that was all


@dataclass(frozen=True)
class Part:
    """What one process is told. `stumble`: how often it is held up for a moment at an effect on the disk.

    `share`: nothing can be renamed in one call that refuses an existing target, as on NFS and SMB.
    """

    settings: Settings
    seed: int
    shuffled: bool
    stumble: float
    share: bool


@dataclass
class One:
    """One process as the test sees it."""

    part: Part
    line: socket.socket
    process: subprocess.Popen[bytes]
    workers: ScriptedWorkers
    happened: Counter[str] = field(default_factory=Counter)
    state: dict[str, Any] = field(default_factory=dict)
    resting: bool = False
    seconds: float = 0.0


class Crowd:
    """Runs processes on the boxes of a lab whose server serves them all, one command after the other."""

    def __init__(self, lab: Lab, *, stumble: float = 0.02, share: bool = False) -> None:
        self.lab = lab
        self.ones: list[One] = []
        self.trouble: list[str] = []
        self._stumble = stumble
        self._share = share
        self._selector = selectors.DefaultSelector()
        self._thread: threading.Thread | None = None
        self._on_command: Callable[[One, str], None] = lambda one, do: None

    def start(self) -> None:
        for number, daemon in enumerate(self.lab.daemons):
            daemon.identity()
            part = Part(daemon.settings, number + 1, number % 2 == 1, self._stumble, self._share)
            mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            for end in (mine, theirs):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * MOST)
            words = [sys.executable, "-m", "tests.support.crowd", str(theirs.fileno())]
            environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
            process = subprocess.Popen(words, pass_fds=[theirs.fileno()], env=environment, cwd=ROOT)
            theirs.close()
            mine.send(pickle.dumps(part))
            one = One(part, mine, process, ScriptedWorkers(self.lab.server, daemon.settings.state_dir / "sessions"))
            self.ones.append(one)
            self._selector.register(mine, selectors.EVENT_READ, one)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def when(self, on_command: Callable[[One, str], None]) -> None:
        """Called at each command of a worker, before it is done, in the thread that serves."""
        self._on_command = on_command

    def _serve(self) -> None:
        while self._selector.get_map():
            for key, _ in self._selector.select(1.0):
                one: One = key.data
                data = b""
                with suppress(OSError):
                    data = one.line.recv(MOST)
                if not data:
                    self._selector.unregister(one.line)
                    continue
                try:
                    answer = self._answer(one, *pickle.loads(data))
                except Exception as error:  # noqa: BLE001 - a bug here must not leave all of them waiting
                    self.trouble.append(repr(error))
                    answer = None
                with suppress(OSError):
                    one.line.send(pickle.dumps(answer))

    def _answer(self, one: One, what: str, about: Any, seconds: float) -> Any:
        one.seconds = seconds
        match what:
            case "submit":
                role, command, alone, worker = about
                self._on_command(one, command.do)
                replies: list[Any] = []
                self.lab.clock.forward(0.001)
                one.workers.submit(role, command, replies.append, alone=alone, worker=worker)
                return replies[0]
            case "alive":
                return one.workers.alive(about)
            case "happened":
                one.happened.update(about)
            case "failed":
                self.trouble.append(about)
            case "resting":
                one.resting, one.state = about
        return None

    def rest(self, seconds: float, *, but: tuple[One, ...] = ()) -> None:
        """Until every process (but those) has had nothing to do for a while, and nothing lies in drop/."""
        end = time.monotonic() + seconds
        others = [one for one in self.ones if one not in but]
        while True:
            assert not self.trouble, self.trouble
            dead = [one.process.returncode for one in others if one.process.poll() is not None]
            assert not dead, f"processes ended with {dead}"
            left = any(name.endswith(".yaml") for _, _, names in os.walk(self.lab.layout.drop) for name in names)
            if not left and all(one.resting for one in others):
                return
            assert time.monotonic() < end, f"stuck: not at rest after {seconds} s: {[one.state for one in others]}"
            time.sleep(0.05)

    def until(self, look: Callable[[], object], otherwise: str, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while not look():
            assert not self.trouble, self.trouble
            assert time.monotonic() < end, f"stuck: {otherwise}"
            time.sleep(0.01)

    def stop(self, one: One) -> None:
        """SIGSTOP; returns when it has stopped."""
        one.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, one.process.pid, os.WSTOPPED | os.WNOWAIT)

    def close(self) -> None:
        """They end where they are. Called before anything is judged that they write now and then; may be called twice."""
        for one in self.ones:
            one.process.kill()
        for one in self.ones:
            one.process.wait(20)
        if self._thread is not None:
            self._thread.join(5)
        for one in self.ones:
            one.line.close()
        self._selector.close()


@contextmanager
def crowd(lab: Lab, *, stumble: float = 0.02, share: bool = False) -> Iterator[Crowd]:
    found = Crowd(lab, stumble=stumble, share=share)
    try:
        found.start()
        yield found
    finally:
        found.close()


# --- one of them -----------------------------------------------------------------------------


class _Shuffled(Intake):
    """Tells what is ready in an order of its own."""

    rng = random.Random(0)

    def scan(self) -> Scan:
        found = super().scan()
        return replace(found, ready=tuple(self.rng.sample(found.ready, len(found.ready))))


def rename_as_on_a_share(happened: Counter[str], stumble: Callable[[], None]) -> None:
    """From now on a look at the target and a plain rename, which others can get in between."""
    really = files._has_name

    def cannot(old: files.Reached, new: files.Reached) -> bool:
        happened["renamed as on a share"] += 1
        return False

    def looked(name: str, folder: int | None) -> bool:
        found = really(name, folder)
        stumble()
        return found

    files._rename_noreplace = cannot
    files._has_name = looked


def work(part: Part, line: socket.socket) -> None:
    clock = HandClock()
    clock._random = random.Random(f"bits {part.seed} {os.getpid()} {time.time_ns()}")
    rng = random.Random(part.seed)

    def ask(what: str, about: Any) -> Any:
        line.send(pickle.dumps((what, about, clock.seconds)))
        return pickle.loads(line.recv(MOST))

    def stumble(*_: object) -> None:
        if rng.random() < part.stumble:
            time.sleep(rng.random() * 0.002)

    happened: Counter[str] = Counter()
    if part.share:
        rename_as_on_a_share(happened, stumble)

    def tell(happening: Happening) -> None:
        happened[happening.what] += 1

    observe.set_observer(stumble)
    (runner,) = core(part.settings, clock, Remote(ask))
    if part.shuffled:
        runner._intake = _Shuffled(runner.box, clock)
        runner._intake.rng = rng
    runner._shared = runner._pipeline._shared = replace(runner._shared, tell=tell)
    quiet = 0
    while True:
        runner.turn(0)
        clock.forward(max(0.05, min(runner.pause(), 1.0)))
        state = runner.state()
        idle = not runner.busy() and not state["waiting"] and not state["trouble"] and runner.scans > 5
        quiet = quiet + 1 if idle else 0
        if happened:
            ask("happened", dict(happened))
            happened.clear()
        if quiet >= REST_TURNS or (quiet == 0 and runner.scans % 20 == 0):
            ask("resting", (quiet >= REST_TURNS, {"seconds": clock.seconds, **state}))
            if quiet >= REST_TURNS:
                time.sleep(0.01)


def main() -> None:
    line = socket.socket(fileno=int(sys.argv[1]))
    os.fsync = lambda fd: None  # only processes end here: nothing needs to be forced to the disk
    part: Part = pickle.loads(line.recv(MOST))
    try:
        work(part, line)
    except (EOFError, BrokenPipeError, ConnectionError):
        return  # the test is over
    except BaseException as error:
        line.send(pickle.dumps(("failed", repr(error), 0.0)))
        raise


if __name__ == "__main__":
    main()
