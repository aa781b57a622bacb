"""What users and their programs do in drop folders, with an account of every byte of theirs that must not be lost."""

from __future__ import annotations

import os
import random
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from dropbox_import.spool import layout
from tests.support.lab import Lab
from tests.support.promises import is_ours

TEXT = "target: {dataset: HeLa}\n"
KINDS = ("one", "several", "partly", "again", "refused", "tagged", "same", "attached", "sidecar-first")
MORE = {
    "again": "submission: run-7\n",
    "refused": "tagz: 1\n",
    "tagged": "tags: [x]\n",
    "attached": "attachments: [{file: protocol.pdf}]\n",
}


@dataclass
class Writer:
    """A program that has a file open and writes it bit by bit."""

    handle: BinaryIO
    written: bytes


class People:
    """Every file has a content of its own. `late`: contents that a program wrote when nobody looked at the file any more."""

    def __init__(self, lab: Lab, users: Iterable[str]) -> None:
        self.lab = lab
        self.users = tuple(users)
        self.writers: list[Writer] = []
        self.late: set[bytes] = set()
        self._last = 0

    def next(self) -> int:
        self._last += 1
        return self._last

    def home(self, user: str, box: int) -> Path:
        return layout.Layout(self.lab.boxes[box]).drop / user

    def files(self, box: int, *, sidecars: bool | None = None) -> list[Path]:
        """What lies in the drop folders now. `sidecars`: these only, or only others."""
        found = [path for user in self.users for path in sorted(self.home(user, box).rglob("*")) if path.is_file()]
        found = [path for path in found if path.parent.name != layout.REFERENCES]  # copies of ours, in a filed folder that was moved back
        return [path for path in found if sidecars is None or (path.suffix == ".yaml") is sidecars]

    # --- the account --------------------------------------------------------------------

    def _has(self, data: bytes, path: Path | None = None) -> None:
        if path is None or not is_ours(path.name):
            self.lab.user_bytes[data] += 1

    def _gave_up(self, data: bytes) -> None:
        """The user's own doing: this content need not be anywhere any more."""
        self.lab.user_bytes[data] -= 1
        if self.lab.user_bytes[data] <= 0:
            del self.lab.user_bytes[data]

    # --- doing --------------------------------------------------------------------------

    def create(self, path: Path, data: bytes) -> None:
        """A new file; never over another one."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            file.write(data)
        self._has(data)

    def drop(self, kind: str, user: str, box: int) -> None:
        """Images with their sidecar, all at once; nothing where a name is in use."""
        number = self.next()
        name = kind if kind in ("again", "same") else f"n{number:03}"
        home = self.home(user, box)
        if any(home.glob(f"{name}.*")):
            return
        unique = f"{number:03}-{kind}".encode()
        members = {f"{name}.tif": b"a" + unique}
        if kind in ("several", "partly"):
            last = "bad.tif" if kind == "partly" else "notes.txt"
            members = {f"{name}/{one}": one[:1].encode() + unique for one in ("1.tif", "2.tif", last)}
        if kind == "attached" and not (home / "protocol.pdf").exists():
            members["protocol.pdf"] = b"p" + unique
        sidecar = (f"{name}.yaml", f"{TEXT}{MORE.get(kind, '')}# {number}\n".encode())
        files = [sidecar, *members.items()] if kind == "sidecar-first" else [*members.items(), sidecar]
        for path, data in files:
            self.create(home / path, data)

    def begin_to_write(self, home: Path, sidecar_first: bool) -> None:
        """A program makes an image, keeps it open and will write more into it."""
        number = self.next()
        name = f"w{number:03}"
        files = [(home / f"{name}.tif", b"w%03d" % number), (home / f"{name}.yaml", f"{TEXT}# {number}\n".encode())]
        for path, data in reversed(files) if sidecar_first else files:
            self.create(path, data)
        self.hold(home / f"{name}.tif")

    def delete(self, path: Path) -> None:
        data = path.read_bytes()
        path.unlink()
        self._gave_up(data)

    def rename(self, path: Path) -> None:
        path.rename(path.with_name(f"r{self.next():03}{path.suffix}"))

    def change(self, path: Path, rng: random.Random) -> None:
        """Saved again: in place, or as a new file that takes its place; of the same length, or not."""
        before = path.read_bytes()
        data = self.text(rng) if path.suffix == ".yaml" else b"c%04d" % self.next() + before[5 : rng.choice((None, 7))]
        if rng.random() < 0.5:
            with path.open("r+b") as file:
                file.truncate()
                file.write(data)
        else:
            beside = path.with_name(f".{path.name}.swp")
            beside.write_bytes(data)
            beside.replace(path)
        self._gave_up(before)
        self._has(data, path)

    def text(self, rng: random.Random) -> bytes:
        more = rng.choice(("", "", "tags: [x]\n", "tagz: 1\n", "comments: [seen]\n"))
        return f"{TEXT}{more}# {self.next()}\n".encode()

    def take_back(self, folder: Path, home: Path) -> None:
        """What REASON.txt says: what is in d/ and then the sidecar, back into the drop folder. Never over something."""
        root = folder / layout.MEMBERS
        moves = [(path, home / path.relative_to(root)) for path in sorted(root.iterdir())] if root.is_dir() else []
        moves += [(path, home / path.name) for path in sorted(folder.glob("*.yaml")) if path.name != layout.RESULT]
        if any(target.exists() for _, target in moves):
            return
        for path, target in moves:
            path.rename(target)

    def meddle(self, box: int, rng: random.Random) -> None:
        """One thing that users do to a drop that is there."""
        paths = self.files(box)
        if not paths:
            return
        path = rng.choice(paths)
        what = rng.random()
        busy = any(self._is(writer, path) for writer in self.writers)
        if what < 0.5 and not busy:
            self.change(path, rng)
        elif what < 0.7:
            if not is_ours(path.name):  # a result.yaml by another name is nothing that anybody waits for
                self.rename(path)
        elif what < 0.8 and not busy:
            self.delete(path)
        elif not busy and path.suffix != ".yaml" and not is_ours(path.name):
            self.hold(path)

    # --- programs that keep files open ---------------------------------------------------

    @staticmethod
    def _is(writer: Writer, path: Path) -> bool:
        return os.path.samestat(os.fstat(writer.handle.fileno()), path.stat())

    def hold(self, path: Path) -> None:
        """A program opens a file that is there, to write more into it some time."""
        self.writers.append(Writer(path.open("ab", buffering=0), path.read_bytes()))

    def write(self, writer: Writer) -> None:
        """A bit more, wherever its file lies meanwhile."""
        self._gave_up(writer.written)
        writer.written += b"+%d" % self.next()
        writer.handle.write(writer.written[writer.written.rindex(b"+") :])
        self._has(writer.written)
        if self._over(writer):
            self.late.add(writer.written)

    def _over(self, writer: Writer) -> bool:
        """Whether the drop of that file was compared for the last time before this."""
        for box in self.lab.boxes:
            for path in self.lab.files_below(box):
                if self._is(writer, path):
                    return self._compared(box, path)
        return True  # its box is away

    @staticmethod
    def _compared(box: Path, path: Path) -> bool:
        parts = path.relative_to(box).parts
        if parts[0] != "inprogress":
            return parts[0] != "drop"
        claim = box.joinpath(*parts[:3])
        return any(b'"r":"messages"' in journal.read_bytes() for journal in claim.glob("journal*.jsonl"))

    def stop(self, writer: Writer) -> None:
        writer.handle.close()
        self.writers.remove(writer)

    def stop_all(self) -> None:
        for writer in list(self.writers):
            self.stop(writer)
