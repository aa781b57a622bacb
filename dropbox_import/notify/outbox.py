"""The outbox: one JSON file a message, in inprogress/<instance>/outbox/, so that it outlives this host."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dropbox_import.disk import files


def write_message(outbox: Path, drop_id: str, event: str, facts: dict[str, Any]) -> Path:
    """Write `<id>.<event>.json`, durable; writing it again changes nothing. Returns its path. Raises OSError."""
    if not outbox.is_dir():
        files.make_dir(outbox, 0o700)  # beside claims: where its parent is missing, the box is not there
    text = json.dumps({"drop": drop_id, "event": event, **facts}, indent=1)
    path = outbox / f"{drop_id}.{event}.json"
    files.replace(path, text.encode() + b"\n", 0o600)
    return path
