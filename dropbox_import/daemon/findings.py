"""What a check found, and who we are on this system."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Level = Literal["ok", "warning", "problem"]
CLOSED = 0o077


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of `check`: what was looked at, how it is, and what to type."""

    level: Level
    about: str
    sentence: str
    hint: str = ""


# By their numbers in linux/capability.h. The first three: closing other people's files and giving them back; the last: asking whether
# somebody still writes one.
_CAPABILITIES = {"CAP_CHOWN": 0, "CAP_DAC_OVERRIDE": 1, "CAP_FOWNER": 3, "CAP_LEASE": 28}
LEASE = "CAP_LEASE"
AMBIENT = f"AmbientCapabilities={' '.join(_CAPABILITIES)}"


def missing_capabilities() -> tuple[str, ...]:
    """Which of the service's capabilities this process has not; none where the system does not know them, or for root."""
    if sys.platform == "win32" or os.geteuid() == 0:
        return ()
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return tuple(_CAPABILITIES)
    effective = next((int(line.split()[1], 16) for line in lines if line.startswith("CapEff:")), 0)
    return tuple(name for name, number in _CAPABILITIES.items() if not effective >> number & 1)


def how_to_get_capabilities() -> str:
    kept = ",".join(f"+{name.removeprefix('CAP_').lower()}" for name in _CAPABILITIES)
    as_service = f'setpriv --reuid={me()} --regid="$(id -g {me()})" --init-groups --inh-caps={kept} --ambient-caps={kept}'
    return (
        f"Type: sudo systemctl edit dropbox-import, and write below [Service]: {AMBIENT} - if it is there already, "
        f"check with the rights of the service: sudo {as_service} dropbox-import check ..."
    )


def me() -> str:
    """The account that this process runs as, to be typed."""
    if sys.platform == "win32":
        return "SERVICE-ACCOUNT"
    number = os.geteuid()
    return user_name(number) or str(number)


def user_name(number: int) -> str | None:
    if sys.platform == "win32":
        return None
    import pwd

    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return None


def user_number(name: str) -> int | None:
    if sys.platform == "win32":
        return None
    import pwd

    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        return None
