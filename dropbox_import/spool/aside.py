"""Setting a drop aside, by order of an administrator: out of the way, as it is, with nothing deleted."""

from __future__ import annotations

from pathlib import Path

from dropbox_import.disk import files
from dropbox_import.spool.layout import Layout


def set_aside(box: Layout, path: Path) -> Path:
    """Move a claim or a filed folder to discarded/, which only the service account may enter. Returns its new place. Raises OSError.

    A claim that is moved back into inprogress/ goes on where it was.
    """
    if not box.discarded.is_dir():
        files.make_dir(box.discarded, 0o700)
    target, again = box.discarded / path.name, 1
    while target.exists():
        again += 1
        target = box.discarded / f"{path.name}-{again}"
    files.rename(path, target)
    for folder in (target.parent, path.parent):
        files.sync_dir(folder)
    return target
