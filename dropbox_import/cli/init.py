"""`init`: a drop box and a commented config."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from dropbox_import.cli import terminal
from dropbox_import.cli.exits import Exit
from dropbox_import.errors import ConfigError


@click.command(short_help="Make a drop box and a commented config.")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Where to write the config. [default: DIR/config.yaml]",
)
@click.option("--user", "users", multiple=True, metavar="NAME", help="Make a drop folder for this user; may be repeated.")
@click.option("--host", default="omero.example.org", metavar="NAME", help="The OMERO server.")
@click.option("--omero-user", default="importer", metavar="LOGIN", help="The service's account in OMERO.")
def init(folder: Path, config: Path | None, users: tuple[str, ...], host: str, omero_user: str) -> int:
    """Make a drop box in DIR, and a config in which every key is explained.

    What is there already stays as it is: a second init adds what is missing, as the drop folder of
    a new user. The path of the config is printed on stdout.

    \b
    Examples:
      dropbox-import init /srv/imports --user jdoe --user asmith --host omero.uni.org
      dropbox-import init /srv/imports --user newcomer

    \b
    Afterwards:
      dropbox-import check --config /srv/imports/config.yaml
    """
    from dropbox_import.clock import SystemClock
    from dropbox_import.disk import files as disk
    from dropbox_import.disk import names
    from dropbox_import.disk.trouble import as_ours
    from dropbox_import.settings import example_text
    from dropbox_import.spool.layout import create_box

    for user in users:
        problem = "it must be one name, not a path" if "/" in user else names.problem_with(user)
        if problem:
            raise click.UsageError(f'--user "{user}": {problem}')
    box = folder.absolute()
    target = (config or box / "config.yaml").absolute()
    fresh = not target.exists()
    try:
        create_box(box, SystemClock(), users)
        if fresh:
            text = example_text(
                box=box, host=host, user=omero_user, state_dir=default_state_dir(), password_file=target.with_name("omero-password")
            )
            disk.make_dirs(target.parent)
            disk.write_new(target, text.encode())
    except FileExistsError as error:
        raise ConfigError(f"{error.filename} is in the way", hint="Choose another folder, or move it away.") from error
    except OSError as error:
        raise as_ours(error, f"making the box {box}") from error
    terminal.tell(f"The box is {box}; users save into {box / 'drop'}/<their name>/.")
    if fresh:
        terminal.tell("Next: put the server, its account and the password file into the config, then")
        terminal.tell(f"  dropbox-import check --config {target}")
    else:
        terminal.tell("The config was there and stays as it is.")
    terminal.say(str(target))
    return Exit.OK


def default_state_dir() -> Path:
    """Where a service keeps its records on this system: of the machine for root, else of the user."""
    if sys.platform == "win32":
        return Path(os.environ.get("PROGRAMDATA", r"C:\ProgramData")) / "dropbox-import"
    if os.geteuid() == 0:
        return Path("/var/lib/dropbox-import")
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "dropbox-import"
