"""What an error of the system means for the work: which of our errors it is."""

from __future__ import annotations

import errno

from dropbox_import.disk.names import shown
from dropbox_import.errors import AccessDenied, DiskFull, DropboxImportError, FileBusy, ShareUnavailable, TryLater

_FULL = {errno.ENOSPC, errno.EDQUOT}
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS}
_BUSY = {errno.EBUSY, errno.ETXTBSY}
_GONE = {errno.EIO} | {
    number
    for name in ("ESTALE", "ENOTCONN", "EHOSTDOWN", "EHOSTUNREACH", "ENETDOWN", "ENETUNREACH", "ETIMEDOUT", "ENODEV", "ENXIO")
    if (number := getattr(errno, name, None)) is not None
}
# Python turns some of these into "file not found", so the Windows number is looked at first.
_WINDOWS: dict[int, type[TryLater]] = {
    5: AccessDenied,
    19: AccessDenied,
    32: FileBusy,
    33: FileBusy,
    39: DiskFull,
    112: DiskFull,
    53: ShareUnavailable,
    54: ShareUnavailable,
    55: ShareUnavailable,
    59: ShareUnavailable,
    64: ShareUnavailable,
    67: ShareUnavailable,
    121: ShareUnavailable,
    1231: ShareUnavailable,
}
_HINTS: dict[type[TryLater], str] = {
    DiskFull: "Make room on that volume; the work goes on by itself.",
    AccessDenied: "Give the service account the right to read, move and change it; the work goes on by itself.",
    FileBusy: "Close the program that has it open; the work goes on by itself.",
    ShareUnavailable: "Look whether the volume is mounted and answers; the work goes on by itself.",
    TryLater: "It will be tried again.",
}


def as_ours(error: OSError, doing: str) -> DropboxImportError:
    """The error to raise for `error`; `doing` begins the sentence ("moving cells.czi into the claim"). Raise it `from error`."""
    kind = _kind(error)
    words = error.strerror or str(error) or type(error).__name__
    where = f" ({shown(str(error.filename))})" if error.filename is not None else ""
    return kind(f"{doing}: {words}{where}", hint=_HINTS[kind])


def _kind(error: OSError) -> type[TryLater]:
    windows = getattr(error, "winerror", None)
    if windows in _WINDOWS:
        return _WINDOWS[windows]
    for numbers, kind in ((_FULL, DiskFull), (_DENIED, AccessDenied), (_BUSY, FileBusy), (_GONE, ShareUnavailable)):
        if error.errno in numbers:
            return kind
    return TryLater
