"""What users, and the programs that write for them, do in a made-up history."""

from __future__ import annotations

import random
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from dropbox_import.disk import observe
from tests.support.history import BOXES, SEEDS, USERS, History
from tests.support.people import TEXT

KINDS = ("one", "several", "partly", "again", "refused", "tagged", "same", "attached", "sidecar-first")
MORE = {
    "again": "submission: run-7\n",
    "refused": "tagz: 1\n",
    "tagged": "tags: [x]\n",
    "attached": "attachments: [{file: protocol.pdf}]\n",
}


class Users(History):
    @rule(user=st.sampled_from(USERS), box=BOXES, kind=st.sampled_from(KINDS))
    def a_user_drops(self, user: str, box: int, kind: str) -> None:
        # Two hosts do not hear of each other's drops: that one of a submission waits for the other is a promise of each host.
        box = 0 if kind == "again" else box
        if box in self.away:
            return
        number = self.people.next()
        name = kind if kind in ("again", "same") else f"n{number:03}"
        home = self.people.home(user, box)
        if any(home.glob(f"{name}.*")):
            return  # who writes over a file of their own has lost it themselves
        unique = f"{number:03}-{kind}".encode()
        members = {f"{name}.tif": b"a" + unique}
        if kind in ("several", "partly"):
            last = "bad.tif" if kind == "partly" else "notes.txt"
            members = {f"{name}/{one}": one[:1].encode() + unique for one in ("1.tif", "2.tif", last)}
        sidecar = (f"{name}.yaml", f"{TEXT}{MORE.get(kind, '')}# {number}\n".encode())
        if kind == "attached" and not (home / "protocol.pdf").exists():
            members["protocol.pdf"] = b"p" + unique
        files = [sidecar, *members.items()] if kind == "sidecar-first" else [*members.items(), sidecar]
        for path, data in files:
            self.people.create(home / path, data)

    @rule(seed=SEEDS, box=BOXES)
    def a_user_meddles(self, seed: int, box: int) -> None:
        """Edits, renames or deletes what lies there, or keeps it open."""
        self.people.meddle(box, random.Random(seed))

    @precondition(lambda self: self.running)
    @rule(seed=SEEDS, effects=st.integers(1, 60), box=BOXES)
    def a_user_meddles_in_the_middle(self, seed: int, effects: int, box: int) -> None:
        """Between two effects of a daemon on the disk."""
        rng, count = random.Random(seed), 0

        def observer(_when: str, _what: str, _path: Path) -> None:
            nonlocal count
            count += 1
            if count == effects:
                self.people.meddle(box, rng)

        observe.set_observer(observer)
        try:
            for _ in range(60):
                self.lab.step(rng)
        finally:
            observe.set_observer(None)

    @rule(user=st.sampled_from(USERS), box=BOXES, sidecar_first=st.booleans())
    def a_program_begins_to_write(self, user: str, box: int, sidecar_first: bool) -> None:
        if box in self.away:
            return
        number = self.people.next()
        home, name = self.people.home(user, box), f"w{number:03}"
        files = [(home / f"{name}.tif", b"w%03d" % number), (home / f"{name}.yaml", f"{TEXT}# {number}\n".encode())]
        for path, data in reversed(files) if sidecar_first else files:
            self.people.create(path, data)
        self.people.hold(home / f"{name}.tif")

    @precondition(lambda self: self.people.writers)
    @rule(seed=SEEDS, ends=st.booleans())
    def a_program_writes_on(self, seed: int, ends: bool) -> None:
        """Its file may have been taken long ago."""
        writer = random.Random(seed).choice(self.people.writers)
        self.people.write(writer)
        if ends:
            self.people.stop(writer)

    @precondition(lambda self: self.running and self.people.writers)
    @rule(seed=SEEDS, effects=st.integers(1, 60))
    def a_program_writes_on_in_the_middle(self, seed: int, effects: int) -> None:
        rng, count = random.Random(seed), 0

        def observer(_when: str, _what: str, _path: Path) -> None:
            nonlocal count
            count += 1
            if count == effects:
                self.people.write(rng.choice(self.people.writers))

        observe.set_observer(observer)
        try:
            for _ in range(60):
                self.lab.step(rng)
        finally:
            observe.set_observer(None)

    @rule(seed=SEEDS, whole=st.just(False))
    def a_user_takes_back_what_failed(self, seed: int, whole: bool) -> None:
        """As REASON.txt says."""
        folders = self.lab.filed("failed")
        if not folders:
            return
        folder = random.Random(seed).choice(folders)
        box = next(number for number, root in enumerate(self.lab.boxes) if root in folder.parents)
        self.people.take_back(folder, self.people.home(folder.parts[-3], box))
