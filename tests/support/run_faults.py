"""`make faults`: every test of faults, whole, LANES files at a time, and one table at the end.

`python -m tests.support.run_faults [words for pytest]`. A file belongs to it that counts points (it names `tally`) or has a test
marked `slow_faults`. The files that say `minutes=` of themselves (in a marker `faults` or `slow_faults`) come first, the longest at the
head, so that all lanes end at about the same time; a file that says nothing is taken for one minute.

It ends with 0 if all is good, with 1 if something is not (a run without words has to be whole, and quick enough), and with 3 if all that
could run is good and some tests cannot run on this machine. The last sentence says which.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.support import tally

ROOT = Path(__file__).resolve().parents[2]
LANES = 4  # on two cores: some of these files wait nearly all the time
LONGEST = 40 * 60.0  # seconds that the whole may take on two cores
NOTHING_CHOSEN = 5  # pytest's exit code when -k leaves nothing
_BELONGS = re.compile(r"\btally\b|\bslow_faults\b")
_MINUTES = re.compile(r"\bminutes=(\d+(?:\.\d+)?)")


@dataclass(frozen=True)
class Done:
    path: Path
    seconds: float
    code: int
    told: str

    def is_good(self, *, whole: bool) -> bool:
        """A file without a test is good only where words leave none, or this machine does."""
        return self.code == 0 or (self.code == NOTHING_CHOSEN and (not whole or tally.NOT_HERE in self.told))


def chosen(tests: Path) -> list[Path]:
    """The files of tests of faults, the longest first."""
    found = [path for path in sorted(tests.rglob("test_*.py")) if "house" not in path.parts and _BELONGS.search(path.read_text("utf-8"))]
    return sorted(found, key=lambda path: -minutes(path.read_text("utf-8")))


def minutes(text: str) -> float:
    return sum(float(one) for one in _MINUTES.findall(text)) or 1.0


def run(path: Path, words: list[str], folder: Path) -> Done:
    begun = time.monotonic()
    # The last -m counts: here that of pyproject.toml, which leaves out slow_faults, does not.
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "", str(path), *words]
    environment = os.environ | {"DROPBOX_IMPORT_FAULTS": "all", "DROPBOX_IMPORT_TALLY": str(folder)}
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    one = Done(path, time.monotonic() - begun, done.returncode, done.stdout.decode(errors="replace"))
    if one.code != NOTHING_CHOSEN:
        last = one.told.strip().splitlines()[-1:] or [""]
        print(f"{one.seconds:6.0f} s  {path.relative_to(ROOT)}: {last[0].strip('= ')}", flush=True)
    if not one.is_good(whole=not words):
        print(one.told, flush=True)
    return one


def main(words: list[str]) -> int:
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="faults-") as name:
        folder = Path(name)
        with ThreadPoolExecutor(LANES) as lanes:
            results = list(lanes.map(lambda path: run(path, words, folder), chosen(ROOT / "tests")))
        tally.take(folder)
    took = time.monotonic() - begun
    told = complaints(results, took, whole=not words)
    code, sentence = tally.ending(told, whole=not words)
    print("\n".join(["", *tally.table(), "", f"{took / 60:.0f} minutes, {LANES} files at a time", *told, sentence]))
    return code


def complaints(results: list[Done], took: float, *, whole: bool) -> list[str]:
    """Those of the tally, of pytest and of the clock."""
    told = tally.complaints(whole=whole)
    told += [f"{one.path.relative_to(ROOT)}: pytest ended with {one.code}" for one in results if not one.is_good(whole=whole)]
    if whole and took > LONGEST:
        told += [f"it took {took / 60:.1f} minutes, and may take {LONGEST / 60:.0f} on two cores"]
    return told


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
