"""The group of all commands: finds each when it is asked for, and turns every error into a sentence and an exit code."""

from __future__ import annotations

import importlib
import logging
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any

import click

import dropbox_import
from dropbox_import.cli import terminal
from dropbox_import.cli.exits import MEANING, Exit, of_error
from dropbox_import.errors import DropboxImportError

COMMANDS: dict[str, str] = {
    "demo": "dropbox_import.cli.demo:demo",
    "init": "dropbox_import.cli.init:init",
    "check": "dropbox_import.cli.check:check",
    "run": "dropbox_import.cli.run:run",
    "submit": "dropbox_import.cli.submit:submit",
    "validate": "dropbox_import.cli.validate:validate",
    "status": "dropbox_import.cli.status:status",
    "show": "dropbox_import.cli.show:show",
    "retry": "dropbox_import.cli.retry:retry",
    "discard": "dropbox_import.cli.discard:discard",
    "adopt": "dropbox_import.cli.adopt:adopt",
    "notify": "dropbox_import.cli.notify:notify",
    "standin": "dropbox_import.cli.standin:standin",
    "version": "dropbox_import.cli.version:version",
}


class Commands(click.Group):
    """A group that imports a command only when it is used, and ends with the exit codes of `exits`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        place = COMMANDS.get(cmd_name)
        if place is None:
            return None
        module, name = place.split(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        _add_debug(command)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0] if args else ""
        if name and not name.startswith("-") and name not in COMMANDS:
            import difflib

            close = difflib.get_close_matches(name, COMMANDS, 1)
            meant = f' Did you mean "{close[0]}"?' if close else f" There are: {', '.join(COMMANDS)}."
            ctx.fail(f'There is no command "{name}".{meant}')
        return super().resolve_command(ctx, args)

    def main(
        self, args: Sequence[str] | None = None, prog_name: str | None = None, *_: Any, standalone_mode: bool = True, **more: Any
    ) -> Any:
        code = _guarded(lambda: super(Commands, self).main(args, prog_name, standalone_mode=False, **more))
        if standalone_mode:
            sys.exit(int(code))
        return code

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(int(code)), meaning) for code, meaning in MEANING])
        super().format_epilog(ctx, formatter)


def _add_debug(command: click.Command) -> None:
    if not any(param.name == "debug" for param in command.params):
        command.params.append(_debug_option())
    for below in command.commands.values() if isinstance(command, click.Group) else ():
        _add_debug(below)


def _debug_option() -> click.Option:
    return click.Option(["--debug"], is_flag=True, expose_value=False, callback=_set_debug, help="Show tracebacks and detailed logs.")


def _set_debug(_ctx: click.Context, _param: click.Parameter, value: bool) -> None:
    if value:
        _Debug.on = True


class _Debug:
    """Remembered outside the context, because an error may come before there is one."""

    on = False


def debugging() -> bool:
    """Whether `--debug` was given."""
    return _Debug.on


def _guarded(work: Callable[[], Any]) -> Exit | int:
    _Debug.on = False
    try:
        code = work()
    except click.ClickException as error:
        error.show()
        return Exit.USAGE
    except (click.Abort, KeyboardInterrupt):
        terminal.tell("Stopped.")
        return Exit.INTERRUPTED
    except SystemExit:
        # How click ends when the reader of our output is gone (`| head`): nobody to tell, nothing wrong.
        return Exit.OK
    except DropboxImportError as error:
        terminal.tell_error(error)
        _trace()
        return of_error(error)
    except Exception as error:
        return _bug(error)
    return code if isinstance(code, int) else Exit.OK


def _trace() -> None:
    if _Debug.on:
        terminal.tell(traceback.format_exc())


def _bug(error: Exception) -> Exit:
    logged = any(handler.get_name() == "dropbox-import" for handler in logging.getLogger().handlers)
    if logged:
        logging.getLogger(__name__).critical("a bug ended the command", exc_info=error)
    terminal.tell(
        terminal.paint("Bug: ", "problem", err=True)
        + terminal.visible(f"dropbox-import stopped because of a mistake of its own ({type(error).__name__}: {error}).")
    )
    if _Debug.on:
        _trace()
        terminal.tell("Please report it with the lines above and what `dropbox-import version` prints.")
    else:
        where = "The traceback is in the log above. " if logged else "Run the same command with --debug to see the traceback. "
        terminal.tell(where + "Please report it together with what `dropbox-import version` prints. Your files are where they were.")
    return Exit.BUG


@click.group(
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100, "auto_envvar_prefix": None},
    epilog="Each command explains itself: dropbox-import COMMAND --help",
)
@click.version_option(dropbox_import.__version__, message="%(version)s")
def cli() -> None:
    """Brings images that people save in a folder, each with a small YAML file (the sidecar), into OMERO.

    \b
    See the whole thing work here and now, without an OMERO server:
      dropbox-import demo

    \b
    Set it up:
      dropbox-import init /srv/imports                     makes a drop box, and a config here
      dropbox-import check --config dropbox-import.yaml    says what is still wrong
      dropbox-import run --config dropbox-import.yaml      starts to import
    """


cli.params.append(_debug_option())


def main(argv: Sequence[str] | None = None) -> None:
    """The console script: never returns, ends with an exit code."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            # A terminal in the C locale must not turn a file name into a traceback.
            reconfigure(errors="backslashreplace")
    cli.main(args=None if argv is None else list(argv), prog_name="dropbox-import")
