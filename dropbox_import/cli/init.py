"""`init`: a drop box and a commented config."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

import click

from dropbox_import.cli import terminal
from dropbox_import.cli.exits import Exit
from dropbox_import.errors import ConfigError

CONFIG_NAME = "dropbox-import.yaml"


@click.command(short_help="Make a drop box and a commented config.")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help=f"Where to write the config, not inside the box. [default: {CONFIG_NAME} in the current folder]",
)
@click.option("--user", "users", multiple=True, metavar="NAME", help="Make a drop folder for this user; may be repeated.")
@click.option("--host", default="omero.example.org", metavar="NAME", help="The OMERO server.")
@click.option("--omero-user", default="importer", metavar="LOGIN", help="The service's account in OMERO.")
def init(folder: Path, config: Path | None, users: tuple[str, ...], host: str, omero_user: str) -> int:
    """Make a drop box in DIR, and a config in which every key is explained.

    The config names the password file beside it, so keep both where users cannot look. What is
    there already stays as it is: a second init of the same box adds what is missing, as the drop
    folder of a new user. As root, a new drop folder is given to the system user of that name. The
    path of the config is printed on stdout.

    \b
    Examples:
      dropbox-import init /srv/imports --user jdoe --user asmith --host omero.uni.org \\
          --config /etc/dropbox-import/config.yaml
      dropbox-import init /srv/imports --user newcomer

    \b
    Afterwards:
      dropbox-import check --config /etc/dropbox-import/config.yaml
    """
    from dropbox_import.clock import SystemClock
    from dropbox_import.disk import names
    from dropbox_import.disk.trouble import as_ours
    from dropbox_import.spool.layout import Layout, create_box

    for user in users:
        problem = "it must be one name, not a path" if "/" in user else names.problem_with(user)
        if problem:
            raise click.UsageError(f'--user "{user}": {problem}')
    box = folder.absolute()
    target = (config or Path(CONFIG_NAME)).absolute()
    if target.resolve().is_relative_to(box.resolve()):
        raise ConfigError(
            f"the config {target} would lie inside the box, where users may read it and the password file beside it",
            hint="Name another place: --config FILE, as in --config /etc/dropbox-import/config.yaml.",
        )
    layout = Layout(box)
    was_there = layout.marker.exists()
    newcomers = [user for user in dict.fromkeys(users) if not (layout.drop / user).is_dir()]
    # Who adds a user to a box somewhere on the system does not want one more config here.
    wanted = config is not None or not was_there
    fresh = wanted and not target.exists()
    try:
        create_box(box, SystemClock(), users)
        if fresh:
            _write_config(target, box=box, host=host, user=omero_user)
    except FileExistsError as error:
        raise ConfigError(f"{error.filename} is in the way", hint="Choose another folder, or move it away.") from error
    except OSError as error:
        raise as_ours(error, f"making the box {box}") from error
    terminal.tell(f"The box is {box}; users save into {layout.drop}/<their name>/.")
    for user in dict.fromkeys(users):
        _hand_over(layout.drop / user, user, fresh=user in newcomers)
    if fresh:
        terminal.tell("Next: put the server, its account and the password file into the config, then")
        terminal.tell(f"  dropbox-import check --config {target}")
    elif target.exists():
        terminal.tell("The config was there and stays as it is.")
        _compare(target, box)
    if wanted or target.exists():
        terminal.say(str(target))
    else:
        terminal.tell("The box was there, so no config was written; --config FILE writes one.")
    return Exit.OK


def _write_config(target: Path, *, box: Path, host: str, user: str) -> None:
    from dropbox_import.disk import files as disk
    from dropbox_import.settings import example_text

    text = example_text(box=box, host=host, user=user, state_dir=default_state_dir(), password_file=target.with_name("omero-password"))
    disk.make_dirs(target.parent)
    disk.write_new(target, text.encode())


def _compare(config: Path, box: Path) -> None:
    """Tells when a config that was there does not know the box."""
    from dropbox_import.settings import load_settings

    try:
        known = {one.path.resolve() for one in load_settings(config).boxes}
    except ConfigError:
        terminal.tell(f"It has mistakes: dropbox-import check --config {config}")
        return
    if box.resolve() not in known:
        terminal.tell("It does not name this box. Write under its boxes:")
        terminal.tell(f"  - path: {box}")


if sys.platform == "win32":

    def _hand_over(folder: Path, user: str, *, fresh: bool) -> None:
        """Whose folder it is (Windows: who may write there is for the administrator to set)."""

else:

    def _hand_over(folder: Path, user: str, *, fresh: bool) -> None:
        """Gives a new drop folder to the system user of that name; says what to type where that cannot be, or is not ours to do."""
        import pwd

        from dropbox_import.disk import files as disk

        try:
            account = pwd.getpwnam(user)
        except KeyError:
            terminal.tell(f"There is no user {user} on this system. Give {folder} to whoever writes there (chown),")
            terminal.tell("or set check_file_owner: false for the box, as on a share where all files belong to one account.")
            return
        if folder.stat().st_uid == account.pw_uid:
            return
        if fresh and os.geteuid() == 0:
            try:
                disk.give_dir(folder, account.pw_uid, account.pw_gid)
            except OSError as error:
                terminal.tell(f"{folder} could not be given to {user} ({error.strerror}).")
            else:
                return
        terminal.tell(f"{folder} does not belong to {user}. Type: sudo chown {user} {shlex.quote(str(folder))}")


def default_state_dir() -> Path:
    """Where a service keeps its records on this system: of the machine for root, else of the user."""
    if sys.platform == "win32":
        return Path(os.environ.get("PROGRAMDATA", r"C:\ProgramData")) / "dropbox-import"
    if os.geteuid() == 0:
        return Path("/var/lib/dropbox-import")
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "dropbox-import"
