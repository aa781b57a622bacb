"""`check`: everything an administrator can get wrong, all at once."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dropbox_import.cli import terminal
from dropbox_import.cli.exits import Exit
from dropbox_import.cli.options import config_option, load
from dropbox_import.errors import ConfigError

if TYPE_CHECKING:
    from dropbox_import.daemon.findings import Finding

WORDS: dict[str, tuple[str, terminal.Mood]] = {"ok": ("ok", "ok"), "warning": ("warning", "warning"), "problem": ("PROBLEM", "problem")}


@click.command(short_help="Say everything that is wrong with the set-up.")
@config_option()
@click.option("--no-omero", is_flag=True, help="Leave out what needs the OMERO server.")
@click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
def check(config: Path, no_omero: bool, output: str) -> int:
    """Say everything that is wrong with the set-up, all at once, and what to type.

    It looks at the config, the folders and their rights, that each user's files can be taken by one
    rename, free space, the files of secrets, how people are told, and logs in to OMERO: is the
    certificate valid, may the account act for others, do the clocks agree. Nothing is changed or sent.

    \b
    Examples:
      dropbox-import check --config config.yaml
      sudo -u omero-import dropbox-import check --config config.yaml     as the daemon's account

    \b
    Exit codes: 0 no problem (perhaps warnings), 3 something has to be mended.
    """
    found: list[Finding] = []
    for finding in _all(config, omero=not no_omero):
        found.append(finding)
        if output == "text":
            show(finding)
    if output == "json":
        terminal.say(json.dumps([dataclasses.asdict(finding) for finding in found], indent=2))
    else:
        terminal.tell(summary(found))
    return Exit.CONFIG if any(finding.level == "problem" for finding in found) else Exit.OK


def _all(config: Path, *, omero: bool) -> Iterator[Finding]:
    from dropbox_import.daemon.check import check_host
    from dropbox_import.daemon.check_notify import ask_notifier, check_notify
    from dropbox_import.daemon.check_omero import ask_worker, check_omero
    from dropbox_import.daemon.findings import Finding

    try:
        settings = load(config)
    except ConfigError as error:
        if not error.mistakes:
            yield Finding("problem", f"config {config}", error.sentence, error.hint)
        for mistake in error.mistakes:
            where = f"{mistake.file}:{mistake.line}:{mistake.column}" if mistake.line else mistake.file
            yield Finding("problem", where, mistake.sentence, mistake.hint)
        return
    yield Finding(
        "ok", f"config {config}", f"can be used: {terminal.count(len(settings.boxes), 'box', 'boxes')}, instance {settings.instance}"
    )
    yield from check_host(settings)
    yield from check_notify(settings, ask_notifier)
    if omero:
        yield from check_omero(settings, ask_worker)


def show(finding: Finding) -> None:
    """One line, and below it what to do."""
    word, mood = WORDS[finding.level]
    terminal.say(f"{terminal.paint(f'{word:<8}', mood)} {terminal.visible(finding.about)}: {terminal.visible(finding.sentence)}")
    if finding.hint and finding.level != "ok":
        terminal.say(f"{'':<8} {terminal.paint('-> ' + terminal.visible(finding.hint), 'dim')}")


def summary(found: Iterable[Finding]) -> str:
    """The last line: how many of each."""
    levels = [finding.level for finding in found]
    problems, warnings = levels.count("problem"), levels.count("warning")
    if problems:
        return f"{terminal.count(problems, 'problem')}, {terminal.count(warnings, 'warning')}: mend the problems, then check again."
    if warnings:
        return f"No problem, {terminal.count(warnings, 'warning')}."
    return "All is well."
