"""What this machine lets tests do. A test says what it needs by a marker; one that cannot run is left out, and the summary says why."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from functools import cache

import pytest

from tests.support import kinds, tally


@cache
def is_root() -> bool:
    return sys.platform != "win32" and os.geteuid() == 0


@cache
def has_strace() -> bool:
    """Whether strace is there and may trace (some containers forbid it)."""
    if shutil.which("strace") is None:
        return False
    done = subprocess.run(["strace", "-f", "-e", "trace=fsync", "-o", os.devnull, sys.executable, "-c", ""], capture_output=True)
    return done.returncode == 0


if sys.platform == "win32":

    def has_fuse() -> bool:
        return False

else:

    @cache
    def has_fuse() -> bool:
        """Whether a file system of our own can be mounted: /dev/fuse opens, and mount(2) is allowed (asked in a process of its own)."""
        if not is_root():
            return False
        try:
            os.close(os.open("/dev/fuse", os.O_RDWR))
        except OSError:
            return False
        child = os.fork()
        if child == 0:
            os._exit(_mount_in_a_namespace_of_our_own())
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

    def _mount_in_a_namespace_of_our_own() -> int:
        libc = ctypes.CDLL(None, use_errno=True)
        new_mounts, recursive_private = 0x20000, 0x4000 | 0x40000
        if libc.unshare(new_mounts) != 0 or libc.mount(b"none", b"/", None, recursive_private, None) != 0:
            return 1
        return 0 if libc.mount(b"tmpfs", b"/mnt", b"tmpfs", 0, None) == 0 else 1


NEEDS: dict[str, tuple[Callable[[], bool], str]] = {
    "needs_root": (is_root, kinds.ROOT),
    "needs_strace": (has_strace, kinds.STRACE),
    "needs_fuse": (has_fuse, kinds.FUSE),
}


def cannot_run(item: pytest.Item) -> str:
    """Why this test cannot run here; "" when it can."""
    return next((why for marker, (has, why) in NEEDS.items() if item.get_closest_marker(marker) and not has()), "")


def leave_out(config: pytest.Config, items: list[pytest.Item]) -> dict[str, int]:
    """Deselects what cannot run here; returns how many tests for which reason."""
    reasons = {item: why for item in items if (why := cannot_run(item))}
    if not reasons:
        return {}
    config.hook.pytest_deselected(items=list(reasons))
    items[:] = [item for item in items if item not in reasons]
    found: dict[str, int] = {}
    for why in reasons.values():
        found[why] = found.get(why, 0) + 1
    for why, count in found.items():
        tally.not_run(why, count)
    return found
