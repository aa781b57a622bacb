"""What `status` tells of messages to people: ways that do not work, and letters that could not be delivered."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from dropbox_import.cli import terminal

if TYPE_CHECKING:
    from dropbox_import.settings import Settings

COUNTS = ("messages", "letters", "dead")
NOTHING: dict[str, Any] = {"messages": 0, "letters": 0, "dead": 0, "troubles": []}


def notify_state(settings: Settings, *, runs: bool) -> dict[str, Any]:
    """As a running daemon last wrote it; without one, what lies in its outboxes. Every key is always there."""
    told = _told(settings) if runs else None
    return told if told is not None else _counted(settings)


def _told(settings: Settings) -> dict[str, Any] | None:
    from dropbox_import.cli.drops import STATUS_FILE

    try:
        facts: Any = json.loads((settings.state_dir / STATUS_FILE).read_bytes())
        if not facts["running"]:
            return None
        said = facts["notify"]
        troubles = [{key: str(one[key]) for key in ("channel", "since", "why")} for one in said["troubles"]]
        return {**{name: int(said[name]) for name in COUNTS}, "troubles": troubles}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _counted(settings: Settings) -> dict[str, Any]:
    """What cannot be read counts as empty: `notify list` says more."""
    from dropbox_import.cli.notify.found import places
    from dropbox_import.notify.outbox import Outbox

    counts = [0, 0, 0]
    for place in places(settings):
        if place.mine:
            try:
                counts = [so_far + len(names) for so_far, names in zip(counts, Outbox(place.folder).names(), strict=True)]
            except OSError:
                continue
    return {**dict(zip(COUNTS, counts, strict=True)), "troubles": []}


def notify_lines(state: Mapping[str, Any]) -> Iterator[str]:
    """What a person should see to; nothing where all is well."""
    for one in state["troubles"]:
        yield f"Nothing goes out by {one['channel']} since {terminal.moment(one['since'])[:16]} UTC: {one['why']}"
    if state["dead"]:
        yield f"{terminal.count(state['dead'], 'letter')} could not be delivered: dropbox-import notify list"
