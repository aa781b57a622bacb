"""Bytes to text, and texts to something that is safe to show."""

from __future__ import annotations

import codecs
import re

from dropbox_import.errors import Mistake
from dropbox_import.strict_yaml.nodes import Limits, Mark, Unreadable

_SAVE_AS_UTF8 = "save it as UTF-8 (in Notepad: Save as, Encoding: UTF-8)"
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x80-\x84\x86-\x9f\ufffe\uffff]")
LINE_BREAK = re.compile(r"\r\n|\r|\n|\x85|\u2028|\u2029")


def shown(text: str, longest: int = 60) -> str:
    """`text` for a message: what cannot be seen is written as an escape, and it is cut where it gets long."""
    short = text if len(text) <= longest else text[: longest - 1] + "…"
    return "".join(one if one.isprintable() else _escape(one) for one in short)


def _escape(character: str) -> str:
    number = ord(character)
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def place(text: str, index: int, file: str) -> Mark:
    """Line and column of the character at `index`."""
    line, start = 1, 0
    for found in LINE_BREAK.finditer(text, 0, index):
        line, start = line + 1, found.end()
    return Mark(file, line, index - start + 1)


def decode(data: bytes, file: str, limits: Limits) -> tuple[str, tuple[str, ...]]:
    """The text and notices about how it was read. Raises Unreadable where the bytes are no text we take."""
    whole = Mark(file)
    if len(data) > limits.size:
        raise Unreadable(
            [
                whole.mistake(
                    f"the file is too large: at most {limits.size:,} bytes are read",
                    "keep the sidecar to what describes the images; put data into a file and attach it",
                )
            ]
        )
    if data.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        raise Unreadable([whole.mistake("the file is written in UTF-32, which is not read", _SAVE_AS_UTF8)])
    notices: tuple[str, ...] = ()
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        try:
            text = data.decode("utf-16")
        except UnicodeDecodeError:
            raise Unreadable([whole.mistake("the file begins as UTF-16 and is cut or damaged", _SAVE_AS_UTF8)]) from None
    elif b"\0" in data:
        raise Unreadable([_why_zero_bytes(data, whole)])
    else:
        text, notices = _eight_bits(data, file)
    text = text.removeprefix("\ufeff")
    bad = _CONTROL.search(text)
    if bad:
        mark = place(text, bad.start(), file)
        raise Unreadable(
            [
                mark.mistake(
                    f"the control character {_escape(bad.group())} cannot stand in a text file",
                    "remove it; if it was typed, use another editor",
                )
            ]
        )
    return text, notices


def _why_zero_bytes(data: bytes, whole: Mark) -> Mistake:
    head = data[:4096]
    even, odd = head[0::2].count(0), head[1::2].count(0)
    if max(even, odd) * 4 >= len(head) and min(even, odd) * 8 <= len(head):
        return whole.mistake("the file looks like UTF-16 without a byte order mark, which cannot be read safely", _SAVE_AS_UTF8)
    if not data.strip(b"\0"):
        return whole.mistake("the file holds only zero bytes; it was probably not written to the end", "write it again")
    return whole.mistake("the file holds zero bytes: it is no text file, or a copy of it was cut", "write it again as text, UTF-8")


def _eight_bits(data: bytes, file: str) -> tuple[str, tuple[str, ...]]:
    try:
        return data.decode("utf-8"), ()
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8")
        mark = place(before, len(before), file)
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError:
        raise Unreadable([mark.mistake("this is neither UTF-8 nor Windows-1252 text", _SAVE_AS_UTF8)]) from None
    notice = (
        f"{shown(file, 200)}:{mark.line}:{mark.column}: the file is not UTF-8 and was read as Windows-1252; "
        f"if letters like ä or µ look wrong, {_SAVE_AS_UTF8}"
    )
    return text, (notice,)
