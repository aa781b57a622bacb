"""Options that several commands share, said once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from dropbox_import.settings import Settings

F = TypeVar("F", bound=Callable[..., Any])
CONFIG_VARIABLE = "DROPBOX_IMPORT_CONFIG"


def config_option(*, required: bool = True) -> Callable[[F], F]:
    """`--config FILE`, which the environment may name once for all commands."""
    return click.option(
        "--config",
        "config",
        type=click.Path(path_type=Path, dir_okay=False),
        envvar=CONFIG_VARIABLE,
        required=required,
        metavar="FILE",
        help=f"The daemon's config. [or set {CONFIG_VARIABLE}]",
    )


def ordering_options(*, wait: float) -> Callable[[F], F]:
    """`--output` and `--wait`, the same for each command that orders something."""

    def add(command: F) -> F:
        seconds = click.option(
            "--wait",
            type=click.FloatRange(min=0),
            default=wait,
            show_default=True,
            metavar="SECONDS",
            help="How long to wait for the daemon's answer; the order stays in any case.",
        )
        output = click.option("--output", type=click.Choice(["text", "json"]), default="text", show_default=True)
        return output(seconds(command))

    return add


def load(config: Path) -> Settings:
    """The settings, read with everything that reading costs only now."""
    from dropbox_import.settings import load_settings

    return load_settings(config)
