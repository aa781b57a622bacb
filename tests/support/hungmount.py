"""A folder on a mount that hangs: whoever looks into it waits, as on a share whose server has gone.

A FUSE mount of which nobody answers the requests is put over the folder. What lies in the folder is there again afterwards. Who waited
gets an error then. If this process dies, the system answers all who wait with an error, so nobody hangs for ever.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_NO_SUID, _NO_DEV = 2, 4
_FORCE, _DETACH, _NO_FOLLOW = 1, 2, 8


class HungMount:
    """`hang` and `back`, each as often as wanted; use `hung_mount`, which never leaves a mount behind."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._device = -1
        self._libc = ctypes.CDLL(None, use_errno=True)

    def hang(self) -> None:
        """From now on whoever looks into the folder, or anything below it, waits."""
        assert self._device < 0
        device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
        options = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other".encode()
        if self._libc.mount(b"hung", os.fsencode(self.folder), b"fuse", _NO_SUID | _NO_DEV, options) != 0:
            number = ctypes.get_errno()
            os.close(device)
            raise OSError(number, os.strerror(number), str(self.folder))
        self._device = device

    def back(self) -> None:
        """The folder is there again. Nothing happens when it does not hang."""
        if self._device < 0:
            return
        # What is looked for from now on is found; then all that still waits is answered, since the device is the connection's only end.
        done = self._libc.umount2(os.fsencode(self.folder), _DETACH | _FORCE | _NO_FOLLOW)
        number = ctypes.get_errno()
        os.close(self._device)
        self._device = -1
        if done != 0 and self._libc.umount2(os.fsencode(self.folder), _DETACH | _NO_FOLLOW) != 0:
            raise OSError(number, os.strerror(number), str(self.folder))


@contextmanager
def hung_mount(folder: Path) -> Iterator[HungMount]:
    found = HungMount(folder)
    try:
        yield found
    finally:
        found.back()
