"""The exit codes, and which error means which."""

from __future__ import annotations

from enum import IntEnum

from dropbox_import.errors import ConfigError, DropboxImportError, JournalDamaged, OutcomeUnknown, Rejected, TryLater


class Exit(IntEnum):
    """What a command tells the shell."""

    OK = 0
    BUG = 1
    USAGE = 2
    CONFIG = 3
    FAILED = 4
    WAITS = 5
    INTERRUPTED = 130


MEANING: tuple[tuple[Exit, str], ...] = (
    (Exit.OK, "all well"),
    (Exit.BUG, "a bug in dropbox-import"),
    (Exit.USAGE, "the command was typed wrong"),
    (Exit.CONFIG, "the config or the set-up has a mistake"),
    (Exit.FAILED, "something failed and needs a person"),
    (Exit.WAITS, "nothing failed, but something waits"),
)


def of_error(error: DropboxImportError) -> Exit:
    """The code for an error that ended the command."""
    if isinstance(error, ConfigError):
        return Exit.CONFIG
    if isinstance(error, TryLater):
        return Exit.WAITS
    if isinstance(error, (Rejected, OutcomeUnknown, JournalDamaged)):
        return Exit.FAILED
    return Exit.BUG if type(error) is DropboxImportError else Exit.FAILED


def of_counts(failed: int, waiting: int) -> Exit:
    """What failed is told before what waits."""
    if failed:
        return Exit.FAILED
    return Exit.WAITS if waiting else Exit.OK
