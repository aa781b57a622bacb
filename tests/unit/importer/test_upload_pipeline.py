"""One file on its way: read once, one write in flight, resumed where the server has it, refused when it has changed."""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dropbox_import.errors import DiskFull, FileBusy, OutcomeUnknown, Paused, ServerUnavailable
from dropbox_import.importer import upload
from dropbox_import.importer.attempts import Attempt
from dropbox_import.importer.records import HeldAttempt
from dropbox_import.importer.upload import FileToSend
from tests.unit.importer.foreign import errors

assert errors


class Uploader:
    """OMERO's RawFileStore as far as an upload needs it; two writes at once are a failure, as there."""

    def __init__(self, content: bytes = b"") -> None:
        self.content = bytearray(content)
        self.in_flight = 0
        self.most = 0
        self.writes: list[tuple[int, int]] = []
        self.closed = False

    def ice_invocationTimeout(self, _milliseconds: int) -> Uploader:  # noqa: N802
        return self

    def size(self) -> int:
        return len(self.content)

    def truncate(self, size: int) -> bool:
        del self.content[size:]
        return True

    def write(self, block: bytes, offset: int, size: int) -> None:
        self.in_flight += 1
        self.most = max(self.most, self.in_flight)
        self.writes.append((offset, size))
        self.while_writing()
        self.content[offset : offset + size] = block
        self.in_flight -= 1

    def while_writing(self) -> None: ...

    def close(self) -> None:
        self.closed = True


class Session:
    """Shows what the uploader stored once it was closed."""

    def __init__(self, uploader: Uploader, stores: bool = True) -> None:
        self.uploader = uploader
        self.stores = stores
        self.config = SimpleNamespace(seconds=lambda _name, default: default)
        self.held: list[Attempt] = []

    def ask(self, _hql: str, f: int) -> list[list[Any]]:
        if not (self.uploader.closed and self.stores):
            return [["i/a.tif", "", "", None, None, "SHA1-160"]]
        content = bytes(self.uploader.content)
        return [["i/a.tif", "", "", len(content), hashlib.sha1(content).hexdigest(), "SHA1-160"]]

    def hold(self, attempt: Attempt) -> None:
        self.held.append(attempt)


class Silent:
    def progress(self, **_told: Any) -> None: ...

    def in_call(self, _name: str, bytes: int = 0) -> None: ...


def _attempt(uploader: Uploader | None, fresh: bool = True) -> Attempt:
    process = SimpleNamespace(getUploader=lambda _index: uploader)
    return Attempt(HeldAttempt("d", "k", 1, 5, "proxy"), process, fresh=fresh)


def _send(tmp_path: Path, content: bytes, uploader: Uploader, *, fresh: bool = True, size: int | None = None, stores: bool = True) -> Any:
    (tmp_path / "a.tif").write_bytes(content)
    file = FileToSend("a.tif", "i/a.tif", len(content) if size is None else size)
    session: Any = Session(uploader, stores)
    attempt = _attempt(uploader, fresh)
    return upload.send(session, attempt, tmp_path, [file], Silent()), session, attempt


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload, "BLOCK", 1000)


def test_one_write_is_in_flight_and_the_hash_is_of_the_whole_file(tmp_path: Path) -> None:
    content = bytes(range(256)) * 20
    uploader = Uploader()
    (sent,), session, attempt = _send(tmp_path, content, uploader)
    assert uploader.most == 1
    assert bytes(uploader.content) == content
    assert (sent.size, sent.sha1) == (5120, hashlib.sha1(content).hexdigest())
    assert uploader.writes == [(0, 0), (0, 1000), (1000, 1000), (2000, 1000), (3000, 1000), (4000, 1000), (5000, 120)]
    assert session.held == [attempt]


def test_the_next_block_is_read_during_a_write_and_not_over_the_one_that_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done, read = threading.Condition(), 0
    fill = upload._fill

    def counted(source: int, buffer: memoryview) -> int:
        nonlocal read
        found = fill(source, buffer)
        with done:
            read += 1
            done.notify_all()
        return found

    class Slow(Uploader):
        def while_writing(self) -> None:
            """The first write only makes the file; so at the second one, of the first block, two blocks must be read."""
            with done:
                assert len(self.writes) == 1 or done.wait_for(lambda: read >= len(self.writes), timeout=20)

    monkeypatch.setattr(upload, "_fill", counted)
    content = bytes(range(256)) * 20
    uploader = Slow()
    _send(tmp_path, content, uploader)
    assert bytes(uploader.content) == content


def test_an_empty_file_is_touched_and_closed(tmp_path: Path) -> None:
    uploader = Uploader()
    _send(tmp_path, b"", uploader)
    assert uploader.writes == [(0, 0)]
    assert uploader.closed


def test_a_joined_attempt_goes_on_where_the_server_is(tmp_path: Path) -> None:
    content = bytes(range(256)) * 10
    uploader = Uploader(content[:1500])
    (sent,), _session, _attempt = _send(tmp_path, content, uploader, fresh=False)
    assert uploader.writes[0] == (1500, 1000)
    assert sent.sha1 == hashlib.sha1(content).hexdigest()


def test_more_bytes_than_the_file_has_are_cut_away(tmp_path: Path) -> None:
    uploader = Uploader(b"x" * 99)
    _send(tmp_path, b"short", uploader, fresh=False)
    assert bytes(uploader.content) == b"short"


def test_a_resumed_upload_of_other_bytes_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(OutcomeUnknown, match="not what was sent"):
        _send(tmp_path, b"a" * 3000, Uploader(b"b" * 1000), fresh=False)


def test_a_file_that_is_stored_already_is_not_sent_again_unless_it_is_wrong(tmp_path: Path) -> None:
    same, other = Uploader(b"12345"), Uploader(b"54321")
    same.closed = other.closed = True
    _send(tmp_path, b"12345", same, fresh=False)
    assert same.writes == []
    _send(tmp_path, b"12345", other, fresh=False)
    assert bytes(other.content) == b"12345"


@pytest.mark.parametrize("size", [4, 6])
def test_a_file_that_changed_since_the_inspection_is_not_sent(tmp_path: Path, size: int) -> None:
    with pytest.raises(FileBusy) as changed:
        _send(tmp_path, b"12345", Uploader(), size=size)
    assert changed.value.kind == "member-changed"


def test_a_close_that_stored_no_hash_means_a_full_disk(tmp_path: Path) -> None:
    with pytest.raises(DiskFull, match="did not store"):
        _send(tmp_path, b"12345", Uploader(), stores=False)


def test_cancel_stops_between_two_blocks(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(b"x" * 5000)
    uploader = Uploader()
    attempt = _attempt(uploader)
    attempt.cancelled = threading.Event()
    attempt.cancelled.set()
    session: Any = Session(uploader)
    with pytest.raises(Paused):
        upload.send(session, attempt, tmp_path, [FileToSend("a.tif", "i/a.tif", 5000)], Silent())
    assert uploader.writes == [(0, 0)]


@pytest.mark.parametrize(("fresh", "kind", "code"), [(True, ServerUnavailable, "no-uploader"), (False, OutcomeUnknown, "no-such-attempt")])
def test_a_file_that_the_server_does_not_open(tmp_path: Path, fresh: bool, kind: type[Exception], code: str) -> None:
    (tmp_path / "a.tif").write_bytes(b"x")
    session: Any = Session(Uploader())
    with pytest.raises(kind) as refused:
        upload.send(session, _attempt(None, fresh), tmp_path, [FileToSend("a.tif", "i/a.tif", 1)], Silent())
    assert getattr(refused.value, "kind", "") == code
