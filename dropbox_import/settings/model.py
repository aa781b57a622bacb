"""The daemon's settings as frozen data. Durations are seconds, sizes bytes, paths absolute."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

GB = 1_000_000_000
DAY = 86400.0
PASSWORD_ENV = "OMERO_PASSWORD"


@dataclass(frozen=True, slots=True)
class Omero:
    """Which server, and as whom. The password is never here: `secrets.find_password` says where it is.

    `ca_file` None = the certificates that the system trusts.
    """

    host: str
    user: str
    port: int = 4064
    password_file: Path | None = None
    password_env: str = PASSWORD_ENV
    ca_file: Path | None = None
    insecure: bool = False
    group: str | None = None


@dataclass(frozen=True, slots=True)
class WaitForFiles:
    """How long a sidecar waits for members that are not there: the user is told, then it is refused."""

    tell_after: float = 3600.0
    refuse_after: float = DAY


@dataclass(frozen=True, slots=True)
class Box:
    """One drop box.

    `owners`: "from_folder" = the user of the drop folder only; "any"; or names that a sidecar may give besides that user.
    """

    path: Path
    owners: Literal["from_folder", "any"] | tuple[str, ...] = "from_folder"
    defaults: dict[str, Any] = field(default_factory=dict)
    quiet_period: float = 10.0
    scan_interval: float = 10.0
    wait_for_files: WaitForFiles = field(default_factory=WaitForFiles)
    require_end: bool = False
    min_free: int = 5 * GB
    check_file_owner: bool = True


@dataclass(frozen=True, slots=True)
class Workers:
    """Child processes. `inspector_memory` is the most that one may use."""

    importers: int = 1
    filesets_in_flight: int = 4
    inspectors: int = 1
    idle_after: float = 60.0
    inspector_memory: int = 2 * GB


@dataclass(frozen=True, slots=True)
class Retry:
    """Seconds before each next try, the last one for ever; each is changed by up to `jitter` of itself."""

    delays: tuple[float, ...] = (600.0, 600.0, 1800.0, 3600.0)
    jitter: float = 0.1


@dataclass(frozen=True, slots=True)
class Log:
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"


@dataclass(frozen=True, slots=True)
class Settings:
    """All that an administrator decides. `instance` names this installation in shared boxes."""

    omero: Omero
    state_dir: Path
    boxes: tuple[Box, ...]
    instance: str
    workers: Workers = field(default_factory=Workers)
    retry: Retry = field(default_factory=Retry)
    log: Log = field(default_factory=Log)
