"""How many points of failure were tried, and what went wrong at them.

Each process of `make faults` keeps its counts in a file of the folder DROPBOX_IMPORT_TALLY;
`python -m tests.support.tally FOLDER` prints one table over all of them, and ends with 1 unless every column but the first is 0.
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
# Without one of these `make faults` was not whole. Who adds a kind of fault adds it here.
EXPECTED = (
    "8 daemons on one share",
    "OMERO is gone for a while, with its sessions",
    "OMERO misbehaves in a call",
    "SIGKILL at a call, with the real importer",
    "SIGKILL at two calls",
    "SIGSTOP of importer",
    "a bit of a journal is another one",
    "a box does not answer",
    "a call hangs",
    "a call is cut, its effect late",
    "a call of an import is cut, cut-after",
    "a call of an import is cut, cut-before",
    "a call of an import is cut, late",
    "a daemon is stopped and its drops are adopted, it wakes up early",
    "a daemon is stopped and its drops are adopted, it wakes up late",
    "a daemon is stopped with a command on its way, it wakes up early",
    "a daemon is stopped with a command on its way, it wakes up late",
    "a filed folder is put back",
    "a journal is cut at a byte",
    "a mount hangs",
    "a program is still writing",
    "a real importer is killed at a record",
    "a real importer is killed in a call of the server",
    "a recorded journal is taken up at a record",
    "a second power cut",
    "a stopped daemon keeps its claims",
    "a user changes their mind",
    "a worker dies, its command's effect after",
    "a worker dies, its command's effect before",
    "a worker dies, its command's effect late",
    "a worker hangs in a call",
    "an error from a call, with the real importer",
    "an import waits 70 minutes for the server",
    "drops of two daemons make one dataset",
    "events are lost",
    "made-up histories",
    "people are told, a mail is cut in its middle",
    "people are told, a mail server is dead",
    "people are told, power cut, bare POSIX",
    "people are told, random SIGKILLs of daemon and notifier",
    "people are told, power cut, journaling",
    "people are told, the daemon ends at an effect",
    "people are told, the daemon ends twice",
    "people are told, the disk refuses (EIO)",
    "people are told, the disk refuses (ENOSPC)",
    "people are told, the notifier dies after it has sent",
    "people are told, the notifier dies before it has sent",
    "power cut, and its user has deleted what was imported",
    "power cut, bare POSIX",
    "power cut, journaling",
    "random SIGKILLs, real processes",
    "real daemons: one is stopped and adopted",
    "sessions expire",
    "the daemon ends at an effect",
    "the daemon ends at every pair of effects",
    "the daemon ends in a retry",
    "the daemon ends twice",
    "the daemon ends with what was put back",
    "the disk refuses (EIO)",
    "the disk refuses (ENOSPC)",
    "the end of an outage",
    "the first one wakes up and has work for the same owner all the time",
    "the real daemon is killed at a record",
    "the real daemon is killed in a call of the server",
    "the server is killed in a call",
    "the server is killed in a crowd",
    "the service is killed at a call",
    "the service is refused a call, EACCES",
    "the service is refused a call, EBUSY",
    "the service is refused a call, EINTR",
    "the service is refused a call, EIO",
    "the service is refused a call, ENOSPC",
    "the service is refused a call, ESTALE",
)
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
    if left_out:
        lines += ["", *(f"not run here: {count} tests, {why}" for why, count in sorted(left_out.items()))]
    return lines


def _row(kind: str, count: int, found: Counter[str], width: int) -> str:
    return f"{kind:{width}}{count:>9,}" + "".join(f"{found[word]:>16}" for word in COLUMNS)


def _verdict(red: object, why: object) -> str:
    return "red" if red else f"not red: {why}" if why else "NOT RED"


def complaints(*, whole: bool = True) -> list[str]:
    """Why the run as a whole is not good."""
    told = [f"{kind}: {count} {word}" for kind, found in wrong.items() for word, count in found.items() if count]
    told += [f"{name}: nothing turns red without it" for name, (red, why) in vitals.items() if not red and not why]
    if whole and not left_out:  # where some cannot run, the table says so
        told += [f"not tried: {kind}" for kind in EXPECTED if not tried[kind]]
    return told


def main(arguments: list[str]) -> int:
    take(Path(arguments[0]))
    told = complaints(whole="--part" not in arguments)
    print("\n".join([*table(), "", *told]))
    return 1 if told else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
