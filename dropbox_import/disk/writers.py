"""Is somebody still writing a file? The system is asked, where it can tell."""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from enum import Enum
from pathlib import Path

from dropbox_import.disk.mounts import is_network
from dropbox_import.disk.paths import for_system

if sys.platform == "linux":
    import fcntl
    import signal
    import threading


class Writing(Enum):
    OPEN = "open"  # somebody has it open for writing (or mapped)
    CLOSED = "closed"
    UNKNOWN = "unknown"  # not our file, a share, a system without such a test: other signs must decide


def being_written(path: Path, *, network: bool | None = None) -> Writing:
    """Whether any process of this machine, ours too, has `path` open for writing. OSError when it cannot be opened.

    On a share always UNKNOWN, since writers elsewhere do not show; `network` saves the look where the caller knows.
    """
    if is_network(path) if network is None else network:
        return Writing.UNKNOWN
    return _ask(path)


if sys.platform == "linux":

    def _ask(path: Path) -> Writing:
        # A read lease is granted only when nobody has the file open for writing; it is given back at once, since a
        # writer's open() would wait for us.
        _ignore_lease_signal()
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except BlockingIOError:
            # Somebody (a Samba server) holds a write lease on it, and has now been asked to give it up.
            return Writing.OPEN
        try:
            fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
            fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        except OSError as error:
            # EACCES: not our file and no CAP_LEASE. EINVAL: the file system has no leases, or this is no regular file.
            return Writing.OPEN if error.errno == errno.EAGAIN else Writing.UNKNOWN
        finally:
            os.close(fd)
        return Writing.CLOSED

    def _ignore_lease_signal() -> None:
        """Let SIGIO pass unnoticed: sent when a writer comes while we hold the lease, it ends a process that does not expect it."""
        if signal.getsignal(signal.SIGIO) is not signal.SIG_DFL:
            return
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGIO, signal.SIG_IGN)
            return
        # Python sets signals in its main thread only; the C library does it from any.
        set_signal = ctypes.CDLL(None).signal
        set_signal.argtypes, set_signal.restype = [ctypes.c_int, ctypes.c_void_p], ctypes.c_void_p
        set_signal(int(signal.SIGIO), 1)

elif sys.platform == "win32":
    from ctypes import wintypes

    def _ask(path: Path) -> Writing:
        # Opening without allowing others to write fails as long as one has it open for writing.
        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        kernel.CreateFileW.restype = wintypes.HANDLE
        kernel.CreateFileW.argtypes = [
            wintypes.LPCWSTR,
            wintypes.DWORD,
            wintypes.DWORD,
            wintypes.LPVOID,
            wintypes.DWORD,
            wintypes.DWORD,
            wintypes.HANDLE,
        ]
        kernel.CloseHandle.argtypes = [wintypes.HANDLE]
        generic_read, share_read, open_existing, open_reparse_point = 0x80000000, 1, 3, 0x00200000
        handle = kernel.CreateFileW(for_system(path), generic_read, share_read, None, open_existing, open_reparse_point, None)
        if handle != wintypes.HANDLE(-1).value:
            kernel.CloseHandle(handle)
            return Writing.CLOSED
        number = ctypes.get_last_error()
        sharing_violation, lock_violation, access_denied = 32, 33, 5
        if number in (sharing_violation, lock_violation):
            return Writing.OPEN
        if number == access_denied:
            return Writing.UNKNOWN
        raise ctypes.WinError(number)

else:

    def _ask(path: Path) -> Writing:  # noqa: ARG001
        return Writing.UNKNOWN
