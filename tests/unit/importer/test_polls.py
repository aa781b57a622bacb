"""What a poll makes of the server's answer and status, which it gets one after the other while the import goes on."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from dropbox_import.importer import processing
from dropbox_import.importer.attempts import Attempt
from dropbox_import.importer.records import HeldAttempt
from tests.unit.importer.foreign import omero


class Session:
    def __init__(self) -> None:
        self.forgotten: list[Any] = []

    def keep_alive(self) -> None: ...

    def forget(self, identity: Any) -> None:
        self.forgotten.append(identity)

    def ask(self, _hql: str, **_values: Any) -> list[list[Any]]:
        return []


class Handle:
    """Says that the import failed; the answer comes with the poll of that number."""

    def __init__(self, answers_at: int) -> None:
        self.answers_at = answers_at
        self.asked = 0
        self.closed = False

    def getResponse(self) -> Any:  # noqa: N802
        self.asked += 1
        if self.asked < self.answers_at:
            return None
        return omero.cmd.ERR(name="error-on-init", parameters={"message": "no tiles in it"})

    def getStatus(self) -> Any:  # noqa: N802
        return SimpleNamespace(flags=[omero.cmd.State.FAILURE], currentStep=0, steps=5)

    def close(self) -> None:
        self.closed = True


def _polls(handle: Handle, number: int) -> tuple[Session, list[dict[str, Any]]]:
    attempt = Attempt(HeldAttempt("drop", "key", 1, 7, "process"), SimpleNamespace(close=lambda: None))
    attempt.handle = handle
    session: Any = Session()
    return session, [processing.poll(session, attempt) for _ in range(number)]


def test_an_import_that_fails_between_two_questions_keeps_the_server_s_reason() -> None:
    handle = Handle(answers_at=2)
    session, told = _polls(handle, 2)
    assert [each["state"] for each in told] == ["running", "error"]
    assert (told[1]["name"], told[1]["class"], told[1]["message"]) == ("error-on-init", "UnreadableImage", "no tiles in it")
    assert handle.closed
    assert session.forgotten == [("drop", "key", 1)]


def test_a_failure_that_is_never_answered_ends_all_the_same() -> None:
    handle = Handle(answers_at=99)
    session, told = _polls(handle, processing.FAILING_POLLS)
    assert [each["state"] for each in told] == ["running"] * (processing.FAILING_POLLS - 1) + ["error"]
    assert told[-1]["name"] == "no-answer"
    assert session.forgotten
