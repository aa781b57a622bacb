"""Which names may be members, and when two names are the same for somebody's file system. Pure."""

from __future__ import annotations

import re
import sys
import unicodedata

_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(\.|$)", re.IGNORECASE)
_DRIVE = re.compile(r"[A-Za-z]:($|[\\/])")


_LONGEST = 255  # bytes of a file's name in Linux's file systems; Windows counts 255 letters


def problem_with(relative: str, *, windows: bool = sys.platform == "win32") -> str | None:
    """Why `relative` may not be the path of a member, as a plain sentence, or None. `windows`: judge as Windows opens it."""
    name = shown(relative)
    if not relative:
        return "An empty path names no file."
    if relative.startswith(("/", "\\")) or _DRIVE.match(relative):
        return f'"{name}" is an absolute path; write the path from the sidecar\'s own folder.'
    if not is_utf8(relative):
        return f'The name "{name}" is not valid UTF-8 (an old system or disk wrote it); rename it.'
    for part in relative.split("/"):
        if part == "..":
            return f'"{name}" leaves the sidecar\'s folder with ".."; only files at or below it can be named.'
        if (problem := _problem_with_part(part, windows)) is not None:
            return f'"{name}" {problem}'
    return None


def _problem_with_part(part: str, windows: bool) -> str | None:
    if part in ("", "."):
        return 'has an empty part or "." in its path; leave it out.'
    if any(unicodedata.category(letter) == "Cc" for letter in part):
        return "has a control character (such as a line break) in its name; rename it."
    if "\\" in part:
        return "has a backslash in its name; write / between folders, and rename a file that really has one."
    if windows and ":" in part:
        return "has a colon in its name, which Windows does not open as a file; rename it."
    if part[-1] in ". ":
        return "ends with a dot or a space, which Windows drops from names; rename it."
    if len(part.encode("utf-8", "surrogatepass")) > _LONGEST:
        return f"has a name of more than {_LONGEST} bytes (letters like é or 中 have 2 to 4), too long for an OMERO server; shorten it."
    if _RESERVED.match(part):
        return f'has the part "{part}", a name that Windows keeps for devices; rename it.'
    return None


def is_utf8(name: str) -> bool:
    """False for a name whose bytes are not UTF-8 (they travel as surrogates)."""
    return not any(0xD800 <= ord(letter) <= 0xDFFF for letter in name)


def shown(name: str) -> str:
    """`name` so that it can be printed and logged on one line: odd bytes and control characters are written as escapes."""
    text = name.encode("utf-8", "surrogateescape" if _only_escapes(name) else "backslashreplace").decode("utf-8", "backslashreplace")
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii") for letter in text)


def _only_escapes(name: str) -> bool:
    return all(0xDC80 <= ord(letter) <= 0xDCFF for letter in name if 0xD800 <= ord(letter) <= 0xDFFF)


def nfc(name: str) -> str:
    """The one spelling under which names are compared: macOS writes "ä" as two letters, others as one."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def same_key(name: str) -> str:
    """Two names with equal keys cannot both exist on Windows or macOS."""
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
