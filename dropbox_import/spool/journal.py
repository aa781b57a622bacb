"""`journal.jsonl`: what was intended and what happened, one JSON object a line, each with a check sum.

A record is durable when `append` with `sync=True` has returned. A torn tail (a crash in the
middle of the last line, or a file that grew without its bytes) is cut before the next append.
Any other damage raises JournalDamaged: then nothing of that drop is touched. The daemon is the
only writer.

A journal goes on in a new segment (`journal-0002.jsonl`, with all records so far) where the old
file cannot be trusted any more: after a sync that failed, where it has lost its end, and where another instance, which may
not know it yet, still has its hand on the old one. The newest segment counts, and in it each line
of an older epoch than the line before is ignored.
"""

from __future__ import annotations

import errno
import hashlib
import hmac
import json
import logging
import re
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dropbox_import.clock import Clock
from dropbox_import.disk import files
from dropbox_import.disk.facts import NotAPlainFile, is_there, read_below
from dropbox_import.disk.files import Appender
from dropbox_import.errors import JournalDamaged

log = logging.getLogger(__name__)

VERSION = 1
_LONGEST = 1 << 29  # bytes; ten thousand filesets need some 30 million
_SEGMENT = re.compile(r"journal(?:-(\d{4,}))?\.jsonl")
_unsure: set[Path] = set()  # files of which a sync failed in this process: what they show may not be on the disk, and never come there


@dataclass(frozen=True, slots=True)
class Record:
    """One line. `kind` is the step's word; `key` and `attempt` name a fileset's try where the record concerns one; `at` is UTC."""

    kind: str
    data: dict[str, Any] = field(default_factory=dict)
    key: str = ""
    attempt: int = 0
    number: int = 0
    epoch: int = 1
    at: str = ""


def encode(record: Record) -> bytes:
    line: dict[str, Any] = {"v": VERSION, "e": record.epoch, "n": record.number, "t": record.at, "r": record.kind}
    if record.key:
        line["k"] = record.key
    if record.attempt:
        line["a"] = record.attempt
    if record.data:
        line["d"] = record.data
    body = json.dumps(line, ensure_ascii=True, separators=(",", ":"))
    return f'{body[:-1]},"c":"{zlib.crc32(body.encode()):08x}"}}\n'.encode()


def decode(line: bytes) -> Record:
    """Raises ValueError or KeyError for a line that is no whole record, JournalDamaged for one of a version this release does not know."""
    body, _, check = line.rpartition(b',"c":"')
    if not body or check[-2:] != b'"}' or f"{zlib.crc32(body + b'}'):08x}".encode() != check[:-2]:
        raise ValueError("check sum")
    read = json.loads(body + b"}")
    version, number, epoch, at, kind = read["v"], read["n"], read["e"], read["t"], read["r"]
    data, key, attempt = read.get("d", {}), read.get("k", ""), read.get("a", 0)
    # Who may write in a filed folder can give any line its right check sum.
    whole = isinstance(version, int) and isinstance(number, int) and isinstance(epoch, int) and isinstance(attempt, int)
    if not (whole and isinstance(at, str) and isinstance(kind, str) and isinstance(key, str) and isinstance(data, dict)):
        raise ValueError("no record")
    if version != VERSION:
        raise JournalDamaged(
            f"the journal has a record of version {version}, which this release (version {VERSION}) does not know",
            hint="run the release that wrote it, or a newer one; the drop is held until then",
        )
    return Record(kind, data, key, attempt, number, epoch, at)


def read(raw: bytes, name: str = "journal.jsonl") -> tuple[tuple[Record, ...], int]:
    """The records in `raw` and how many of its bytes are good; what follows those is a torn tail. Raises JournalDamaged."""
    records: list[Record] = []
    good = 0
    while good < len(raw):
        end = raw.find(b"\n", good)
        try:
            if end < 0:
                raise ValueError("no end of line")
            record = decode(raw[good:end])
            if records and record.epoch < records[-1].epoch:  # by an instance from which the drop was taken
                good = end + 1
                continue
            if record.number != len(records) + 1:
                raise ValueError("out of sequence")
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            rest = raw[good:]
            if b"\n" in rest and rest.strip(b"\0"):
                raise JournalDamaged(
                    f"{name} is damaged after record {len(records)} ({error})",
                    hint="look at the file; the drop is held and nothing of it is touched",
                ) from error
            return tuple(records), good
        records.append(record)
        good = end + 1
    return tuple(records), good


def segments(folder: Path) -> tuple[Path, ...]:
    """The segments of the journal in a claim, the newest last. Raises OSError."""
    found = [(int(match[1] or 1), path) for path in folder.iterdir() if (match := _SEGMENT.fullmatch(path.name)) is not None]
    return tuple(path for _, path in sorted(found))


def read_newest(folder: Path) -> tuple[Record, ...]:
    """What the journal in a claim says, without touching it; () where there is none. Raises JournalDamaged, OSError."""
    found = segments(folder)
    return read(raw_bytes(found[-1]), found[-1].name)[0] if found else ()


