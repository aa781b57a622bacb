"""The stand-in's own certificate authority and server certificate, made once with the `openssl` command.

Debian's `ca-certificates` brings `openssl`, so this needs no further package.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from dropbox_import.errors import ConfigError

_DAYS = "3650"
_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
_NAMES = "subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=critical,CA:FALSE\nextendedKeyUsage=serverAuth\n"


@dataclass(frozen=True, slots=True)
class Certificates:
    """What the server shows (`certificate`, with its key in the same file) and what a client trusts (`ca`)."""

    ca: Path
    certificate: Path


def _openssl(folder: Path, *words: str) -> None:
    done = subprocess.run(["openssl", *words], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ConfigError(f"openssl {words[0]} failed: {done.stderr.strip()[-300:]}")


def certificates(folder: Path) -> Certificates:
    """Those in `folder`, made if they are not there yet."""
    found = Certificates(folder / "ca.pem", folder / "server.pem")
    if found.certificate.exists() and found.ca.exists():
        return found
    if shutil.which("openssl") is None:
        raise ConfigError("The command `openssl` is missing.", hint="On Debian: apt-get install openssl")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    (folder / "names.cnf").write_text(_NAMES, encoding="ascii")
    subject = "/CN=dropbox-import stand-in CA"
    _openssl(
        folder,
        "req",
        "-x509",
        *_NEW_KEY,
        "-days",
        _DAYS,
        "-subj",
        subject,
        "-keyout",
        "ca.key",
        "-out",
        "ca.pem",
        "-addext",
        "keyUsage=critical,keyCertSign,cRLSign",
    )
    _openssl(folder, "req", *_NEW_KEY, "-subj", "/CN=localhost", "-keyout", "server.key", "-out", "server.csr")
    _openssl(
        folder,
        "x509",
        "-req",
        "-in",
        "server.csr",
        "-CA",
        "ca.pem",
        "-CAkey",
        "ca.key",
        "-CAcreateserial",
        "-days",
        _DAYS,
        "-extfile",
        "names.cnf",
        "-out",
        "server.new",
    )
    both = folder / "server.both"
    both.touch(mode=0o600)
    both.write_text((folder / "server.key").read_text("ascii") + (folder / "server.new").read_text("ascii"), encoding="ascii")
    for name in ("ca.key", "server.key"):
        (folder / name).chmod(0o600)
    both.replace(found.certificate)
    return found
