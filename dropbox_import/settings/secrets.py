"""Where the password is. The password itself is read by the worker that logs in, and by nobody else."""

from __future__ import annotations

import os
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
