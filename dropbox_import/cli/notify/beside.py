"""A notifier worker beside the daemon, for one command: it reads the same secrets, and leaves the daemon alone."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dropbox_import.clock import SystemClock
from dropbox_import.daemon.check_omero import remove_tree
from dropbox_import.daemon.notifier_config import notifier_config
from dropbox_import.disk import files as disk
from dropbox_import.errors import TryLater
from dropbox_import.workers.dispatcher import Workers
from dropbox_import.workers.protocol import Command

if TYPE_CHECKING:
    from dropbox_import.settings import Settings

PATIENCE = 150.0  # longer than a worker's own limit for one delivery, so that its better sentence comes first
Ask = Callable[[str, Mapping[str, Any]], dict[str, Any]]


@contextmanager
def notifier_beside(settings: Settings) -> Iterator[Ask]:
    """Gives `ask(do, args)`, which raises what the worker answers, and TryLater after `PATIENCE` seconds. At the end the worker is gone."""
    clock = SystemClock()
    # A folder of its own: workers that are found in the daemon's would be taken for orphans and ended.
    own = Path(tempfile.gettempdir()) / f"dropbox-import-notify-{clock.token_bits(50):013x}"
    disk.make_dir(own, 0o700)
    try:
        workers = Workers(settings.workers, own, clock, notifier_config=notifier_config(settings, settings.instance))
        try:
            yield lambda do, args: _asked(workers, do, args)
        finally:
            workers.stop()
    finally:
        remove_tree(own)


def ask_notifier(settings: Settings, do: str, args: Mapping[str, Any]) -> dict[str, Any]:
    """One command by a worker that is started for it."""
    with notifier_beside(settings) as ask:
        return ask(do, args)


def _asked(workers: Workers, do: str, args: Mapping[str, Any]) -> dict[str, Any]:
    reply = workers.submit("notifier", Command(0, do, dict(args)), lambda _reply: None).wait(PATIENCE)
    if reply is None:
        raise TryLater(f"no answer within {PATIENCE:.0f} s", hint="Look at the load of this machine and at the mail server.")
    if reply.error is not None:
        raise reply.error
    return dict(reply.result or {})
