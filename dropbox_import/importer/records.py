"""The file beside each OMERO session that lets a successor join it: `<sessions_dir>/<number>.json`, mode 0600, written before use."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from dropbox_import.disk import files as disk
from dropbox_import.errors import AccessDenied, OutcomeUnknown
from dropbox_import.importer.errors import WAITS, with_effect
from dropbox_import.plain import from_plain, to_plain


@dataclass(frozen=True, slots=True)
class Sent:
    """One file as it was sent: its name at the server, its size and its SHA-1."""

    client_path: str
    size: int
    sha1: str


@dataclass(frozen=True, slots=True)
class HeldAttempt:
    """An import process of this session. `sent` is there once every byte is on the server."""

    drop: str
    key: str
    attempt: int
    fileset: int
    process: str
    sent: tuple[Sent, ...] = ()


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """A session of ours in OMERO. `uuid` is a secret: whoever has it is the owner until the session ends."""

    number: int
    uuid: str
    owner: str
    owner_id: int
    group: str
    group_id: int
    email: str = ""
    attempts: tuple[HeldAttempt, ...] = ()

    def __repr__(self) -> str:
        return f"SessionRecord({self.number}, {self.owner!r}, {self.group!r}, {len(self.attempts)} attempts)"


def path_of(folder: Path, number: int) -> Path:
    return folder / f"{number}.json"


def write(folder: Path, record: SessionRecord) -> None:
    """Safely on the disk when it returns; replaces an older one.

    Raises OutcomeUnknown "no-such-session" when another worker ends the session at that moment and takes the record away.
    """
    try:
        disk.replace(path_of(folder, record.number), json.dumps(to_plain(record)).encode("ascii"), mode=0o600)
    except FileNotFoundError:
        if not folder.is_dir():
            raise
        ended = OutcomeUnknown(f"The OMERO session {record.number} was ended meanwhile.", hint=WAITS, code="no-such-session")
        raise with_effect(ended, "unknown") from None


def read(folder: Path, number: int) -> SessionRecord | None:
    """None when there is none, or when it is not readable as one (a file cut short says nothing to rely on)."""
    try:
        data = path_of(folder, number).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise AccessDenied(
            f"The session file {path_of(folder, number)} cannot be read ({error.strerror}).", hint="Check its owner."
        ) from None
    try:
        return from_plain(SessionRecord, json.loads(data))
    except (ValueError, TypeError):
        return None


def remove(folder: Path, number: int) -> None:
    path = path_of(folder, number)
    disk.remove_file(path.with_name(f".{path.name}.new"))  # what a kill left of `write`
    disk.remove_file(path)
