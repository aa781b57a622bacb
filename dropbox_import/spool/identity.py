"""Who this installation is, and that it runs only once.

The identity is a name from the config and 60 random bits made once, kept on local disk with
the machine's own id and the folder's place: a state folder that was copied, to another machine
or beside itself, is refused; one that was moved is not.
"""

from __future__ import annotations

import json
import platform
from dataclasses import dataclass, field
from pathlib import Path

import portalocker

from dropbox_import.clock import Clock
from dropbox_import.disk import files
from dropbox_import.disk.trouble import as_ours
from dropbox_import.errors import ConfigError

_FILE = "instance.json"
_KEY = "journal.key"
_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Instance:
    """`name` is the config's name and the random part together: what folders and records of this installation are called.

    `journal_key` is a secret of this installation: with it the journal of a filed drop shows that we wrote it.
    """

    name: str
    state_dir: Path
    journal_key: bytes = field(repr=False)

    @property
    def sessions(self) -> Path:
        return self.state_dir / "sessions"

    @property
    def status(self) -> Path:
        return self.state_dir / "status.json"


def machine_id() -> str:
    """What tells this machine from a copy of its disk; the host name where the system keeps no id."""
    for path in (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id")):
        try:
            if text := path.read_text().strip():
                return text
        except OSError:
            continue
    return platform.node()


def load_instance(state_dir: Path, name: str, clock: Clock) -> Instance:
    """The identity kept in `state_dir`, made on the first start. Raises ConfigError for a copied or renamed one."""
    for folder in (state_dir, state_dir / "sessions", state_dir / "locks", state_dir / "commands"):
        if not folder.is_dir():
            files.make_dirs(folder, 0o700)
    path, place = state_dir / _FILE, str(state_dir.resolve())
    if not path.exists():
        _keep(path, {"name": name, "bits": f"{clock.token_bits(60):015x}", "machine": machine_id(), "place": place})
    try:
        kept = json.loads(path.read_bytes())
        kept_name, bits, machine, kept_place = str(kept["name"]), str(kept["bits"]), str(kept["machine"]), kept.get("place")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{path} is damaged, so this installation does not know which claims are its own",
            hint="restore it from a backup; its name is that of the folder in a box's inprogress/",
        ) from error
    if machine != machine_id():
        raise ConfigError(
            f"{state_dir} was made on another machine; two machines with one identity would import twice",
            hint="give this machine a state_dir of its own (empty), and keep the old one with the old machine",
        )
    if kept_name != name:
        raise ConfigError(
            f"this state_dir belongs to the instance {kept_name!r}, the config says {name!r}",
            hint=f"set `instance: {kept_name}`, or use another state_dir for {name!r}",
        )
    if kept_place != place:
        if kept_place is not None:
            _refuse_copy(state_dir, Path(str(kept_place)), bits)
        _keep(path, {"name": name, "bits": bits, "machine": machine, "place": place})
    return Instance(f"{name}-{bits[:8]}", state_dir, _journal_key(state_dir / _KEY, clock))


def _keep(path: Path, facts: dict[str, str]) -> None:
    files.replace(path, json.dumps(facts).encode() + b"\n", 0o600)


def _refuse_copy(state_dir: Path, before: Path, bits: str) -> None:
    """Raises ConfigError unless the state folder was moved from `before`, which then no longer holds this identity.

    The same folder by another way (a bind mount) is no copy. What cannot be read there may hold it: then nothing is risked.
    """
    try:
        if before.samefile(state_dir):
            return
        there = json.loads((before / _FILE).read_bytes())
        if str(there["bits"]) != bits:
            return
    except (FileNotFoundError, NotADirectoryError):
        return
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            f"{state_dir} was {before} before, and whether that is still in use cannot be told ({before / _FILE}: {error})",
            hint=f"if the state folder was moved, remove what is left of {before}; if it was copied, give this daemon a new, empty one",
        ) from error
    raise ConfigError(
        f"{state_dir} is a copy of {before}; two daemons with one identity would import twice",
        hint=f"use state_dir: {before}, or give this daemon a state_dir of its own (empty); if it was to be moved, remove {before / _FILE}",
    )


def _journal_key(path: Path, clock: Clock) -> bytes:
    if not path.exists():
        files.replace(path, clock.token_bits(8 * _KEY_BYTES).to_bytes(_KEY_BYTES, "big"), 0o600)
    key = path.read_bytes()
    if len(key) != _KEY_BYTES:
        raise ConfigError(
            f"{path} is damaged: it has {len(key)} bytes instead of {_KEY_BYTES}",
            hint="restore it from a backup, or remove it: then a new one is made, which does not vouch for what was filed before",
        )
    return key


class OnlyOne:
    """The lock that keeps a second daemon of this instance out. The kernel frees it when the process ends, however it ends.

    Raises ConfigError when there is another one, TryLater when that cannot be seen now.
    """

    def __init__(self, instance: Instance) -> None:
        self._lock = portalocker.Lock(
            str(instance.state_dir / "locks" / "daemon.lock"),
            mode="a",
            timeout=0,
            flags=portalocker.LockFlags.EXCLUSIVE | portalocker.LockFlags.NON_BLOCKING,
        )
        self._where = instance.state_dir

    def __enter__(self) -> OnlyOne:
        try:
            self._lock.acquire()
        except portalocker.exceptions.LockException as error:
            raise ConfigError(
                f"a daemon with the state folder {self._where} is running already",
                hint="stop it first, or use the running one (dropbox-import status)",
            ) from error
        except OSError as error:  # such a lock may be root's, who ran it once
            raise as_ours(error, f"locking the state folder {self._where}") from error
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()
