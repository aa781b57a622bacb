"""The command line `dropbox-import`: one file for each command.

Owns what people type and read. Data goes to stdout, progress and errors to stderr.
Keeps no state: what a command shows is read from the disk each time, so a crash of
a command loses nothing. Never imports `omero` or an image library.
"""

from __future__ import annotations

from dropbox_import.cli.entry import main

__all__ = ["main"]
