"""A daemon's core under strace: ended before any call that changes the disk, or refused at any.

`Zygote.live` runs one life of tests.support.labrun with OMERO in this process, and returns what strace saw and what the log said.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import pickle
import re
import shutil
import socket
import stat
import subprocess
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dropbox_import.spool import layout
from dropbox_import.spool.filing import SPLIT_SUFFIX
from dropbox_import.spool.journal import read
from tests.support.here import is_root
from tests.support.lab import Lab
from tests.support.labrun import MOST, Life
from tests.support.promises import is_ours
from tests.support.scripted import ScriptedWorkers

ROOT = Path(__file__).resolve().parents[2]
# A drop, how many of its files are imported, and how many copies of its sidecar are made.
CASES: dict[str, tuple[tuple[str, str, dict[str, bytes]], int, int]] = {
    "several": (("set.yaml", "target: {dataset: HeLa}\n", {"set/1.tif": b"one", "set/2.tif": b"two"}), 2, 0),
    "partly": (("p.yaml", "target: {dataset: HeLa}\n", {"p/good.tif": b"good", "p/bad.tif": b"broken"}), 1, 1),
}
# Those that this machine's system does not have ("?") are left out.
KINDS = {
    "rename": ("rename", "renameat", "renameat2"),
    "mkdir": ("mkdir", "mkdirat"),
    "fsync": ("fsync", "fdatasync"),
    "write": ("write", "pwrite64", "ftruncate"),
    "unlink": ("unlink", "unlinkat", "rmdir"),
    "chmod": ("chmod", "fchmod", "fchmodat", "chown", "fchown", "fchownat"),
    "open": ("open", "openat"),
}
HOME_MODE, FOLDER_MODE, NOBODY = 0o750, 0o751, 65534
ERRORS = ("ENOSPC", "EIO", "EACCES", "ESTALE", "EBUSY", "EINTR")
TRACED = ",".join(f"?{name}" for names in KINDS.values() for name in names)
_LINE = re.compile(r"^(\w+)\((.*)\) += (\S+)")
_ATTACHED = re.compile(rb"Process \d+ attached")


@dataclass(frozen=True)
class Said:
    """One line of the log. `traceback`: that of a bug."""

    level: int
    text: str
    traceback: bool


@dataclass(frozen=True)
class Call:
    """The `number`th call of that name in a life."""

    name: str
    number: int
    args: str

    @property
    def kind(self) -> str:
        return next(kind for kind, names in KINDS.items() if self.name in names)

    def __str__(self) -> str:
        return f"{self.name} {self.number} ({self.args[:160]})"


@dataclass
class Ended:
    """`code`: of the process, or minus the signal that ended it."""

    code: int = 0
    calls: list[Call] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)
    injected: int = 0

    @property
    def warnings(self) -> list[Said]:
        return [one for one in self.said if one.level >= logging.WARNING]


class Zygote:
    """One process that has loaded everything, and makes a child for each life. `module`: whose `main` it is."""

    def __init__(self, folder: Path, module: str = "tests.support.labrun") -> None:
        self._folder = folder
        self._lives = 0
        self._calls: dict[str, list[Call]] = {}
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (self._line, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * MOST)
        environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}
        words = [sys.executable, "-m", module, str(theirs.fileno())]
        self._process = subprocess.Popen(words, pass_fds=[theirs.fileno()], env=environment, cwd=ROOT)
        theirs.close()
        self._line.settimeout(180)

    def close(self) -> None:
        self._line.close()
        self._process.wait(10)

    def calls(self, case: str) -> list[Call]:
        """Those of a life without trouble that change the disk, each of which may be the next place of one."""
        if case not in self._calls:
            self._calls[case] = changing(self.live(lab_with(self._folder / "plain", case)), self._folder / "plain")
        return self._calls[case]

    def live(self, lab: Lab, inject: str = "", *, troubled: int = 0, most: int = 400) -> Ended:
        """One life on the lab's boxes; `inject` is strace's. With `troubled` it goes on, after so many turns, as if time had passed."""
        self._lives += 1
        workers = ScriptedWorkers(lab.server, lab.settings.state_dir / "sessions")
        life = Life(lab.settings, lab.clock.monotonic() + 1.0, f"life {self._lives}", troubled, most)

        def answer(what: str, about: Any, seconds: float) -> Any:
            lab.clock.forward(max(0.0, seconds - lab.clock.monotonic()))
            return _answer(workers, what, about)

        return self.run(life, inject, answer)

    def run(self, life: Any, inject: str, answer: Callable[[str, Any, float], Any]) -> Ended:
        """One life of any kind, traced from the moment in which it says that it is ready; `answer` is for all that it asks."""
        self._line.send(pickle.dumps(life))
        ended = Ended()
        tracer: _Tracer | None = None
        failed = ""
        while True:
            what, about, seconds = pickle.loads(self._line.recv(MOST))
            if what == "gone":
                ended.code = about
                break
            if what == "failed":
                failed = about
                continue
            if what == "ready":
                tracer = _Tracer(about, self._folder / "strace.txt", inject)
            if what == "end":
                ended.said = [Said(*one) for one in about]
            self._line.send(pickle.dumps(answer(what, about, seconds)))
        if tracer is not None:
            ended.calls, ended.injected = tracer.end()
        assert not failed, f"the life ended with {failed}"
        return ended


def _answer(workers: ScriptedWorkers, what: str, about: Any) -> Any:
    if what == "submit":
        role, command, alone, worker = about
        replies: list[Any] = []
        workers.submit(role, command, replies.append, alone=alone, worker=worker)
        return replies[0]
    return workers.alive(about) if what == "alive" else None


class _Tracer:
    def __init__(self, pid: int, out: Path, inject: str) -> None:
        self._out = out
        words = ["strace", "-y", "-s", "0", "-e", "signal=none", "-e", f"trace={TRACED}", "-o", str(out), "-p", str(pid)]
        self._process = subprocess.Popen([*words, *(["-e", f"inject={inject}"] if inject else [])], stderr=subprocess.PIPE)
        assert self._process.stderr is not None
        line = self._process.stderr.readline()
        assert _ATTACHED.search(line), f"strace says: {line!r}"
        self._reader = threading.Thread(target=self._process.stderr.read, daemon=True)
        self._reader.start()

    def end(self) -> tuple[list[Call], int]:
        """All calls, and how many were tampered with."""
        self._process.wait(20)
        self._reader.join(5)
        assert self._process.stderr is not None
        self._process.stderr.close()
        calls: list[Call] = []
        counts: dict[str, int] = {}
        text = self._out.read_text(errors="replace")
        for line in text.splitlines():
            if found := _LINE.match(line):
                name = found[1]
                counts[name] = counts.get(name, 0) + 1
                calls.append(Call(name, counts[name], found[2]))
        return calls, text.count("(INJECTED)")


@contextlib.contextmanager
def zygote(folder: Path, module: str = "tests.support.labrun") -> Iterator[Zygote]:
    found = Zygote(folder, module)
    try:
        yield found
    finally:
        found.close()


def changing(ended: Ended, folder: Path) -> list[Call]:
    """The calls that change something below `folder`; a look or a read is none."""
    below = [one for one in ended.calls if str(folder) in one.args]
    return [one for one in below if one.kind != "open" or "O_CREAT" in one.args]


def is_told(call: Call, error: str, ended: Ended) -> bool:
    """Whether the log must name this error, and does."""
    system_asks_again = error == "EINTR" and call.kind in ("fsync", "write", "open", "chmod")
    may_lack_the_right = error == "EACCES" and call.kind in ("chmod", "fsync")  # giving a folder to its user ends with a sync
    word = os.strerror(getattr(errno, error))
    if system_asks_again or may_lack_the_right or "heartbeat" in call.args:  # a beat that is late is written again
        return True
    return any(word in said.text for said in ended.warnings)


def lab_with(folder: Path, case: str) -> Lab:
    """With modes that nobody has by chance; and the files of somebody else, where we may give some away."""
    (sidecar, text, members), _, _ = CASES[case]
    shutil.rmtree(folder, ignore_errors=True)
    lab = Lab(folder)
    lab.drop(sidecar, text, members)
    home = lab.layout.drop / "jdoe"
    for path in (home, *home.rglob("*")):
        path.chmod(HOME_MODE if path == home else FOLDER_MODE if path.is_dir() else _mode_of(path.name))
        if is_root():
            os.chown(path, NOBODY, NOBODY)
    return lab


def _mode_of(name: str) -> int:
    return 0o640 if name.endswith(".yaml") else 0o604 if zlib.crc32(name.encode()) % 2 else 0o444


def wrong_modes(lab: Lab) -> list[str]:
    """What of a user's is filed with another mode or owner than it had; a folder that we made is as the user's drop folder."""
    whose = (NOBODY, NOBODY) if is_root() else (os.getuid(), os.getgid())
    told = []
    for folder in (*lab.filed("done"), *lab.filed("failed")):
        for path in (folder, *folder.rglob("*")):
            if path.is_file() and is_ours(path.name):
                continue
            wanted = _mode_of(path.name) if path.is_file() else FOLDER_MODE if path.parent.name == layout.MEMBERS else HOME_MODE
            seen = path.stat()
            if (stat.S_IMODE(seen.st_mode), seen.st_uid, seen.st_gid) != (wanted, *whose):
                told.append(f"{path.relative_to(lab.box)} has {seen.st_mode:o} of {seen.st_uid}, and should have {wanted:o} of {whose[0]}")
    return told


def ajar(lab: Lab) -> list[str]:
    """What in inprogress/ is open to others: the daemon's folder, or anything in a claim from `claimed` until it is to be filed."""
    found = list(lab.layout.inprogress.iterdir())
    for claim in (path for path in lab.layout.inprogress.glob("*/*") if layout.is_id(path.name)):
        journal = claim / layout.JOURNAL
        kinds = {record.kind for record in read(journal.read_bytes())[0]} if journal.exists() else set()
        if "claimed" in kinds and "file" not in kinds and not claim.name.endswith(SPLIT_SUFFIX):
            found += [path for path in (claim, *claim.rglob("*")) if path.is_dir() or not is_ours(path.name)]
    seen = {path.relative_to(lab.box).as_posix(): path.stat() for path in found}
    return [f"{path} is open to others" for path, facts in seen.items() if facts.st_mode & 0o077 or facts.st_uid != os.getuid()]


def litter(lab: Lab) -> list[str]:
    """Halves of our own files, and what is left of a claim, where all is at rest."""
    halves = [path for path in lab.files_below(lab.box) if path.name.endswith(".new")]
    rests = [path for path in lab.layout.inprogress.glob("*/*") if path.name != "outbox"]
    return [path.relative_to(lab.box).as_posix() for path in (*halves, *rests)]
