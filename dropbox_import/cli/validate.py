"""`validate`: the mistakes of a sidecar, without a daemon and without a server."""

from __future__ import annotations

import json
from pathlib import Path

import click

from dropbox_import.cli import terminal
from dropbox_import.cli.exits import Exit
from dropbox_import.cli.options import config_option, load
from dropbox_import.errors import DropboxImportError


@click.command(short_help="Say what is wrong with a sidecar, without a daemon.")
@click.argument("sidecars", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="SIDECAR...")
@config_option(required=False)
@click.option(
    "--output", type=click.Choice(["text", "json"]), default="text", show_default=True, help="json: the request as the daemon reads it."
)
def validate(sidecars: tuple[Path, ...], config: Path | None, output: str) -> int:
    """Say everything that is wrong with a SIDECAR: file, line, column, and what to write instead.

    Only the sidecar is read. Whether the dataset exists, the files are there and the owner is
    allowed is seen when it is imported. With --config the defaults of the box are merged first.

    \b
    Examples:
      dropbox-import validate cells.yaml
      dropbox-import validate --output json *.yaml

    \b
    Exit codes: 0 every sidecar is good, 4 one has mistakes.
    """
    from dropbox_import.plain import to_plain
    from dropbox_import.sidecar import parse_sidecar

    worst = Exit.OK
    requests = []
    for sidecar in sidecars:
        try:
            request = parse_sidecar(_read(sidecar), str(sidecar), defaults=_defaults(config, sidecar))
        except DropboxImportError as error:
            worst = Exit.FAILED
            _tell(sidecar, error)
            requests.append({"file": str(sidecar), "valid": False, "mistakes": [to_plain(mistake) for mistake in error.mistakes]})
            continue
        requests.append({"file": str(sidecar), "valid": True, "request": to_plain(request)})
        for notice in request.notices:
            terminal.tell(f"{sidecar}: {terminal.visible(notice)}")
        if output == "text":
            terminal.say(f"{terminal.visible(str(sidecar))}: {terminal.paint('good', 'ok')}")
    if output == "json":
        terminal.say(json.dumps(requests, indent=2))
    return worst


def _read(sidecar: Path) -> bytes:
    try:
        return sidecar.read_bytes()
    except OSError as error:
        raise click.UsageError(f"{sidecar} cannot be read: {error.strerror}.") from error


def _defaults(config: Path | None, sidecar: Path) -> dict[str, object]:
    if config is None:
        return {}
    boxes = load(config).boxes
    mine = [box for box in boxes if box.path in sidecar.absolute().parents] or boxes[:1]
    return dict(mine[0].defaults) if mine else {}


def _tell(sidecar: Path, error: DropboxImportError) -> None:
    found = terminal.count(len(error.mistakes), "mistake") if error.mistakes else terminal.visible(error.sentence)
    terminal.tell(f"{terminal.visible(str(sidecar))}: {terminal.paint(found, 'problem', err=True)}")
    for mistake in error.mistakes:
        terminal.tell("  " + terminal.visible(str(mistake)))
