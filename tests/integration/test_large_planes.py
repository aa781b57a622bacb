"""A slide or a tile scan: OMERO makes no hash of a plane above its limit, so nothing may hang on there being one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from tests.support.realrun import RealRun, real_run

SIDE = 3200  # times itself more than 3192 times 3192
SIDECAR = "target: {dataset: {name: slides, create: true}}\nsubmission: slide-7\n"


@pytest.fixture(scope="module")
def slide(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("slide") / "slide.tif"
    noise = np.random.default_rng(7).integers(20, 235, (SIDE, 64), dtype=np.uint8)
    tifffile.imwrite(path, np.tile(noise, (1, SIDE // 64)))
    return path.read_bytes()


def drop(run: RealRun, slide: bytes, name: str = "slide") -> None:
    home = run.layout.drop / "alice"
    (home / f"{name}.tif").write_bytes(slide)
    hidden = home / f".{name}.part"
    hidden.write_text(SIDECAR)
    hidden.rename(home / f"{name}.yaml")


def images(run: RealRun) -> list[tuple[int, str]]:
    return [(number, sha1) for number, sha1 in run.ask("select i.id, p.sha1 from Image i join Pixels p on p.image = i.id order by i.id")]


def is_done(run: RealRun, times: int = 1) -> bool:
    assert not list(run.layout.done.rglob("ATTENTION.txt")), "something needs attention"
    return len(list((run.layout.box / "done" / "alice").glob("*/*"))) == times


def test_a_large_plane_is_done_when_omero_says_so(tmp_path: Path, slide: bytes) -> None:
    with real_run(tmp_path) as run:
        drop(run, slide)
        run.start()
        run.rest(30)
        assert is_done(run)
        assert [sha1 for _, sha1 in images(run)] == ["Pending..."]


def test_a_large_plane_whose_answer_was_lost_is_kept(tmp_path: Path, slide: bytes) -> None:
    with real_run(tmp_path) as run:
        drop(run, slide)
        assert run.start("self:after:committed").wait(40) == -9
        run.until(lambda: run.ask("select id from Thumbnail"))
        before = images(run)
        run.standin.kill()
        run.standin.start()
        run.start()
        run.rest(30)
        assert is_done(run)
        assert images(run) == before, "finished images were removed"


def test_a_large_plane_that_is_dropped_again_is_kept(tmp_path: Path, slide: bytes) -> None:
    with real_run(tmp_path) as run:
        drop(run, slide)
        run.start()
        run.rest(30)
        before = images(run)
        drop(run, slide)
        run.rest(30)
        assert is_done(run, 2)
        assert images(run) == before, "finished images were removed"
