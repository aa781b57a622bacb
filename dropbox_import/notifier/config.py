"""What `configure` brings, as frozen data: paths of secrets, never a secret."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Security = Literal["none", "starttls", "tls"]
PORTS: dict[Security, int] = {"none": 25, "starttls": 587, "tls": 465}


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where mail goes out, and from whom. `port` None = the usual one of `security`."""

    host: str
    port: int | None = None
    security: Security = "none"
    user: str | None = None
    password_file: str | None = None
    sender: str | None = None
    reply_to: str | None = None
    ca_file: str | None = None
    insecure: bool = False

    @property
    def at(self) -> str:
        """`mail.example.org:25`"""
        return f"{self.host}:{self.port or PORTS[self.security]}"


@dataclass(frozen=True, slots=True)
class Address:
    """Where the URL of a channel is written: in a file, or in systemd's credential of that name."""

    url_file: str | None = None
    credential: str | None = None


@dataclass(frozen=True, slots=True)
class Config:
    """`templates`: the site's folder of its own texts. `web`: address of OMERO.web, "" = no links. `time_zone` None = the system's."""

    mail: MailServer | None = None
    channels: dict[str, Address] = field(default_factory=dict)
    templates: str | None = None
    web: str = ""
    time_zone: str | None = None
    instance: str = ""
