"""Every error of the product, classed by what to do next.

DropboxImportError            each: code, plain sentence, hint
├── ConfigError               the administrator edits the config; lists every mistake
├── Rejected                  the drop is wrong: it goes to failed/, the user is told
│   ├── SidecarInvalid        the sidecar has mistakes; lists every one
│   ├── MembersMissing        files that the sidecar asks for are not there
│   ├── NotAllowed            the owner, group or policy does not permit it
│   ├── UnreadableImage       a file is damaged, cut, empty or of no known format
│   └── TargetUnusable        project or dataset is missing, ambiguous or not linkable
├── TryLater                  nothing is wrong with the drop: it waits
│   ├── ServerUnavailable     OMERO is down, restarting, full or the session ended
│   ├── ShareUnavailable      the box's root marker cannot be read
│   ├── DiskFull              local, box or server disk
│   ├── FileBusy              somebody still writes
│   ├── AccessDenied          the service account may not read, move or log in
│   └── Paused                an administrator or the load guard holds work back
├── OutcomeUnknown            a call may or may not have taken effect: ask the server first
├── ClaimLost                 a peer won: drop the work in silence
│   └── ClaimTaken            another instance, or an administrator by hand, took the claim from us: touch nothing of it
└── JournalDamaged            hold this drop, alert the administrator, touch nothing

Anything else is a bug: logged with its traceback; the drop waits, the others go on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing to mend, where it is (line and column count from 1; 0 = the whole file) and what to write."""

    file: str
    line: int
    column: int
    sentence: str
    hint: str = ""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{where}: {self.sentence}" + (f" ({self.hint})" if self.hint else "")


class DropboxImportError(Exception):
    """Base of all. `sentence` is for people and has no trailing hint; `hint` says what to do or write."""

    code: ClassVar[str] = "error"
    default_hint: ClassVar[str] = ""

    def __init__(self, sentence: str, *, hint: str = "", code: str = "", mistakes: Sequence[Mistake] = ()) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.hint = hint or self.default_hint
        self.kind = code or self.code
        self.mistakes = tuple(mistakes)

    def __str__(self) -> str:
        lines = [self.sentence, *(str(mistake) for mistake in self.mistakes)]
        return "\n".join(lines)


class ConfigError(DropboxImportError):
    code = "config"


class Rejected(DropboxImportError):
    code = "rejected"


class SidecarInvalid(Rejected):
    code = "sidecar-invalid"
    default_hint = "Correct the sidecar and put it into the drop folder again; the images are still there."


class MembersMissing(Rejected):
    code = "members-missing"


class NotAllowed(Rejected):
    code = "not-allowed"


class UnreadableImage(Rejected):
    code = "unreadable-image"


class TargetUnusable(Rejected):
    code = "target-unusable"


class TryLater(DropboxImportError):
    code = "try-later"


class ServerUnavailable(TryLater):
    code = "server-unavailable"


class ShareUnavailable(TryLater):
    code = "share-unavailable"


class DiskFull(TryLater):
    code = "disk-full"


class FileBusy(TryLater):
    code = "file-busy"


class AccessDenied(TryLater):
    code = "access-denied"


class Paused(TryLater):
    code = "paused"


class OutcomeUnknown(DropboxImportError):
    code = "outcome-unknown"


class ClaimLost(DropboxImportError):
    code = "claim-lost"


class ClaimTaken(ClaimLost):
    code = "claim-taken"


class JournalDamaged(DropboxImportError):
    code = "journal-damaged"


def _tree(root: type[DropboxImportError]) -> dict[str, type[DropboxImportError]]:
    found = {root.__name__: root}
    for child in root.__subclasses__():
        found |= _tree(child)
    return found


def by_class_name(name: str) -> type[DropboxImportError]:
    """The class that a worker named on the wire; DropboxImportError (a bug) for a name we do not have."""
    return _tree(DropboxImportError).get(name, DropboxImportError)
