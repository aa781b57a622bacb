"""Who this installation is, and that it runs only once.

The identity is a name from the config and 60 random bits made once, kept on local disk with
the machine's own id: a state folder that was copied to another machine is refused.
"""

from __future__ import annotations

import json
import platform
from dataclasses import dataclass
from pathlib import Path

import portalocker

from dropbox_import.clock import Clock
from dropbox_import.disk import files
from dropbox_import.errors import ConfigError

_FILE = "instance.json"


@dataclass(frozen=True, slots=True)
class Instance:
    """`name` is the config's name and the random part together: what folders and records of this installation are called."""

    name: str
    state_dir: Path

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
    path = state_dir / _FILE
    if not path.exists():
        fresh = {"name": name, "bits": f"{clock.token_bits(60):015x}", "machine": machine_id()}
        files.replace(path, json.dumps(fresh).encode() + b"\n", 0o600)
    try:
        kept = json.loads(path.read_bytes())
        kept_name, bits, machine = str(kept["name"]), str(kept["bits"]), str(kept["machine"])
    except (ValueError, KeyError, TypeError) as error:
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
    return Instance(f"{name}-{bits[:8]}", state_dir)


class OnlyOne:
    """The lock that keeps a second daemon of this instance out. The kernel frees it when the process ends, however it ends."""

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
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()
