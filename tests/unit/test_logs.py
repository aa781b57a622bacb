"""Promises of the log: one line an event, what it is about, no secret, journald's priorities."""

from __future__ import annotations

import io
import json
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropbox_import import logs

SESSION = "3f2b8c1e-0d4a-4b6f-9c55-1a2b3c4d5e6f"
Open = Callable[..., tuple[logging.Logger, io.StringIO]]


@pytest.fixture
def opened() -> Iterator[Open]:
    root = logging.getLogger()
    level = root.level
    handlers = []

    def open_log(format: str = "text", level: str = "info") -> tuple[logging.Logger, io.StringIO]:
        stream = io.StringIO()
        handlers.append(logs.setup(level, format, stream))
        return logging.getLogger("dropbox_import.test"), stream

    yield open_log
    for handler in handlers:
        root.removeHandler(handler)
    root.setLevel(level)


def test_an_event_names_its_drop_owner_and_step(opened: Open) -> None:
    log, stream = opened()
    with logs.about(drop="20261122-093912-k7f3q2mzt4", owner="jdoe"), logs.about(step="upload"):
        log.info("3 files")
    log.info("idle")
    first, second = stream.getvalue().splitlines()
    assert first.endswith("info     [20261122-093912-k7f3q2mzt4 jdoe upload] 3 files")
    assert second.endswith("info     idle")


def test_extra_of_one_event_wins_over_what_is_around(opened: Open) -> None:
    log, stream = opened("json")
    with logs.about(drop="a", owner="jdoe"):
        log.info("x", extra={"drop": "b"})
    assert json.loads(stream.getvalue())["drop"] == "b"
    assert json.loads(stream.getvalue())["owner"] == "jdoe"


def test_a_json_event_is_one_object_with_all_that_is_known(opened: Open) -> None:
    log, stream = opened("json")
    try:
        raise ValueError("bad\nthing")
    except ValueError:
        log.exception("it\nbroke", extra={"step": "inspect"})
    assert stream.getvalue().count("\n") == 1
    line = json.loads(stream.getvalue())
    assert line["text"] == "it\nbroke"
    assert line["level"] == "error"
    assert line["step"] == "inspect"
    assert "ValueError: bad" in line["error"]
    assert line["time"].endswith("Z")


def test_a_traceback_stays_on_the_line_of_its_event(opened: Open) -> None:
    log, stream = opened()
    try:
        raise ValueError("bad")
    except ValueError:
        log.exception("it broke")
    assert stream.getvalue().count("\n") == 1
    assert "ValueError: bad" in stream.getvalue()


@given(st.text())
def test_no_text_forges_a_second_event(text: str) -> None:
    assert len(logs.one_line(text).splitlines()) <= 1
    logs.one_line(text).encode()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"joined session {SESSION} of jdoe", "joined session <session> of jdoe"),
        (f"prx {SESSION}/abc -t:tcp -h host", "prx <session>/abc -t:tcp -h host"),
        ("mailto smtp://bot:s3cr3t@mail.example:25", "mailto smtp://***@mail.example:25"),
        ("https://tok3n@chat.example/hook", "https://***@chat.example/hook"),
        ("https://bot:p@ss@chat.example/hook", "https://***@chat.example/hook"),
        ("password=hunter2 next", "password=*** next"),
        ('{"password": "hun ter\\"2", "user": "x"}', '{"password": ***, "user": "x"}'),
        ("{'omero_password': 'hunter2'}", "{'omero_password': ***}"),
        ("OMERO_PASSWORD=hunter2", "OMERO_PASSWORD=***"),
        ("Authorization: Bearer abc.def", "Authorization: ***"),
        ("api_key=123", "api_key=***"),
    ],
)
def test_secrets_are_hidden(text: str, shown: str) -> None:
    assert logs.redact(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "password_file: /etc/dropbox-import/password",
        "wrong password for the service account",
        "https://omero.example/webclient/?show=image-5",
        "20261122-093912-k7f3q2mzt4/9f2c0a11",
        "token 20261122-093912-k7f3q2mzt4/ab12 found",
        "mail to jdoe@uni.example",
    ],
)
def test_what_is_no_secret_stays_readable(text: str) -> None:
    assert logs.redact(text) == text


def test_secrets_are_hidden_in_arguments_errors_and_subjects(opened: Open) -> None:
    for format in ("text", "json"):
        log, stream = opened(format)
        try:
            raise RuntimeError(f"session {SESSION}")
        except RuntimeError:
            log.exception("at %s", f"ice://root:hunter2@host/{SESSION}", extra={"owner": f"x-{SESSION}"})
        assert SESSION not in stream.getvalue()
        assert "hunter2" not in stream.getvalue()


def test_journald_gets_the_priority_and_no_second_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "pipe"
    root = logging.getLogger()
    level = root.level
    with path.open("w") as stream:
        facts = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{facts.st_dev}:{facts.st_ino}")
        handler = logs.setup("debug", "text", stream)
        try:
            log = logging.getLogger("dropbox_import.test")
            log.debug("d")
            log.info("i")
            log.warning("w")
            log.error("e")
            log.critical("c")
        finally:
            root.removeHandler(handler)
            root.setLevel(level)
    assert path.read_text().splitlines() == ["<7>debug    d", "<6>info     i", "<4>warning  w", "<3>error    e", "<2>critical c"]


def test_a_terminal_inside_a_service_gets_no_priority(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "1:1")
    assert not logs.under_journald(io.StringIO())


def test_the_level_is_kept_and_a_wrong_one_is_told(opened: Open) -> None:
    log, stream = opened(level="warning")
    log.info("quiet")
    log.warning("loud")
    assert "quiet" not in stream.getvalue()
    assert "loud" in stream.getvalue()
    with pytest.raises(ValueError, match="not a log level"):
        logs.setup("loud")


def test_a_second_setup_replaces_the_first(opened: Open) -> None:
    _, first = opened()
    log, second = opened()
    log.info("once")
    assert not first.getvalue()
    assert second.getvalue().count("once") == 1
