"""`init`: a box, drop folders that their users can use, and a config where users cannot look."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dropbox_import.cli.entry import cli
from dropbox_import.disk import observe
from dropbox_import.settings import load_settings
from dropbox_import.spool.layout import Layout
from tests.conftest import Unprivileged


def init(*args: str | Path) -> Result:
    return CliRunner().invoke(cli, ["init", *(str(arg) for arg in args)])


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")


def test_init_makes_a_box_and_a_config_that_loads(tmp_path: Path) -> None:
    result = init(tmp_path / "new", "--user", "jdoe", "--host", "omero.uni.example")
    assert result.exit_code == 0, result.output
    path = Path(result.stdout.strip())
    assert path == tmp_path / "here" / "dropbox-import.yaml"
    settings = load_settings(path)
    assert settings.omero.host == "omero.uni.example"
    assert settings.boxes[0].path == tmp_path / "new"
    assert (tmp_path / "new/drop/jdoe").is_dir()
    assert Layout(tmp_path / "new").marker.is_file()


def test_nothing_that_users_should_not_read_lies_in_the_box(tmp_path: Path) -> None:
    path = Path(init(tmp_path / "new").stdout.strip())
    box = tmp_path / "new"
    assert sorted(one.name for one in box.iterdir()) == [".dropbox-import-box", "done", "drop", "failed", "inprogress"]
    password = load_settings(path).omero.password_file
    assert password is not None
    assert not password.is_relative_to(box)


@pytest.mark.parametrize("place", ["new/config.yaml", "new/drop/x.yaml", "link/config.yaml", None])
def test_a_config_inside_the_box_is_refused_before_anything_is_made(
    tmp_path: Path, place: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "new")
    monkeypatch.chdir(tmp_path / "new")
    result = init(tmp_path / "new", *(["--config", tmp_path / place] if place else []))
    assert result.exit_code == 3
    assert "would lie inside the box" in result.stderr
    assert "--config FILE" in result.stderr
    assert list((tmp_path / "new").iterdir()) == []


def test_a_second_init_adds_and_changes_nothing_else(tmp_path: Path) -> None:
    first = init(tmp_path / "new")
    path = Path(first.stdout.strip())
    path.write_text("mine: yes\n")
    marker = Layout(tmp_path / "new").marker.read_bytes()
    second = init(tmp_path / "new", "--user", "asmith")
    assert second.exit_code == 0
    assert "It has mistakes" in second.stderr
    assert path.read_text() == "mine: yes\n"
    assert Layout(tmp_path / "new").marker.read_bytes() == marker
    assert (tmp_path / "new/drop/asmith").is_dir()


def test_a_user_is_added_from_anywhere_without_one_more_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    init(tmp_path / "new")
    monkeypatch.chdir(tmp_path)
    result = init(tmp_path / "new", "--user", "asmith")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "no config was written" in result.stderr
    assert (tmp_path / "new/drop/asmith").is_dir()
    assert not (tmp_path / "dropbox-import.yaml").exists()


def test_a_second_box_is_told_to_be_named_in_the_config(tmp_path: Path) -> None:
    path = init(tmp_path / "one").stdout
    second = init(tmp_path / "two")
    assert second.stdout == path
    assert f"  - path: {tmp_path / 'two'}" in second.stderr


def test_init_refuses_a_user_that_is_a_path_and_a_file_in_the_way(tmp_path: Path) -> None:
    assert init(tmp_path / "new", "--user", "../x").exit_code == 2
    (tmp_path / "half").mkdir()
    (tmp_path / "half/drop").write_text("")
    result = init(tmp_path / "half")
    assert result.exit_code == 3
    assert "in the way" in result.stderr


# --- whose the drop folders are --------------------------------------------------------


def test_a_user_can_save_into_the_drop_folder_that_root_made(unprivileged: Unprivileged) -> None:
    user = pwd.getpwuid(unprivileged.uid).pw_name
    box = unprivileged.folder / "box"
    result = init(box, "--user", user)
    assert result.exit_code == 0, result.output
    assert "chown" not in result.stderr
    done = unprivileged.run([unprivileged.python, "-c", f"open({str(box / 'drop' / user / 'x.tif')!r}, 'w')"])
    assert done.returncode == 0, done.stderr
    assert (box / "drop" / user).stat().st_uid == unprivileged.uid
    assert (box / "drop").stat().st_uid == os.geteuid()


def test_a_name_that_the_system_does_not_know_is_told(tmp_path: Path) -> None:
    result = init(tmp_path / "new", "--user", "no-such-person")
    assert result.exit_code == 0
    assert "There is no user no-such-person on this system" in result.stderr
    assert "check_file_owner: false" in result.stderr


def test_a_folder_that_was_there_is_not_taken_from_its_owner(tmp_path: Path) -> None:
    other = next(one.pw_name for one in pwd.getpwall() if one.pw_uid != os.geteuid())
    (tmp_path / "new/drop" / other).mkdir(parents=True)
    result = init(tmp_path / "new", "--user", other)
    assert f"Type: sudo chown {other} {tmp_path / 'new/drop' / other}" in result.stderr
    assert (tmp_path / "new/drop" / other).stat().st_uid == os.geteuid()


def test_a_folder_that_cannot_be_given_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = next(one.pw_name for one in pwd.getpwall() if one.pw_uid != os.geteuid())
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    seen: list[Path] = []

    def refuse(when: str, op: str, path: Path) -> None:
        if (when, op) == ("before", "give_dir"):
            seen.append(path)
            raise PermissionError(1, "Operation not permitted")

    observe.set_observer(refuse)
    try:
        result = init(tmp_path / "new", "--user", other)
    finally:
        observe.set_observer(None)
    assert seen == [tmp_path / "new/drop" / other]
    assert result.exit_code == 0
    assert "could not be given" in result.stderr
    assert f"sudo chown {other}" in result.stderr
