"""Whose token on a fileset counts: by it OMERO is asked what it has, and by it alone a fileset may be removed."""

from __future__ import annotations

from pathlib import Path

import pytest

from dropbox_import.errors import DropboxImportError
from dropbox_import.importer.discard import delete
from dropbox_import.importer.fileset import TOKEN_NS
from tests.contract.driver import Driver, Import, a_tiff
from tests.contract.foreign import omero
from tests.contract.omero_world import World


@pytest.fixture
def session(driver: Driver, world: World) -> int:
    return driver.open(world.user("alice"), world.group("shared"))


@pytest.mark.parametrize("how", ["the token itself, by another member", "a copy, by another member", "a copy, by the owner"])
def test_a_token_that_somebody_else_links_to_another_fileset_is_not_ours(
    driver: Driver, world: World, session: int, tmp_path: Path, how: str
) -> None:
    a_tiff(tmp_path / "a.tif")
    one, victim = Import(driver, session, tmp_path, ["a.tif"]), Import(driver, session, tmp_path, ["a.tif"])
    one.whole()
    victim.whole()
    held = driver.held(session)
    own = "select a.id from FilesetAnnotationLink l join l.child a where l.parent.id=:f"
    delete(held, "Annotation", int(held.ask(own, f=victim.fileset)[0][0]))  # as if it had not been imported by us
    link, mark = omero.model.FilesetAnnotationLinkI(), omero.model.CommentAnnotationI()
    mark.ns, mark.name = omero.rtypes.rstring(TOKEN_NS), omero.rtypes.rstring(f"{one.submission}/k1")
    link.parent, link.child = omero.model.FilesetI(victim.fileset, False), mark
    with world.logged_in("bob") as client:
        update, context = client.getSession().getUpdateService(), client.getContext(world.groups["shared"])
        if how == "the token itself, by another member":
            link.child = omero.model.CommentAnnotationI(int(held.ask(own, f=one.fileset)[0][0]), False)
        elif how == "a copy, by the owner":
            link.child = omero.model.CommentAnnotationI(update.saveAndReturnObject(mark, context).id.val, False)
        if how != "a copy, by the owner":
            update.saveObject(link, context)
    if how == "a copy, by the owner":
        held.update().saveObject(link)
    assert [each["fileset"] for each in one.look_up()] == [one.fileset]
    with pytest.raises(DropboxImportError) as refused:
        driver.do("discard", session=session, fileset=victim.fileset)
    assert refused.value.kind == "not-ours"
    assert victim.confirm()["state"] == "complete"
