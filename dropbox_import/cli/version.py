"""`version`: what is installed, for a report."""

from __future__ import annotations

import platform
import sys
from importlib import metadata

import click

import dropbox_import
from dropbox_import.cli import terminal

PARTS = (("omero-py", "omero-py"), ("Ice", "zeroc-ice"))


@click.command(short_help="Print the versions of dropbox-import, omero-py, Ice and Python.")
def version() -> int:
    """Print the versions that a bug report needs.

    \b
    Example:
      dropbox-import version
    """
    terminal.say(f"dropbox-import {dropbox_import.__version__}")
    for shown, package in PARTS:
        terminal.say(f"{shown} {installed(package)}")
    terminal.say(f"Python {platform.python_version()} ({sys.platform})")
    return 0


def installed(package: str) -> str:
    """From the package's metadata: importing omero takes seconds and this process must not."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"
