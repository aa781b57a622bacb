"""Where the files of a message's drop lie now."""

from __future__ import annotations

from dataclasses import replace

from dropbox_import.notify.message import Message
from dropbox_import.spool.layout import Layout, find_filed

_FILED_IN = {"done": ("done",), "partly": ("done", "failed"), "failed": ("failed",), "attention": ("done",)}


def placed(message: Message, box: Layout | None) -> Message:
    """The message with the folders in done/ and failed/ that hold its drop, as far as they can be seen. `box` None: it is about no drop."""
    states = _FILED_IN.get(message.event, ())
    if box is None or not states:
        return message
    found = {state: str(find_filed(box.box / state, message.user, message.sidecar, message.drop) or "") for state in states}
    return replace(message, done_at=found.get("done", ""), failed_at=found.get("failed", ""))
