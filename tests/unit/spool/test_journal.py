"""The journal keeps what was synced, cuts what was torn, and refuses what is damaged."""

from __future__ import annotations

import errno
import json
import os
import zlib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropbox_import.disk import observe
from dropbox_import.disk.files import Appender
from dropbox_import.errors import JournalDamaged
from dropbox_import.spool.journal import Journal, Record, decode, encode, read, read_newest, vouch, vouched
from tests.support.clocks import HandClock

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8
)


def lines(count: int) -> bytes:
    return b"".join(encode(Record(f"kind-{number}", {"x": number}, number=number)) for number in range(1, count + 1))


@given(st.text(min_size=1), st.dictionaries(st.text(), values), st.text(), st.integers(0, 99))
def test_a_record_comes_back_as_it_was(kind: str, data: dict[str, object], key: str, attempt: int) -> None:
    record = Record(kind, data, key, attempt, 7, 2, "2026-11-22T09:39:12.000Z")
    assert decode(encode(record).rstrip(b"\n")) == record


@given(st.integers(0, 400))
def test_any_cut_gives_the_records_before_it_or_is_called_damage(cut: int) -> None:
    raw = lines(4)
    cut = min(cut, len(raw))
    records, good = read(raw[:cut])
    whole = raw[:cut].count(b"\n")
    assert (len(records), good) == (whole, len(b"".join(raw.splitlines(keepends=True)[:whole])))


@given(st.integers(0, 10_000), st.integers(0, 7))
def test_a_flipped_bit_never_gives_a_record_that_was_not_written(place: int, bit: int) -> None:
    raw = bytearray(lines(4))
    raw[place % len(raw)] ^= 1 << bit
    written = read(lines(4))[0]
    try:
        records, _ = read(bytes(raw))
    except JournalDamaged:
        return
    assert records == written[: len(records)]
    assert len(records) >= 3, "only the last record may look torn"


