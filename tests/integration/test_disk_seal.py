"""Closing a claimed tree to users, and giving it back."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path

import pytest

from dropbox_import.disk import seal
from tests.conftest import NOBODY, Unprivileged


def tree(base: Path) -> Path:
    top = base / "d"
    (top / "run" / "deep").mkdir(parents=True)
    (top / "run" / "a.tif").write_text("a")
    (top / "run" / "deep" / "b.sh").write_text("b")
    (top / "run").chmod(0o2775)
    (top / "run" / "deep").chmod(0o555)
    (top / "run" / "a.tif").chmod(0o444)
    (top / "run" / "deep" / "b.sh").chmod(0o755)
    return top


def modes(top: Path) -> dict[str, int]:
    return {str(path.relative_to(top)): stat.S_IMODE(path.lstat().st_mode) for path in [top, *top.rglob("*")]}


def test_a_sealed_tree_is_ours_alone_and_comes_back_as_it_was(tmp_path: Path) -> None:
    top = tree(tmp_path)
    before = modes(top)
    old = seal.look(top)
    assert [item.path for item in old] == [".", "run", "run/a.tif", "run/deep", "run/deep/b.sh"]
    for _ in range(2):
        seal.seal(top)
    assert modes(top) == {".": 0o700, "run": 0o700, "run/a.tif": 0o600, "run/deep": 0o700, "run/deep/b.sh": 0o700}
    (top / "result.yaml").write_text("ours")
    for _ in range(2):
        seal.restore(top, old)
    after = modes(top)
    del after["result.yaml"]
    assert after == before


def test_a_member_that_left_is_not_missed(tmp_path: Path) -> None:
    top = tree(tmp_path)
    old = seal.look(top)
    seal.seal(top)
    (top / "run" / "a.tif").unlink()
    seal.restore(top, old)
    assert stat.S_IMODE((top / "run" / "deep").stat().st_mode) == 0o555


def test_a_link_in_the_tree_is_left_alone(tmp_path: Path) -> None:
    top = tree(tmp_path)
    outside = tmp_path / "outside"
    outside.write_text("x")
    outside.chmod(0o666)
    (top / "link").symlink_to(outside)
    old = seal.look(top)
    seal.seal(top)
    seal.restore(top, old)
    assert stat.S_IMODE(outside.stat().st_mode) == 0o666
    assert "link" not in {item.path for item in old}


def test_owners_come_back_with_the_modes(tmp_path: Path) -> None:
    if os.getuid() != 0:
        # Without root nothing can belong to somebody else; the rest is the test above.
        return
    top = tree(tmp_path)
    for path in [top, *top.rglob("*")]:
        os.chown(path, NOBODY, NOBODY)
    before, old = modes(top), seal.look(top)
    seal.seal(top)
    assert {path.stat().st_uid for path in [top, *top.rglob("*")]} == {0}
    seal.restore(top, old)
    assert {path.stat().st_uid for path in [top, *top.rglob("*")]} == {NOBODY}
    assert modes(top) == before


def test_without_rights_it_closes_what_it_may(unprivileged: Unprivileged) -> None:
    top = unprivileged.give(tree(unprivileged.folder))
    if os.getuid() == 0:
        os.chown(top / "run" / "a.tif", 0, 0)
    code = (
        "import json; from pathlib import Path; from dropbox_import.disk import seal; "
        f"top = Path({str(top)!r}); old = seal.look(top); seal.seal(top); "
        "print(json.dumps({str(p.relative_to(top)): p.stat().st_mode & 0o777 for p in top.rglob('*')})); seal.restore(top, old)"
    )
    done = unprivileged.run([unprivileged.python, "-c", code])
    assert done.returncode == 0, done.stderr
    sealed = json.loads(done.stdout)
    assert (sealed["run"], sealed["run/deep/b.sh"]) == (0o700, 0o700)
    assert sealed["run/a.tif"] == (0o444 if os.getuid() == 0 else 0o600)
    assert stat.S_IMODE((top / "run" / "deep").stat().st_mode) == 0o555


def test_what_its_user_had_closed_to_us_comes_back_too(unprivileged: Unprivileged) -> None:
    source = tree(unprivileged.folder / "of-a-closed-file")
    (source / "run" / "a.tif").chmod(0)
    top = unprivileged.give(source)
    code = f"from pathlib import Path; from dropbox_import.disk import seal; top = Path({str(top)!r}); "
    done = unprivileged.run([unprivileged.python, "-c", code + "old = seal.look(top); seal.seal(top); seal.restore(top, old)"])
    assert done.returncode == 0, done.stderr
    assert modes(top)["run/a.tif"] == 0


def test_a_mode_that_was_given_back_is_synced_after_the_last_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    top = tree(tmp_path)
    before, old = modes(top), seal.look(top)
    seal.seal(top)
    seen: list[tuple[int, dict[str, int]]] = []
    real = os.fsync

    def fsync(fd: int) -> None:
        seen.append((os.fstat(fd).st_ino, modes(top)))
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    seal.restore(top, old)
    assert {number for number, _ in seen} == {path.stat().st_ino for path in (top, *top.rglob("*"))}
    assert all(then == before for _, then in seen)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux syncs a volume in one call")
def test_a_large_tree_is_synced_in_one_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(150):
        (tmp_path / f"{number}.tif").write_bytes(b"x")
    old = seal.look(tmp_path)
    seal.seal(tmp_path)
    synced, volumes = list[int](), list[int]()
    real = seal.sync_volume
    monkeypatch.setattr(os, "fsync", synced.append)
    monkeypatch.setattr(seal, "sync_volume", lambda fd: [volumes.append(fd), real(fd)][1])
    seal.restore(tmp_path, old)
    assert (len(volumes), len(synced)) == (1, 1), "the volume, and the folder's own names"
    assert seal.look(tmp_path) == old
