"""A worker beside the daemon, for the questions of a command: it reads the same secrets, and leaves the daemon's own workers alone."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from dropbox_import.clock import SystemClock
from dropbox_import.daemon.notifier_config import notifier_config
from dropbox_import.daemon.service import importer_config
from dropbox_import.disk import files as disk
from dropbox_import.errors import TryLater
from dropbox_import.settings import Settings
from dropbox_import.workers.dispatcher import Workers
from dropbox_import.workers.protocol import Command, Role


class Ask(Protocol):
    def __call__(self, do: str, args: Mapping[str, Any] | None = None, *, patience: float = 150.0) -> dict[str, Any]:
        """What the worker answers to the command. Raises its error, and TryLater after `patience` seconds."""
        ...


@contextmanager
def worker_beside(settings: Settings, role: Role) -> Iterator[Ask]:
    """A worker of that role to ask; when it is over, the worker is gone. Raises ConfigError without a password for it."""
    clock = SystemClock()
    # A folder of its own: workers that are found in the daemon's would be taken for orphans and ended.
    own = Path(tempfile.gettempdir()) / f"dropbox-import-beside-{clock.token_bits(50):013x}"
    disk.make_dir(own, 0o700)
    try:
        if role == "importer":
            to_omero = {**importer_config(settings, settings.instance), "sessions_dir": str(own / "sessions")}
            workers = Workers(settings.workers, own, clock, importer_config=to_omero)
        else:
            workers = Workers(settings.workers, own, clock, notifier_config=notifier_config(settings, settings.instance))

        def ask(do: str, args: Mapping[str, Any] | None = None, *, patience: float = 150.0) -> dict[str, Any]:
            reply = workers.submit(role, Command(0, do, dict(args or {})), lambda _reply: None).wait(patience)
            if reply is None:
                raise TryLater(f"no answer within {patience:.0f} s", hint="Look at the load of the server and at the network.")
            if reply.error is not None:
                raise reply.error
            return dict(reply.result or {})

        try:
            yield ask
        finally:
            workers.stop()
    finally:
        remove_tree(own)


def remove_tree(folder: Path) -> None:
    """Remove a folder that this process made, with all that is in it. Links are removed, not followed."""
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            remove_tree(entry)
        else:
            disk.remove_file(entry)
    disk.remove_dir(folder)
