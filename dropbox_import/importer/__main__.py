"""`python -m dropbox_import.importer`: the importer process. Everything of OMERO is imported inside `load`, when the pipe is safe."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path

from dropbox_import.clock import SystemClock
from dropbox_import.workers.serve import Handler, serve

PARALLEL = 12


def load() -> Mapping[str, Handler]:
    # omero-py would use, and lock, files in the home folder, which a service may not have
    private = Path(tempfile.gettempdir()) / f"dropbox-import-{os.getpid()}"
    for name in ("OMERO_USERDIR", "OMERO_TMPDIR", "OMERO_SESSIONDIR"):
        os.environ[name] = str(private)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of Ice's own modules
        from dropbox_import.importer.worker import Importer
    return Importer(SystemClock()).handlers()


if __name__ == "__main__":
    serve("importer", load, parallel=PARALLEL)
