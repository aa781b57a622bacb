"""The daemon's settings as frozen data. Durations are seconds, sizes bytes, paths absolute."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

GB = 1_000_000_000
DAY = 86400.0
PASSWORD_ENV = "OMERO_PASSWORD"
Language = Literal["en", "fr"]


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


def is_address(name: str) -> bool:
    """Of one of the names in `to`: a mail address, or a channel?"""
    return "@" in name


@dataclass(frozen=True, slots=True)
class Listener:
    """Who hears of which events: `to` are mail addresses and names of channels; `events` None = those that are usual there."""

    to: tuple[str, ...] = ()
    events: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class BoxNotify:
    """What is special in one box: its users' language (None = that of all), and who hears of its drops besides their users."""

    language: Language | None = None
    also: Listener = field(default_factory=Listener)


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
    notify: BoxNotify = field(default_factory=BoxNotify)


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
class Mail:
    """The mail server. A password is never here: `password_file`, or systemd's credential `mail-password`, has it.

    `port` None = the usual one of `security`. `sender` None = the first administrator's address.
    """

    host: str
    port: int | None = None
    security: Literal["none", "starttls", "tls"] = "none"
    user: str | None = None
    password_file: Path | None = None
    sender: str | None = None
    reply_to: str | None = None
    ca_file: Path | None = None
    insecure: bool = False


@dataclass(frozen=True, slots=True)
class Quiet:
    """Hours of the day in which a channel is silent, in minutes after midnight; it may go over midnight."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Channel:
    """A chat, webhook or any other service of apprise. Its address is a secret: it stands in `url_file`, or in systemd's `credential`."""

    name: str
    url_file: Path | None = None
    credential: str | None = None
    quiet: Quiet | None = None


@dataclass(frozen=True, slots=True)
class Notify:
    """Who is told what, and how. Without `mail` and `channels` nobody is told anything.

    `user_events`: what users hear of their own drops; `users`: those who want it otherwise, by login. `web`: address of OMERO.web, for
    links. Seconds: a letter waits `gather` for more of the same; after one the next waits `digest`; `limit` letters for one recipient in
    `per`; what could not be sent for `give_up_after` is laid aside. `waits_after`: a drop that waits so long for OMERO is told to its user.
    """

    mail: Mail | None = None
    admin: Listener = field(default_factory=Listener)
    user_events: tuple[str, ...] = ("done", "partly", "failed", "waits")
    users: dict[str, Listener] = field(default_factory=dict)
    channels: dict[str, Channel] = field(default_factory=dict)
    language: Language = "en"
    templates: Path | None = None
    web: str = ""
    time_zone: str | None = None
    gather: float = 10.0
    digest: float = 180.0
    limit: int = 10
    per: float = 3600.0
    give_up_after: float = 5 * DAY
    waits_after: float = 3600.0

    @property
    def sender(self) -> str | None:
        """From whom mails come: who is named, or the first administrator with an address. There is always one where there is `mail`."""
        named = self.mail.sender if self.mail is not None else None
        return named or next((name for name in self.admin.to if is_address(name)), None)


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
    notify: Notify = field(default_factory=Notify)
