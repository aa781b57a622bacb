"""`status`: what waits, runs, is done, failed, and why; read from the disk, with or without a daemon."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dropbox_import.cli import terminal
from dropbox_import.cli.exits import of_counts
from dropbox_import.cli.options import config_option, load
from dropbox_import.model import DropState, DropSummary

if TYPE_CHECKING:
    from dropbox_import.heartbeat import Heartbeat

# In a terminal of fewer columns the time is left out: the id has one, and the reason needs the room.
NARROW = 120
# What needs a person comes first.
ORDER = (DropState.HELD, DropState.FAILED, DropState.WAITING, DropState.RUNNING, DropState.DONE)
MOODS: dict[DropState, terminal.Mood | None] = {
    DropState.HELD: "problem",
    DropState.FAILED: "problem",
    DropState.WAITING: "warning",
    DropState.RUNNING: None,
    DropState.DONE: "ok",
}


@click.command(short_help="Say what waits, runs, is done and failed, and why.")
@config_option()
@click.option("--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
@click.option("--all", "everything", is_flag=True, help="All drops that are done, not only the last ten.")
@click.option(
    "--since",
    type=click.FloatRange(min=0, min_open=True),
    metavar="HOURS",
    help="Leave out what was filed longer ago than that, also for the exit code.",
)
def status(config: Path, output: str, everything: bool, since: float | None) -> int:
    """Say what waits, runs, is done and failed, and why. Works when the daemon is down.

    \b
    Examples:
      dropbox-import status --config config.yaml
      dropbox-import status --config config.yaml --output json | jq '.drops[].state'
      dropbox-import status --config config.yaml --since 24     for monitoring: today's failures only

    \b
    Exit codes: 0 nothing failed and nothing waits; 4 something in failed/ or held needs a person;
    5 nothing failed, but something waits. It stays 4 until what is dealt with is moved out of
    failed/, for example into a folder "handled" beside it.
    """
    from dropbox_import.cli.drops import EVERY, SHOWN, all_drops, life, omero_trouble, recent

    settings = load(config)
    beats = life(settings)
    drops = in_order(all_drops(settings, beats, newest=EVERY if everything else SHOWN))
    if since is not None:
        drops = recent(drops, since)
    if output == "json":
        terminal.say(json.dumps(as_json(drops, beats), indent=2))
    else:
        if any(beat.alive for found in beats.values() for beat in found) and (trouble := omero_trouble(settings)):
            terminal.tell(terminal.paint(terminal.visible(trouble), "warning", err=True))
        _show(drops, beats, everything)
    states = Counter(drop.state for drop in drops)
    return of_counts(states[DropState.FAILED] + states[DropState.HELD], states[DropState.WAITING])


def in_order(drops: Iterable[DropSummary]) -> list[DropSummary]:
    """By state, what needs a person first; inside a state the oldest first."""
    return sorted(drops, key=lambda drop: (ORDER.index(drop.state), drop.since, drop.id))


def as_json(drops: Sequence[DropSummary], beats: dict[str, tuple[Heartbeat, ...]]) -> dict[str, Any]:
    """The answer for programs; every key is always there."""
    return {
        "boxes": [
            {"path": path, "daemons": [{**dataclasses.asdict(beat), "alive": beat.alive} for beat in found]}
            for path, found in beats.items()
        ],
        "counts": {state.value: sum(drop.state is state for drop in drops) for state in ORDER},
        "drops": [dataclasses.asdict(drop) for drop in drops],
    }


def _show(drops: Sequence[DropSummary], beats: dict[str, tuple[Heartbeat, ...]], everything: bool) -> None:
    for path, found in beats.items():
        terminal.tell(daemon_line(path, found))
    hidden = 0
    if not everything:
        done = [drop for drop in drops if drop.state is DropState.DONE]
        hidden = max(0, len(done) - 10)
        old = {drop.id for drop in done[:hidden]}
        drops = [drop for drop in drops if drop.id not in old]
    if drops:
        columns = ["State", "Drop", "Since (UTC)", "Sidecar", "What"]
        rows = [
            [drop.state.value, drop.id or "-", terminal.moment(drop.since)[5:16], f"{drop.user}/{drop.sidecar}", what(drop)]
            for drop in drops
        ]
        if terminal.width() < NARROW:
            for line in (columns, *rows):
                del line[2]
        terminal.table(columns, rows, moods=[MOODS[drop.state] for drop in drops], whole=columns[:-2])
    else:
        terminal.tell("There are no drops.")
    if hidden:
        terminal.tell(f"... and {terminal.count(hidden, 'older drop')} done; --all shows them.")
    if any(drop.id and drop.state is not DropState.DONE for drop in drops):
        terminal.tell("The story of one: dropbox-import show DROP")


def daemon_line(box: str, beats: Sequence[Heartbeat]) -> str:
    """Whether somebody looks after the box, in one line."""
    from dropbox_import.heartbeat import ago

    living = [beat for beat in beats if beat.alive]
    if living:
        told = [
            f"{beat.instance} (process {beat.pid} on {beat.host})" + ("" if beat.accepting else ", which was told to stop")
            for beat in living
        ]
        return f"{box}: looked after by {', '.join(told)}"
    last = f"; last sign of life {ago(beats[0].age)} ago" if beats else ""
    if beats and beats[0].stopped:
        last = f"; {beats[0].instance} on {beats[0].host} stopped cleanly at {terminal.moment(beats[0].stopped)} UTC"
    return terminal.paint(f"{box}: no daemon is running{last}", "warning", err=True)


def what(drop: DropSummary) -> str:
    """Why it waits or failed, else how far it is or what came of it."""
    if drop.state is DropState.DONE:
        return f"{terminal.count(drop.images, 'image')} in {terminal.count(drop.filesets, 'fileset')}" + (
            f"; {drop.why}" if drop.why else ""
        )
    return terminal.visible(drop.why or drop.step)