def test_a_torn_tail_is_cut_before_the_next_record(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(lines(2) + b'{"v":1,"e":1,"n":3')
    journal = Journal.open(tmp_path, HandClock())
    assert journal is not None
    journal.append([Record("next")])
    assert [record.kind for record in read(path.read_bytes())[0]] == ["kind-1", "kind-2", "next"]


def test_damage_in_the_middle_is_told_and_nothing_is_changed(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    raw = lines(3).replace(b"kind-2", b"kind-X")
    path.write_bytes(raw)
    with pytest.raises(JournalDamaged, match="damaged after record 1"):
        Journal.open(tmp_path, HandClock())
    assert path.read_bytes() == raw


def test_a_record_of_a_newer_release_holds_the_drop() -> None:
    body = json.dumps({"v": 99, "e": 1, "n": 1, "t": "", "r": "new"})
    line = f'{body[:-1]},"c":"{zlib.crc32(body.encode()):08x}"}}\n'.encode()
    with pytest.raises(JournalDamaged, match="version 99"):
        read(line)


def test_a_gap_in_the_numbers_is_damage() -> None:
    raw = lines(3).splitlines(keepends=True)
    with pytest.raises(JournalDamaged, match="out of sequence"):
        read(raw[0] + raw[2] + encode(Record("more", number=4)))


def test_records_of_one_moment_share_one_sync(tmp_path: Path) -> None:
    seen: list[str] = []
    journal = Journal.create(tmp_path, HandClock())
    observe.set_observer(lambda when, what, path: seen.append(what) if when == "before" else None)
    try:
        journal.append([Record("one"), Record("two"), Record("three")])
    finally:
        observe.set_observer(None)
    assert seen.count("sync") == 1


def test_a_new_segment_holds_all_and_counts_alone(tmp_path: Path) -> None:
    journal = Journal.create(tmp_path, HandClock())
    journal.append([Record("one"), Record("two")])
    journal.new_segment()
    journal.append([Record("three")])
    with Appender(tmp_path / "journal.jsonl", create=False) as stranger:
        stranger.append(b"what somebody writes who still has the old file\n")
    again = Journal.open(tmp_path, HandClock())
    assert again is not None and again.path.name == "journal-0002.jsonl"
    assert [(one.kind, one.number, one.epoch) for one in again.records] == [("one", 1, 1), ("two", 2, 1), ("three", 3, 1)]


def test_a_file_that_lost_its_end_while_we_live_gets_no_gap(tmp_path: Path) -> None:
    """A file server that comes back has what was synced; this process has the rest."""
    journal = Journal.create(tmp_path, HandClock())
    journal.append([Record("one")])
    journal.append([Record("two")], sync=False)
    os.truncate(journal.path, len(encode(journal.records[0])))
    journal.append([Record("three")])
    again = Journal.open(tmp_path, HandClock())
    assert again is not None and again.path.name == "journal-0002.jsonl"
    assert [(one.kind, one.number, one.epoch) for one in again.records] == [("one", 1, 1), ("two", 2, 1), ("three", 3, 1)]
    os.truncate(again.path, len(encode(again.records[0])))
    again.append([Record("four")])
    assert [one.kind for one in read_newest(tmp_path)] == ["one", "two", "three", "four"]


def test_lines_of_an_older_epoch_are_ignored(tmp_path: Path) -> None:
    journal = Journal.create(tmp_path, HandClock())
    journal.append([Record("one")])
    journal.new_segment([Record("adopted")])
    stale = encode(Record("begin", number=2, epoch=1))
    with Appender(journal.path, create=False) as stranger:
        stranger.append(stale)
    journal.append([Record("next")])
    records = read(journal.path.read_bytes())[0]
    assert [(one.kind, one.number, one.epoch) for one in records] == [("one", 1, 1), ("adopted", 2, 2), ("next", 3, 2)]


def test_a_sync_that_failed_leaves_the_journal_unsure(tmp_path: Path) -> None:
    journal = Journal.create(tmp_path, HandClock())

    def broken(when: str, what: str, path: Path) -> None:
        if (when, what) == ("before", "sync"):
            raise OSError(errno.EIO, "broken")

    observe.set_observer(broken)
    try:
        with pytest.raises(OSError, match="broken"):
            journal.append([Record("one")])
    finally:
        observe.set_observer(None)
    assert journal.unsure and not journal.records
    again = Journal.open(tmp_path, HandClock())
    assert again is not None and again.unsure, "who opens it later, in this process, would believe what it shows"
    again.new_segment()
    assert not again.unsure and again.path.name == "journal-0002.jsonl"


@pytest.mark.parametrize("what", ["write", "sync"])
def test_after_an_error_nothing_is_added_until_it_is_read_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    """A reply may come between: its record would have the number of one that is in the file already, and nobody could read it again."""

    def refuse(when: str, op: str, path: Path) -> None:
        if (when, op) == ("before", what):
            raise OSError(errno.ENOSPC, "full")

    journal = Journal.create(tmp_path, HandClock())
    journal.append([Record("intent")])
    monkeypatch.setattr(observe, "observer", refuse)
    with pytest.raises(OSError, match="full"):
        journal.append([Record("claimed")])
    monkeypatch.setattr(observe, "observer", None)
    with pytest.raises(OSError, match="read anew"):
        journal.append([Record("inspected")])
    again = Journal.open(tmp_path, HandClock())
    assert again is not None
    again.append([Record("inspected")])
    numbers = [record.number for record in again.records]
    assert numbers == list(range(1, len(numbers) + 1))


def test_only_the_holder_of_the_key_vouches_for_a_filed_journal() -> None:
    records = tuple(Record(f"kind-{number}", number=number) for number in (1, 2))
    filed = (*records, Record("file", {"to": "failed/x", "mac": vouch(records, "failed/x", b"key")}, number=3))
    assert vouched(filed, b"key")
    assert not vouched(filed, b"another key")
    assert not vouched(records, b"key")
    assert not vouched((*records[:1], filed[2]), b"key")
    assert not vouched((*filed[:2], replace(filed[2], data={**filed[2].data, "to": "done/x"})), b"key")
    assert not vouched((*filed, Record("claimed", number=4)), b"key")


@pytest.mark.parametrize("said", [{"mac": "é"}, {"mac": "\ud800"}, {"mac": ["0"]}, {"to": "\ud800", "mac": "0"}, {}])
def test_nonsense_in_the_place_of_a_voucher_vouches_for_nothing(said: dict[str, object]) -> None:
    assert not vouched((Record("claimed", number=1), Record("file", said, number=2)), b"key")


@pytest.mark.parametrize(
    "wrong", [{"v": "1"}, {"n": "1"}, {"n": 1.0}, {"e": None}, {"a": [1]}, {"r": 5}, {"k": {}}, {"t": 7}, {"d": [1]}, {"d": None}], ids=str
)
def test_a_line_of_a_senseless_shape_is_no_record_whatever_its_check_sum(wrong: dict[str, object]) -> None:
    body = json.dumps({"v": 1, "e": 1, "n": 1, "t": "now", "r": "file", "k": "k", "a": 1, "d": {}} | wrong, separators=(",", ":"))
    line = f'{body[:-1]},"c":"{zlib.crc32(body.encode()):08x}"}}'.encode()
    with pytest.raises(ValueError, match="no record"):
        decode(line)
    with pytest.raises(JournalDamaged):
        read(line + b"\n")
