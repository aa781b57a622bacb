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


def may_take_over() -> bool:
    """Whether this process may change owner and mode of other people's files."""
    if sys.platform == "win32":
        return True
    if os.geteuid() == 0:
        return True
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return False
    effective = next((int(line.split()[1], 16) for line in lines if line.startswith("CapEff:")), 0)
    chown, override, fowner = 1 << 0, 1 << 1, 1 << 3
    return effective & (chown | override | fowner) == chown | override | fowner


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
