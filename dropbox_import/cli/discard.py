"""`discard`: a drop is set aside, out of the way of daemon and users, with nothing deleted."""

from __future__ import annotations

from pathlib import Path

import click

from dropbox_import.cli.options import config_option, load, ordering_options


@click.command(short_help="Set a drop aside; nothing is deleted.")
@click.argument("drops", metavar="DROP...", nargs=-1, required=True)
@config_option()
@ordering_options(wait=40.0)
def discard(drops: tuple[str, ...], config: Path, wait: float, output: str) -> int:
    """Set each DROP aside, into the folder discarded/ of its box. Nothing is deleted, neither here nor in OMERO.

    DROP is its id, as `show` takes it: one that failed, is held, waits or is at work. What OMERO has of it, or may have,
    is said. Only the service's account and root can look into discarded/. `dropbox-import retry DROP` brings it back.

    \b
    Examples:
      dropbox-import discard 20261122-093912-k7f3q2mzt4 --config config.yaml

    \b
    Exit codes: 0 done, or left for the next start of the daemon; 4 it could not be done;
    5 the daemon has not come to it yet.
    """
    from dropbox_import.cli.ordering import find, order_all

    settings = load(config)
    return order_all(settings, "discard", find(settings, drops), wait, output)
