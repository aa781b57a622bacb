"""What a look at a real folder takes over from the one before, for any history of a file."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dropbox_import import sidecar
from dropbox_import.intake.tracker import Moment
from dropbox_import.intake.tree import Entry, Listing, look
from dropbox_import.model import ImportRequest
from tests.integration.intake_help import Desk, T

# None: the file is not there. A number: with that content and time, written anew if it is another one than before.
histories = st.lists(st.none() | st.integers(0, 2), min_size=1, max_size=15)


def put(path: Path, mark: int | None, before: int | None) -> None:
    if mark is None:
        path.unlink(missing_ok=True)
    elif mark != before:
        path.write_bytes(b"x" * mark)
        os.utime(path, (mark, mark))


@settings(max_examples=60, deadline=None)
@given(histories, st.booleans())
def test_since_when_a_file_is_as_it_is_and_when_its_name_was_seen_first(history: list[int | None], stable: bool) -> None:
    """Against the plain reading: look back over all looks. Beside it lies a file that never changes."""
    with tempfile.TemporaryDirectory() as folder:
        file, still = Path(folder) / "cells.tif", Path(folder) / "still.tif"
        still.write_bytes(b"still")
        last: Listing | None = None
        moments: list[Moment] = []
        for number, mark in enumerate(history):
            put(file, mark, history[number - 1] if number else None)
            moments.append(Moment(number + 1))
            listing = look(Path(folder), stable_ids=stable, moment=moments[-1], last=last)
            beside, entry = listing.get("still.tif"), listing.get("cells.tif")
            assert beside is not None
            assert (beside.since, beside.first) == (moments[0], moments[0])
            assert listing.is_like(last) is (number > 0 and mark == history[number - 1])
            if mark is None:
                assert entry is None
            else:
                same = there = number
                while same > 0 and history[same - 1] == mark:
                    same -= 1
                while there > 0 and history[there - 1] is not None:
                    there -= 1
                assert entry is not None
                assert (entry.since, entry.first) == (moments[same], moments[there])
                assert entry.size == mark
            last = listing


@pytest.mark.parametrize("change", ["size", "time", "content", "owner", "name", "kind"])
def test_nothing_is_taken_over_of_what_has_changed(tmp_path: Path, change: str) -> None:
    image = tmp_path / "run" / "a.tif"
    image.parent.mkdir()
    image.write_bytes(b"12345")
    os.utime(image, (5, 5))
    first = Moment(1)
    before = look(tmp_path, stable_ids=True, moment=first)
    match change:
        case "size":
            image.write_bytes(b"123456")
            os.utime(image, (5, 5))
        case "time":
            os.utime(image, (6, 6))
        case "content":  # only the change time tells
            image.write_bytes(b"54321")
            os.utime(image, (5, 5))
        case "owner":
            image.chmod(0o600)
        case "name":
            os.link(image, image.with_name("b.tif"))
        case "kind":
            image.unlink()
            image.mkdir()
    after = look(tmp_path, stable_ids=True, moment=Moment(2), last=before)
    entry, old = after.get("run/a.tif"), before.get("run/a.tif")
    assert isinstance(entry, Entry)
    assert entry != old
    assert entry.since is not first
    assert not after.is_like(before)
    assert after.folders[""] is before.folders[""]


def test_a_folder_that_could_not_be_looked_into_is_looked_into_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "a.tif").write_bytes(b"1")
    before = look(tmp_path, stable_ids=True, moment=Moment(1))
    real = os.scandir

    def broken(path: str) -> object:
        if path.endswith("run"):
            raise PermissionError(13, "no", path)
        return real(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", broken)
        during = look(tmp_path, stable_ids=True, moment=Moment(2), last=before)
    assert list(during.troubles) == ["run"]
    assert not during.is_like(before)
    after = look(tmp_path, stable_ids=True, moment=Moment(3), last=during)
    assert not after.is_like(during)
    assert after.get("run/a.tif") is not None


def test_programs_that_write_one_text_for_many_drops_have_it_parsed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(tmp_path / "box")
    parsed: list[str] = []
    real = sidecar.parse_sidecar

    def counting(data: bytes, name: str, **more: Any) -> ImportRequest:
        parsed.append(name)
        return real(data, name, **more)

    monkeypatch.setattr(sidecar, "parse_sidecar", counting)
    for number in range(20):
        desk.save(f"image{number}.tif")
        desk.save(f"image{number}.yaml", T)
    desk.save("other.tif")
    desk.save("other.yaml", "target: {dataset: Other}\n")
    ready = desk.settled().ready
    assert len(parsed) == 2
    assert {one.sidecar.path: one.request.target.dataset.name for one in ready if one.request and one.request.target.dataset} == {
        "other.yaml": "Other",
        **{f"image{number}.yaml": "HeLa" for number in range(20)},
    }
    desk.save("new.tif")
    desk.save("new.yaml", T)
    assert len(desk.settled().ready) == 22
    assert len(parsed) == 3


def test_what_a_text_gives_under_one_name_is_not_what_it_gives_under_every_name(tmp_path: Path) -> None:
    """Beside a good sidecar: the same text under wrong names, as JSON, and with letters about which each file has its own notice."""
    desk = Desk(tmp_path / "box")
    old = "target: {dataset: M\u00e4use}\n".encode("cp1252")
    for name, text in (("a.yaml", T.encode()), ("a.json", T.encode()), ("b.yaml.txt", T.encode()), ("omero.yml", T.encode())):
        desk.save(name, text)
    for name in ("c.yaml", "d.yaml"):
        desk.save(name, old)
        desk.save(f"{name[0]}.tif")
    found = {one.sidecar.path: one for one in desk.settled().ready}
    told = {path: str(one.mistakes[0]) for path, one in found.items() if one.mistakes}
    assert told.keys() == {"a.json", "b.yaml.txt", "omero.yml"}
    assert ".txt" in told["b.yaml.txt"]
    assert "not supported yet" in told["omero.yml"]
    assert "JSON" in told["a.json"]
    for name in ("c.yaml", "d.yaml"):
        request = found[name].request
        assert request is not None
        assert name in request.notices[0]
