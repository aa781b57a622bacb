"""What the administrator decides: from the config file to frozen Settings.

Owns: the keys of the config, their defaults and units, the mistakes between them, the example, the JSON Schema, and where the password is.
Promises: every mistake at once, each with file, line, column, sentence and cure; nothing but the config file and the system's list of
time zones is read.
Never: holds a password or the address of a chat; looks whether folders, servers or accounts are there (`check` does).
"""

from __future__ import annotations

from dropbox_import.settings.example import example_text
from dropbox_import.settings.load import load_settings, parse_settings
from dropbox_import.settings.model import (
    Box,
    BoxNotify,
    Channel,
    Listener,
    Log,
    Mail,
    Notify,
    Omero,
    Quiet,
    Retry,
    Settings,
    WaitForFiles,
    Workers,
)
from dropbox_import.settings.schema import schema, schema_text

__all__ = [
    "Box",
    "BoxNotify",
    "Channel",
    "Listener",
    "Log",
    "Mail",
    "Notify",
    "Omero",
    "Quiet",
    "Retry",
    "Settings",
    "WaitForFiles",
    "Workers",
    "example_text",
    "load_settings",
    "parse_settings",
    "schema",
    "schema_text",
]
