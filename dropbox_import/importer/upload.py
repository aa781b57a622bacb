"""Sending the files of an attempt: each is read once, hashed and sent at the same time, and compared with what the server stored."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dropbox_import.disk.facts import open_below
from dropbox_import.disk.trouble import as_ours as disk_trouble
from dropbox_import.errors import DiskFull, FileBusy, OutcomeUnknown, Paused, ServerUnavailable
from dropbox_import.importer.attempts import Attempt, Teller
from dropbox_import.importer.connection import patient
from dropbox_import.importer.errors import WAITS, calling
from dropbox_import.importer.fileset import files_of
from dropbox_import.importer.records import Sent
from dropbox_import.importer.sessions import OwnerSession

BLOCK = 5_000_000
OPEN_AT_ONCE = 100
WRITE_SECONDS = 300.0
CLOSE_SECONDS = 100.0
SLOWEST = 5_000_000  # bytes a second that a server hashes at least


@dataclass(frozen=True, slots=True)
class FileToSend:
    path: str
    client_path: str
    size: int

    @classmethod
    def from_args(cls, args: Mapping[str, Any]) -> FileToSend:
        return cls(args["path"], args["client_path"], args["size"])


class _Counter:
    """Progress over all files."""

    def __init__(self, teller: Teller, total: int) -> None:
        self._teller = teller
        self._total = total
        self._done = 0

    def add(self, size: int) -> None:
        self._done += size
        self._teller.progress(bytes=self._done, total=self._total)

    def call(self, name: str, size: int = 0) -> None:
        self._teller.in_call(name, bytes=size)


def send(session: OwnerSession, attempt: Attempt, root: Path, files: Sequence[FileToSend], teller: Teller) -> tuple[Sent, ...]:
    """All bytes are on the server, closed and equal to ours when it returns. May be asked again: what is there already is not sent again.

    Raises FileBusy for a file that is not of the given size (any more), DiskFull, ServerUnavailable, OutcomeUnknown, Paused (cancelled).
    """
    counter = _Counter(teller, sum(each.size for each in files))
    stored = {} if attempt.fresh else files_of(session, attempt.fileset)
    fresh, attempt.fresh = attempt.fresh, False
    # only uploaders that were opened can be reached again by a successor, so all are opened first, unless they are very many
    if len(files) <= OPEN_AT_ONCE:
        for index, each in enumerate(files):
            if not _is_stored(stored, each):
                counter.call("open")
                _uploader(attempt, index)
    sent = tuple(_send_one(session, attempt, index, root, each, counter, stored, fresh) for index, each in enumerate(files))
    _compare(session, attempt, sent)
    attempt.sent = sent
    session.hold(attempt)
    return sent


def _is_stored(stored: Mapping[str, tuple[int | None, str | None]], file: FileToSend) -> bool:
    size, sha1 = stored.get(file.client_path, (None, None))
    return size == file.size and bool(sha1)


def _send_one(
    session: OwnerSession,
    attempt: Attempt,
    index: int,
    root: Path,
    file: FileToSend,
    counter: _Counter,
    stored: Mapping[str, tuple[int | None, str | None]],
    fresh: bool,
) -> Sent:
    try:
        source = open_below(root, file.path)
    except OSError as error:
        raise disk_trouble(error, f'reading "{file.path}"') from error
    try:
        if os.fstat(source).st_size != file.size:
            raise _changed(file)
        if _is_stored(stored, file):
            counter.call("hash", file.size)
            sha1 = _hash_of(source, file, file.size).hexdigest()
            if sha1 == stored[file.client_path][1]:
                counter.add(file.size)
                return Sent(file.client_path, file.size, sha1)
            _cut_to_nothing(attempt, index)
        return Sent(file.client_path, file.size, _transfer(session, attempt, index, source, file, counter, fresh))
    except OSError as error:
        raise disk_trouble(error, f'reading "{file.path}"') from error
    finally:
        os.close(source)


def _transfer(session: OwnerSession, attempt: Attempt, index: int, source: int, file: FileToSend, counter: _Counter, fresh: bool) -> str:
    uploader = _uploader(attempt, index)
    there = 0
    if not fresh:
        with calling("asking how much of a file is there"):
            there = uploader.size()
            if there > file.size:
                uploader.truncate(0)
                there = 0
    counter.call("hash", there)
    digest = _hash_of(source, file, there)
    counter.add(there)
    writer = patient(uploader, session.config.seconds("write", WRITE_SECONDS))
    with calling(f'sending "{file.path}"'):
        if there == 0:
            counter.call("write")
            writer.write(b"", 0, 0)  # an empty file exists only after a write
        _stream(writer, attempt, source, file, there, digest, counter)
        counter.call("close", file.size)
        patient(uploader, session.config.seconds("close", CLOSE_SECONDS) + file.size / SLOWEST).close()
    return digest.hexdigest()


def _cut_to_nothing(attempt: Attempt, index: int) -> None:
    """What the server has is wrong: nothing of it is kept."""
    uploader = _uploader(attempt, index)
    with calling("starting a file over"):
        uploader.truncate(0)


def _stream(writer: Any, attempt: Attempt, source: int, file: FileToSend, start: int, digest: Any, counter: _Counter) -> None:
    """While one block is sent the next one is read and hashed, in a thread: encryption alone keeps this one busy.

    Never two writes at once: on one uploader they fail. Two buffers serve all blocks; new ones would be most of the worker's memory.
    """
    offset = start
    buffers = [memoryview(bytearray(min(BLOCK, file.size - start))) for _ in range(2)]
    os.lseek(source, start, os.SEEK_SET)

    def prepare(number: int, left: int) -> memoryview:
        buffer = buffers[number % 2]
        block = buffer[: _fill(source, buffer[:left])]
        digest.update(block)
        return block

    with ThreadPoolExecutor(1, "read") as helper:
        ahead = helper.submit(prepare, 0, file.size - offset)
        number = 0
        while block := ahead.result():
            number += 1
            ahead = helper.submit(prepare, number, file.size - offset - len(block))
            if attempt.cancelled.is_set():
                raise Paused("The upload was stopped.", hint=WAITS, code="cancelled")
            counter.call("write", len(block))
            writer.write(block, offset, len(block))
            counter.add(len(block))
            offset += len(block)
    if offset != file.size or os.fstat(source).st_size != file.size:
        raise _changed(file)


def _fill(source: int, buffer: memoryview) -> int:
    """How many bytes were read: less than there is room for only at the end of the file."""
    filled = 0
    with io.FileIO(source, closefd=False) as stream:
        while filled < len(buffer) and (more := stream.readinto(buffer[filled:])):
            filled += more
    return filled


def _hash_of(source: int, file: FileToSend, size: int) -> Any:
    """The hash of the first `size` bytes."""
    digest, left = hashlib.sha1(usedforsecurity=False), size
    buffer = memoryview(bytearray(min(BLOCK, size)))
    os.lseek(source, 0, os.SEEK_SET)
    while left > 0 and (read := _fill(source, buffer[:left])):
        digest.update(buffer[:read])
        left -= read
    if left:
        raise _changed(file)
    return digest


def _uploader(attempt: Attempt, index: int) -> Any:
    with calling("opening a file at the server"):
        uploader = attempt.process.getUploader(index)
    if uploader is None and attempt.joined:
        # the server opens files for the connection that began the process only
        raise OutcomeUnknown("That import cannot be continued; it starts over.", hint=WAITS, code="no-such-attempt")
    if uploader is None:
        raise ServerUnavailable("OMERO does not open a file of this import.", hint=WAITS, code="no-uploader")
    return uploader


def _compare(session: OwnerSession, attempt: Attempt, sent: Sequence[Sent]) -> None:
    stored = files_of(session, attempt.fileset)
    for each in sent:
        size, sha1 = stored.get(each.client_path, (None, None))
        if sha1 is None:
            # a full disk is the one known cause: the server says nothing, and stores no hash
            raise DiskFull(
                f'OMERO did not store "{each.client_path}" to its end.',
                hint="Is the disk of the OMERO server full? " + WAITS,
                code="server-disk-full",
            )
        if (size, sha1) != (each.size, each.sha1):
            raise OutcomeUnknown(f'What OMERO stored of "{each.client_path}" is not what was sent.', hint=WAITS, code="checksum")


def _changed(file: FileToSend) -> FileBusy:
    return FileBusy(f'"{file.path}" has changed since it was inspected.', hint="It is inspected again.", code="member-changed")
