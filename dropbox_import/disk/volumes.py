"""What a volume can do: rename between two folders, free space, is it a share."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
from pathlib import Path

from dropbox_import.disk.files import remove_file, rename, write_new
from dropbox_import.disk.mounts import is_network
from dropbox_import.disk.paths import for_system

__all__ = ["free_bytes", "is_network", "probe_rename"]

PROBE_PREFIX = ".dropbox-import-probe-"


def probe_rename(source_dir: Path, target_dir: Path) -> None:
    """Rename a small file of ours from one folder to the other, and remove it. OSError says why it cannot be done (EXDEV: two volumes).

    A real rename, because device numbers do not tell: bind mounts, subvolumes and distributed shares look alike.
    """
    for count in itertools.count():
        name = f"{PROBE_PREFIX}{os.getpid()}-{count}"
        source, target = source_dir / name, target_dir / name
        try:
            write_new(source, b"")
        except FileExistsError:
            continue
        try:
            rename(source, target)
        except FileExistsError:
            remove_file(source)
            continue
        except OSError:
            with contextlib.suppress(OSError):
                remove_file(source)
            raise
        remove_file(target)
        return


def free_bytes(path: Path) -> int:
    """Bytes that the volume of `path` has left for us."""
    return shutil.disk_usage(for_system(path)).free
