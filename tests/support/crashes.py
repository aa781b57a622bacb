"""Every state in which an end of the daemon leaves disk and server, found by running it; and what must be true when it starts anew there.

A `State` is a tree and a scripted server. `Stage.life` starts the daemon on one, runs it to rest, and takes the state at each effect on
the disk: that is what is left if the process ends there. Files have no numbers here, as on a share, so that a tree can be made again.
"""

from __future__ import annotations

import json
import pickle
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest import mock

from dropbox_import.disk import facts, observe
from dropbox_import.errors import JournalDamaged
from dropbox_import.intake import scan
from dropbox_import.settings.model import Notify
from dropbox_import.spool import journal, layout
from dropbox_import.workers.protocol import Command
from tests.support.belongings import give_away, not_given_back, still_open
from tests.support.diskwatch import watched
from tests.support.lab import Lab
from tests.support.modeldisk import ModelDisk
from tests.support.scripted import CHANGES, ScriptedWorkers
from tests.support.scripted_server import Server
from tests.support.trees import Modes, Tree, likeness, make_real

Story = tuple[tuple[str, str, int], ...]  # kind, key and attempt of each record of a journal

ONE = ("a.yaml", "target: {dataset: HeLa}\ntags: [x]\n", {"a.tif": b"image-a"})
SEVERAL = ("set.yaml", "target: {dataset: HeLa}\n", {"set/1.tif": b"one", "set/2.tif": b"two", "set/notes.txt": b"notes"})
PARTLY = ("p.yaml", "target: {dataset: HeLa}\n", {"p/good.tif": b"good", "p/bad.tif": b"broken"})
REFUSED = ("r.yaml", "target: {dataset: HeLa}\ntagz: 1\n", {"r.tif": b"image-r"})
ATTACHED = ("t.yaml", "target: {dataset: HeLa}\nattachments:\n  - file: plan.pdf\n", {"t.tif": b"image-t", "plan.pdf": b"the plan"})
COMPANION = (
    "c.yaml",
    "target: {dataset: HeLa}\n",
    {"c/1.tif": b"one", "c/1.xml": b"of one", "c/bad.tif": b"broken", "c/bad.xml": b"of it"},
)


@dataclass(frozen=True)
class Case:
    """One drop, how many files of it OMERO has in the end, and how many more copies of the sidecar or an attachment there are then."""

    drop: tuple[str, str, dict[str, bytes]]
    imported: int
    copies: int = 0
    also: tuple[tuple[str, str, dict[str, bytes]], ...] = ()  # drops beside it
    notify: Notify | None = None  # who is told, where the couriers take part


CASES = {
    "one": Case(ONE, 1),
    "several": Case(SEVERAL, 2),
    "partly": Case(PARTLY, 1, 1),
    "refused": Case(REFUSED, 0),
    "companion": Case(COMPANION, 2, 1),
    "attached": Case(ATTACHED, 1, 1),
}


@dataclass(frozen=True)
class State:
    """What is left. `synced`: what the journals had on the disk for good, by drop."""

    tree: Tree
    server: bytes
    synced: dict[str, Story] = field(default_factory=dict)
    log: int = 0
    modes: Modes = field(default_factory=dict)
    bare: bool = False  # left by a power cut on a disk that keeps only what POSIX says

    def likeness(self) -> bytes:
        return likeness(self.tree, self.modes, _server_likeness(self.server))


def _server_likeness(packed: bytes) -> str:
    server: Server = pickle.loads(packed)
    sessions = [(one.number, one.owner, one.closed, sorted(one.attempts.items())) for one in server.sessions.values()]
    filesets = [
        (one.number, one.session, one.token, one.meta, one.sizes, one.sent, one.committed, one.images, one.process)
        for one in server.filesets.values()
    ]
    late = [(one.session, one.token, one.do) for one in server.late]
    told = sorted((one.route.name, [message.name for message in one.messages]) for one in server.mail.got)
    return repr((sessions, filesets, server.targets, server.annotated, server.made, late, server.broken, told))


def pack(server: Server) -> bytes:
    crews, server.crews = server.crews, []  # the workers end with the daemon
    try:
        return pickle.dumps(server)
    finally:
        server.crews = crews


