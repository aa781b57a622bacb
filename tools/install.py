"""Fills the virtual environment that it runs in: the locked packages, the Ice extension, the project. Called by tools/setup.

install.py           all of it
install.py --again   the project only: the locked packages are as they should be
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
BUILD_ICE = [sys.executable, str(ROOT / "tools" / "build_ice.py")]


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def must(doing: str, command: list[str], hint: str = "") -> None:
    """Runs `command`; if it fails, says in words what failed and what to do, and ends."""
    if subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL).returncode:
        again = "Run the same command again when that is mended; what is done already is kept."
        raise SystemExit(f"\nSet-up failed while {doing}; the lines above say why. {hint}{again}")


def ice_loads() -> bool:
    found = subprocess.run([sys.executable, "-W", "ignore", "-c", "import Ice"], capture_output=True, cwd=ROOT)
    return found.returncode == 0


def install_ice() -> None:
    """Installs the Ice wheel of the cache, building it first if need be; one that does not load is built anew, once."""
    for last in (False, True):
        built = subprocess.run(BUILD_ICE, stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL)
        if built.returncode:
            raise SystemExit("\nSet-up failed while compiling the Ice extension; the lines above say why.")
        wheel = Path(built.stdout.strip())
        must("installing the Ice extension", [*PIP, "install", "--no-deps", "--no-index", "--force-reinstall", str(wheel)])
        if ice_loads():
            return
        if last:
            raise SystemExit("\nSet-up failed: the Ice extension was compiled but does not load in this Python.")
        say("The Ice extension from the cache does not load here (other system libraries?); it is built again.")
        wheel.unlink()


def main(arguments: list[str]) -> int:
    if not os.access(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~"), os.W_OK):
        os.environ["PIP_NO_CACHE_DIR"] = "1"  # pip would warn of it each time
    if arguments != ["--again"]:
        say("Installing the locked packages …")
        lock = ["install", "--no-deps", "--only-binary=:all:", "--require-hashes", "-r", str(ROOT / "requirements" / "lock.txt")]
        must("installing the locked packages", [*PIP, *lock], "Is the Python package index reached from here? ")
        install_ice()
    must("installing the project", [*PIP, "install", "--no-deps", "--no-build-isolation", "--editable", str(ROOT)])
    must("checking that all packages fit together", [*PIP, "check"])
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
