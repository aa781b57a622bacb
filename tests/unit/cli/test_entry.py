"""Promises of every command: the right exit code, a sentence instead of a traceback, no colour where none belongs."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from dropbox_import.cli import entry, exits, terminal
from dropbox_import.errors import (
    ConfigError,
    DropboxImportError,
    JournalDamaged,
    Mistake,
    OutcomeUnknown,
    Paused,
    Rejected,
    SidecarInvalid,
)


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """A command `version` that raises what the test puts into the list."""
    raised: list[BaseException] = []

    @click.command()
    def version() -> None:
        raise raised[0]

    monkeypatch.setitem(entry.COMMANDS, "version", f"{__name__}:version")
    module = sys.modules[__name__]
    monkeypatch.setattr(module, "version", version, raising=False)
    return raised


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("x"), 3),
        (Rejected("x"), 4),
        (OutcomeUnknown("x"), 4),
        (JournalDamaged("x"), 4),
        (Paused("x"), 5),
        (DropboxImportError("x"), 1),
        (RuntimeError("x"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_each_error_has_its_exit_code_and_no_traceback(broken: list[BaseException], error: BaseException, code: int) -> None:
    broken.append(error)
    result = CliRunner().invoke(entry.cli, ["version"])
    assert result.exit_code == code
    assert "Traceback" not in result.output
    assert result.stdout == ""


def test_an_error_is_told_as_sentence_mistakes_and_hint(broken: list[BaseException]) -> None:
    broken.append(
        SidecarInvalid(
            "two mistakes", hint="Mend it.", mistakes=[Mistake("a.yaml", 7, 3, "tagz: unknown"), Mistake("a.yaml", 0, 0, "too big")]
        )
    )
    result = CliRunner().invoke(entry.cli, ["version"])
    assert result.stderr.splitlines() == ["Error: two mistakes", "  a.yaml:7:3: tagz: unknown", "  a.yaml: too big", "Mend it."]


def test_a_bug_says_how_to_report_it_and_shows_the_traceback_only_on_request(broken: list[BaseException]) -> None:
    broken.append(RuntimeError("boom"))
    plain = CliRunner().invoke(entry.cli, ["version"])
    assert "--debug" in plain.stderr
    assert "report" in plain.stderr
    for words in (["--debug", "version"], ["version", "--debug"]):
        full = CliRunner().invoke(entry.cli, words)
        assert full.exit_code == 1
        assert "Traceback" in full.stderr


def test_control_characters_in_an_error_cannot_move_the_cursor(broken: list[BaseException]) -> None:
    broken.append(Rejected("bad\x1b[2Jname \udcff"))
    result = CliRunner().invoke(entry.cli, ["version"])
    assert "\x1b" not in result.stderr
    assert "\\x1b[2Jname" in result.stderr


def test_an_unknown_command_gets_a_suggestion() -> None:
    result = CliRunner().invoke(entry.cli, ["statsu"])
    assert result.exit_code == 2
    assert 'Did you mean "status"?' in result.stderr
    assert CliRunner().invoke(entry.cli, ["xyzzy"]).exit_code == 2


def test_the_help_lists_every_command_and_every_exit_code() -> None:
    result = CliRunner().invoke(entry.cli, ["--help"])
    assert result.exit_code == 0
    for name in entry.COMMANDS:
        assert f"\n  {name} " in result.stdout
    for code, meaning in exits.MEANING:
        assert f"{int(code)}  {meaning}" in result.stdout


@pytest.mark.parametrize("name", list(entry.COMMANDS))
def test_each_command_teaches_by_example(name: str) -> None:
    result = CliRunner().invoke(entry.cli, [name, "--help"])
    assert result.exit_code == 0
    assert f"dropbox-import {name}" in result.stdout
    assert "--debug" in result.stdout


def test_failed_is_told_before_waiting() -> None:
    assert exits.of_counts(1, 1) == 4
    assert exits.of_counts(0, 1) == 5
    assert exits.of_counts(0, 0) == 0


def test_no_colour_when_piped_or_not_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal:
        def isatty(self) -> bool:
            return True

    class Pipe:
        def isatty(self) -> bool:
            return False

    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert terminal.colourful(Terminal())  # type: ignore[arg-type]
    assert not terminal.colourful(Pipe())  # type: ignore[arg-type]
    monkeypatch.setenv("NO_COLOR", "1")
    assert not terminal.colourful(Terminal())  # type: ignore[arg-type]
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert not terminal.colourful(Terminal())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("number", "shown"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (73_400_320, "73.4 MB"), (734_003_200, "734 MB"), (5 * 10**12, "5.0 TB")],
)
def test_sizes_are_readable(number: int, shown: str) -> None:
    assert terminal.size(number) == shown


def test_a_piped_table_keeps_each_row_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.table(("A", "B"), [("x" * 150, "[bold]y"), ("z", "w" * 150)])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert lines[2].endswith("[bold]y")
    assert all(line == line.rstrip() for line in lines)


def test_help_and_version_load_nothing_heavy() -> None:
    heavy = "{'omero', 'Ice', 'numpy', 'tifffile', 'rich', 'pydantic', 'watchdog', 'psutil'}"
    code = (
        "import sys; from dropbox_import.cli.entry import cli\n"
        "cli.main(['--help'], standalone_mode=False); cli.main(['version'], standalone_mode=False)\n"
        f"sys.exit(str({heavy} & set(sys.modules)) if {heavy} & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "omero-py" in done.stdout
