"""What an error of the system means for the work."""

from __future__ import annotations

import errno
import os

import pytest

from dropbox_import.disk.trouble import as_ours
from dropbox_import.errors import AccessDenied, DiskFull, DropboxImportError, FileBusy, ShareUnavailable, TryLater


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, DiskFull),
        (errno.EDQUOT, DiskFull),
        (errno.EACCES, AccessDenied),
        (errno.EPERM, AccessDenied),
        (errno.EROFS, AccessDenied),
        (errno.EBUSY, FileBusy),
        (errno.ETXTBSY, FileBusy),
        (errno.ESTALE, ShareUnavailable),
        (errno.EIO, ShareUnavailable),
        (errno.ENOTCONN, ShareUnavailable),
        (errno.EHOSTDOWN, ShareUnavailable),
        (errno.ENOENT, TryLater),
        (errno.EXDEV, TryLater),
    ],
)
def test_each_trouble_has_its_class_and_names_what_was_done(number: int, kind: type[DropboxImportError]) -> None:
    error = as_ours(OSError(number, os.strerror(number), "/box/drop/a\nb"), "moving a file")
    assert type(error) is kind
    assert error.sentence.startswith("moving a file: ")
    assert "\n" not in error.sentence
    assert error.hint


@pytest.mark.parametrize(
    ("number", "kind"), [(32, FileBusy), (53, ShareUnavailable), (64, ShareUnavailable), (67, ShareUnavailable), (112, DiskFull)]
)
def test_a_dead_windows_share_is_not_taken_for_a_missing_file(number: int, kind: type[DropboxImportError]) -> None:
    error = FileNotFoundError(errno.ENOENT, "The network path was not found")
    error.winerror = number  # type: ignore[attr-defined, unused-ignore]
    assert type(as_ours(error, "looking")) is kind


def test_an_error_without_words_still_gives_a_sentence() -> None:
    assert as_ours(OSError(), "looking").sentence == "looking: OSError"
