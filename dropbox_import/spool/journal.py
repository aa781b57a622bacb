"""`journal.jsonl`: what was intended and what happened, one JSON object a line, each with a check sum.

A record is durable when `append` with `sync=True` has returned. A torn tail (a crash in the
middle of the last line, or a file that grew without its bytes) is cut before the next append.
Any other damage raises JournalDamaged: then nothing of that drop is touched. The daemon is the
only writer.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dropbox_import.clock import Clock
from dropbox_import.disk.files import Appender
from dropbox_import.errors import JournalDamaged

VERSION = 1


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
    """Raises ValueError for a line that is not whole, JournalDamaged for a whole one of a version this release does not know."""
    body, _, check = line.rpartition(b',"c":"')
    if not body or check[-2:] != b'"}' or f"{zlib.crc32(body + b'}'):08x}".encode() != check[:-2]:
        raise ValueError("check sum")
    read = json.loads(body + b"}")
    if read["v"] != VERSION:
        raise JournalDamaged(
            f"the journal has a record of version {read['v']}, which this release (version {VERSION}) does not know",
            hint="run the release that wrote it, or a newer one; the drop is held until then",
        )
    return Record(read["r"], read.get("d", {}), read.get("k", ""), read.get("a", 0), read["n"], read["e"], read["t"])


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


class Journal:
    """The journal of one claim, open for appending."""

    def __init__(self, path: Path, clock: Clock, records: Sequence[Record], appender: Appender) -> None:
        self.path = path
        self.records: tuple[Record, ...] = tuple(records)
        self._clock = clock
        self._appender = appender

    @classmethod
    def create(cls, path: Path, clock: Clock) -> Journal:
        return cls(path, clock, (), Appender(path, create=True))

    @classmethod
    def open(cls, path: Path, clock: Clock) -> Journal:
        """Read it and cut a torn tail. Raises JournalDamaged, OSError."""
        raw = path.read_bytes()
        records, good = read(raw, path.name)
        appender = Appender(path, create=False)
        if good < len(raw):
            appender.truncate(good)
            appender.sync()
        return cls(path, clock, records, appender)

    def append(self, records: Iterable[Record], *, sync: bool = True) -> None:
        """Write the records with one sync for all.

        Raises OSError: then none of them may be acted on, and the journal must be opened anew.
        """
        last = self.records[-1] if self.records else None
        number, epoch = (last.number, last.epoch) if last else (0, 1)
        at = self._clock.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        fresh = []
        for record in records:
            number += 1
            fresh.append(Record(record.kind, record.data, record.key, record.attempt, number, epoch, at))
        self._appender.append(b"".join(encode(record) for record in fresh))
        if sync:
            self._appender.sync()
        self.records += tuple(fresh)

    def close(self) -> None:
        self._appender.close()
