"""What a failed import means: only what the server says is judged, not from where in its stack it says so, nor what a file is called."""

from __future__ import annotations

import pytest

from dropbox_import.errors import by_class_name
from dropbox_import.importer.processing import explain

FOLDER = "/OMERO/ManagedRepository/alice_2/2026-11/22/21-11-41.048/data"
FRAMES = (  # recorded: every stack of the server ends so
    "ome.security.basic.BasicACLVoter.throwLoadViolation(BasicACLVoter.java:300)",
    "IceInternal.Incoming.invoke(Incoming.java:212)",
    "Ice.ConnectionI.invokeAll(ConnectionI.java:2817)",
    "Ice.ConnectionI.dispatch(ConnectionI.java:1395)",
    "Ice.ConnectionI.message(ConnectionI.java:1306)",
    "IceInternal.ThreadPool.run(ThreadPool.java:394)",
)


def of_ice(kind: str, said: str, cause: str = "") -> str:
    """An exception of the server as it is told in the answer's `message` (recorded 04 dataset_does_not_exist)."""
    indent = "\n                        \tat "
    java = f"ome.conditions.{kind}"
    frames = indent + indent.join(FRAMES)
    caused = f"\n                        Caused by: {cause}" if cause else ""
    stack = f'serverStackTrace = "{java}: {said}{frames}{caused}"'
    return f'omero.{kind}\n    {stack}\n    serverExceptionClass = "{java}"\n    message = "{said}"\n'


UNSAVED = "not-null property references a null or transient value: ome.model.core.Pixels.sizeX; nested exception is x"
GONE = "No row with the given identifier exists: [ome.model.containers.Dataset#999999]; nested exception is org.hibernate.X"


@pytest.mark.parametrize(
    ("message", "ours"),
    [
        pytest.param(of_ice("ValidationException", UNSAVED), "OutcomeUnknown", id="a row that cannot be saved"),
        pytest.param(
            of_ice("InternalException", "Wrapped Exception: (java.lang.ArrayIndexOutOfBoundsException)"), "OutcomeUnknown", id="a bug"
        ),
        pytest.param(of_ice("ValidationException", GONE), "TargetUnusable", id="the target is gone"),
        pytest.param(of_ice("SecurityViolation", "Cannot read ome.model.containers.Dataset:Id_5"), "TargetUnusable", id="not readable"),
        pytest.param(
            of_ice("SecurityViolation", "Group is rwr---. Cannot link to object: ome.model.containers.Dataset:Id_9"), "TargetUnusable"
        ),
        pytest.param(
            "No row with the given identifier exists: [ome.model.core.OriginalFile#1295]", "OutcomeUnknown", id="the log, with its fileset"
        ),
        pytest.param("Ice.ConnectionLostException\n    error = 104\n\tat Ice.ConnectionI.x", "ServerUnavailable", id="a lost connection"),
        pytest.param(
            of_ice("InternalException", "Wrapped Exception: (org.hibernate.exception.JDBCConnectionException): Cannot open connection"),
            "ServerUnavailable",
            id="no database",
        ),
        pytest.param(of_ice("RemovedSessionException", "No session with uuid:<x>"), "ServerUnavailable", id="a session that was ended"),
        pytest.param("java.io.IOException: No space left on device", "ServerUnavailable", id="a full disk"),
        pytest.param("Table 'Connection' has no such column", "OutcomeUnknown", id="the mere word"),
    ],
)
def test_a_failed_save_is_judged_by_what_is_said(message: str, ours: str) -> None:
    assert explain("import-request-failure", message)["class"] == ours
    assert by_class_name(ours).__name__ == ours


@pytest.mark.parametrize(
    ("message", "ours"),
    [
        (f"Invalid TIFF file: {FOLDER}/Connections_mouse1.tif", "UnreadableImage"),
        (f"Invalid TIFF file: {FOLDER}/timed out.tif", "UnreadableImage"),
        (f"Unknown file format: {FOLDER}/No space left on device.txt", "UnreadableImage"),
        (f"Unknown file format: {FOLDER}/Ice.ConnectionLostException 2.txt", "UnreadableImage"),
        ("file alice_2/2026-11/22/x/Connection.tif does not have a unique readable fileset", "OutcomeUnknown"),  # it was deleted meanwhile
        (f"{FOLDER}/a.tif (No space left on device)", "ServerUnavailable"),
        (f"{FOLDER}/a.tif (Too many open files)", "ServerUnavailable"),
        ("java.lang.OutOfMemoryError: Java heap space", "ServerUnavailable"),
    ],
)
def test_a_file_may_be_called_like_any_trouble(message: str, ours: str) -> None:
    assert explain("error-on-init", message)["class"] == ours


def test_people_are_shown_what_the_server_says_and_not_its_stack() -> None:
    told = explain("import-request-failure", of_ice("ValidationException", UNSAVED))
    assert told["sentence"] == f"The import failed (import-request-failure): {UNSAVED}"
    cut = of_ice("ValidationException", UNSAVED).partition("    serverExceptionClass")[0]
    assert UNSAVED in explain("import-request-failure", cut)["sentence"]
    assert (
        "Java heap space"
        in explain("import-request-failure", "java.lang.OutOfMemoryError: Java heap space\n\tat x.y(Z.java:1)")["sentence"]
    )
    assert explain("update-log-file-size", "")["sentence"]
    assert len(explain("run-fail", "x" * 5000)["sentence"]) < 400
