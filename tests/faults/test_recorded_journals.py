"""A drop goes on from a journal that an earlier release left, wherever that release was ended, years later: its sessions are long over.

tests/golden/journals holds journals of real runs, each release's; tests/support/record_journals.py made them. Here each beginning of
each of them lies on the disk, with the files where they were then and with what OMERO had of them then.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dropbox_import.model import Candidate, FileFacts
from dropbox_import.notify import compose
from dropbox_import.plain import to_plain
from dropbox_import.spool import journal, layout, reports
from dropbox_import.spool.claim import kept_name
from dropbox_import.spool.fold import Phase, fold
from dropbox_import.spool.journal import Record
from dropbox_import.strict_yaml import dump
from tests.support import promises
from tests.support.crashes import Stage, as_on_a_share, pack, quick_folder
from tests.support.lab import Lab
from tests.support.modeldisk import ModelDisk, Tree
from tests.support.record_journals import KEPT, RUNS
from tests.support.tally import ALL, counted

RECORDED = sorted(KEPT.glob("*.jsonl"))

pytestmark = [pytest.mark.timeout(3600 if ALL else 120), pytest.mark.faults(minutes=1)]


@pytest.fixture
def folder() -> Iterator[Path]:
    with as_on_a_share(), quick_folder() as found:
        yield found


def as_ours(record: Record) -> Record:
    """Who ran the recorded release is not who runs this one."""
    if record.kind != "seal":
        return record
    modes = [{**mode, "uid": os.geteuid(), "gid": os.getegid()} for mode in record.data["modes"]]
    return replace(record, data={**record.data, "modes": modes})


class Scene:
    """One beginning of a recorded journal, put on the disk of a lab."""

    def __init__(self, stage: Stage, path: Path, records: tuple[Record, ...]) -> None:
        self.stage = stage
        self.lab = stage.set_up(stage.first)
        self.run = path.stem.split("-", 1)[1]
        self.drop = fold(self._id(records), records)
        candidate = self.drop.candidate
        assert candidate is not None
        self.contents = dict(stage.case.drop[2])
        instance = self.lab.daemons[0].identity().name
        here = ModelDisk.of(stage.folder).now()  # with the identity that was just made
        tree = {name: content for name, content in here.items() if not name.startswith("box/drop/jdoe/")}
        claim = f"box/inprogress/{instance}/{self.drop.id}"
        folders = [f"box/inprogress/{instance}", claim]
        if len(records) > 1 and self.drop.last != "failed":
            self._put(tree, claim, f"{claim}/d", candidate)
        else:
            self._put(tree, "box/drop/jdoe", "box/drop/jdoe", candidate)
        tree[f"{claim}/journal.jsonl"] = (b"".join(map(journal.encode, records)), 0)
        tree[f"{claim}/request.json"] = (b"{}\n", 0)
        for one in candidate.references:
            tree[f"{claim}/refs/{one.path}"] = (self.contents[one.path], 0)
            tree[f"box/drop/jdoe/{one.path}"] = (self.contents[one.path], one.mtime_ns)
        self._omero()
        for name, content in self._told(records):
            tree[f"box/inprogress/{instance}/outbox/{name}.json"] = (content, 0)
        for name, text in self._reports().items():
            tree[f"{claim}/{name}"] = (text.encode(), 0)
        self.state = replace(stage.first, tree=with_folders(tree, folders), modes={}, server=pack(self.lab.server))
        sidecar = stage.case.drop[1].encode()
        self.user_bytes = Counter([sidecar, *(content for name, content in self.contents.items() if self._is_here(name))])

    @staticmethod
    def _id(records: tuple[Record, ...]) -> str:
        return f"20261122-093913-{'recorded' * 2}"[:26] + (".failed" if records[0].data.get("part_of") else "")

    def _told(self, records: tuple[Record, ...]) -> Iterator[tuple[str, bytes]]:
        """The messages that the recorded release has written: of a failed part, what its first part tells."""
        for number, record in enumerate(records, 1):
            if record.kind == "messages":
                message = compose.outcome(fold(self.drop.id, records[:number]), str(self.lab.box))
                if self.drop.part_of:
                    first = self.drop.id.removesuffix(".failed")
                    message = replace(message, event="partly", name=f"{first}.partly", drop=first)
                yield message.name, json.dumps(to_plain(message)).encode()

    def _reports(self) -> dict[str, str]:
        """Those that the recorded release wrote before it chose the place."""
        drop, part = self.drop, "failed" if self.drop.part_of else "done" if self.drop.two_outcomes else ""
        if drop.last != "file":
            return {}
        told = {layout.RESULT: dump(reports.result(drop, part=part))}
        failed = part == "failed" or (not part and drop.has_failures)
        return told | ({layout.REASON: reports.reason(drop, "drop/jdoe", drop.claimed)} if failed else {})

    def _is_here(self, name: str) -> bool:
        candidate = self.drop.candidate
        assert candidate is not None
        gone = self.drop.split if self.drop.split_done and self.drop.split else ()
        return name in {one.path for one in (*candidate.members, *candidate.references)} and name not in gone

    def _put(self, tree: Tree, sidecar: str, members: str, candidate: Candidate) -> None:
        name = kept_name(candidate.sidecar.path) if sidecar != members else candidate.sidecar.path
        tree[f"{sidecar}/{name}"] = (self.stage.case.drop[1].encode(), candidate.sidecar.mtime_ns)
        for one in candidate.members:
            if self._is_here(one.path):
                tree[f"{members}/{one.path}"] = (self._content(one), one.mtime_ns)

    def _content(self, one: FileFacts) -> bytes:
        """A released drop is one that its user changed; then the content is one of that size."""
        content = self.contents[one.path]
        self.contents[one.path] = content if len(content) == one.size else content.ljust(one.size, b"+")[: one.size]
        return self.contents[one.path]

    def _omero(self) -> None:
        """OMERO has each attempt that was begun; complete, where the import was started. Its sessions are closed."""
        server, target = self.lab.server, self.drop.target or {}
        if target:
            server.targets["lab", target["dataset_name"]] = target["dataset"]
        for key, state in self.drop.filesets.items():
            attempt = state.attempt
            number = (state.imported or {}).get("fileset") or (attempt.fileset if attempt else None)
            if number is None and attempt is not None and attempt.phase is not Phase.BEGIN:
                continue
            if number is None and attempt is None:
                continue
            session = server.open(self.drop.owner)
            paths = [f"{self.drop.instance}/{self.drop.owner}/{one.path}" for one in state.plan.files]
            meta = {"drop": self.drop.id, "instance": self.drop.instance, "session": session.number, "attempt": state.attempts}
            one = server.make_fileset(session.number, f"{self.drop.submission}/{key}", meta, paths)
            if number is not None:
                del server.filesets[one.number]
                one.number = number
                server.filesets[number] = one
            one.sizes = {path: each.size for path, each in zip(paths, state.plan.files, strict=True)}
            one.contents = {hashlib.sha1(self._content(each)).hexdigest() for each in state.plan.files}
            server.annotated += (state.annotated or {}).get("made", [])
            if state.imported or (attempt and attempt.phase in (Phase.COMMITTED, Phase.ANSWERED)):
                one.sent = True
                server.start_import(one.number)
            server.close(session.number)
        server._next = max([server._next, *server.filesets]) + 1


def with_folders(tree: Tree, folders: list[str]) -> Tree:
    """Each folder before what is in it."""
    names = set(folders)
    for name in tree:
        above = name.split("/")[:-1]
        names |= {"/".join(above[:count]) for count in range(1, len(above) + 1)}
    return {name: tree.get(name) for name in sorted(names | set(tree))}


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_a_drop_goes_on_from_every_beginning_of_a_recorded_journal(folder: Path, path: Path) -> None:
    recorded, good = journal.read(path.read_bytes())
    assert good == path.stat().st_size
    records = tuple(map(as_ours, recorded))
    stage = Stage(folder, RUNS[path.stem.split("-", 1)[1].removesuffix(".failed")])
    stage.pause = 100.0
    for count in range(1, len(records) + 1):
        with counted("a recorded journal is taken up at a record", f"{path.stem}, {count} of {len(records)}: {records[count - 1].kind}"):
            scene = Scene(stage, path, records[:count])
            stage.user_bytes = scene.user_bytes
            judge(stage.rest(scene.state), scene)


def judge(lab: Lab, scene: Scene) -> None:
    waits = bool(scene.drop.part_of) and not scene.drop.claimed  # for the first part, which fills it
    assert waits or not lab.claims(), f"stuck in inprogress/: {lab.runners[0].state()['active']}"
    found = Counter(each.read_bytes() for each in lab.files_below(lab.box))
    lost = [data for data in scene.user_bytes if not found[data]]
    assert not lost, f"lost: {lost}"
    images = [name for name in scene.contents if name.endswith(".tif") and "bad" not in name and scene._is_here(name)]
    complete = Counter(one for each in lab.server.complete() for one in each.paths if one.endswith(".tif"))
    assert all(count == 1 for count in complete.values()), f"imported twice: {complete}"
    if scene.drop.candidate is not None and scene.drop.candidate.request is not None and not scene.drop.part_of:
        assert len(complete) == len(images), f"lost: imported are {complete} of {images}"
        assert bool(lab.filed("done")) == bool(images), f"in failed/ is {lab.filed('failed')}, imported are {complete}"
    if not waits:
        lab.end_sessions()
        # What the recorded release wrote, it vouched for with a key of its own.
        told = [one for one in promises.at_rest(lab) if "not vouched for" not in one or scene.drop.last != "file"]
        told += [*lab.server.broken, *promises.left_open(lab)]
        assert not told, "\n".join(told)
