"""Where the files of a fileset go below the managed repository, and what their names become (recorded 05_file_names.json)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dropbox_import.standin.sources import behaviour

KEPT_FOLDERS = 3
_LETTERS = str.maketrans({'"': "'", "*": "x", "/": "!", ":": ";", "<": "[", ">": "]", "?": "%", "\\": "!", "|": "!"})
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_DEVICE = re.compile(r"(?i)(AUX|CLOCK\$|CON|NUL|PRN|COM[1-9]|LPT[1-9])")


@dataclass(frozen=True, slots=True)
class Place:
    """One stored file: `path` ends with "/"; `crooked` marks a client path with "." or "..", which never verifies."""

    path: str
    name: str
    crooked: bool


@behaviour("recorded 05_file_names.json")
def safe_name(name: str) -> str:
    """A name that every file system takes."""
    name = _CONTROL.sub("_", name.translate(_LETTERS))
    found = _DEVICE.match(name)
    if found and found.end() == len(name):
        return name + "_"
    if name.startswith("$") or (found and name[found.end() : found.end() + 1] == "."):
        return "_" + name
    return name


@behaviour("recorded 05_file_names.json; that a reader's name changes how many folders are kept is left out: assumed 3")
def place(prefix: str, client_path: str) -> Place:
    """Where a client path is stored below a fileset's own folder `prefix` (which ends with "/")."""
    parts = [part for part in client_path.split("/") if part]
    crooked = any(part in (".", "..") for part in parts)
    kept = parts[-(KEPT_FOLDERS + 1) :]
    whole = prefix.rstrip("/").split("/")
    for part in kept:
        if part == "..":
            whole = whole[:-1]
        elif part != ".":
            whole.append(safe_name(part))
    return Place("/".join(whole[:-1]) + "/", whole[-1], crooked)


@behaviour("read omero-blitz.properties:59; recorded 01 templateprefix")
def new_prefix(files: Path, user: str, user_id: int) -> str:
    """A fresh folder for a fileset, named by user and time; made at once, a millisecond later if it is taken."""
    now = datetime.now(UTC)
    while True:
        stamp = now.strftime("%H-%M-%S.") + f"{now.microsecond // 1000:03d}"
        prefix = f"{safe_name(user)}_{user_id}/{now:%Y-%m}/{now:%d}/{stamp}/"
        try:
            (files / prefix).mkdir(parents=True)
        except FileExistsError:
            now += timedelta(milliseconds=1)
            continue
        return prefix
