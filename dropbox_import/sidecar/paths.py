"""Paths that a user may write: names at or below the sidecar's own folder, and nothing else."""

from __future__ import annotations

import re

from dropbox_import.sidecar.checks import as_text, told
from dropbox_import.strict_yaml import shown

_BELOW = "files must lie in the folder of the sidecar or below it; write the path from there, like sub/cells.czi"


def as_path(value: object) -> str:
    """A relative path with '/' between its parts. Raises a mistake that names the cure."""
    text = as_text(value)
    if re.search(r"[\t\r\n]", text):
        raise told("a path has no tabs or line breaks", "a \\t or \\n inside double quotes became one: write / instead of \\")
    if re.match(r"[A-Za-z]:[\\/]|\\\\", text):
        raise told(f"{shown(text, 40)}: a path with a drive or a server is not allowed", _BELOW)
    if "\\" in text:
        raise told(
            f"{shown(text, 40)}: a backslash stands in this path", f"write / between folders: {shown(text.replace(chr(92), '/'), 60)}"
        )
    if text.startswith(("/", "~/")):
        raise told(f"{shown(text, 40)}: an absolute path is not allowed", _BELOW)
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", text):
        raise told(f"{shown(text, 40)}: an address is not a path", _BELOW)
    parts = text.split("/")
    if ".." in parts:
        raise told(f"{shown(text, 40)}: .. leaves the folder of the sidecar", _BELOW)
    kept = [part for part in parts if part not in ("", ".")]
    if not kept:
        raise told("the path names no file", "write the name of a file, like cells.czi")
    return "/".join(kept)


def as_glob(value: object) -> str:
    """A path in which *, ? and [ ] are wildcards and ** stands for any folders."""
    text = as_path(value)
    if any("**" in part and part != "**" for part in text.split("/")):
        raise told(f"{shown(text, 40)}: ** must stand alone between two /", "write **/*.tif")
    return text