class Stage:
    """One folder, in which one lab after the other is set up."""

    def __init__(self, folder: Path, case: Case) -> None:
        self.folder = folder
        self.case = case
        self.pause = 0.0  # seconds that a drop of this stage is left alone
        self.breaks = ""  # in a life: the sync that fails
        self.unsynced: tuple[str, ...] = ()  # in a life: what users wrote a moment before, by path
        self.opened: list[str] = []  # what was not closed to users though it was at work
        self.disk = ModelDisk(folder)
        for path in folder.iterdir():
            shutil.rmtree(path)
        lab = self.before()
        self.user_bytes: Counter[bytes] = lab.user_bytes
        disk = ModelDisk.of(folder)
        self.first = State(disk.now(), pack(lab.server), modes=disk.modes_now())

    def before(self) -> Lab:
        """What there is when the daemon starts."""
        lab = self._lab()
        for drop in (self.case.drop, *self.case.also):
            lab.drop(*drop)
        give_away(lab)
        return lab

    def _lab(self) -> Lab:
        lab = Lab(self.folder, notify=self.case.notify)
        if self.case.notify is not None:
            lab.server.mail.boxes, lab.server.mail.addresses = lab.boxes, {"jdoe": "jdoe@example.org"}
        return lab

    def after_a_change(self) -> None:
        """From now on it begins with a drop that was about to be taken when its user changed a file: it is put back, and taken later."""
        seen: list[State] = []
        self.life(self.first, lambda state, effects: seen.append(state))
        state = next(state for state in seen if any(kinds and kinds[0][0] == "intent" for kinds in state.synced.values()))
        name = next(name for name in self.case.drop[2] if name.endswith(".tif"))
        path, was = next((path, content) for path, content in state.tree.items() if content is not None and path.endswith(f"/{name}"))
        fresh = was[0] + b" again"
        self.user_bytes = self.user_bytes - Counter([was[0]]) + Counter([fresh])
        self.pause = 40.0
        self.first = replace(state, tree={**state.tree, path: (fresh, was[1] + 10**9)}, synced={})

    def set_up(self, state: State) -> Lab:
        for path in self.folder.iterdir():
            shutil.rmtree(path)
        make_real(self.folder, state.tree, state.modes)
        journal._unsure.clear()  # a new process
        lab = self._lab()
        lab.user_bytes = self.user_bytes
        lab.server = pickle.loads(state.server)
        lab.clock = lab.server.clock
        for daemon in lab.daemons:
            daemon.server, daemon.clock.world = lab.server, lab.clock
        return lab

    def life(self, state: State, visit: Callable[[State, int], None], *, late: bool = False) -> Lab:
        """From this state to rest; `visit` is shown the states at the effects, as a process leaves them that ends there.

        With each the number of effects at which it is so: two in a row with nothing between them are one. `late`: the states in
        which a command is still inside the server are shown too, with 0.
        """
        lab = self.set_up(state)
        self.disk = disk = ModelDisk.of(self.folder)
        for path in self.unsynced:
            disk.unsynced(path)

        last: tuple[State, int] | None = None
        before = (-1, -1)

        def left(synced: dict[str, Story]) -> State:
            return State(disk.now(), pack(lab.server), synced, len(disk.log), disk.modes_now())

        def observer(when: str, what: str, path: Path) -> None:
            nonlocal last, before
            if last is not None and before == (len(disk.log), lab.server.commands):
                last = last[0], last[1] + 1
                return
            if last is not None:
                visit(*last)
            before = (len(disk.log), lab.server.commands)
            synced = self._synced(disk)
            cut = [drop for drop, one in synced.items() if one[: len(state.synced.get(drop, ()))] != state.synced.get(drop, ())]
            assert not cut, f"what was synced of the journals of {cut} is not readable any more"
            last = left({**state.synced, **synced}), 1

        def before_command(workers: ScriptedWorkers, command: Command) -> None:
            """The daemon ends while this command is inside the server, which does it later all the same."""
            if command.do in CHANGES and command.do != "open_session":
                workers._leave_behind(command)
                visit(left({**state.synced, **self._synced(disk)}), 0)
                lab.server.late.pop()

        with watched(disk, self.breaks), told_before_each_command(before_command if late else None):
            observe.set_observer(observer)
            try:
                self.start(lab)
                self.turns(lab)
            finally:
                observe.set_observer(None)
        if last is not None:
            visit(*last)
        return lab

    def start(self, lab: Lab) -> None:
        lab.start()

    def turns(self, lab: Lab) -> None:
        """Run to rest."""
        lab.turns()
        if self.pause:
            lab.clock.forward(self.pause)
            lab.turns()

    @staticmethod
    def _synced(disk: ModelDisk) -> dict[str, Story]:
        """What the journals have on the disk for good."""
        found: dict[str, Story] = {}
        safe = disk.synced()
        newest: dict[str, str] = {}
        for path in sorted(disk.paths(), key=lambda one: (len(one), one)):
            folder, _, name = path.rpartition("/")
            if name.startswith("journal") and layout_id(folder.rpartition("/")[2]):
                newest[folder] = path
        for folder, path in newest.items():
            if path in safe:
                records = journal.read(safe[path])[0]
                found[named(layout_id(folder.rpartition("/")[2]), records)] = story(records)
        return found

    def rest(self, state: State, *, land_at: int = 0) -> Lab:
        """From this state to rest, as quickly as it goes; what is still inside the server lands before that command of the new life."""
        lab = self.set_up(state)
        commands = 0
        self.opened = []

        def before_command(workers: ScriptedWorkers, command: Command) -> None:
            nonlocal commands
            commands += 1
            if command.do in ("begin", "send", "commit", "annotate"):
                self.opened += still_open(lab.layout.instance(lab.shared.instance.name) / command.drop, inside=not state.bare)
            if commands == land_at:
                lab.server.land()

        with told_before_each_command(before_command):
            self.start(lab)
            self.turns(lab)
        if land_at and lab.server.late:
            lab.server.land()
            self.turns(lab)
        return lab

    def check(self, lab: Lab, synced: dict[str, Story]) -> None:
        lab.check(self.case.imported, sidecar_copies=self.case.copies)
        told = [f"{what} was made {count} times" for what, count in Counter(lab.server.made).items() if count > 1]
        told += self.torn(synced)
        assert not told, "\n".join(told)

    def torn(self, synced: dict[str, Story]) -> list[str]:
        """Which files of ours are not whole."""
        return unreadable(self.folder, synced) + _half_written(self.folder)

    def judge(self, lab: Lab, synced: dict[str, Story]) -> None:
        """`check`, and whose the files were on the way, and are at its end."""
        self.check(lab, synced)
        told = [*self.opened, *not_given_back(lab, self.user_bytes)]
        assert not told, "\n".join(told)


