"""Builds the Ice 3.6.5 extension once for each Python and keeps the wheel in a cache.

    build_ice.py --where     prints the folder of the wheel for this Python; exit 0 if the wheel is there, else 1 (standard library only)
    build_ice.py             builds it if it is not there (with the setuptools, wheel and pip of this Python) and prints the wheel's path

The cache is $DROPBOX_IMPORT_CACHE, else $XDG_CACHE_HOME/dropbox-import, else ~/.cache/dropbox-import, else (where that cannot be written)
.cache in the checkout. A wheel is found again only for the same Ice source, Python version, platform, and files in tools/ice.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHIM = ROOT / "tools" / "ice"
PINNED = ROOT / "requirements" / "ice.txt"
VERSION = "3.6.5"
LEVEL = "-O1 -g0"  # -O2 takes as long and makes the wheel almost twice as large


def cache() -> Path:
    """The folder that outlives checkouts; made if it can be."""
    named = os.environ.get("DROPBOX_IMPORT_CACHE")
    if named:
        return Path(named)
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    usual = Path(home) / "dropbox-import"
    try:
        usual.mkdir(parents=True, exist_ok=True)
    except OSError:
        return ROOT / ".cache"
    return usual if os.access(usual, os.W_OK) else ROOT / ".cache"


def key() -> str:
    """Names everything that makes one wheel differ from another."""
    digest = hashlib.sha256(LEVEL.encode())
    for path in [PINNED, *sorted(SHIM.iterdir())]:
        if path.is_file():
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    python = f"cp{sys.version_info.major}{sys.version_info.minor}"
    libc = "".join(platform.libc_ver())
    return "-".join(part for part in (VERSION, python, sysconfig.get_platform(), libc, digest.hexdigest()[:12]) if part)


def find(folder: Path) -> Path | None:
    return next(iter(sorted(folder.glob("zeroc_ice-*.whl"))), None)


def run(command: list[str], log: Path, environment: dict[str, str]) -> bool:
    """Runs a long command with its output in `log`, with a sign of life every half minute. True if it went well."""
    begun = time.monotonic()
    with log.open("ab") as out, subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL, env=environment) as child:
        while True:
            try:
                return child.wait(30) == 0
            except subprocess.TimeoutExpired:
                spent = int(time.monotonic() - begun)
                print(f"  … the Ice extension is still being compiled ({spent // 60} min {spent % 60:02} s)", file=sys.stderr, flush=True)


def compile_wheel(work: Path, log: Path) -> Path | None:
    """The wheel, compiled from the pinned source in `work`; None if that failed."""
    shim = shutil.copytree(SHIM, work / "shim")  # there, because compiler flags cannot hold a path with spaces
    flags = f"{LEVEL} -w -I{shim} -include {shim / 'ice36_compat.h'}"
    environment = os.environ | {"CFLAGS": flags, "CXXFLAGS": flags}
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-cache-dir", "--no-binary=zeroc-ice"]
    command += ["--require-hashes", "-r", str(PINNED), "-w", str(work / "plain")]
    if not run(command, log, environment):
        return None
    wheel = find(work / "plain")
    if wheel is None or sys.version_info < (3, 12):
        return wheel
    return with_imp(wheel, work, log, environment)


def with_imp(wheel: Path, work: Path, log: Path, environment: dict[str, str]) -> Path | None:
    """`wheel` with the module imp added, which Ice imports and Python 3.12 no longer has."""
    tool = [sys.executable, "-m", "wheel"]
    packed = work / "packed"
    packed.mkdir()
    if not run([*tool, "unpack", str(wheel), "-d", str(work)], log, environment):
        return None
    tree = work / f"zeroc_ice-{VERSION}"
    shutil.copyfile(SHIM / "imp.py", tree / "imp.py")
    return find(packed) if run([*tool, "pack", str(tree), "-d", str(packed)], log, environment) else None


def build(folder: Path) -> Path:
    """The wheel in `folder`, built now. Raises SystemExit with a sentence if that fails."""
    print(f"Compiling the Ice {VERSION} extension: about 5 minutes, once. The result is kept in {folder}", file=sys.stderr, flush=True)
    log = folder / "build.log"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        log.write_bytes(b"")
    except OSError as error:
        hint = "Set DROPBOX_IMPORT_CACHE to a folder that you may write."
        raise SystemExit(f"{folder} cannot be written ({error.strerror}). {hint}") from error
    with tempfile.TemporaryDirectory(prefix="build-ice-") as work:
        wheel = compile_wheel(Path(work), log)
        if wheel is None:
            tail = "".join(log.read_text(errors="replace").splitlines(keepends=True)[-30:])
            raise SystemExit(f"{tail}\nThe Ice extension could not be compiled. The whole output is in {log}")
        partial = shutil.copyfile(wheel, folder / f"{os.getpid()}.partial")
        return partial.replace(folder / wheel.name)  # in one step, so that a cache is never seen half filled


def main(arguments: list[str]) -> int:
    folder = cache() / "ice" / key()
    if arguments == ["--where"]:
        print(folder)
        return 0 if find(folder) else 1
    if arguments:
        print(__doc__, file=sys.stderr)
        return 2
    print(find(folder) or build(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
