"""The part of `check` that looks at secrets: there, readable for us, and for nobody else."""

from __future__ import annotations

import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from dropbox_import.daemon.findings import CLOSED, Finding, me
from dropbox_import.errors import ConfigError
from dropbox_import.settings import Settings
from dropbox_import.settings.secrets import find_password


def check_secrets(settings: Settings) -> Iterator[Finding]:
    """The files that hold or guard a secret: there, readable for us, and for nobody else."""
    omero = settings.omero
    if omero.password_file is not None:
        yield from check_secret_file("omero.password_file", omero.password_file)
    else:
        yield from _check_other_password(settings)
    if omero.ca_file is not None:
        yield from check_ca_file("omero.ca_file", omero.ca_file)
    elif omero.insecure:
        yield Finding(
            "warning",
            "omero.insecure",
            "the server's certificate is not verified: anyone in between can read the password",
            "Set omero.ca_file and remove insecure.",
        )


def check_secret_file(about: str, path: Path, secret: str = "the password of the OMERO account") -> Iterator[Finding]:
    """One file; `secret` says what belongs into it."""
    about = f"{about} {path}"
    try:
        mode = path.stat()
        text = path.read_bytes()
    except FileNotFoundError:
        yield Finding(
            "problem", about, "is not there", f"Type: sudo install -m 600 -o {me()} /dev/null {path}, and write {secret} into it."
        )
        return
    except OSError as error:
        yield Finding("problem", about, f"cannot be read: {error.strerror}", f"Type: sudo chown {me()} {path}; sudo chmod 600 {path}")
        return
    if not text.strip():
        yield Finding("problem", about, "is empty", f"Write {secret} into it, on one line.")
    elif sys.platform != "win32" and mode.st_mode & CLOSED:
        yield Finding("problem", about, f"others can read it (mode {stat.S_IMODE(mode.st_mode):04o})", f"Type: chmod 600 {path}")
    else:
        yield Finding("ok", about, "is there and only we can read it")


def _check_other_password(settings: Settings) -> Iterator[Finding]:
    try:
        source = find_password(settings)
    except ConfigError as error:
        yield Finding("problem", "password", error.sentence, error.hint)
        return
    if source.file is not None:
        yield from check_secret_file("password", Path(source.file))
    else:
        yield Finding("ok", "password", f"is in the environment variable {settings.omero.password_env}")


def check_ca_file(about: str, path: Path) -> Iterator[Finding]:
    """The certificate of who signed a server's."""
    about = f"{about} {path}"
    try:
        text = path.read_bytes()
    except OSError as error:
        yield Finding(
            "problem",
            about,
            f"cannot be read: {error.strerror}",
            "Put the certificate of the server, or of who signed it, there in PEM form.",
        )
        return
    if b"-----BEGIN CERTIFICATE-----" not in text:
        yield Finding(
            "problem",
            about,
            "holds no certificate in PEM form",
            f"Type: openssl x509 -inform der -in {path} -out {path}.pem, and name that.",
        )
    else:
        yield Finding("ok", about, "holds a certificate")
