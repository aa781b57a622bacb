"""`retry`: drops that failed, are held or were set aside are tried again."""

from __future__ import annotations

from pathlib import Path

import click

from dropbox_import.cli import terminal
from dropbox_import.cli.exits import Exit
from dropbox_import.cli.options import config_option, load, ordering_options
from dropbox_import.model import DropState


@click.command(short_help="Have drops tried again that failed, are held or were discarded.")
@click.argument("drops", metavar="[DROP]...", nargs=-1)
@click.option("--all-failed", is_flag=True, help="Every drop in failed/.")
@click.option("--box", type=click.Path(path_type=Path), metavar="FOLDER", help="With --all-failed: only of this box.")
@config_option()
@ordering_options(wait=10.0)
def retry(drops: tuple[str, ...], all_failed: bool, box: Path | None, config: Path, wait: float, output: str) -> int:
    """Have each DROP tried again. Only what is missing in OMERO is imported.

    DROP is its id, as `show` takes it. One in failed/ goes back into inprogress/ with its journal, and the files that are
    in it now count. One that is held is read again; one that was discarded goes on where it was; one that waits is tried
    now. If somebody changed the journal or the sidecar of a failed one, it is put into the drop folder instead, as if
    moved there by hand.

    \b
    Examples:
      dropbox-import retry 20261122-093912-k7f3q2mzt4 --config config.yaml
      dropbox-import retry --all-failed --config config.yaml
      dropbox-import retry --all-failed --box /srv/imports --config config.yaml

    \b
    Exit codes: 0 done, or left for the next start of the daemon; 4 something could not be done;
    5 the daemon has not come to it yet.
    """
    if bool(drops) == all_failed:
        raise click.UsageError("Name the drops, or say --all-failed.")
    if box is not None and not all_failed:
        raise click.UsageError("--box goes with --all-failed.")
    from dropbox_import.cli.drops import EVERY, all_drops, life, reachable
    from dropbox_import.cli.ordering import find, order_all
    from dropbox_import.errors import ConfigError

    settings = load(config)
    if not all_failed:
        return order_all(settings, "retry", find(settings, drops), wait, output)
    if box is not None and box not in [one.path for one in settings.boxes]:
        raise ConfigError(f"{box} is no box of {config}", hint=f"There are: {', '.join(str(one.path) for one in settings.boxes)}")
    there, hung = reachable(settings)
    for gone in hung:
        terminal.tell(f"{gone}: its volume does not answer, so nothing of it is tried again.")
    failed = [one for one in all_drops(there, life(there), newest=EVERY) if one.state is DropState.FAILED]
    wanted = [(one.box, one.id) for one in failed if box is None or one.box == str(box)]
    if not wanted:
        terminal.tell("Nothing is in failed/.")
        if output == "json":
            terminal.say('{"orders": []}')
        return Exit.OK
    return order_all(settings, "retry", wanted, wait, output)
