"""How many points of failure were tried, and what went wrong at them.

Each process of `make faults` keeps its counts in a file of the folder DROPBOX_IMPORT_TALLY;
`python -m tests.support.tally FOLDER` prints one table over all of them, and ends with 1 unless every column but the first is 0 and
each kind of tests/support/kinds.py was tried as often as a whole run does; with `--part` it asks for the columns only.
"""

from __future__ import annotations

import atexit
import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support import kinds

ALL = os.environ.get("DROPBOX_IMPORT_FAULTS") == "all"
STRIDE = 7
# By what a broken promise says of itself; the first that fits. What fits none has not gone on as it should have.
WRONG = {
    "lost": ("lost", "is there 0 times", "is done, but not", "is done without", "not readable any more"),
    "imported twice": ("twice", "copies more", " times", "beside", "although"),
    "left behind": ("left on the server", "left behind", "made where a share was", "kept open"),
    "wrongly told": ("told", "says", "message", "report", "REASON", "failed, but", "in failed/"),
    "stuck": ("",),
}
COLUMNS = ("lost", "imported twice", "stuck", "wrongly told", "left behind")
NOT_HERE = "not run here"
NOT_WHOLE = 3  # the exit code of a run in which nothing went wrong, and some tests could not run
_SAVE_EVERY = 2.0  # seconds; a process that is killed has lost no more of its counts

tried: Counter[str] = Counter()
wrong: dict[str, Counter[str]] = {}
vitals: dict[str, list[object]] = {}
left_out: dict[str, int] = {}
_saved = 0.0


def points(most: int, what: str) -> list[int]:
    """1..most: all of them, or every seventh from an offset that differs from one `what` to the next."""
    return list(range(1, most + 1)) if ALL else list(range(1 + random.Random(what).randrange(STRIDE), most + 1, STRIDE))


@contextmanager
def counted(kind: str, where: str = "", points: int = 1) -> Iterator[None]:
    """Around one point (or several that are judged together): counts it, and says where it was if a promise is broken there."""
    tried[kind] += points
    try:
        yield
    except AssertionError as error:
        wrong.setdefault(kind, Counter())[column(str(error))] += 1
        raise AssertionError(f"{kind} {where}: {error}") from error
    except BaseException as error:  # a bug, a time-out, pytest.fail
        wrong.setdefault(kind, Counter())[column(f"{error}")] += 1
        raise
    finally:
        if time.monotonic() - _saved > _SAVE_EVERY:
            save()


def column(told: str) -> str:
    return next(word for word, signs in WRONG.items() if any(sign in told for sign in signs))


def vital(name: str, red: bool, why: str = "") -> None:
    """One sync, taken away by a test: did that turn the test red? If not, `why` is the reason why nothing depends on it."""
    vitals[name] = [red, why]


def not_run(why: str, tests: int) -> None:
    """So many tests could not run here; the table says so."""
    left_out[why] = left_out.get(why, 0) + tests


# --- from process to table ---------------------------------------------------------------


def save() -> None:
    global _saved
    _saved = time.monotonic()
    folder = os.environ.get("DROPBOX_IMPORT_TALLY")
    if not folder or not (tried or vitals or left_out):
        return
    text = json.dumps({"tried": tried, "wrong": wrong, "vitals": vitals, "left out": left_out})
    path = Path(folder) / f"{os.getpid()}.json"
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(path)


_home = os.getpid()


@atexit.register
def _save_at_end() -> None:
    if os.getpid() == _home:  # a forked child has counted nothing of its own
        save()


def take(folder: Path) -> None:
    """Add what all processes counted to the counts of this one."""
    for path in sorted(folder.glob("*.json")):
        said = json.loads(path.read_text())
        tried.update(said["tried"])
        for kind, counts in said["wrong"].items():
            wrong.setdefault(kind, Counter()).update(counts)
        vitals.update(said["vitals"])
        for why, count in said["left out"].items():
            not_run(why, count)


def table() -> list[str]:
    width = max([40, *(len(kind) for kind in tried)]) + 2
    head = f"{'fault':{width}}{'tried':>9}" + "".join(f"{word:>16}" for word in COLUMNS)
    rows = [_row(kind, count, wrong.get(kind, Counter()), width) for kind, count in sorted(tried.items())]
    total = _row("all", sum(tried.values()), sum(wrong.values(), Counter()), width)
    lines = [head, "-" * len(head), *rows, "-" * len(head), total]
    if vitals:
        lines += ["", f"{'a vital sync, taken away':{width}}  turns the power cuts red"]
        lines += [f"{name:{width}}  {_verdict(*vitals[name])}" for name in sorted(vitals)]
    return lines + (["", *not_here()] if left_out else [])


def not_here() -> list[str]:
    return [f"{NOT_HERE}: {count} tests, {why}" for why, count in sorted(left_out.items())]


def _row(kind: str, count: int, found: Counter[str], width: int) -> str:
    return f"{kind:{width}}{count:>9,}" + "".join(f"{found[word]:>16}" for word in COLUMNS)


def _verdict(red: object, why: object) -> str:
    return "red" if red else f"not red: {why}" if why else "NOT RED"


def complaints(*, whole: bool = True) -> list[str]:
    """Why the run as a whole is not good."""
    told = [f"{kind}: {count} {word}" for kind, found in wrong.items() for word, count in found.items() if count]
    told += [f"{name}: nothing turns red without it" for name, (red, why) in vitals.items() if not red and not why]
    told += [f"{kind}: is not listed in tests/support/kinds.py" for kind in sorted(tried) if kind not in kinds.EXPECTED]
    if whole:
        owed = kinds.owed(left_out).items()
        told += [f"{kind}: {tried[kind]:,} points, a whole run has {least:,} or more" for kind, least in owed if tried[kind] < least]
        told += [f"{len(vitals)} syncs were taken away, in a whole run {kinds.SYNCS} or more"] * (len(vitals) < kinds.SYNCS)
    elif not (tried or vitals or left_out):
        told += ["no point was tried"]
    return told


def ending(told: list[str], *, whole: bool = True) -> tuple[int, str]:
    """Exit code and last sentence of a run with these complaints."""
    if told:
        return 1, f"Not good, for {len(told)} reasons that stand above."
    if left_out:
        return NOT_WHOLE, f"Not whole: {sum(left_out.values())} tests did not run, for the reasons above. All others are good."
    return 0, "Good, and whole." if whole else "Good, as far as it goes: a part was asked for."


def main(arguments: list[str]) -> int:
    whole = "--part" not in arguments
    take(Path(arguments[0]))
    told = complaints(whole=whole)
    code, sentence = ending(told, whole=whole)
    print("\n".join([*table(), "", *told, sentence]))
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