def later(lab: Lab) -> None:
    """Some minutes after all is at rest: sessions that nobody needs are ended by then."""
    for _ in range(4):
        lab.clock.forward(60.0)
        lab.keeper.tend()


def stories(root: Path) -> dict[str, list[Story]]:
    """What the journals below `root` say, by drop; a damaged one says nothing."""
    found: dict[str, list[Story]] = {}
    for folder in {path.parent for path in root.rglob("journal*.jsonl")}:
        if drop := layout_id(folder.name):
            try:
                records = journal.read_newest(folder)
                found.setdefault(named(drop, records), []).append(story(records))
            except JournalDamaged:
                found.setdefault(drop, []).append(())
    return found


def _half_written(root: Path) -> list[str]:
    """Files of ours, for people or programs, that are not whole."""
    found = []
    for path in (*root.glob("box/inprogress/*/outbox/*.json"), *root.glob("box/[df]*/*/*/*/request.json")):
        try:
            json.loads(path.read_bytes())
        except ValueError:
            found.append(f"the message or report {path.name} is not whole")
    for path in root.glob("box/failed/*/*/*/REASON.txt"):
        text = path.read_bytes()
        if not text.endswith(b"\n") or b"\0" in text:
            found.append(f"the report {path.name} is not whole")
    return found


def story(records: tuple[journal.Record, ...]) -> Story:
    return tuple((record.kind, record.key, record.attempt) for record in records)


def layout_id(name: str) -> str:
    """The drop's id out of a folder's name: as it is in inprogress/, behind the stem when it is filed."""
    found = name.rpartition("__")[2]
    return found if layout.is_id(found) else ""


def named(drop: str, records: tuple[journal.Record, ...]) -> str:
    """Both parts of a drop are filed under one id."""
    part = bool(records) and "part_of" in records[0].data
    return f"{drop.removesuffix('.failed')}.failed" if part else drop


def unreadable(root: Path, synced: dict[str, Story]) -> list[str]:
    """Journals of which something that was synced cannot be read any more. One whose claim was given up before it was taken may be gone."""
    now = stories(root)
    told = []
    for drop, before in synced.items():
        after = now.get(drop, [])
        if not after and ("claimed", "", 0) not in before:
            continue
        if not any(one[: len(before)] == before for one in after):
            told.append(f"what was synced of the journal of {drop} is not readable any more: {before} became {after}")
    return told


@contextmanager
def told_before_each_command(tell: Callable[[ScriptedWorkers, Command], None] | None) -> Iterator[None]:
    do = ScriptedWorkers._do

    def told(workers: ScriptedWorkers, command: Command) -> dict[str, Any]:
        if tell is not None:
            tell(workers, command)
        return do(workers, command)

    with mock.patch.object(ScriptedWorkers, "_do", told):
        yield


@contextmanager
def as_on_a_share() -> Iterator[None]:
    """Files have no numbers that last."""
    with mock.patch.object(facts, "is_network", return_value=True), mock.patch.object(scan, "is_network", return_value=True):
        yield


@contextmanager
def quick_folder() -> Iterator[Path]:
    """A folder in memory where the system has one; its name looks like a filed one, for those who take a whole path for a name."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="lab__", dir=memory if memory.is_dir() else None) as name:
        yield Path(name)
