"""The fixture for tests of permissions keeps its promise: no privileges, and a product that can be used."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import Unprivileged


def test_nobody_special_runs_the_product(unprivileged: Unprivileged) -> None:
    done = unprivileged.run([unprivileged.python, "-c", "import os, dropbox_import; print(os.geteuid(), dropbox_import.__file__)"])
    assert done.returncode == 0, done.stderr
    uid, place = done.stdout.split()
    assert int(uid) == unprivileged.uid != 0
    assert Path(place).is_relative_to(unprivileged.folder.parent)


def test_a_folder_without_permissions_is_closed(unprivileged: Unprivileged) -> None:
    closed = unprivileged.folder / "closed"
    closed.mkdir(exist_ok=True)
    unprivileged.give(closed).chmod(0)
    done = unprivileged.run([unprivileged.python, "-c", f"open({str(closed / 'x')!r}, 'w')"])
    assert "PermissionError" in done.stderr


def test_what_is_given_can_be_written(unprivileged: Unprivileged) -> None:
    mine = unprivileged.folder / "mine"
    mine.mkdir(exist_ok=True)
    (mine / "file").touch()
    unprivileged.give(mine)
    done = unprivileged.run([unprivileged.python, "-c", f"open({str(mine / 'file')!r}, 'a').write('x')"])
    assert done.returncode == 0, done.stderr
