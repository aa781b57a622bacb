"""Making, renaming, writing and syncing on a real disk."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dropbox_import.disk import files, observe
from dropbox_import.disk.facts import NotAPlainFile
from dropbox_import.disk.volumes import free_bytes, is_network, probe_rename

Told = list[tuple[str, str, str]]


@pytest.fixture
def told() -> Iterator[Told]:
    seen: Told = []
    observe.set_observer(lambda when, op, path: seen.append((when, op, path.name)))
    yield seen
    observe.set_observer(None)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_folders_get_exactly_their_mode_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        files.make_dirs(tmp_path / "a" / "b", 0o755)
        files.make_dir(tmp_path / "a" / "c", 0o770)
    finally:
        os.umask(before)
    assert (mode(tmp_path / "a"), mode(tmp_path / "a" / "b"), mode(tmp_path / "a" / "c")) == (0o755, 0o755, 0o770)
    files.make_dirs(tmp_path / "a" / "b", 0o700)
    assert mode(tmp_path / "a" / "b") == 0o755
    with pytest.raises(FileExistsError):
        files.make_dir(tmp_path / "a" / "b")
    (tmp_path / "file").touch()
    with pytest.raises(OSError):  # noqa: PT011 - NotADirectory or FileExists, as the system likes
        files.make_dirs(tmp_path / "file")


def test_each_new_folder_is_synced_in_its_parent(tmp_path: Path, told: Told) -> None:
    files.make_dirs(tmp_path / "a" / "b")
    ops = [(op, name) for when, op, name in told if when == "after"]
    assert ops == [("make_dir", "a"), ("sync_dir", tmp_path.name), ("make_dir", "b"), ("sync_dir", "a")]


@pytest.mark.parametrize("whole_call", [True, False])
def test_a_rename_never_overwrites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole_call: bool) -> None:
    if not whole_call:
        monkeypatch.setattr(files, "_rename_noreplace", lambda old, new: False)
    one, two, folder = tmp_path / "one", tmp_path / "two", tmp_path / "folder"
    one.write_text("1")
    two.write_text("2")
    folder.mkdir()
    for target in (two, folder):
        with pytest.raises(FileExistsError):
            files.rename(one, target)
    # A link that leads nowhere is a name too.
    (tmp_path / "dangling").symlink_to("nowhere")
    with pytest.raises(FileExistsError):
        files.rename(one, tmp_path / "dangling")
    with pytest.raises(FileExistsError):
        files.rename(folder, tmp_path / "two")
    assert (one.read_text(), two.read_text()) == ("1", "2")
    files.rename(one, tmp_path / "three")
    files.rename(folder, tmp_path / "moved")
    assert (tmp_path / "three").read_text() == "1"
    assert (tmp_path / "moved").is_dir()
    with pytest.raises(FileNotFoundError):
        files.rename(one, tmp_path / "four")


@pytest.mark.parametrize("whole_call", [True, False])
def test_a_rename_out_of_a_users_folder_goes_through_no_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole_call: bool) -> None:
    """Else a user could have another user's file taken, by a link that is put there after the look."""
    if not whole_call:
        monkeypatch.setattr(files, "_rename_noreplace", lambda old, new: False)
    mine, others = tmp_path / "jdoe", tmp_path / "boss"
    (mine / "sub").mkdir(parents=True)
    others.mkdir()
    (mine / "sub" / "own").write_text("own")
    (others / "secret").write_text("secret")
    (mine / "way").symlink_to(others)
    with pytest.raises(NotAPlainFile):
        files.rename(mine / "way" / "secret", tmp_path / "taken", base=mine)
    assert (others / "secret").exists()
    files.rename(mine / "sub" / "own", tmp_path / "taken", base=mine)
    assert (tmp_path / "taken").read_text() == "own"
    (mine / "more").write_text("x")
    with pytest.raises(FileExistsError):
        files.rename(mine / "more", tmp_path / "taken", base=mine)


