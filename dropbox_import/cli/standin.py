"""`standin`: the OMERO stand-in by itself, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click

from dropbox_import.cli import terminal


@click.command(short_help="Run a small OMERO stand-in for trying things out.")
@click.option(
    "--dir",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    metavar="DIR",
    help="Where it keeps its data; made if missing.",
)
@click.option("--port", type=click.IntRange(0, 65535), default=4064, show_default=True, help="TLS port; 0 takes a free one.")
@click.option(
    "--users",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="Users and groups, as JSON; without it: alice, bob, carol and the service account importer, each with their name as password.",
)
def standin(folder: Path, port: int, users: Path | None) -> int:
    """Run a small OMERO stand-in, for rehearsals without an OMERO server.

    It is a real Ice server that OMERO's own Python client logs in to. It keeps what is imported in
    DIR and shows it again after a restart. It is no OMERO: there is no web client and no rendering.

    It prints one line when it is ready, and stops with Ctrl-C.

    \b
    Examples:
      dropbox-import standin --dir /tmp/omero
      dropbox-import standin --dir /tmp/omero --port 14064 --users users.json
    """
    command = [sys.executable, "-m", "dropbox_import.standin", "--dir", str(folder), "--port", str(port)]
    if users is not None:
        command += ["--users", str(users)]
    sys.stdout.flush()
    if sys.platform == "win32":
        # There an exec is a new process behind the shell's back; so this one waits for it.
        return subprocess.call(command)
    try:
        os.execv(sys.executable, command)
    except OSError as error:
        terminal.tell(f"Error: {sys.executable} cannot be started: {error.strerror}")
        return 4
