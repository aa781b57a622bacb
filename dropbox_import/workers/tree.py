"""A worker's process and everything that it starts: one kill for all, low priority, a limit of memory. The systems differ only here."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from typing import Any

import psutil

NICE = 10  # more than the daemon has
LOWEST = 19


def start_options() -> dict[str, Any]:
    """For subprocess.Popen: a group of its own, so that it can be killed whole and the terminal's Ctrl-C does not reach it."""
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW | subprocess.BELOW_NORMAL_PRIORITY_CLASS
        return {"creationflags": flags}
    return {"start_new_session": True}


def lower_priority(pid: int) -> None:
    """Low CPU and disk priority, where the system allows it. To be called before the process has threads: on Linux they inherit it."""
    with contextlib.suppress(psutil.Error, OSError, AttributeError):
        process = psutil.Process(pid)
        if sys.platform == "win32":
            process.ionice(psutil.IOPRIO_LOW)
        else:
            # Below the daemon, which may have been started with a low priority itself: only root could go back up from there.
            process.nice(min(LOWEST, process.nice() + NICE))
            if sys.platform == "linux":
                # The lowest of the ordinary class: the idle class would get nothing at all on a disk that is always busy.
                process.ionice(psutil.IOPRIO_CLASS_BE, 7)


class Tree:
    """The running process `process` with its descendants. `memory`: bytes that one process of it may take, None = no limit."""

    def __init__(self, process: subprocess.Popen[bytes], memory: int | None) -> None:
        self._pid = process.pid
        if sys.platform == "win32":
            self._job = _make_job(memory)
            _put_in_job(self._job, process.pid)
        elif sys.platform == "linux" and memory is not None:
            with contextlib.suppress(psutil.Error, OSError):
                psutil.Process(process.pid).rlimit(psutil.RLIMIT_AS, (memory, memory))

    def kill(self) -> None:
        """End all of it at once. Only before the process is waited for: afterwards its number may be another's."""
        if sys.platform == "win32":
            _kernel().TerminateJobObject(self._job, 1)
        else:
            kill_group(self._pid)

    def close(self) -> None:
        """Give the system's handles back; on Windows this kills what is left."""
        if sys.platform == "win32":
            _kernel().CloseHandle(self._job)


def kill_group(pid: int) -> None:
    """Kill the worker `pid` that an earlier daemon started, with everything that it started."""
    if sys.platform == "win32":
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            for each in [*process.children(recursive=True), process]:
                with contextlib.suppress(psutil.Error):
                    each.kill()
    else:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(pid, signal.SIGKILL)


if sys.platform == "win32":
    from ctypes import wintypes

    _EXTENDED_LIMIT_INFORMATION = 9
    _LIMIT_PROCESS_MEMORY = 0x0100
    _LIMIT_KILL_ON_JOB_CLOSE = 0x2000
    _PROCESS_SET_QUOTA_AND_TERMINATE = 0x0100 | 0x0001

    class _BasicLimits(ctypes.Structure):
        _fields_ = (
            ("PerProcessUserTimeLimit", wintypes.LARGE_INTEGER),
            ("PerJobUserTimeLimit", wintypes.LARGE_INTEGER),
            ("LimitFlags", wintypes.DWORD),
            ("MinimumWorkingSetSize", ctypes.c_size_t),
            ("MaximumWorkingSetSize", ctypes.c_size_t),
            ("ActiveProcessLimit", wintypes.DWORD),
            ("Affinity", ctypes.c_size_t),
            ("PriorityClass", wintypes.DWORD),
            ("SchedulingClass", wintypes.DWORD),
        )

    class _ExtendedLimits(ctypes.Structure):
        _fields_ = (
            ("BasicLimitInformation", _BasicLimits),
            ("IoInfo", ctypes.c_ulonglong * 6),
            ("ProcessMemoryLimit", ctypes.c_size_t),
            ("JobMemoryLimit", ctypes.c_size_t),
            ("PeakProcessMemoryUsed", ctypes.c_size_t),
            ("PeakJobMemoryUsed", ctypes.c_size_t),
        )

    def _kernel() -> ctypes.WinDLL:
        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        kernel.CreateJobObjectW.restype = wintypes.HANDLE
        kernel.OpenProcess.restype = wintypes.HANDLE
        kernel.SetInformationJobObject.argtypes = (wintypes.HANDLE, ctypes.c_int, ctypes.c_void_p, wintypes.DWORD)
        kernel.AssignProcessToJobObject.argtypes = (wintypes.HANDLE, wintypes.HANDLE)
        kernel.CloseHandle.argtypes = (wintypes.HANDLE,)
        kernel.TerminateJobObject.argtypes = (wintypes.HANDLE, wintypes.UINT)
        return kernel

    def _make_job(memory: int | None) -> int:
        """A job whose processes are all killed when its last handle closes, also by the death of this process."""
        kernel = _kernel()
        job = kernel.CreateJobObjectW(None, None)
        limits = _ExtendedLimits()
        limits.BasicLimitInformation.LimitFlags = _LIMIT_KILL_ON_JOB_CLOSE
        if memory is not None:
            limits.BasicLimitInformation.LimitFlags |= _LIMIT_PROCESS_MEMORY
            limits.ProcessMemoryLimit = memory
        done = job and kernel.SetInformationJobObject(job, _EXTENDED_LIMIT_INFORMATION, ctypes.byref(limits), ctypes.sizeof(limits))
        if not done:
            raise ctypes.WinError(ctypes.get_last_error())
        return int(job)

    def _put_in_job(job: int, pid: int) -> None:
        kernel = _kernel()
        handle = kernel.OpenProcess(_PROCESS_SET_QUOTA_AND_TERMINATE, False, pid)
        done = handle and kernel.AssignProcessToJobObject(job, handle)
        problem = ctypes.get_last_error()
        if handle:
            kernel.CloseHandle(handle)
        if not done:
            raise ctypes.WinError(problem)
