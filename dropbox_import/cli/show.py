"""`show`: the story of one drop from its journal."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dropbox_import.cli import terminal
from dropbox_import.cli.exits import Exit
from dropbox_import.cli.options import config_option, load
from dropbox_import.cli.status import what
from dropbox_import.errors import Rejected
from dropbox_import.model import DropState, DropSummary
from dropbox_import.spool.layout import ATTENTION, REASON, Layout

if TYPE_CHECKING:
    from dropbox_import.heartbeat import Heartbeat


@click.command(short_help="Tell the story of one drop.")
@click.argument("drop_id", metavar="DROP")
@config_option()
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def show(drop_id: str, config: Path, output: str) -> int:
    """Tell the story of one DROP from its journal, step by step: where it is, what happened, what can be done.

    DROP is its id as `status` shows it, a part of the id that no other has, or the name of its sidecar, with or without ending.
    Also of one that failed, was tried again, is held, was set aside or belongs to another daemon.

    \b
    Examples:
      dropbox-import show 20261122-093912-k7f3q2mzt4 --config config.yaml
      dropbox-import show k7f3 --config config.yaml
      dropbox-import show cells.czi.yaml --config config.yaml
    """
    from dropbox_import.cli.drops import EVERY, all_drops, life, own_instance, reachable
    from dropbox_import.cli.status import order_line
    from dropbox_import.daemon.order_files import waiting_orders
    from dropbox_import.spool.survey import story

    settings, hung = reachable(load(config))
    for box in hung:
        terminal.tell(terminal.paint(f"{box}: its volume does not answer, so nothing is known of its drops", "problem", err=True))
    boxes = [box.path for box in settings.boxes]
    beats = life(settings)
    drops = all_drops(settings, beats, newest=EVERY)
    drop = pick(drops, drop_id)
    parts = [part for part in drops if part.id == drop.id]
    records = story(boxes, drop.id)
    orders = [order for order in waiting_orders(settings.state_dir) if drop.id in order.about]
    if output == "json":
        told = {"drop": dataclasses.asdict(drop), "parts": [dataclasses.asdict(part) for part in parts], "journal": list(records)}
        terminal.say(json.dumps(told | {"orders": [dataclasses.asdict(order) for order in orders]}, indent=2))
        return Exit.OK
    _head(drop, parts)
    for path, part in groupby(records, lambda record: str(record["path"])):
        terminal.say()
        if len(parts) > 1:
            terminal.say(terminal.paint(terminal.visible(path), "bold"))
        for record in part:
            terminal.say(f"{terminal.moment(str(record.get('at', ''))):<19}  {terminal.visible(str(record.get('says', '')))}")
    for one in parts:
        for line in (*_lines(Path(one.path) / REASON), *_lines(Path(one.path) / ATTENTION)):
            terminal.say(terminal.visible(line))
    mine = own_instance(settings.state_dir)
    told_next = [order_line(order) for order in orders]
    told_next += [line for one in parts for line in next_steps(one, beats.get(one.box, ()), mine)]
    if told_next:
        terminal.say()
    for line in dict.fromkeys(told_next):
        terminal.say(terminal.visible(line))
    return Exit.OK


def _head(drop: DropSummary, parts: Sequence[DropSummary]) -> None:
    states = " and ".join(dict.fromkeys(part.state.value for part in parts))
    terminal.say(terminal.paint(f"{drop.id}  {states}", "bold"))
    for name, value in (
        ("sidecar", drop.sidecar),
        ("user", drop.user),
        ("owner", drop.owner),
        *((name, value) for part in parts for name, value in (("what", what(part)), ("folder", part.path))),
    ):
        if value:
            terminal.say(f"  {name:<8} {terminal.visible(value)}")


def next_steps(drop: DropSummary, beats: Sequence[Heartbeat], mine: str) -> Iterator[str]:
    """What an administrator can do about a drop in this state; nothing where it needs nobody."""
    retry, discard = f"dropbox-import retry {drop.id}", f"dropbox-import discard {drop.id}"
    place = Path(drop.path)
    match drop.state:
        case DropState.FAILED:
            yield f"To try it again with the files that are in its folder: {retry}"
        case DropState.HELD:
            yield f"Nothing of it is touched. When its journal is mended: {retry}"
            yield f"To set it aside as it is: {discard}"
        case DropState.DISCARDED:
            yield f"To bring it back: {retry}"
        case DropState.WAITING if drop.id and Layout(Path(drop.box)).inprogress in place.parents:
            instance = place.parent.name
            if instance != mine and not any(beat.alive for beat in beats if beat.instance == instance):
                yield f"It belongs to the instance {instance}, which does not run."
                yield f"If that is gone for good, take its drops over: dropbox-import adopt {instance}"


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
