"""Every kind of fault that `make faults` tries, and the least number of its points in a whole run.

Who adds a kind adds a line. The number is what was asked for (2,000 histories, 200 kills), the length of a list in the test, or somewhat
less than the last run had.
"""

from __future__ import annotations

from collections.abc import Collection

ROOT = "they need root"
STRACE = "they need strace that may trace"
FUSE = "they need root, /dev/fuse and the right to mount"

EVERYWHERE = {
    "30 drops, 5 at work": 1,
    "8 daemons on one share": 2_400,
    "OMERO is gone for a while, with its sessions": 16,
    "OMERO misbehaves in a call": 46,
    "SIGSTOP of both": 21,
    "SIGSTOP of daemon": 21,
    "SIGSTOP of daemon and workers": 3,
    "SIGSTOP of importer": 28,
    "a bit of a journal is another one": 480,
    "a box does not answer": 960,
    "a call hangs": 4,
    "a call is cut, its effect late": 18,
    "a call of an import is cut, cut-after": 180,
    "a call of an import is cut, cut-before": 180,
    "a call of an import is cut, late": 180,
    "a daemon is stopped and its drops are adopted, it wakes up early": 700,
    "a daemon is stopped and its drops are adopted, it wakes up late": 700,
    "a daemon is stopped with a command on its way, it wakes up early": 30,
    "a daemon is stopped with a command on its way, it wakes up late": 30,
    "a drop is tried again": 40,
    "a filed folder is put back": 14,
    "a journal is cut at a byte": 1_600,
    "a program is still writing": 28,
    "a real importer is killed at a record": 22,
    "a real importer is killed in a call of the server": 21,
    "a real daemon is stopped when all is done": 120,
    "a recorded journal is taken up at a record": 141,
    "a second power cut": 1_300,
    "a stopped daemon keeps its claims": 5,
    "a user changes their mind": 110,
    "a worker dies, its command's effect after": 30,
    "a worker dies, its command's effect before": 30,
    "a worker dies, its command's effect late": 30,
    "a worker hangs in a call": 6,
    "an import waits 70 minutes for the server": 2,
    "drops of two daemons make one dataset": 400,
    "events are lost": 5,
    "made-up histories": 2_150,
    "one submission, two daemons": 300,
    "people are told, a mail is cut in its middle": 6,
    "people are told, a mail server is dead": 200,
    "people are told, power cut, bare POSIX": 430,
    "people are told, power cut, journaling": 390,
    "people are told, random SIGKILLs of daemon and notifier": 50,
    "people are told, the daemon ends at an effect": 1_200,
    "people are told, the daemon ends twice": 1_130,
    "people are told, the disk refuses (EIO)": 530,
    "people are told, the disk refuses (ENOSPC)": 530,
    "people are told, the notifier dies after it has sent": 8,
    "people are told, the notifier dies before it has sent": 8,
    "power cut after a failed sync of a journal, bare POSIX": 640,
    "power cut after a failed sync of a journal, journaling": 760,
    "power cut in an order, or in what was put back, bare POSIX": 220,
    "power cut in an order, or in what was put back, journaling": 260,
    "power cut, and a user's image was not synced": 690,
    "power cut, and its user has deleted what was imported": 1,
    "power cut, bare POSIX": 2_400,
    "power cut, journaling": 1_600,
    "random SIGKILLs, real processes": 200,
    "real daemons: one is stopped and adopted": 14,
    "sessions expire": 12,
    "the daemon ends at an effect": 850,
    "the daemon ends at every pair of effects": 3_450,
    "the daemon ends in a retry": 340,
    "the daemon ends in an order": 630,
    "the daemon ends twice": 800,
    "the daemon ends twice in an order, or in what was put back": 370,
    "the daemon ends with what was put back": 295,
    "the disk refuses (EIO)": 345,
    "the disk refuses (ENOSPC)": 345,
    "the end of an outage": 1,
    "the first one wakes up and has work for the same owner all the time": 11,
    "the real daemon is killed at a record": 38,
    "the real daemon is killed in a call of the server": 21,
    "the server is killed in a call": 9,
    "the server is killed in a crowd": 60,
}
# Where a machine lacks something, the kinds that need it are excused, and the run is not whole.
NEEDING = {
    STRACE: {
        "EACCES from a call": 180,
        "EACCES from a call on": 5,
        "EACCES from calls in a row": 41,
        "EBUSY from a call": 180,
        "EBUSY from calls in a row": 41,
        "EINTR from a call": 180,
        "EINTR from calls in a row": 60,
        "EIO from a call": 180,
        "EIO from a call on": 40,
        "EIO from calls in a row": 60,
        "ENOSPC from a call": 180,
        "ENOSPC from a call on": 25,
        "ENOSPC from calls in a row": 40,
        "ESTALE from a call": 180,
        "ESTALE from a call on": 6,
        "ESTALE from calls in a row": 60,
        "SIGKILL at a call, with the real importer": 12,
        "SIGKILL at chmod": 78,
        "SIGKILL at fsync": 108,
        "SIGKILL at mkdir": 15,
        "SIGKILL at open": 15,
        "SIGKILL at rename": 16,
        "SIGKILL at two calls": 290,
        "SIGKILL at unlink": 10,
        "SIGKILL at write": 55,
        "the service is killed at a call": 28,
        "the service is refused a call, EACCES": 28,
        "the service is refused a call, EBUSY": 28,
        "the service is refused a call, EINTR": 28,
        "the service is refused a call, EIO": 28,
        "the service is refused a call, ENOSPC": 28,
        "the service is refused a call, ESTALE": 28,
        "an error from a call, with the real importer": 7,
    },
    FUSE: {
        "a mount hangs": 5,
    },
}
EXPECTED = EVERYWHERE | {kind: least for kinds in NEEDING.values() for kind, least in kinds.items()}
SYNCS = 60  # of the product, each taken away once


def owed(left_out: Collection[str]) -> dict[str, int]:
    """What a run must have tried, and how often at least, that left out the tests with these reasons."""
    excused = {kind for reason in left_out for kind in NEEDING.get(reason, {})}
    return {kind: least for kind, least in EXPECTED.items() if kind not in excused}
