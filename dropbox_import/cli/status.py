"""`status`: what waits, runs, is done, failed, and why; read from the disk, with or without a daemon."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dropbox_import.cli import terminal
from dropbox_import.cli.exits import of_counts
from dropbox_import.cli.notify.state import NOTHING, notify_lines, notify_state
from dropbox_import.cli.options import config_option, load
from dropbox_import.model import DropState, DropSummary

if TYPE_CHECKING:
    from dropbox_import.daemon.alerts import Alert
    from dropbox_import.daemon.orders import AdminOrder
    from dropbox_import.heartbeat import Heartbeat

# In a terminal of fewer columns the time is left out: the id has one, and the reason needs the room.
NARROW = 120
NOTICES = 5
# What needs a person comes first.
ORDER = (DropState.HELD, DropState.FAILED, DropState.WAITING, DropState.RUNNING, DropState.DONE, DropState.DISCARDED)
MOODS: dict[DropState, terminal.Mood | None] = {
    DropState.HELD: "problem",
    DropState.FAILED: "problem",
    DropState.WAITING: "warning",
    DropState.RUNNING: None,
    DropState.DONE: "ok",
    DropState.DISCARDED: "dim",
}


@click.command(short_help="Say what waits, runs, is done and failed, and why.")
@config_option()
@click.option("--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
@click.option("--all", "everything", is_flag=True, help="All drops that are done, not only the last ten, and those that were discarded.")
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
    from dropbox_import.cli.drops import EVERY, SHOWN, all_drops, life, notices, omero_trouble, reachable, recent
    from dropbox_import.daemon.alerts import read_alerts
    from dropbox_import.daemon.order_files import waiting_orders

    settings, hung = reachable(load(config))
    beats = life(settings)
    drops = in_order(all_drops(settings, beats, newest=EVERY if everything else SHOWN))
    if since is not None:
        drops = recent(drops, since)
    alerts, orders = read_alerts(settings.state_dir), waiting_orders(settings.state_dir)
    alive = any(beat.alive for found in beats.values() for beat in found)
    noticed = notices(settings) if alive else ()
    letters = notify_state(settings, runs=alive)
    if output == "json":
        terminal.say(json.dumps(as_json(drops, beats, alerts, orders, noticed, hung, letters), indent=2))
    else:
        for box in hung:
            terminal.tell(terminal.paint(f"{box}: its volume does not answer, so nothing is known of its drops", "problem", err=True))
        for alert in alerts:
            terminal.tell(alert_line(alert))
        for order in orders:
            terminal.tell(terminal.paint(order_line(order), "warning", err=True))
        for line in notify_lines(letters):
            terminal.tell(terminal.paint(terminal.visible(line), "problem", err=True))
        for notice in noticed[:NOTICES]:
            terminal.tell(terminal.paint(terminal.visible(notice), "warning", err=True))
        if len(noticed) > NOTICES:
            terminal.tell(f"... and {len(noticed) - NOTICES} more notices; --output json and the log have them.")
        omero_told = any(alert.key == "omero" for alert in alerts)
        if not omero_told and alive and (trouble := omero_trouble(settings)):
            terminal.tell(terminal.paint(terminal.visible(trouble), "warning", err=True))
        _show(drops, beats, everything)
    states = Counter(drop.state for drop in drops)
    return of_counts(states[DropState.FAILED] + states[DropState.HELD], states[DropState.WAITING] + len(hung) + len(orders))


def in_order(drops: Iterable[DropSummary]) -> list[DropSummary]:
    """By state, what needs a person first; inside a state the oldest first."""
    return sorted(drops, key=lambda drop: (ORDER.index(drop.state), drop.since, drop.id))


def as_json(
    drops: Sequence[DropSummary],
    beats: dict[str, tuple[Heartbeat, ...]],
    alerts: Sequence[Alert] = (),
    orders: Sequence[AdminOrder] = (),
    noticed: Sequence[str] = (),
    hung: Sequence[str] = (),
    letters: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The answer for programs; every key is always there."""
    return {
        "alerts": [dataclasses.asdict(alert) for alert in alerts],
        "orders": [dataclasses.asdict(order) for order in orders],
        "notices": list(noticed),
        "hung": list(hung),
        "notify": dict(NOTHING if letters is None else letters),
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
    set_aside = sum(drop.state is DropState.DISCARDED for drop in drops)
    if not everything:
        drops = [drop for drop in drops if drop.state is not DropState.DISCARDED]
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
    if set_aside and not everything:
        terminal.tell(f"... and {terminal.count(set_aside, 'drop')} discarded; --all shows them.")
    if any(drop.id and drop.state is not DropState.DONE for drop in drops):
        terminal.tell("The story of one: dropbox-import show DROP")


def alert_line(alert: Alert) -> str:
    """Trouble that lasts, since when, and what to do."""
    told = terminal.paint(f"Since {terminal.moment(alert.since)[:16]} UTC: ", "problem", err=True) + terminal.visible(alert.sentence)
    return told + (f" {terminal.visible(alert.hint)}" if alert.hint else "")


def order_line(order: AdminOrder) -> str:
    """An order that is not carried out yet."""
    about = ", ".join(order.about[:3]) + (f" and {len(order.about) - 3} more" if len(order.about) > 3 else "")
    by = f" by {order.by}" if order.by else ""
    return terminal.visible(f"Not carried out yet: {order.do} {about} in {order.box}, ordered{by} at {terminal.moment(order.at)} UTC")


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
