"""Log records from a worker to the daemon: one JSON object a line on the worker's stderr; the daemon logs each under the worker's role.

Anything else on stderr (a print of a library, a warning of C code) is passed on as it is, so nothing that a worker says is lost.
"""

from __future__ import annotations

import faulthandler
import json
import logging
import os
import sys
from contextvars import ContextVar

LEVEL_VARIABLE = "DROPBOX_IMPORT_LOG_LEVEL"
PACKAGE = "dropbox_import"

current_drop: ContextVar[str] = ContextVar("current_drop", default="")
current_step: ContextVar[str] = ContextVar("current_step", default="")
"""What the running command is about; set by `serve` for each command."""


class LineFormatter(logging.Formatter):
    """A record as one ASCII line of JSON, with its drop and step."""

    def format(self, record: logging.LogRecord) -> str:
        try:
            message = record.getMessage()
        except (TypeError, ValueError):
            message = f"{record.msg!r} with {record.args!r}"
        values = {"level": record.levelno, "message": message}
        values |= {"drop": current_drop.get(), "step": current_step.get()}
        if record.exc_info:
            values["traceback"] = self.formatException(record.exc_info)
        return json.dumps(values, ensure_ascii=True)


def log_to_parent() -> None:
    """In a worker: logging and crash reports go to stderr. Libraries are heard from "warning" up, ours from the daemon's level up."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    level = os.environ.get(LEVEL_VARIABLE, "")
    logging.getLogger(PACKAGE).setLevel(int(level) if level.isdecimal() else logging.INFO)
    logging.captureWarnings(True)
    faulthandler.enable(sys.stderr)


def pass_on(line: bytes, log: logging.Logger, role: str, worker: int) -> None:
    """In the daemon: one line of a worker's stderr to `log`, with `role`, `worker`, `drop` and `step` as attributes of the record."""
    text = line.decode("utf-8", "backslashreplace").rstrip()
    if not text:
        return
    values: object = None
    if text.startswith("{"):
        try:
            values = json.loads(text)
        except (ValueError, RecursionError):
            values = None
    extra = {"role": role, "worker": worker, "drop": "", "step": ""}
    if not isinstance(values, dict) or not isinstance(values.get("level"), int):
        log.info("%s %d: %s", role, worker, text, extra=extra)
        return
    extra |= {name: str(values.get(name, "")) for name in ("drop", "step")}
    trace = values.get("traceback")
    message = str(values.get("message", "")) + (f"\n{trace}" if trace else "")
    log.log(values["level"], "%s %d: %s", role, worker, message, extra=extra)
