"""The real thing in processes of its own: stand-in, daemon, workers, files; and what must be true after any misfortune."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dropbox_import.clock import SystemClock
from dropbox_import.spool import journal, layout
from dropbox_import.spool.layout import Layout, create_box
from dropbox_import.standin import samples
from dropbox_import.workers.locks import start_mark
from tests.support.realtruth import Truth, check_server, is_in_a_journal, open_sessions
from tests.support.said import badly_told, disagreements, messages_in, read_all
from tests.support.standin_process import RunningStandin
from tests.support.tally import counted

ROOT = Path(__file__).resolve().parents[2]
OURS = {layout.JOURNAL, layout.REQUEST, layout.RESULT, layout.REASON, layout.ATTENTION, layout.MARKER}
RICH = """\
target: {{project: {{name: "{project}", create: true}}, dataset: {{name: "{dataset}", create: true}}}}
tags: [kept]
comments: ["of {name}"]
rating: 3
key_values:
  - pairs: [[Name, "{name}"]]
"""
NOTES = "notes.txt"
ATTACHED = f"attachments: [{{file: {NOTES}}}]\n"
LONGEST_IDLE = 600_000  # milliseconds until OMERO ends a session of ours that nobody uses
MODEST = 'target: {{dataset: {{name: "{dataset}", create: true}}}}\ncomments: ["of {name}"]\n'


def sidecars_in(drop: Path) -> list[str]:
    """Those that lie there, while folders come and go."""
    return [name for _, _, names in os.walk(drop) for name in names if name.endswith(".yaml")]


@dataclass
class Dropped:
    """One drop and what must become of it. `fine` members are in OMERO and in done/, `broken` ones in failed/."""

    name: str
    user: str
    fine: tuple[str, ...]
    broken: tuple[str, ...] = ()
    rich: bool = True
    attached: bool = False


@dataclass
class RealRun:
    """Times are short; `users` are both folders of the box and people of the stand-in."""

    folder: Path
    users: tuple[str, ...] = ("alice",)
    more: dict[str, Any] = field(default_factory=dict)  # keys of the config besides
    drops: list[Dropped] = field(default_factory=list)
    digests: Counter[str] = field(default_factory=Counter)
    daemon: subprocess.Popen[bytes] | None = None
    index: int = 0
    landing: float = 0.0
    _checked: bool = False
    _mine: subprocess.Popen[bytes] | None = None  # the daemon, as `start` runs it

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        people = self.folder / "people.json"
        staff = {"name": "importer", "password": "importer", "groups": [], "admin": True, "privileges": ["Sudo"]}
        ordinary = [{"name": user, "password": user, "groups": ["lab"], "email": f"{user}@example.org"} for user in self.users]
        people.write_text(json.dumps({"groups": [{"name": "lab", "permissions": "rwr---"}], "users": [staff, *ordinary]}))
        self.standin = RunningStandin(self.folder / "omero", people).start()
        self.layout = Layout(self.folder / "box")
        create_box(self.layout.box, SystemClock(), self.users)
        self.state = self.folder / "state"
        password = self.folder / "password"
        password.write_text("importer\n")
        password.chmod(0o600)
        omero = {
            "host": "localhost",
            "port": self.standin.port,
            "user": "importer",
            "password_file": str(password),
            "ca_file": self.standin.ca_file,
        }
        box = {
            "path": str(self.layout.box),
            "quiet_period": 0.3,
            "scan_interval": 0.3,
            "min_free": "10 MB",
            "check_file_owner": False,
        }
        config = {
            "omero": omero,
            "state_dir": str(self.state),
            "instance": "real",
            "boxes": [box],
            "retry": {"delays": [1], "jitter": 0.0},
            "log": {"level": "debug"},
            **self.more,
        }
        self.config = self.folder / "config.yaml"
        self.config.write_text(json.dumps(config))
        self.log = self.folder / "daemon.log"

    # --- the daemon ---------------------------------------------------------------------

    def start(self, *dooms: str, once: bool = False, hurry: bool = True, under: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        """`under`: a program that runs the daemon in its own place, as `strace -D` does."""
        words = [*under, sys.executable, "-m", "tests.support.doomed", "run", "--config", str(self.config), *(["--once"] if once else [])]
        hidden = ("OMERO_PASSWORD", "CREDENTIALS_DIRECTORY", "JOURNAL_STREAM")
        kept = {name: value for name, value in os.environ.items() if name not in hidden}
        environment = kept | {"DOOM": " ".join(dooms), "PYTHONPATH": str(ROOT), "NO_COLOR": "1"} | ({"HURRY": "1"} if hurry else {})
        with self.log.open("ab") as log:
            log.write(f"--- start {' '.join(dooms)}\n".encode())
            log.flush()
            self.daemon = self._mine = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, cwd=self.folder
            )
        return self.daemon

    def until_it_works(self) -> None:
        """The daemon that was started last is at work: from now on it takes a signal to stop as one."""
        daemon = self.daemon
        assert daemon is not None

        def works() -> bool:
            with suppress(OSError, ValueError):
                facts = json.loads((self.state / "status.json").read_bytes())
                return bool(facts["running"]) and facts["pid"] == daemon.pid
            return False

        self.until(works)

    def kill(self) -> None:
        assert self.daemon is not None
        self.daemon.kill()
        self.daemon.wait(20)

    def terminate(self, seconds: float = 70) -> int:
        assert self.daemon is not None
        self.daemon.send_signal(signal.SIGTERM)
        return self.daemon.wait(seconds)

    def workers(self, role: str) -> list[int]:
        """The pids of the living workers of a role, as the state folder names them."""
        found = []
        for path in (self.state / "locks").glob("worker-*.json"):
            with suppress(OSError, ValueError):
                record = json.loads(path.read_bytes())
                if record["role"] == role and start_mark(record["pid"]) == record["start"]:
                    found.append(int(record["pid"]))
        return found

    def kill_workers(self, role: str) -> int:
        pids = self.workers(role)
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return len(pids)

    # --- the user -----------------------------------------------------------------------

    def drop(
        self,
        name: str,
        *,
        user: str = "",
        fine: int = 1,
        broken: int = 0,
        rich: bool = True,
        dataset: str = "",
        project: str = "",
        attached: bool = False,
    ) -> Dropped:
        """A folder of images under one sidecar (or one image beside it), the sidecar last."""
        user = user or self.users[0]
        several = fine + broken > 1
        folder = self.folder / "making"
        folder.mkdir(exist_ok=True)
        made: dict[str, bytes] = {}
        for number in range(fine + broken):
            self.index += 1
            path = samples.plain_tiff(folder / "one.tif", self.index)
            if number >= fine:
                samples.cut_in_half(path)
            made[f"{name}/{number}.tif" if several else f"{name}.tif"] = path.read_bytes()
        text = (RICH if rich else MODEST).format(project=project or f"of {name}", dataset=dataset or name, name=name)
        home = self.layout.drop / user
        if attached:
            text += ATTACHED
            notes = f"notes on {name}".encode()
            (home / NOTES).write_bytes(notes)
            self.digests[hashlib.sha256(notes).hexdigest()] += 2  # what is referred to stays, and is copied
        for member, data in {**made, f"{name}.yaml": text.encode()}.items():
            target = home / member
            target.parent.mkdir(exist_ok=True)
            hidden = target.with_name(f".{target.name}.part")
            hidden.write_bytes(data)
            hidden.rename(target)
            self.digests[hashlib.sha256(data).hexdigest()] += 1
        names = tuple(made)
        dropped = Dropped(name, user, names[:fine], names[fine:], rich, attached)
        self.drops.append(dropped)
        return dropped

    def in_call(self, operation: str, seconds: float) -> None:
        """Wait until the server is at this call. It does what it was asked `seconds` later, whoever is still there to hear of it."""
        self.standin.faults({"operation": operation, "do": "delay", "seconds": seconds})
        self.until(lambda: any(self.standin.strikes()), 60)
        self.standin.faults()
        self.landing = max(self.landing, time.monotonic() + seconds + 0.5)

    # --- looking ------------------------------------------------------------------------

    def claims(self) -> list[Path]:
        return [path for path in self.layout.inprogress.glob("*/*") if layout.is_id(path.name)]

    def records(self, claim: Path) -> list[str]:
        try:
            found, _ = journal.read((claim / layout.JOURNAL).read_bytes())
        except FileNotFoundError:
            return []
        return [record.kind for record in found]

    def at_rest(self) -> bool:
        """Nothing to take and nothing at work: asked twice, because a claim appears after its sidecar is seen."""
        return not sidecars_in(self.layout.drop) and not self.claims() and not sidecars_in(self.layout.drop)

    def rest(self, seconds: float = 120) -> None:
        """Wait until every drop is filed; with what the log says last if that does not happen."""
        end = time.monotonic() + seconds
        while not self.at_rest():
            if time.monotonic() > end:
                stuck = {claim.name: self.records(claim)[-12:] for claim in self.claims()}
                raise AssertionError(f"not at rest after {seconds} s: {stuck}\n{self.tail()}")
            if self.daemon is not None and self.daemon.poll() is not None:
                raise AssertionError(f"the daemon ended with {self.daemon.returncode}\n{self.tail()}")
            time.sleep(0.05)

    def tail(self, lines: int = 40) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def ask(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Rows of the stand-in's own store."""
        with closing(sqlite3.connect(f"file:{self.standin.folder / 'omero.db'}?mode=ro", uri=True, timeout=10)) as store:
            return store.execute(sql, values).fetchall()

    # --- what must be true --------------------------------------------------------------

    def check(self) -> None:
        time.sleep(max(0.0, self.landing - time.monotonic()))
        self._check_folders()
        self._check_server()
        self._check_said()
        self.check_sessions()
        self._checked = True

    def _check_folders(self) -> None:
        assert not self.claims(), f"stuck in inprogress/: {self.claims()}"
        found: Counter[str] = Counter()
        for top, _, names in os.walk(self.layout.box):
            if "outbox" not in Path(top).parts:
                # A sign of life comes and goes under its passing name while the daemon lives.
                there = (name for name in names if name not in OURS and not name.lstrip(".").startswith("heartbeat-"))
                found.update(hashlib.sha256((Path(top) / name).read_bytes()).hexdigest() for name in there)
        allowed = Counter(self.digests)
        for one in self.drops:
            if one.fine and one.broken:  # two parts, each with the sidecar
                text = (RICH if one.rich else MODEST).format(project=f"of {one.name}", dataset=one.name, name=one.name)
                allowed[hashlib.sha256(text.encode()).hexdigest()] += 1
        lost = {digest: count for digest, count in allowed.items() if found[digest] != count}
        assert not lost, f"bytes lost or doubled: {lost}"
        for one in self.drops:
            done, failed = self.filed("done", one), self.filed("failed", one)
            why = [(path / layout.REASON).read_text() for path in failed]
            assert len(done) == (1 if one.fine else 0), f"{one.name}: {len(done)} times in done/; failed/ says {why}\n{self.tail()}"
            assert len(failed) == (1 if one.broken else 0), f"{one.name} in failed/: {why}"
            here = {path.relative_to(folder / "d").as_posix() for folder in done for path in (folder / "d").rglob("*") if path.is_file()}
            assert here == set(one.fine), f"{one.name}: in done/ are {here}"
            assert not list(self.layout.done.rglob(layout.ATTENTION)), "something needs attention"

    def filed(self, state: str, one: Dropped) -> list[Path]:
        return sorted((self.layout.box / state / one.user).glob(f"*/{one.name}__*"))

    def _check_said(self) -> None:
        """Reports and messages say what is so on the server; one message of its outcome for each drop, where nobody takes them away."""
        told: list[str] = []
        folders = [(folder, where) for one in self.drops for where in ("done", "failed") for folder in self.filed(where, one)]
        filed = read_all(folders, told)
        truth = Truth(self.ask)
        for each in filed:
            told += disagreements(each, self.layout.box)
            told += truth.misreported(each) if each.where == "done" else []
        if "notify" not in self.more:
            told += badly_told(filed, messages_in(self.layout.inprogress.glob("*/outbox")))
        assert not told, "\n".join(told)

    def _check_server(self) -> None:
        check_server(self.ask, self.drops)

    def check_sessions(self) -> None:
        """A session of an owner that is still open is known on the disk, so that this daemon or the next one ends it.

        But for one whose opener was killed before it knew the secret: nobody can use or end it, nothing was begun in it, and it idles out.
        """
        known = self._known_sessions()
        left = {number: idle for number, idle in open_sessions(self.ask).items() if number not in known}
        used = {number for number in left if is_in_a_journal(self.layout.box, number)}
        assert not used, f"left behind: sessions forgotten: {used}"
        assert all(0 < idle <= LONGEST_IDLE for idle in left.values()), f"left behind: sessions that stay on the server for ever: {left}"

    def _known_sessions(self) -> set[int]:
        """Of every daemon that works on this box."""
        return {int(path.stem) for path in self.folder.glob("state*/sessions/*.json") if path.stem.isdigit()}

    def _left_open(self) -> set[int]:
        return open_sessions(self.ask).keys() & self._known_sessions()

    def end(self) -> None:
        """The daemon has ended each session in which something was done; then it is stopped.

        Those that are left then are of openers that were killed before they could tell of them: the next daemon ends them at once.
        """
        if not self._checked or self.daemon is None or self.daemon.poll() is not None:
            return
        with counted("a real daemon is stopped when all is done"):
            if self.daemon is self._mine and sys.platform != "win32":
                self.daemon.send_signal(signal.SIGUSR1)
                self._until_closed(lambda: {number for number in self._left_open() if is_in_a_journal(self.layout.box, number)})
            assert self.terminate() == 0, f"stuck: it ended with {self.daemon.returncode}\n{self.tail()}"
            self.check_sessions()
            if self._left_open():
                daemon = self.start()
                self._until_closed(self._left_open)
                assert self.terminate() == 0, f"stuck: it ended with {daemon.returncode}\n{self.tail()}"

    def _until_closed(self, sessions: Callable[[], set[int]]) -> None:
        end = time.monotonic() + 60
        while left := sessions():
            assert time.monotonic() < end, f"left behind: the sessions {left} stay open, and nobody needs them"
            time.sleep(0.1)

    def until(self, look: Callable[[], Any], seconds: float = 60) -> Any:
        end = time.monotonic() + seconds
        while not (found := look()):
            assert time.monotonic() < end, f"it did not come within {seconds} s\n{self.tail()}"
            time.sleep(0.02)
        return found

    def close(self) -> None:
        if self.daemon is not None and self.daemon.poll() is None:
            self.daemon.kill()
            self.daemon.wait(20)
        with suppress(Exception):  # a client of the test's own whose connection is gone, or a busy machine
            self.standin.stop()
        with suppress(AssertionError):  # it has ended
            self.standin.kill()


@contextmanager
def real_run(folder: Path, *users: str, **more: Any) -> Iterator[RealRun]:
    """`more`: keys of the config besides."""
    run = RealRun(folder, users or ("alice",), more)
    try:
        yield run
        run.end()
    finally:
        run.close()
