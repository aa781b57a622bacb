"""How text reaches people: data on stdout, the rest on stderr, colour only where a terminal shows it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Container, Iterable, Sequence
from typing import IO, Literal

import click

from dropbox_import.errors import DropboxImportError

Mood = Literal["ok", "warning", "problem", "dim", "bold"]
_COLOURS: dict[Mood, str] = {"ok": "green", "warning": "yellow", "problem": "red"}
PIPED_WIDTH = 2000


def colourful(stream: IO[str]) -> bool:
    """Whether `stream` may get colour: a terminal, and nobody said NO_COLOR (https://no-color.org)."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb" and stream.isatty()


def paint(text: str, mood: Mood, *, err: bool = False) -> str:
    """`text` in the colour of `mood` where the stream shows colour, else as it is."""
    if not colourful(sys.stderr if err else sys.stdout):
        return text
    if mood == "bold":
        return click.style(text, bold=True)
    if mood == "dim":
        return click.style(text, dim=True)
    return click.style(text, fg=_COLOURS[mood], bold=mood == "problem")


def say(text: str = "") -> None:
    """Data, on stdout."""
    click.echo(clean(text))


def tell(text: str = "") -> None:
    """Progress, on stderr."""
    click.echo(clean(text), err=True)


def clean(text: str) -> str:
    """Names that are not UTF-8 are shown, not a reason to stop."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def visible(text: str) -> str:
    """One line of `text` from a file or a server, with control characters made visible: it cannot move the cursor."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in clean(text))


def tell_error(error: DropboxImportError, *, what: str = "") -> None:
    """The sentence, each mistake on a line of its own, and the hint: never a traceback."""
    tell(paint("Error: ", "problem", err=True) + visible(what + error.sentence))
    for mistake in error.mistakes:
        tell("  " + visible(str(mistake)))
    if error.hint:
        tell(visible(error.hint))


def width() -> int:
    """How many columns a line on stdout may take."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else PIPED_WIDTH


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    moods: Sequence[Mood | None] = (),
    whole: Container[str] = (),
    widest: int = PIPED_WIDTH,
) -> None:
    """A table on stdout. Piped, each row is one line; in a terminal it is fitted to the width, but never inside the columns of `whole`.

    `moods` colour the first cell of each row. `widest`: for a table that people read also when it is piped.
    """
    import io

    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    shown = colourful(sys.stdout)
    drawn = io.StringIO()
    console = Console(file=drawn, force_terminal=shown, no_color=not shown, width=min(width(), widest), legacy_windows=False)
    grid = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    for column in columns:
        grid.add_column(Text(column), overflow="fold", no_wrap=column in whole)
    for number, row in enumerate(rows):
        mood = moods[number] if number < len(moods) else None
        style = _COLOURS.get(mood, "") if mood else ""
        grid.add_row(Text(visible(row[0]), style), *(Text(visible(each)) for each in row[1:]))
    console.print(grid)
    for line in drawn.getvalue().splitlines():
        say(line.rstrip())


def size(count: int) -> str:
    """Bytes as people read them: `512 B`, `3.4 MB`."""
    amount = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def count(number: int, one: str, many: str = "") -> str:
    """`1 drop`, `3 drops`."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def cell(value: object) -> str:
    """A value of a table as text: lists on one line, nothing for None."""
    if value is None:
        return ""
    if isinstance(value, (list, tuple)):
        return ", ".join(cell(item) for item in value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return visible(str(value))


def rewrite(text: str) -> None:
    """Progress on the last line of the terminal, in the place of the one before; empty clears it."""
    room = max(20, shutil.get_terminal_size().columns - 1)
    click.echo("\r" + text[:room].ljust(room) + ("" if text else "\r"), err=True, nl=False)


def moment(stamp: str) -> str:
    """A time of a journal (`2026-11-22T09:39:12.123Z`) for people: to the second, still in UTC."""
    return stamp[:19].replace("T", " ")