def raw_bytes(path: Path) -> bytes:
    """Filed folders are their users', who may put anything there: a link is not followed, a fifo not waited for."""
    try:
        raw = read_below(path.parent, path.name, _LONGEST + 1)
    except NotAPlainFile as error:
        raise JournalDamaged(f"{path.name} is no plain file", hint="look at the folder; nothing of it is touched") from error
    if len(raw) > _LONGEST:
        raise JournalDamaged(f"{path.name} is longer than any journal", hint="look at the file; nothing of its drop is touched")
    return raw


def vouch(records: Sequence[Record], to: str, key: bytes) -> str:
    """What only the holder of `key` could write below these records about their drop's filing at `to`."""
    return hmac.new(key, b"".join(map(encode, records)) + to.encode("utf-8", "surrogateescape"), hashlib.sha256).hexdigest()


def vouched(records: Sequence[Record], key: bytes) -> bool:
    """Whether these records of a filed drop are, to the last one, what the holder of `key` wrote."""
    if not records or records[-1].kind != "file":
        return False
    said = records[-1].data
    try:
        ours = vouch(records[:-1], str(said.get("to", "")), key)
    except (ValueError, RecursionError):  # text that no name has, or depth: nothing that we write
        return False
    return hmac.compare_digest(str(said.get("mac", "")).encode("utf-8", "replace"), ours.encode("ascii"))


class Journal:
    """The journal of one claim. Between two appends nothing of it is open, so that ten thousand claims cost no descriptors."""

    def __init__(self, path: Path, clock: Clock, records: Sequence[Record]) -> None:
        self.path = path
        self.records: list[Record] = list(records)  # only ever added to: a new tuple at each record would copy all of them
        self._stale = False  # something else than `records` may be in the file
        self._clock = clock
        self._torn: int | None = None  # where the torn tail begins
        self._size = 0  # bytes in the file

    @property
    def unsure(self) -> bool:
        """What this file shows may not be on the disk, whoever opened it: the journal is to go on in a new segment."""
        return self.path in _unsure

    @property
    def overtaken(self) -> bool:
        """Whether somebody else has gone on in a newer segment. Raises OSError."""
        return is_there(self._next_path())

    @classmethod
    def create(cls, folder: Path, clock: Clock) -> Journal:
        path = folder / "journal.jsonl"
        Appender(path, create=True).close()
        return cls(path, clock, ())

    @classmethod
    def open(cls, folder: Path, clock: Clock) -> Journal | None:
        """Read the newest segment; None where there is no journal. Raises JournalDamaged, OSError.

        A torn tail is cut before the next append.
        """
        found = segments(folder)
        if not found:
            return None
        raw = raw_bytes(found[-1])
        records, good = read(raw, found[-1].name)
        journal = cls(found[-1], clock, records)
        journal._torn, journal._size = good if good < len(raw) else None, len(raw)
        return journal

    def append(self, records: Iterable[Record], *, sync: bool = True) -> None:
        """Write the records with one sync for all.

        A file server that went down may have lost what was not synced, with this process alive: then the journal goes on in a new
        segment with all that is known, or there would be a gap in it.
        Raises OSError: then none of them may be acted on, and the journal must be opened anew.
        """
        if self._stale:
            raise OSError(errno.EIO, "it could not be written before, and is to be read anew first", str(self.path))
        fresh = self._numbered(records, 0)
        with Appender(self.path, create=False) as appender:
            if appender.size() >= self._size or self.overtaken:
                self._add(appender, fresh, sync)
                return
        log.warning("%s has lost its end; it goes on in a new file, with all that was written", self.path)
        self.new_segment()
        with Appender(self.path, create=False) as appender:
            self._add(appender, fresh, sync)

    def _add(self, appender: Appender, fresh: Sequence[Record], sync: bool) -> None:
        if self._torn is not None:
            appender.truncate(self._torn)
            self._sync(appender)
            self._torn = None
        self._stale = True
        appender.append(b"".join(encode(record) for record in fresh))
        if sync:
            self._sync(appender)
        self._size, self._stale = appender.size(), False
        self.records += fresh

    def _sync(self, appender: Appender) -> None:
        try:
            appender.sync()
        except OSError:
            _unsure.add(self.path)
            raise

    def new_segment(self, records: Iterable[Record] = ()) -> None:
        """Go on in a fresh file with all that is known, and with `records` as the beginning of a new epoch. Raises OSError."""
        fresh, path = self._numbered(records, 1), self._next_path()
        whole = b"".join(encode(record) for record in (*self.records, *fresh))
        files.replace(path, whole)
        _unsure.discard(self.path)
        self.path, self._stale, self._torn, self._size = path, False, None, len(whole)
        self.records += fresh

    def _next_path(self) -> Path:
        last = _SEGMENT.fullmatch(self.path.name)
        return self.path.with_name(f"journal-{int(last[1] or 1) + 1 if last else 2:04}.jsonl")

    def _numbered(self, records: Iterable[Record], epochs: int) -> tuple[Record, ...]:
        last = self.records[-1] if self.records else None
        number, epoch = (last.number, last.epoch + epochs) if last else (0, 1)
        at = self._clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return tuple(
            Record(record.kind, record.data, record.key, record.attempt, number + place, epoch, at)
            for place, record in enumerate(records, 1)
        )