@pytest.mark.parametrize("whole_call", [True, False])
def test_a_rename_into_a_users_folder_goes_through_no_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, whole_call: bool) -> None:
    """Else a user could have files put where only the service account may write."""
    if not whole_call:
        monkeypatch.setattr(files, "_rename_noreplace", lambda old, new: False)
    mine, others = tmp_path / "jdoe", tmp_path / "boss"
    (mine / "sub").mkdir(parents=True)
    others.mkdir()
    (mine / "way").symlink_to(others)
    (tmp_path / "own").write_text("own")
    with pytest.raises(NotAPlainFile):
        files.rename(tmp_path / "own", mine / "way" / "own", into=mine)
    assert list(others.iterdir()) == []
    files.rename(tmp_path / "own", mine / "sub" / "own", into=mine)
    (tmp_path / "more").write_text("x")
    with pytest.raises(FileExistsError) as told:
        files.rename(tmp_path / "more", mine / "sub" / "own", into=mine)
    assert (told.value.filename, told.value.filename2) == (str(tmp_path / "more"), str(mine / "sub" / "own"))
    assert (mine / "sub" / "own").read_text() == "own"


def test_folders_are_made_and_removed_below_a_base_alone_and_through_no_link(tmp_path: Path) -> None:
    mine, others = tmp_path / "jdoe", tmp_path / "boss"
    (others / "empty").mkdir(parents=True)
    with pytest.raises(FileNotFoundError):
        files.make_dirs(mine / "a" / "b", base=mine)
    assert not mine.exists()
    mine.mkdir()
    (mine / "way").symlink_to(others)
    before = os.umask(0o077)
    try:
        files.make_dirs(mine / "a" / "b", 0o755, base=mine)
    finally:
        os.umask(before)
    assert (mode(mine / "a"), mode(mine / "a" / "b")) == (0o755, 0o755)
    files.make_dirs(mine, base=mine)
    for path in (mine / "way", mine / "way" / "x", mine / "way" / "empty" / "x"):
        with pytest.raises(NotAPlainFile):
            files.make_dirs(path, base=mine)
    (others / "file").write_text("x")
    with pytest.raises(NotAPlainFile):
        files.remove_dir(mine / "way" / "empty", base=mine)
    with pytest.raises(NotAPlainFile):
        files.remove_file(mine / "way" / "file", base=mine)
    assert sorted(path.name for path in others.iterdir()) == ["empty", "file"]
    files.remove_dir(mine / "a" / "b", base=mine)
    assert list((mine / "a").iterdir()) == []


