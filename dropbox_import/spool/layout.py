"""Where things are in a box, and what a drop is called."""

from __future__ import annotations

import json
import os
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dropbox_import.clock import Clock
from dropbox_import.disk import files
from dropbox_import.errors import ShareUnavailable
from dropbox_import.model import DROP_ID

MARKER = ".dropbox-import-box"
JOURNAL = "journal.jsonl"  # its first segment
MEMBERS = "d"
REFERENCES = "refs"
RESULT = "result.yaml"
REASON = "REASON.txt"
ATTENTION = "ATTENTION.txt"
REQUEST = "request.json"
EARLIER = "earlier"  # what an earlier filing left in a folder that was moved back to drop/

_MOST_PLACES = 9  # of one drop in a month, each tried again and filed beside an earlier one
_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"


@dataclass(frozen=True, slots=True)
class Layout:
    """The folders of one box, which are the states of its drops."""

    box: Path

    @property
    def marker(self) -> Path:
        return self.box / MARKER

    @property
    def drop(self) -> Path:
        return self.box / "drop"

    @property
    def inprogress(self) -> Path:
        return self.box / "inprogress"

    @property
    def done(self) -> Path:
        return self.box / "done"

    @property
    def failed(self) -> Path:
        return self.box / "failed"

    @property
    def discarded(self) -> Path:
        return self.box / "discarded"

    def instance(self, name: str) -> Path:
        return self.inprogress / name

    def outbox(self, name: str) -> Path:
        return self.instance(name) / "outbox"

    def heartbeat(self, name: str) -> Path:
        return self.box / f".heartbeat-{name}"


def new_id(clock: Clock) -> str:
    """UTC time for people, 50 random bits for identity; nothing is sorted or decided by the date in it."""
    bits = clock.token_bits(50)
    word = "".join(_ALPHABET[bits >> shift & 31] for shift in range(45, -1, -5))
    return f"{clock.now():%Y%m%d-%H%M%S}-{word}"


def is_id(name: str) -> bool:
    return DROP_ID.fullmatch(name.removesuffix(".failed")) is not None


def month_of(drop_id: str) -> str:
    return f"{drop_id[:4]}-{drop_id[4:6]}"


def filed_name(sidecar: str, drop_id: str, again: int = 1) -> str:
    """`<stem>__<id>`, with `-2`, `-3` … where the name is in use; never longer than a file system takes (255 bytes)."""
    stem = sidecar.rsplit(".", 1)[0] or sidecar
    tail = f"__{drop_id.removesuffix('.failed')}" + (f"-{again}" if again > 1 else "")
    room = 250 - len(tail)
    encoded = stem.encode("utf-8", "surrogateescape")
    if len(encoded) > room:
        stem = encoded[:room].decode("utf-8", "ignore")
    return unicodedata.normalize("NFC", stem).rstrip(". ") + tail


def find_filed(state: Path, user: str, sidecar: str, drop_id: str) -> Path | None:
    """Where in done/ or failed/ (`state`) a drop was filed last; None if it is not there (any more), or that cannot be seen."""
    month = state / user / month_of(drop_id)
    places = (month / filed_name(sidecar, drop_id, again) for again in range(_MOST_PLACES, 0, -1))
    return next((place for place in places if os.path.isdir(place)), None)


def is_claimed(box: Layout, drop_id: str) -> bool:
    """Whether it, or a part of it, is still in inprogress/, whoever has it. What is closed to us is not seen. Raises OSError."""
    with os.scandir(box.inprogress) as instances:
        folders = [Path(one.path) for one in instances]
    return any(_is_there(folder / f"{drop_id}{part}") for folder in folders for part in ("", ".failed"))


def _is_there(claim: Path) -> bool:
    try:
        os.lstat(claim)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return False
    return True


def create_box(path: Path, clock: Clock, users: Iterable[str] = ()) -> None:
    """Make a box, or complete one that is there: its folders and its marker, and a drop folder for each of `users`."""
    layout = Layout(path)
    for folder, mode in (
        (path, 0o755),
        (layout.drop, 0o755),
        (layout.inprogress, 0o711),
        (layout.done, 0o755),
        (layout.failed, 0o755),
    ):
        if not folder.is_dir():
            files.make_dirs(folder, mode)
    for user in users:
        if not (layout.drop / user).is_dir():
            files.make_dirs(layout.drop / user, 0o755)
    if not layout.marker.exists():
        about = "the root of a drop box of dropbox-import; without this file nothing here is touched"
        text = json.dumps({"box": f"{clock.token_bits(80):020x}", "about": about})
        files.replace(layout.marker, text.encode() + b"\n")


def read_marker(box: Path) -> str:
    """The box's id. Raises ShareUnavailable when the marker is not there: the volume is then not mounted, not empty."""
    try:
        return str(json.loads((box / MARKER).read_bytes())["box"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ShareUnavailable(
            f"{box} does not hold a readable {MARKER}, so it is taken as not mounted and nothing in it is touched",
            hint=f"mount the volume, or make the folder a box with: dropbox-import init {box}",
        ) from error
