"""Is a folder on a share, where other machines write too?"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import cast

# statfs(2) f_type of file systems that other machines change too. All of FUSE counts: we cannot see what is behind it.
_NETWORK_TYPES = {
    0x6969: "nfs",
    0x517B: "smb",
    0xFF534D42: "cifs",
    0xFE534D42: "smb2",
    0x65735546: "fuse",
    0x01021997: "9p",
    0x00C36400: "ceph",
    0x5346414F: "afs",
    0x0BD00BD0: "lustre",
    0x47504653: "gpfs",
    0x19830326: "beegfs",
    0x786F4256: "vboxsf",
    0xBACBACBC: "vmhgfs",
    0x73757245: "coda",
    0x7461636F: "ocfs2",
    0x01161970: "gfs2",
    0xAAD7AAEA: "panfs",
}


if sys.platform == "win32":

    def is_network(path: Path) -> bool:
        """True for a share, and where it cannot be told: what is only sure on a local disk is then not relied on."""
        text = os.path.abspath(path)
        text = text.removeprefix("\\\\?\\")
        if text.startswith(("\\\\", "UNC\\")):
            return True
        unknown, no_root, remote = 0, 1, 4
        return ctypes.windll.kernel32.GetDriveTypeW(os.path.splitdrive(text)[0] + "\\") in (unknown, no_root, remote)

elif sys.platform == "linux":

    def is_network(path: Path) -> bool:
        """True for a share, and where it cannot be told: what is only sure on a local disk is then not relied on."""
        call = _statfs()
        if call is None:
            return True
        # Larger than struct statfs on every machine; its first field is the type.
        answer = (ctypes.c_long * 64)()
        if call(ctypes.c_char_p(os.fsencode(path)), answer) != 0:
            return True
        return (answer[0] & 0xFFFFFFFF) in _NETWORK_TYPES

    @cache
    def _statfs() -> Callable[..., int] | None:
        try:
            return cast("Callable[..., int]", ctypes.CDLL(None).statfs)
        except (OSError, AttributeError):
            return None

else:

    def is_network(path: Path) -> bool:  # noqa: ARG001
        """True: it cannot be told here, and what is only sure on a local disk is then not relied on."""
        return True