def test_a_new_folder_that_is_swapped_for_a_link_gives_no_mode_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine, secret = tmp_path / "jdoe", tmp_path / "secret"
    mine.mkdir()
    secret.mkdir(0o700)
    mkdir = os.mkdir

    def swapped(path: str, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        mkdir(path, mode, dir_fd=dir_fd)
        (mine / "new").rename(mine / "away")
        (mine / "new").symlink_to(secret)

    monkeypatch.setattr(os, "mkdir", swapped)
    with pytest.raises(OSError):  # noqa: PT011 - ELOOP or ENOTDIR, as the system likes
        files.make_dir(mine / "new", 0o755, base=mine)
    assert mode(secret) == 0o700


def test_names_that_are_not_utf8_can_be_moved(tmp_path: Path) -> None:
    odd = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")
    Path(odd).write_text("x")
    files.rename(Path(odd), Path(odd + "2"))
    assert Path(odd + "2").read_text() == "x"


def test_of_many_who_rename_to_one_name_one_wins(tmp_path: Path) -> None:
    for number in range(8):
        (tmp_path / str(number)).write_text(str(number))
    won: list[int] = []

    def claim(number: int) -> None:
        try:
            files.rename(tmp_path / str(number), tmp_path / "claim")
            won.append(number)
        except FileExistsError:
            pass

    threads = [threading.Thread(target=claim, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert (tmp_path / "claim").read_text() == str(won[0])
    assert len(list(tmp_path.iterdir())) == 8


def test_a_new_file_is_synced_before_its_name(tmp_path: Path, told: Told) -> None:
    files.write_new(tmp_path / "x", b"data", 0o640)
    assert [op for when, op, _ in told if when == "after"] == ["create", "write", "sync", "sync_dir"]
    assert mode(tmp_path / "x") == 0o640
    with pytest.raises(FileExistsError):
        files.write_new(tmp_path / "x", b"other")
    assert (tmp_path / "x").read_bytes() == b"data"


def test_what_could_not_be_written_whole_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        files.write_new(tmp_path / "x", b"data")
    with pytest.raises(OSError, match="No space"):
        files.replace(tmp_path / "y", b"data")
    assert list(tmp_path.iterdir()) == []


def test_replace_shows_the_old_or_the_new(tmp_path: Path, told: Told) -> None:
    path = tmp_path / "status.json"
    files.replace(path, b"1")
    (tmp_path / ".status.json.new").write_text("left by a crash")
    files.replace(path, b"2", 0o600)
    assert (path.read_bytes(), mode(path)) == (b"2", 0o600)
    del told[:]
    files.replace(path, b"3", durable=False)
    assert path.read_bytes() == b"3"
    assert not any("sync" in op for _, op, _ in told)
    assert [each.name for each in tmp_path.iterdir()] == ["status.json"]


def test_a_copy_has_the_checksum_of_what_was_copied(tmp_path: Path) -> None:
    data = os.urandom(3_000_000)
    (tmp_path / "a").write_bytes(data)
    assert files.copy_in(tmp_path / "a", tmp_path / "b") == hashlib.sha256(data).hexdigest()
    assert (tmp_path / "b").read_bytes() == data
    with pytest.raises(FileExistsError):
        files.copy_in(tmp_path / "a", tmp_path / "b")


def test_a_copy_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("x")
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "file").write_text("x")
    (tmp_path / "link").symlink_to("secret")
    (tmp_path / "folder").symlink_to("real")
    with pytest.raises(NotAPlainFile):
        files.copy_in(tmp_path / "link", tmp_path / "copy")
    with pytest.raises(NotAPlainFile):
        files.copy_in(tmp_path / "folder" / "file", tmp_path / "copy", base=tmp_path)
    assert not (tmp_path / "copy").exists()


def test_removing_what_is_gone_is_fine(tmp_path: Path) -> None:
    files.remove_file(tmp_path / "nothing")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "x").touch()
    with pytest.raises(OSError):  # noqa: PT011 - ENOTEMPTY or EEXIST
        files.remove_dir(tmp_path / "d")
    files.remove_file(tmp_path / "d" / "x")
    files.remove_dir(tmp_path / "d")
    assert list(tmp_path.iterdir()) == []


def test_a_journal_grows_and_loses_a_torn_tail(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with files.Appender(path, create=True) as journal:
        journal.append(b"one\n")
        journal.sync()
        journal.append(b"tw")
        assert journal.size() == 6
    with files.Appender(path, create=False) as journal:
        journal.truncate(4)
        journal.append(b"two\n")
        journal.sync()
        journal.close()
    assert path.read_bytes() == b"one\ntwo\n"
    assert mode(path) == 0o644
    with pytest.raises(FileExistsError):
        files.Appender(path, create=True)
    with pytest.raises(FileNotFoundError):
        files.Appender(tmp_path / "other", create=False)


def test_a_record_that_did_not_fit_is_cut_off_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    with files.Appender(tmp_path / "journal", create=True) as journal:
        journal.append(b"good\n")

        def half(fd: int, data: bytes) -> int:
            if len(data) < 6:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(fd, data[:3])

        monkeypatch.setattr(os, "write", half)
        with pytest.raises(OSError, match="No space"):
            journal.append(b"too long")
        assert journal.size() == 5


def test_a_journal_that_was_replaced_by_a_link_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "other").write_text("x")
    (tmp_path / "journal").symlink_to("other")
    with pytest.raises(OSError):  # noqa: PT011 - ELOOP
        files.Appender(tmp_path / "journal", create=False)


def test_the_observer_hears_of_an_effect_before_it_and_after_success_only(tmp_path: Path, told: Told) -> None:
    with pytest.raises(FileNotFoundError):
        files.rename(tmp_path / "nothing", tmp_path / "x")
    assert told == [("before", "rename", "x")]


def test_the_probe_renames_for_real_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "a" / f".dropbox-import-probe-{os.getpid()}-0").touch()
    probe_rename(tmp_path / "a", tmp_path / "b")
    assert len(list((tmp_path / "a").iterdir())) == 1
    assert list((tmp_path / "b").iterdir()) == []


def test_the_probe_tells_two_volumes(tmp_path: Path) -> None:
    other = Path("/dev/shm")
    if other.stat().st_dev == tmp_path.stat().st_dev:
        other = Path("/proc")
    with pytest.raises(OSError):  # noqa: PT011 - EXDEV, or what a volume without files says
        probe_rename(tmp_path, other)
    assert list(tmp_path.iterdir()) == []


def test_a_local_folder_is_no_share_and_has_room(tmp_path: Path) -> None:
    assert not is_network(tmp_path)
    assert is_network(tmp_path / "not there")
    assert free_bytes(tmp_path) > 0
