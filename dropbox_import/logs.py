"""Logs: one line an event, with the drop, its owner and the step it is about, and no secret in it.

`setup` is called once by each process. Everywhere else the standard `logging` is used; what an
event is about comes from `about(...)` around the work, or from `extra={"drop": …}` of one event.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import sys
from collections.abc import Iterator
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import IO, Any

SUBJECTS = ("drop", "owner", "step")
HIDDEN = "***"
_subject: ContextVar[dict[str, str] | None] = ContextVar("dropbox_import_log_subject", default=None)

_SESSION = re.compile(r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b")
_URL = re.compile(r"(\b[a-zA-Z][a-zA-Z0-9+.-]*://)[^\s/'\"<>]*@")
_NAMED = re.compile(
    r"""(?ix) ( \b (?:\w+[_-])? (?:password|passwd|passphrase|pwd|secret|api[_-]?key) ["']? \s* (?:=|:(?!//)) \s* )
        ( "(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*' | [^\s,;)}\]]+ )"""
)
_BEARER = re.compile(r"(?i)\b(authorization\s*[:=]\s*)(?:\w+\s+)?[^\s,;]+")
# syslog's numbers, which journald reads at the start of a line.
_PRIORITY = ((logging.CRITICAL, 2), (logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (logging.DEBUG, 7))


@contextlib.contextmanager
def about(*, drop: str | None = None, owner: str | None = None, step: str | None = None) -> Iterator[None]:
    """Events logged inside carry these; what is None stays as it was outside."""
    given = {"drop": drop, "owner": owner, "step": step}
    merged = {**(_subject.get() or {}), **{key: value for key, value in given.items() if value is not None}}
    token = _subject.set(merged)
    try:
        yield
    finally:
        _subject.reset(token)


def redact(text: str) -> str:
    """`text` without passwords, OMERO session ids (whoever has one is that user), and credentials in URLs."""
    text = _SESSION.sub("<session>", text)
    text = _URL.sub(rf"\1{HIDDEN}@", text)
    text = _BEARER.sub(rf"\1{HIDDEN}", text)
    return _NAMED.sub(rf"\1{HIDDEN}", text)


def one_line(text: str) -> str:
    """`text` with line ends and control characters made visible, so that a file name cannot forge a second event."""
    joined = " | ".join(part for part in text.splitlines() if part.strip()) if "\n" in text else text
    shown = "".join(char if char.isprintable() else repr(char)[1:-1] for char in joined)
    return shown.encode("utf-8", "backslashreplace").decode("utf-8")


class _Line(logging.Formatter):
    """Common to both formats: what the event is about, its text and its error, all redacted."""

    def __init__(self, *, journald: bool) -> None:
        super().__init__()
        self.journald = journald

    def subjects(self, record: logging.LogRecord) -> dict[str, str]:
        around = _subject.get() or {}
        found = {name: getattr(record, name, None) or around.get(name, "") for name in SUBJECTS}
        return {name: one_line(redact(str(value))) for name, value in found.items() if value}

    def when(self, record: logging.LogRecord) -> str:
        moment = datetime.fromtimestamp(record.created, UTC)
        return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{int(record.msecs):03d}Z"

    def error(self, record: logging.LogRecord) -> str:
        parts = []
        if record.exc_info:
            parts.append(self.formatException(record.exc_info))
        elif record.exc_text:
            parts.append(record.exc_text)
        if record.stack_info:
            parts.append(self.formatStack(record.stack_info))
        return redact("\n".join(parts))

    def priority(self, record: logging.LogRecord) -> str:
        if not self.journald:
            return ""
        return f"<{next((number for level, number in _PRIORITY if record.levelno >= level), 7)}>"


class TextLine(_Line):
    """`2026-11-22T09:39:12.123Z info    [20261122-… jdoe upload] 3 files uploaded`; under journald without the time."""

    def format(self, record: logging.LogRecord) -> str:
        about_what = " ".join(self.subjects(record).values())
        text = one_line(redact(record.getMessage()))
        error = self.error(record)
        parts = [
            "" if self.journald else self.when(record),
            f"{record.levelname.lower():<8}",
            f"[{about_what}]" if about_what else "",
            text,
            one_line(error) if error else "",
        ]
        return self.priority(record) + " ".join(part for part in parts if part)


class JsonLine(_Line):
    """One JSON object: time, level, logger, drop, owner, step, text, error."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": self.when(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            **self.subjects(record),
            "text": redact(record.getMessage()),
        }
        error = self.error(record)
        if error:
            line["error"] = error
        return self.priority(record) + json.dumps(line, ensure_ascii=True)


def under_journald(stream: IO[str]) -> bool:
    """Whether `stream` is the very pipe that systemd reads: it names its device and inode in JOURNAL_STREAM."""
    named = os.environ.get("JOURNAL_STREAM", "")
    if not named:
        return False
    try:
        facts = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return named == f"{facts.st_dev}:{facts.st_ino}"


def setup(level: str = "info", format: str = "text", stream: IO[str] | None = None) -> logging.Handler:
    """Point all logging of this process at `stream` (stderr); a second call replaces the first. Returns the handler."""
    target = sys.stderr if stream is None else stream
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise ValueError(f"{level!r} is not a log level; there are debug, info, warning, error, critical")
    journald = under_journald(target)
    handler = logging.StreamHandler(target)
    handler.setFormatter(JsonLine(journald=journald) if format == "json" else TextLine(journald=journald))
    handler.set_name("dropbox-import")
    root = logging.getLogger()
    for old in [known for known in root.handlers if known.get_name() == "dropbox-import"]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(number)
    # Third parties tell their own story at info; ours is the one that is asked for.
    for chatty in ("watchdog", "omero", "asyncio", "urllib3"):
        logging.getLogger(chatty).setLevel(max(number, logging.WARNING))
    return handler
