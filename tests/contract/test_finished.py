"""When the images of a fileset are finished. What OMERO does here is `read`: dropbox_import/importer/finished.py names file and method."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contract.driver import Driver, Import, a_tiff
from tests.contract.omero_world import World

LARGE = "sizeX=4000&sizeY=4000"  # 3192 times 3192 is the limit


@pytest.fixture
def session(driver: Driver, world: World) -> int:
    return driver.open(world.user("alice"), world.group("shared"))


@pytest.mark.parametrize("series", [1, 2])
def test_a_plane_above_the_limit_never_gets_a_hash_and_is_finished_all_the_same(
    driver: Driver, session: int, tmp_path: Path, series: int
) -> None:
    name = f"slide&{LARGE}&series={series}.fake"
    (tmp_path / name).touch()
    one = Import(driver, session, tmp_path, [name], reader="loci.formats.in.FakeReader")
    images = one.whole()
    asked = "select px.sha1 from Pixels px where px.image.fileset.id=:f"
    assert driver.held(session).ask(asked, f=one.fileset) == [["Pending..."]] * series
    (found,) = one.look_up()
    assert (found["committed"], found["complete"], found["doubtful"], len(found["images"])) == (True, True, False, series)
    assert (one.confirm()["state"], one.confirm()["problems"]) == ("complete", [])
    wrong = [{"client_path": each["client_path"], "size": each["size"] + 1} for each in one.sent]
    assert len(one.confirm(files=wrong)["problems"]) == 1, "its files are not compared"
    assert [each["size"][:2] for each in images] == [[4000, 4000]] * series


@pytest.mark.parametrize("kind", ["Thumbnail", "RenderingDef"])
def test_the_third_step_leaves_a_row_from_the_session_of_the_import(driver: Driver, session: int, tmp_path: Path, kind: str) -> None:
    a_tiff(tmp_path / "a.tif")
    one = Import(driver, session, tmp_path, ["a.tif"])
    one.whole()
    asked = f"select t.details.creationEvent.session.id from {kind} t join t.pixels px where px.image.fileset.id=:f"
    held = driver.held(session)
    assert held.ask(asked, f=one.fileset) == [[session]]
    ((pixels,),) = held.ask("select px.id from Pixels px where px.image.fileset.id=:f", f=one.fileset)
    driver.do("discard", session=session, fileset=one.fileset)
    assert held.ask(f"select t.id from {kind} t where t.pixels.id=:p", p=pixels) == []
