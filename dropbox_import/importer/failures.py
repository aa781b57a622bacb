"""What OMERO's answer means when an import failed on the server.

The answer has a name, and a message that is one of two (recorded in tests/golden, 02 and 04; read in ome/omero-blitz,
src/main/java/ome/services/blitz/repo/ManagedImportRequestI.java, and src/main/java/omero/cmd/Helper.java, `fail`):
the words of a Java exception, or a whole Ice exception as text, with the stack of the server inside:

    omero.ValidationException
        serverStackTrace = "ome.conditions.ValidationException: No row with …
                                at … (many lines; every call comes in through Ice.ConnectionI)
        serverExceptionClass = "ome.conditions.ValidationException"
        message = "No row with …"

So only what is said is judged, never the frames of a stack.
"""

from __future__ import annotations

import re

from dropbox_import.importer.errors import WAITS

_MOST = 300
_FIELD = re.compile(r'^\s*message = "(?P<said>.*?)"?\s*$', re.MULTILINE | re.DOTALL)
_STACK = re.compile(r'serverStackTrace = "(?P<said>[^\n]*)')
_FRAME = re.compile(r"^\s*(at |\.\.\. )")
# A path of the server, up to what Java adds in brackets behind it: a file may be called like any trouble.
_PATH = re.compile(r"(?<![\w/])/[^\n]*?(?=\s\([^()\n]*\)$|$)", re.MULTILINE)
_JAVA = re.compile(r"^([\w$]+\.)+[A-Z]\w*(Exception|Error|Violation): ")

_TARGET = re.compile(
    r"No row with the given identifier exists: \[ome\.model\.(containers|screen)\."
    r"|Cannot read ome\.model\.(containers|screen)\."
    r"|Cannot link to object"
    r"|Unable to handle target"
)
_SERVER = re.compile(
    r"\bIce\.\w*(Connect|Timeout|Socket|ObjectNotExist|CommunicatorDestroyed|AdapterDeactivated)\w*Exception\b"
    r"|\b(OutOfMemoryError|JDBCConnectionException|CannotGetJdbcConnectionException|CannotCreateTransactionException)\b"
    r"|\b(SessionTimeoutException|RemovedSessionException|ShutdownInProgress|DatabaseBusyException|LockTimeout|TryAgain)\b"
    r"|No space left on device|Disk quota exceeded|Too many open files"
    r"|Cannot open connection|Could not (get JDBC Connection|open Hibernate Session)|deadlock detected|\btimed out\b"
)
_NO_FILESET = "does not have a unique readable fileset"  # it was deleted meanwhile (recorded 16)
_FILE = ("error-on-init", "import-unknown-format", "import-missing-library", "import-file-exception")


def explain(name: str, message: str) -> dict[str, str]:
    """What an ERR of an import means: `class` (one of errors.py), `sentence` and `hint`."""
    head, said = _PATH.sub("", _head(message)), _said(message)
    trouble = _meaning("ServerUnavailable", f"OMERO had trouble of its own during the import: {said}", WAITS)
    if name in _FILE and _NO_FILESET not in head:
        if _SERVER.search(head):
            return trouble
        return _meaning(
            "UnreadableImage", f"OMERO cannot read the image: {said}", "Open the file in the program that wrote it, and save it again."
        )
    if _TARGET.search(head):
        return _meaning("TargetUnusable", f"The images could not be put into the target: {said}", "The target is looked at again.")
    if _SERVER.search(head):
        return trouble
    return _meaning("OutcomeUnknown", f"The import failed ({name}): {said}", WAITS)


def _head(message: str) -> str:
    """All that is said in it: the first line, the first one of the server's stack, and the message."""
    lines = [line for line in message.strip().splitlines()[:1] if not _FRAME.match(line)]
    stack, field = _STACK.search(message), _field(message)
    return "\n".join([*lines, *([stack["said"]] if stack else []), field])


def _said(message: str) -> str:
    """The part of it that tells people most, in one line."""
    stack = _STACK.search(message)
    for words in (_field(message), stack["said"] if stack else "", message):
        line = _JAVA.sub("", (words.strip().splitlines() or [""])[0].strip())
        if line:
            return line[:_MOST]
    return ""


def _field(message: str) -> str:
    """The field `message` of an Ice exception; it is the last one, or one of the last."""
    place = message.rfind('\n    message = "')
    if place < 0:
        return ""
    found = _FIELD.match(message, place + 1)
    return found["said"] if found else ""


def _meaning(kind: str, sentence: str, hint: str) -> dict[str, str]:
    return {"class": kind, "sentence": sentence, "hint": hint}
