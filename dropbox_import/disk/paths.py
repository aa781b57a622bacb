"""How a path is handed to the system."""

from __future__ import annotations

import os
import sys
from pathlib import Path

# Windows refuses ordinary paths from 260 characters on, and folders from 248 (room for a short file name).
_LONGEST_PLAIN_PATH = 247


def for_system(path: Path) -> str:
    r"""`path` as the system takes it: on Windows a long one becomes absolute with the `\\?\` prefix, which lifts the limit of 260."""
    if sys.platform == "win32" and len(os.path.abspath(path)) > _LONGEST_PLAIN_PATH:
        return without_limit(path)
    return str(path)


def without_limit(path: Path) -> str:
    """`path` so that the system takes whatever is joined to it, however long that becomes."""
    if sys.platform == "win32":
        text = os.path.abspath(path)
        if text.startswith("\\\\?\\"):
            return text
        if text.startswith("\\\\"):
            return "\\\\?\\UNC\\" + text[2:]
        return "\\\\?\\" + text
    return str(path)
