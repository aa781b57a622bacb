"""Where the password is. The password itself is read by the worker that logs in, and by nobody else."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dropbox_import.errors import ConfigError
from dropbox_import.settings.model import Settings

CREDENTIAL = "omero-password"
CREDENTIALS_DIRECTORY = "CREDENTIALS_DIRECTORY"


@dataclass(frozen=True, slots=True)
class PasswordSource:
    """A file, or the name of an environment variable; never the password."""

    file: Path | None = None
    env: str | None = None


def find_password(settings: Settings, environment: Mapping[str, str] | None = None) -> PasswordSource:
    """The first of: the file that the config names, systemd's credential, the environment. Raises ConfigError if there is none."""
    environment = os.environ if environment is None else environment
    omero = settings.omero
    if omero.password_file is not None:
        return PasswordSource(file=omero.password_file)
    folder = environment.get(CREDENTIALS_DIRECTORY)
    if folder and (Path(folder) / CREDENTIAL).is_file():
        return PasswordSource(file=Path(folder) / CREDENTIAL)
    if environment.get(omero.password_env):
        return PasswordSource(env=omero.password_env)
    raise ConfigError(
        f"No password for OMERO's account {omero.user} was found: "
        f"no omero.password_file, no credential {CREDENTIAL}, and {omero.password_env} is not set.",
        hint="Put it into a file of mode 0600 and name that file in omero.password_file.",
        code="no-password",
    )


def problem_with_file(path: Path) -> tuple[str, str] | None:
    """Why a file is no safe place for a secret, and the command that mends it; None if it is one."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return f"{path} is not there", f"type: install -m 600 /dev/null {path}, then write the password into it"
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}", f"type: chmod 600 {path}"
    if not stat.S_ISREG(found.st_mode):
        return f"{path} is not a file", "name a file that holds only the password"
    if sys.platform != "win32" and found.st_mode & 0o077:
        return f"{path} can be read by others (mode {stat.S_IMODE(found.st_mode):04o})", f"type: chmod 600 {path}"
    return None
