"""`adopt`: the drops of an installation that is gone for good are taken over by this one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dropbox_import.cli.options import config_option, load, ordering_options
from dropbox_import.errors import Rejected

if TYPE_CHECKING:
    from dropbox_import.settings import Settings


@click.command(short_help="Take over the drops of a daemon that is gone for good.")
@click.argument("instance")
@config_option()
@ordering_options(wait=60.0)
def adopt(instance: str, config: Path, wait: float, output: str) -> int:
    """Take over the drops and messages of another INSTANCE: of a machine that is gone for good, or of a lost state folder.

    INSTANCE is the name of its folder in inprogress/, or the beginning of it that no other has. It is refused while that
    daemon lives, which is watched for up to 40 seconds: its heartbeat in the box must not change. Where an import was under
    way, the drop goes on when OMERO has ended that daemon's sessions.

    \b
    Examples:
      dropbox-import adopt scope-room-1-3f2a9c01 --config config.yaml

    \b
    Exit codes: 0 done, or left for the next start of the daemon; 4 refused;
    5 the daemon has not come to it yet.
    """
    from dropbox_import.cli.ordering import order_all

    settings = load(config)
    return order_all(settings, "adopt", boxes_of(settings, instance), wait, output)


def boxes_of(settings: Settings, wanted: str) -> list[tuple[str, str]]:
    """Each box with the instance's full name. Raises Rejected when there is none, or more than one."""
    from dropbox_import.cli.ordering import away

    gone = away(settings)
    there: dict[str, list[str]] = {}
    for box in settings.boxes:
        if str(box.path) not in gone:
            for name in _instances(box.path):
                there.setdefault(name, []).append(str(box.path))
    names = [wanted] if wanted in there else sorted(name for name in there if name.startswith(wanted))
    if len(names) > 1:
        raise Rejected(
            f'"{wanted}" fits {len(names)} instances: {", ".join(names)}', hint="Give the whole name.", code="ambiguous-instance"
        )
    if names:
        return [(box, names[0]) for box in (*there[names[0]], *gone)]
    if gone and _whole(wanted):
        return [(box, wanted) for box in gone]
    known = f"There are: {', '.join(sorted(there))}." if there else "There is none."
    raise Rejected(f'no instance "{wanted}" has anything in the boxes of this config', hint=known, code="no-such-instance")


def _whole(name: str) -> bool:
    """Whether it may be the full name: the one in a config and eight letters of its random part."""
    return len(name.rpartition("-")[2]) == 8


def _instances(box: Path) -> Sequence[str]:
    from dropbox_import.spool.layout import Layout

    try:
        return sorted(path.name for path in Layout(box).inprogress.iterdir() if path.is_dir())
    except PermissionError as error:
        from dropbox_import.disk.trouble import as_ours

        raise as_ours(error, "looking for instances") from error
    except OSError:
        return []
