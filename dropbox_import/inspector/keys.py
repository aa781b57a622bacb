"""The key of a fileset: what its token in OMERO ends with."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from dropbox_import.model import FileFacts

KEY_LENGTH = 20


def fileset_key(files: Iterable[FileFacts]) -> str:
    """The first 20 hex characters of the SHA-256 of the sorted relative paths and sizes; dates and order do not matter."""
    digest = hashlib.sha256()
    for name, size in sorted((file.path.encode("utf-8", "surrogateescape"), file.size) for file in files):
        digest.update(b"%d:%s:%d\n" % (len(name), name, size))
    return digest.hexdigest()[:KEY_LENGTH]
