"""Makes requirements/lock.txt and requirements/ice.txt from pyproject.toml (`make lock`).

The lock holds every package of the product, its tests and its build, for all systems and Python versions that are supported, each with
hashes. zeroc-ice stands apart, with the hash of its source only, because tools/build_ice.py builds it. uv, which `make lock` installs,
finds the versions. Existing pins stay as they are unless --upgrade is given.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements" / "lock.txt"
ICE = ROOT / "requirements" / "ice.txt"
HEADER = "# Made by `make lock` from pyproject.toml. Do not edit.\n"
OPTIONS = (
    "--group=dev --group=build --universal --python-version=3.11 --generate-hashes --no-header --no-annotate --no-binary=zeroc-ice --quiet"
)


def split(text: str, name: str) -> tuple[str, str]:
    """(the lock without the package `name`, the lines of that package)."""
    block = re.search(rf"(?m)^{re.escape(name)}==.*\n(?:[ \t]+.*\n)*", text)
    if block is None:
        raise ValueError(f"{name} is not in the lock")
    return text[: block.start()] + text[block.end() :], block.group()


def source_only(block: str, requirement: str) -> str:
    """`block` with the hash of the source distribution only, which is fetched to know it."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary=:all:", f"--dest={folder}", requirement]
        subprocess.run(command, check=True)
        (source,) = Path(folder).iterdir()
        digest = hashlib.sha256(source.read_bytes()).hexdigest()
    if digest not in block:
        raise ValueError(f"{requirement}: the source that was fetched has none of the hashes that the registry lists")
    return f"{requirement} \\\n    --hash=sha256:{digest}\n"


def main(arguments: list[str]) -> int:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "lock.txt"
        if LOCK.exists() and "--upgrade" not in arguments:
            out.write_text(LOCK.read_text() + ICE.read_text())
        command = [sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml", *OPTIONS.split(), f"--output-file={out}", *arguments]
        subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
        rest, ice = split(out.read_text(), "zeroc-ice")
    LOCK.parent.mkdir(exist_ok=True)
    LOCK.write_text(HEADER + rest)
    ICE.write_text(HEADER + source_only(ice, ice.split()[0]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
