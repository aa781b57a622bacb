"""`show`: the story of one drop from its journal."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import click

from dropbox_import.cli import terminal
from dropbox_import.cli.exits import Exit
from dropbox_import.cli.options import config_option, load
from dropbox_import.cli.status import what
from dropbox_import.errors import Rejected
from dropbox_import.model import DropSummary
from dropbox_import.spool.layout import ATTENTION, REASON


@click.command(short_help="Tell the story of one drop.")
@click.argument("drop_id", metavar="DROP")
@config_option()
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def show(drop_id: str, config: Path, output: str) -> int:
    """Tell the story of one DROP from its journal, step by step.

    DROP is its id as `status` shows it, a part of the id that no other has, or the name of its sidecar, with or without ending.

    \b
    Examples:
      dropbox-import show 20261122-093912-k7f3q2mzt4 --config config.yaml
      dropbox-import show k7f3 --config config.yaml
      dropbox-import show cells.czi.yaml --config config.yaml
    """
    from dropbox_import.cli.drops import EVERY, all_drops, life
    from dropbox_import.spool.survey import story

    settings = load(config)
    boxes = [box.path for box in settings.boxes]
    drops = all_drops(settings, life(settings), newest=EVERY)
    drop = pick(drops, drop_id)
    folders = [part.path for part in drops if part.id == drop.id]
    records = story(boxes, drop.id)
    if output == "json":
        terminal.say(json.dumps({"drop": dataclasses.asdict(drop), "journal": list(records)}, indent=2))
        return Exit.OK
    terminal.say(terminal.paint(f"{drop.id}  {drop.state.value}", "bold"))
    for name, value in (
        ("sidecar", drop.sidecar),
        ("user", drop.user),
        ("owner", drop.owner),
        ("what", what(drop)),
        *(("folder", path) for path in folders),
    ):
        if value:
            terminal.say(f"  {name:<8} {terminal.visible(value)}")
    terminal.say()
    for record in records:
        terminal.say(f"{terminal.moment(str(record.get('at', ''))):<19}  {terminal.visible(str(record.get('says', '')))}")
    for path in folders:
        for line in (*_lines(Path(path) / REASON), *_lines(Path(path) / ATTENTION)):
            terminal.say(terminal.visible(line))
    return Exit.OK


def _lines(path: Path) -> list[str]:
    try:
        return ["", *path.read_text(encoding="utf-8", errors="replace").rstrip().splitlines()]
    except OSError:
        return []


def _names(drop: DropSummary) -> tuple[str, str]:
    """What people call it: the sidecar's name, with and without its ending."""
    name = drop.sidecar.rpartition("/")[2]
    return name, name.rpartition(".")[0] or name


def pick(drops: Sequence[DropSummary], wanted: str) -> DropSummary:
    """The one drop that is meant. Raises Rejected when there is none, or more than one."""
    claimed = [drop for drop in drops if drop.id]
    exact = [drop for drop in claimed if drop.id == wanted]
    found = exact or [drop for drop in claimed if wanted in drop.id or wanted in _names(drop)]
    ids = tuple(dict.fromkeys(drop.id for drop in found))  # the two parts of one drop are one drop
    if len(ids) == 1:
        return found[0]
    if ids:
        shown = ", ".join(ids[:5]) + (" ..." if len(ids) > 5 else "")
        raise Rejected(f'"{wanted}" fits {len(ids)} drops: {shown}', hint="Give the id.", code="ambiguous-drop")
    if any(wanted in _names(drop) for drop in drops):
        raise Rejected(
            f"{wanted} is not taken yet, so it has no journal", hint="`dropbox-import status` says why it waits.", code="no-such-drop"
        )
    raise Rejected(f'there is no drop "{wanted}"', hint="`dropbox-import status --all` lists the drops.", code="no-such-drop")
