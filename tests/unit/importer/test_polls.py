"""What a poll makes of the server's answer and status, which it gets one after the other while the import goes on."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from dropbox_import.errors import TryLater
from dropbox_import.importer import processing
from dropbox_import.importer.attempts import Attempt
from dropbox_import.importer.records import HeldAttempt
from tests.unit.importer.foreign import discard, omero

UUID = "ba19f26b-93ef-4913-a294-f74ba6ff529a"
AUTH = f"2026-11-22 21:11:41,532 INFO  [ome.security.basic.EventHandler] (l.Server-6)  Auth:\tuser=2,group=4,event=410(User),sess={UUID}\n"


class Session:
    def __init__(self) -> None:
        self.forgotten: list[Any] = []
        self.clock = SimpleNamespace(sleep=lambda _seconds: None)

    def keep_alive(self) -> None: ...

    def forget(self, identity: Any) -> None:
        self.forgotten.append(identity)

    def ask(self, _hql: str, **_values: Any) -> list[list[Any]]:
        return []


class Handle:
    """Says that the import failed, and why; the answer comes with the poll of that number."""

    def __init__(self, answers_at: int, said: str = "no tiles in it") -> None:
        self.answers_at = answers_at
        self.said = said
        self.asked = 0
        self.closed = False

    def getResponse(self) -> Any:  # noqa: N802
        self.asked += 1
        if self.asked < self.answers_at:
            return None
        return omero.cmd.ERR(name="error-on-init", parameters={"message": self.said})

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


class Logged(Session):
    """With a log of the import in OMERO."""

    def __init__(self, log: bytes) -> None:
        super().__init__()
        store = SimpleNamespace(
            setFileId=lambda _file: None,
            size=lambda: len(log),
            read=lambda start, length: log[start : start + length],
            close=lambda: None,
        )
        self.client = SimpleNamespace(getSession=lambda: SimpleNamespace(createRawFileStore=lambda: store))

    def ask(self, _hql: str, **_values: Any) -> list[list[Any]]:
        return [[7]]


@pytest.mark.parametrize("cut", range(0, 50, 7))
def test_what_is_told_of_a_failed_import_names_no_session(cut: int) -> None:
    """Who has the id of a session that is open is its owner. It stands in OMERO's log, of which the end is read, and in what Ice says."""
    attempt = Attempt(HeldAttempt("drop", "key", 1, 7, "process"), SimpleNamespace(close=lambda: None))
    handle: Any = Handle(1, f"exception ::Ice::ObjectNotExistException\n{{\n    id = \n    {{\n        category = {UUID}\n    }}\n}}")
    attempt.handle = handle
    log = AUTH + "y" * (processing.LOG_BYTES - len(AUTH) - 1 - cut) + "\n" + AUTH
    session: Any = Logged(log.encode())
    told = processing.poll(session, attempt)
    assert not [name for name, text in told.items() if UUID[-8:] in str(text)]
    assert "category = <session>" in told["message"]
    assert told["log"].endswith("event=410(User),sess=<session>\n")


def test_what_is_told_of_a_removal_that_was_refused_names_no_session() -> None:
    handle = Handle(1, f"not permitted, in {UUID}")
    session: Any = Session()
    session.tell = lambda _call: None
    session.client = SimpleNamespace(
        getSession=lambda: SimpleNamespace(submit=lambda _request, _context: handle), getContext=lambda _group: {}
    )
    with pytest.raises(TryLater) as refused:
        discard.delete(session, "Fileset", 7)
    assert refused.value.sentence == "OMERO did not remove fileset 7: not permitted, in <session>"
