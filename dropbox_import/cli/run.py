"""`run`: the daemon, in the foreground, as a service manager wants it."""

from __future__ import annotations

import queue
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dropbox_import.cli import terminal
from dropbox_import.cli.exits import Exit, of_counts
from dropbox_import.cli.options import config_option, load

if TYPE_CHECKING:
    from dropbox_import.daemon.service import StopRequest
    from dropbox_import.model import Candidate


@click.command(short_help="Run the daemon, once or until it is stopped.")
@config_option()
@click.option("--once", is_flag=True, help="Work until nothing is left that can be done now, then end.")
@click.option("--observe", "observe_only", is_flag=True, help="Say what would be imported, for whom and where; touch nothing.")
def run(config: Path, once: bool, observe_only: bool) -> int:
    """Run the daemon: take drops from the boxes of the config and bring them into OMERO.

    It stays in the foreground and logs to stderr, as systemd wants it. The first SIGTERM or Ctrl-C
    lets it finish what it can within moments and leaves the rest to be resumed; a second one stops
    at once, and that is safe too: the next start goes on where the journals say.

    \b
    Examples:
      dropbox-import run --config config.yaml
      dropbox-import run --config config.yaml --once       for cron
      dropbox-import run --config config.yaml --observe    before you trust it

    \b
    Exit codes: 0 stopped as asked, or (--once) all done; 3 the config has mistakes;
    4 (--once) a drop failed; 5 (--once) a drop waits.
    """
    if once and observe_only:
        raise click.UsageError("--once and --observe exclude each other.")
    settings = load(config)
    if observe_only:
        return _observe(config)
    from dropbox_import import logs
    from dropbox_import.cli.entry import debugging
    from dropbox_import.daemon import service

    logs.setup("debug" if debugging() else settings.log.level, settings.log.format)
    stop = service.StopRequest()
    listen(stop)
    outcome = service.run(settings, once=once, stop=stop)
    if not once:
        return Exit.OK
    terminal.say(f"{outcome.done} done, {outcome.failed} failed, {outcome.waiting} waiting")
    return of_counts(outcome.failed, outcome.waiting)


def listen(stop: StopRequest) -> None:
    """The first signal drains, the second stops at once.

    The handler only puts a note into a queue, which is safe at any moment; a thread does the rest, because a handler
    that takes a lock could wait for the very code that it interrupted.
    """
    notes: queue.SimpleQueue[int] = queue.SimpleQueue()

    def watch() -> None:
        notes.get()
        terminal.tell("Stopping: what runs is finished or left to be resumed. Once more stops at once.")
        stop.drain()
        notes.get()
        stop.now()

    threading.Thread(target=watch, name="signals", daemon=True).start()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda got, _frame: notes.put(got))


def foresee(candidate: Candidate) -> str:
    """What the names of the files alone decide about a drop; no file is opened."""
    from dropbox_import.inspector.formats import format_of
    from dropbox_import.inspector.grouping import group
    from dropbox_import.inspector.whole import Examined
    from dropbox_import.intake.globs import is_glob
    from dropbox_import.model import FilesRule

    rule = candidate.request.files if candidate.request else FilesRule()
    named = [name for name in (*(rule.include or ()), *rule.expect.size, *rule.expect.sha256) if not is_glob(name)]
    seen = group([Examined(one, format_of(one.path)) for one in candidate.members], named)
    told = " ".join(bad.sentence for bad in seen.bad)
    if not told:
        return ""
    return f"a part would be refused: {told}" if seen.filesets else f"would be refused: {told}"


def _observe(config: Path) -> int:
    from dropbox_import.daemon import service

    found = service.observe(load(config), foresee=foresee)
    if not found:
        terminal.tell("Nothing to take: no sidecar lies in the drop folders.")
        return Exit.OK
    columns = list(dict.fromkeys(key for row in found for key in row))
    terminal.table([key.replace("_", " ") for key in columns], [[terminal.cell(row.get(key)) for key in columns] for row in found])
    terminal.tell(f"{terminal.count(len(found), 'drop')}; nothing was touched.")
    return Exit.OK
