"""The group `notify` and its commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dropbox_import.cli import terminal
from dropbox_import.cli.exits import Exit, of_counts
from dropbox_import.cli.options import config_option, load
from dropbox_import.errors import ConfigError, DropboxImportError

if TYPE_CHECKING:
    from dropbox_import.cli.notify.found import Lying
    from dropbox_import.settings import Settings

NOBODY = "nobody can be told anything: the config names no mail server and no channel"
WRITE = "Write into the config: notify: {admin: ops@example.org, mail: relay.example.org}"
MOODS: dict[str, terminal.Mood | None] = {"damaged": "problem", "dead": "problem", "waits": "warning"}


@click.group(short_help="Messages to people: what waits, what could not be delivered; a test.")
def notify() -> None:
    """Look after the messages to people: what waits, what could not be delivered, and whether they arrive.

    \b
    Examples:
      dropbox-import notify test --config config.yaml          sends a test to the administrators
      dropbox-import notify list --config config.yaml          what is not told yet, and why
      dropbox-import notify show k7f3 --config config.yaml     as its reader will see it
      dropbox-import notify resend --all --config config.yaml  tries dead letters again
    """


@notify.command("list", short_help="Say what is not told yet, and why.")
@config_option()
@click.option("--output", type=click.Choice(["table", "json"]), default="table", show_default=True)
def list_all(config: Path, output: str) -> int:
    """Say what lies in the outboxes: messages, letters that wait, and dead ones, which are not tried any more.

    Works when the daemon is down.

    A message is one thing that happened; a letter is some messages for one recipient. What was sent is not listed.

    \b
    Examples:
      dropbox-import notify list --config config.yaml
      dropbox-import notify list --config config.yaml --output json | jq '.letters[] | select(.state == "dead") | .id'

    \b
    Exit codes: 0 nothing went wrong; 4 there are dead letters (or damaged files); 5 letters could not be sent yet.
    """
    from dropbox_import.cli.notify.found import STATES, about, as_json, in_order

    settings, hung = _reachable(config)
    lying, closed = _look(settings)
    lying = in_order(lying)
    states = [one.state for one in lying]
    counts = {state: states.count(state) for state in STATES}
    if output == "json":
        told = {"counts": counts, "letters": [as_json(one) for one in lying], "closed": closed, "hung": list(hung)}
        terminal.say(json.dumps(told, indent=2))
    else:
        for sentence in (*_of_hung(hung), *closed):
            terminal.tell(terminal.paint(terminal.visible(sentence), "warning", err=True))
        if not _ways(settings):
            terminal.tell(terminal.paint(f"{NOBODY[0].upper()}{NOBODY[1:]}. {WRITE}", "warning", err=True))
        if lying:
            columns = ["State", "Id", "Since (UTC)", "To", "About", "Why"]
            rows = [
                [one.state, one.name, terminal.moment(one.since)[:16], ", ".join(one.to) or "-", about(one.messages) or "-", one.why]
                for one in lying
            ]
            shown = [[terminal.visible(cell) for cell in row] for row in rows]
            terminal.table(columns, shown, moods=[MOODS.get(one.state) for one in lying], whole=columns[:3])
            terminal.tell("One of them in words: dropbox-import notify show ID")
        else:
            terminal.tell("There is nothing that is not told yet.")
        if counts["dead"]:
            terminal.tell("To try dead letters again: dropbox-import notify resend --all")
    return of_counts(counts["damaged"] + counts["dead"], counts["waits"] + len(hung))


@notify.command(short_help="Show a letter as its reader will see it.")
@click.argument("wanted", metavar="ID")
@config_option()
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write its HTML into this new file.")
def show(wanted: str, config: Path, html: Path | None) -> int:
    """Show a letter as its reader will see it; ID is its id as `notify list` shows it, or a part of it that no other has.

    A message that is in no letter yet is shown as a letter to an administrator.

    \b
    Examples:
      dropbox-import notify show 20261122-093912-k7f3q2mzt4 --config config.yaml
      dropbox-import notify show k7f3 --config config.yaml --html /tmp/letter.html
    """
    from dropbox_import.cli.notify.found import pick
    from dropbox_import.cli.notify.words import head, letter_of, line, write_html
    from dropbox_import.daemon.beside import worker_beside
    from dropbox_import.plain import to_plain

    settings, hung = _reachable(config)
    _tell_hung(hung)
    one = pick(_look(settings)[0], wanted)[0]
    head(one)
    letter = letter_of(one, settings)
    if letter is None:
        return Exit.FAILED
    with worker_beside(settings, "notifier") as ask:
        rendered = ask("render", {"letter": to_plain(letter)})
    if html is not None:
        write_html(html, str(rendered.get("html", "")))
    terminal.say()
    terminal.say(f"Subject: {line(rendered.get('subject'))}")
    terminal.say()
    for each in str(rendered.get("text", "")).splitlines():
        terminal.say(line(each))
    return Exit.OK


@notify.command(short_help="Try dead letters again.")
@click.argument("wanted", metavar="[ID]...", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every dead letter.")
@config_option()
def resend(wanted: tuple[str, ...], everything: bool, config: Path) -> int:
    """Have dead letters tried again, as if they were new. A running daemon sees them within seconds.

    ID is as `notify list` shows it, or a part of it that no other has. Only root and the account of the daemon may do this.

    \b
    Examples:
      dropbox-import notify resend 20261122-093912-k7f3q2mzt4 --config config.yaml
      dropbox-import notify resend --all --config config.yaml
    """
    if bool(wanted) == everything:
        raise click.UsageError("Name the letters, or say --all.")
    from dropbox_import.cli.notify.change import take_up
    from dropbox_import.cli.ordering import daemon_runs

    settings, hung = _reachable(config)
    _tell_hung(hung)
    lying = _look(settings)[0]
    chosen = [one for one in lying if one.state == "dead"] if everything else _picked(lying, wanted)
    if not chosen:
        terminal.tell("There is no dead letter.")
    for one in chosen:
        take_up(one)
        runs = one.place.mine and daemon_runs(settings.state_dir)
        when = "the daemon takes it up within seconds" if runs else f"it is tried again when the daemon {one.place.instance} runs"
        terminal.say(terminal.visible(f"{one.name} to {', '.join(one.to)}: {when}"))
    return Exit.OK


@notify.command(short_help="Remove messages and letters that nobody is to get any more.")
@click.argument("wanted", metavar="ID...", nargs=-1, required=True)
@config_option()
def discard(wanted: tuple[str, ...], config: Path) -> int:
    """Remove messages and letters, after saying what they were. Nobody gets them any more; drops and images are not touched.

    ID is as `notify list` shows it, or a part of it that no other has. Only root and the account of the daemon may do this.

    \b
    Examples:
      dropbox-import notify discard 20261122-093912-k7f3q2mzt4 --config config.yaml
    """
    from dropbox_import.cli.notify.change import remove
    from dropbox_import.cli.notify.words import head

    settings, hung = _reachable(config)
    _tell_hung(hung)
    for one in _picked(_look(settings)[0], wanted):
        head(one)
        terminal.say("  removed" if remove(one) else "  it had gone already")
    return Exit.OK


@notify.command(short_help="Send a test letter now.")
@click.option("--to", metavar="ADDRESS|CHANNEL", help="To whom; default: each administrator of the config (notify.admin).")
@config_option()
def test(to: str | None, config: Path) -> int:
    """Send a test letter now, and say for each recipient whether it went. No daemon is needed.

    \b
    Examples:
      dropbox-import notify test --config config.yaml
      dropbox-import notify test --to jdoe@example.org --config config.yaml
      dropbox-import notify test --to lab-chat --config config.yaml

    \b
    Exit codes: 0 all went out, 4 one did not.
    """
    from dropbox_import.cli.notify.words import route_to
    from dropbox_import.daemon.beside import worker_beside
    from dropbox_import.plain import to_plain

    settings = load(config)
    if not _ways(settings):
        raise ConfigError(NOBODY, hint=WRITE)
    routes = [route_to(settings, name) for name in ((to,) if to is not None else settings.notify.admin.to)]
    good = True
    with worker_beside(settings, "notifier") as ask:
        for route in routes:
            try:
                ask("test", {"route": to_plain(route), "language": settings.notify.language})
            except DropboxImportError as error:
                good = False
                terminal.tell(terminal.paint(f"{route.name}: not sent. ", "problem", err=True) + terminal.visible(error.sentence))
                if error.hint:
                    terminal.tell(f"  {terminal.visible(error.hint)}")
            else:
                terminal.say(f"{terminal.visible(route.name)}: sent")
    return Exit.OK if good else Exit.FAILED


# --- what they share -------------------------------------------------------------------


def _reachable(config: Path) -> tuple[Settings, tuple[str, ...]]:
    from dropbox_import.cli.drops import reachable

    return reachable(load(config))


def _of_hung(hung: tuple[str, ...]) -> list[str]:
    return [f"{box}: its volume does not answer, so nothing is known of its messages" for box in hung]


def _tell_hung(hung: tuple[str, ...]) -> None:
    for sentence in _of_hung(hung):
        terminal.tell(terminal.paint(terminal.visible(sentence), "warning", err=True))


def _look(settings: Settings) -> tuple[list[Lying], list[str]]:
    from dropbox_import.cli.notify.found import look
    from dropbox_import.cli.notify.why import explained

    lying, closed = look(settings)
    return explained(lying, settings), closed


def _picked(lying: list[Lying], wanted: tuple[str, ...]) -> list[Lying]:
    """Each once, and all of them known before anything is done."""
    from dropbox_import.cli.notify.found import pick

    found = {(one.place.folder, one.name): one for word in wanted for one in pick(lying, word)}
    return list(found.values())


def _ways(settings: Settings) -> bool:
    return settings.notify.mail is not None or bool(settings.notify.channels)
