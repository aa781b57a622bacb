"""The lines between the daemon and its workers carry everything unchanged, and what is not of them is found out."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropbox_import.errors import DropboxImportError, Mistake, NotAllowed, OutcomeUnknown, Rejected, SidecarInvalid, by_class_name
from dropbox_import.workers import protocol
from dropbox_import.workers.protocol import (
    Command,
    Done,
    Event,
    Failed,
    Hello,
    InCall,
    LineError,
    Progress,
    Started,
    decode_command,
    decode_event,
    encode_command,
    encode_event,
    error_of,
    failure,
)

# Names of files may hold bytes that are not UTF-8: Python shows them as lone surrogates. Pairs of surrogates are no such name.
text = st.text(st.characters(exclude_categories=["Cs"]) | st.sampled_from([chr(0xDC00 + byte) for byte in range(0x80, 0x100)]))
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=10,
)
arguments = st.dictionaries(text, values, max_size=4)
numbers = st.integers(min_value=0)


@given(st.builds(Command, numbers, text, arguments, text, text, numbers))
def test_a_command_arrives_as_it_was_sent(command: Command) -> None:
    line = encode_command(command)
    assert line.isascii()
    assert line.count(b"\n") == 1
    assert decode_command(line) == command


events = st.one_of(
    st.builds(Hello, numbers, text, text, numbers),
    st.builds(Started, numbers),
    st.builds(InCall, numbers, text, numbers),
    st.builds(Progress, numbers, st.none() | numbers, st.none() | numbers, st.none() | numbers, st.none() | numbers),
    st.builds(Done, numbers, arguments),
    st.builds(
        Failed,
        numbers,
        text,
        text,
        text,
        text,
        st.lists(st.builds(Mistake, text, numbers, numbers, text, text), max_size=3).map(tuple),
        st.sampled_from(["none", "done", "unknown"]),
    ),
)


@given(events)
def test_an_event_arrives_as_it_was_sent(event: Event) -> None:
    line = encode_event(event)
    assert line.isascii()
    assert decode_event(line) == event


def test_a_name_that_is_not_utf8_travels_as_an_escaped_surrogate() -> None:
    name = b"caf\xe9.tif".decode("utf-8", "surrogateescape")
    line = encode_command(Command(1, "inspect", {"path": name}))
    assert b"caf\\udce9.tif" in line
    assert decode_command(line).args["path"].encode("utf-8", "surrogateescape") == b"caf\xe9.tif"


def test_an_error_on_the_wire_names_its_class_and_effect() -> None:
    line = json.loads(encode_event(failure(7, NotAllowed("No.", hint="Ask."))))
    assert line == {
        "event": "error",
        "id": 7,
        "class": "NotAllowed",
        "code": "not-allowed",
        "sentence": "No.",
        "hint": "Ask.",
        "effect": "none",
    }


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"hello\n",
        b"[1]\n",
        b'"text"\n',
        b"{}\n",
        b'{"event": "tea"}\n',
        b'{"event": "done"}\n',
        b'{"event": "done", "id": "7", "result": {}}\n',
        b'{"event": "done", "id": 7, "result": []}\n',
        b'{"event": "done", "id": 7, "result": {}',
        b'{"event": "error", "id": 7, "class": "Rejected", "code": "x", "sentence": "s", "effect": "perhaps"}\n',
        '{"event": "started", "id": 7, "x": "\u00e9"}\n'.encode(),
        b"[" * 100_000 + b"\n",
    ],
)
def test_what_is_not_an_event_is_found_out(line: bytes) -> None:
    with pytest.raises(LineError):
        decode_event(line)


@pytest.mark.parametrize(
    "line", [b"{}\n", b'{"id": 1}\n', b'{"id": true, "do": "x"}\n', b'{"id": 1, "do": "x", "args": 5}\n', b"nothing\n"]
)
def test_what_is_not_a_command_is_found_out(line: bytes) -> None:
    with pytest.raises(LineError):
        decode_command(line)


def test_what_a_newer_side_says_besides_is_ignored() -> None:
    assert decode_event(b'{"event": "started", "id": 7, "mood": "good"}\n') == Started(7)
    assert decode_command(b'{"id": 7, "do": "x", "mood": "good"}\n') == Command(7, "x")


@pytest.mark.parametrize("value", [object(), float("nan"), {1, 2}, b"bytes"])
def test_what_is_not_json_cannot_be_sent(value: object) -> None:
    with pytest.raises(LineError):
        encode_command(Command(1, "x", {"value": value}))


def test_a_line_that_is_too_long_cannot_be_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "MAX_LINE", 1000)
    with pytest.raises(LineError, match="too long"):
        encode_command(Command(1, "x", {"value": "x" * 1000}))


def test_an_error_of_ours_is_the_same_in_the_daemon() -> None:
    sent = SidecarInvalid("Two.", hint="Mend.", code="special", mistakes=[Mistake("a", 1, 2, "bad", "good"), Mistake("a", 3, 4, "worse")])
    got = error_of(failure(1, sent))
    assert type(got) is SidecarInvalid
    assert (got.sentence, got.hint, got.kind, got.mistakes) == (sent.sentence, sent.hint, sent.kind, sent.mistakes)


def test_a_class_that_only_the_worker_knows_travels_as_its_nearest_known_one() -> None:
    class OfTheWorkerAlone(Rejected):
        code = "of-the-worker"

    event = failure(1, OfTheWorkerAlone("No."))
    assert (event.kind, event.code) == ("Rejected", "of-the-worker")


def test_a_bug_tells_its_kind_but_no_traceback() -> None:
    event = failure(1, KeyError("a\nb"))
    assert (event.kind, event.code, event.effect) == ("Bug", "bug", "unknown")
    assert "Traceback" not in event.sentence
    assert type(error_of(event)) is DropboxImportError
    assert by_class_name("Bug") is DropboxImportError


def test_a_bug_tells_no_secret_of_omero() -> None:
    """What it says is shown by `status`, and not only logged."""
    assert failure(1, KeyError("ba19f26b-93ef-4913-a294-f74ba6ff529a")).sentence == "KeyError: '<session>'"


def test_running_out_of_memory_is_told_apart() -> None:
    assert failure(1, MemoryError()).code == "out-of-memory"


def with_effect(error: Exception, effect: str) -> Exception:
    error.effect = effect  # type: ignore[attr-defined]
    return error


@pytest.mark.parametrize(
    ("error", "effect"),
    [
        (NotAllowed("x"), "none"),
        (OutcomeUnknown("x"), "unknown"),
        (OutcomeUnknown("x", code="no-such-session"), "none"),
        (OutcomeUnknown("x", code="no-such-attempt"), "none"),
        (ValueError("x"), "unknown"),
        (with_effect(NotAllowed("x"), "done"), "done"),
        (with_effect(NotAllowed("x"), "unknown"), "unknown"),
        (with_effect(ValueError("x"), "none"), "none"),
        (with_effect(OutcomeUnknown("x"), "nonsense"), "unknown"),
    ],
)
def test_the_effect_is_the_handlers_word_or_else_the_safe_guess(error: Exception, effect: str) -> None:
    assert failure(1, error).effect == effect
