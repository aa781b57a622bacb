"""What a file is, judged on open descriptors and never through a link."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from dropbox_import.disk.facts import (
    NotAPlainFile,
    facts,
    is_folder,
    is_folder_below,
    is_there,
    open_below,
    paths_in,
    read_below,
    stat_below,
)


def test_the_facts_of_a_plain_file(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    path = tmp_path / "a" / "ä.tif"
    path.write_bytes(b"12345")
    seen = path.stat()
    found = facts(tmp_path, "a/ä.tif")
    assert (found.path, found.size, found.mtime_ns, found.file_id) == ("a/ä.tif", 5, seen.st_mtime_ns, f"{seen.st_dev}:{seen.st_ino}")


def link(base: Path) -> str:
    (base / "target").write_text("x")
    (base / "link").symlink_to("target")
    return "link"


def link_on_the_way(base: Path) -> str:
    (base / "real").mkdir()
    (base / "real" / "file").write_text("x")
    (base / "way").symlink_to("real")
    return "way/file"


def hard_link(base: Path) -> str:
    (base / "one").write_text("x")
    os.link(base / "one", base / "two")
    return "two"


def fifo(base: Path) -> str:
    os.mkfifo(base / "pipe")
    return "pipe"


def folder(base: Path) -> str:
    (base / "folder").mkdir()
    return "folder"


def outside(base: Path) -> str:
    return "../x"


def absolute(base: Path) -> str:
    return "/etc/passwd"


@pytest.mark.parametrize("make", [link, link_on_the_way, hard_link, fifo, folder, outside, absolute])
@pytest.mark.parametrize("look", [facts, open_below, lambda base, name: read_below(base, name, 10)])
def test_what_is_no_plain_file_is_refused_in_a_sentence(
    tmp_path: Path, make: Callable[[Path], str], look: Callable[[Path, str], object]
) -> None:
    name = make(tmp_path)
    with pytest.raises(NotAPlainFile) as refused:
        look(tmp_path, name)
    assert name.split("/")[0] in refused.value.sentence
    assert refused.value.hint


def open_in(folder: Path) -> list[str]:
    """What of a folder this process has open; not what an earlier test left to the garbage collector."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):
            found.append(os.readlink(f"/proc/self/fd/{name}"))
    return [path for path in found if path.startswith(str(folder))]


def test_no_descriptor_stays_open(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x").write_bytes(b"12345")
    before = open_in(tmp_path)
    for _ in range(5):
        facts(tmp_path, "a/x")
        os.close(open_below(tmp_path, "a/x"))
        assert read_below(tmp_path, "a/x", 3) == b"123"
        for name in ("a", "a/nothing", "b/x", "a/x/y"):
            with pytest.raises((NotAPlainFile, FileNotFoundError)):
                open_below(tmp_path, name)
    assert open_in(tmp_path) == before


def test_what_is_not_there_is_said_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as missing:
        facts(tmp_path, "a/b")
    assert missing.value.filename == str(tmp_path / "a")


def test_a_link_can_be_looked_at_without_following_it(tmp_path: Path) -> None:
    name = link(tmp_path)
    assert stat_below(tmp_path, name).st_ino == (tmp_path / name).lstat().st_ino


def test_a_link_is_there_and_is_no_folder_wherever_it_leads(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("x")
    for name, leads in (("to-folder", "folder"), ("to-nothing", "nothing")):
        (tmp_path / name).symlink_to(leads)
    found = [path.name for path in paths_in(tmp_path)]
    assert found == ["file", "folder", "to-folder", "to-nothing"]
    assert [name for name in (*found, "nothing", "file/x", "nothing/x") if is_there(tmp_path / name)] == found
    assert [name for name in (*found, "nothing", "file/x") if is_folder(tmp_path / name)] == ["folder"]
    assert is_folder_below(tmp_path, "folder")
    assert not is_folder_below(tmp_path, "nothing/x")
    for name in ("file", "to-folder", "to-folder/x", "to-nothing"):
        with pytest.raises(NotAPlainFile):
            is_folder_below(tmp_path, name)


def test_what_cannot_be_looked_at_is_not_taken_as_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: str) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO), path)

    monkeypatch.setattr(os, "lstat", broken)
    for look in (is_there, is_folder):
        with pytest.raises(OSError, match="Input/output"):
            look(tmp_path)
