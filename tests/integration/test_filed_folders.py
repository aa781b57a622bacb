"""What users find in done/ and failed/: folders that they can enter, with their own modes inside."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from tests.support.lab import Lab

FILES = 'target: {dataset: HeLa}\nfiles: {include: ["deep/run7", "sub/a.tif"]}\n'


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


if sys.platform != "win32":

    @pytest.mark.parametrize("wanted", [0o755, 0o750])
    def test_a_user_can_enter_every_folder_of_a_filed_drop(tmp_path: Path, wanted: int) -> None:
        lab = Lab(tmp_path)
        home = lab.layout.drop / "jdoe"
        home.chmod(wanted)
        lab.drop("x.yaml", FILES, {"deep/run7/a.tif": b"image-a", "deep/run7/own/b.tif": b"image-b", "sub/a.tif": b"image-c"})
        (home / "deep" / "run7" / "own").chmod(0o711)
        lab.life()
        (filed,) = lab.filed("done")
        assert [mode(filed / name) for name in (".", "d", "d/deep", "d/sub")] == [wanted] * 4
        assert mode(filed / "d" / "deep" / "run7" / "own") == 0o711

    def test_a_private_folder_that_was_dropped_whole_stays_private(tmp_path: Path) -> None:
        lab = Lab(tmp_path)
        lab.drop("run7.yaml", "target: {dataset: HeLa}\n", {"run7/a.tif": b"image-a", "run7/b.tif": b"image-b"})
        (lab.layout.drop / "jdoe" / "run7").chmod(0o700)
        lab.life()
        (filed,) = lab.filed("done")
        assert mode(filed / "d") == 0o755
        assert mode(filed / "d" / "run7") == 0o700

    def test_what_failed_can_be_taken_back_by_its_owner(tmp_path: Path) -> None:
        """As root the folders go to the one who wrote the sidecar; otherwise that is ourselves."""
        owner = 65534 if os.geteuid() == 0 else os.geteuid()
        lab = Lab(tmp_path)
        lab.drop("bad.yaml", "target: {dataset: HeLa}\n", {"bad.tif": b"bad-image"})
        home = lab.layout.drop / "jdoe"
        for path in (home, home / "bad.yaml", home / "bad.tif"):
            os.chown(path, owner, -1)
        lab.life()
        (filed,) = lab.filed("failed")
        for name in (".", "d", "d/bad.tif", "bad.yaml"):
            assert (filed / name).stat().st_uid == owner, name
            assert mode(filed / name) in (0o755, 0o644), name
        month = filed.parent  # a folder can be moved out of another only by whom both belong to
        assert (month.stat().st_uid, mode(month)) == (owner, 0o755)
        assert month.parent.stat().st_uid == os.geteuid(), "who owns it could put a link in the place of a month"

    def test_a_link_in_the_place_of_a_filed_folder_is_gone_round(tmp_path: Path) -> None:
        lab = Lab(tmp_path)
        lab.drop("bad.yaml", "target: {dataset: HeLa}\n", {"bad.tif": b"bad-image"})
        lab.start()
        for _ in range(400):
            lab.turns(1)
            (claim,) = lab.claims() or [""]
            month = lab.layout.failed / "jdoe" / "2026-11"
            if claim and not month.is_dir():
                month.mkdir(parents=True)
                (month / f"bad__{claim}").symlink_to("nowhere")
                break
        lab.turns()
        assert [path.name.rpartition("-")[2] for path in lab.filed("failed")] == ["2"]

    @pytest.mark.parametrize("image", [b"image", b"bad-image"])
    def test_where_a_drop_folder_is_private_its_user_finds_what_became_of_it(tmp_path: Path, image: bytes) -> None:
        owner = 65534 if os.geteuid() == 0 else os.geteuid()
        lab = Lab(tmp_path)
        name = image.decode().partition("-")[0]
        lab.drop(f"{name}.yaml", "target: {dataset: HeLa}\n", {f"{name}.tif": image})
        home = lab.layout.drop / "jdoe"
        home.chmod(0o700)
        for path in (home, *home.iterdir()):
            os.chown(path, owner, -1)
        lab.life()
        (filed,) = lab.filed("failed" if b"bad" in image else "done")
        month = filed.parent
        assert (month.parent.stat().st_uid, mode(month.parent)) == (os.geteuid(), 0o755), "its user cannot list the months"
        assert (month.stat().st_uid, mode(month)) == (owner, 0o700), "its user cannot enter it, or others can"
        assert (filed.stat().st_uid, mode(filed)) == (owner, 0o700)
