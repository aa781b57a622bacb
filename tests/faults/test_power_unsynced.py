"""The power fails a moment after a user's program wrote an image, and did not sync it: then the disk has less of it, nothing or zeros.

The product does not sync what others wrote. What it promises: it does not stop or hang, nothing is imported twice, and what it can see
(another size or time) is never filed as plainly done, up to its last look before it tells of the outcome. Bytes that are others under
the same size and time it cannot see, nor what becomes of a file later; then OMERO has what was written.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha1
from pathlib import Path

import pytest

from dropbox_import.spool import layout
from tests.support.crashes import ATTACHED, ONE, SEVERAL, Case, Stage, State, as_on_a_share, quick_folder
from tests.support.lab import Lab
from tests.support.powercuts import Cuts
from tests.support.tally import ALL, STRIDE, counted

pytestmark = [pytest.mark.timeout(3600 if ALL else 120), pytest.mark.faults(minutes=1)]

KIND = "power cut, and a user's image was not synced"
CASES = {"a.tif": Case(ONE, 1), "set/1.tif": Case(SEVERAL, 2), "t.tif": Case(ATTACHED, 1, 1)}


@pytest.fixture
def folder() -> Iterator[Path]:
    with as_on_a_share(), quick_folder() as found:
        yield found


@pytest.mark.parametrize("name", CASES if ALL else ["a.tif"])
def test_what_a_program_did_not_sync_is_never_plainly_done_where_that_can_be_seen(folder: Path, name: str) -> None:
    stage = Stage(folder, CASES[name])
    stage.pause = 100.0  # what changed while it was taken is put back, and left alone for a while
    stage.unsynced = (f"box/drop/jdoe/{name}",)
    written = stage.case.drop[2][name]
    cuts, rng = Cuts(stage), random.Random(name)
    for state, effects in cuts.places[:: 3 if ALL else STRIDE]:
        for cut in cuts.at(state, effects, 1, rng):
            left = cuts.left(cut)
            if left is None:
                continue
            for other_time in (False, True):
                torn, shows = after(left, name, written, other_time)
                with counted(KIND, f"{name}: {cut}, {'another time' if other_time else 'the same time'}"):
                    judge(stage, stage.rest(torn), name, shows and not told(state))


def after(state: State, name: str, written: bytes, other_time: bool) -> tuple[State, bool]:
    """With another time where its content is another one; and whether the product can see that."""
    tree = dict(state.tree)
    shows = False
    for path, content in state.tree.items():
        if path.endswith(f"/{name}") and content is not None and content[0] != written:
            tree[path] = (content[0], content[1] - 10**9 * other_time)
            shows = other_time or len(content[0]) != len(written)
    return replace(state, tree=tree), shows


def told(state: State) -> bool:
    """Whether the outcome was written down already when the power failed."""
    return any(
        content is not None and path.endswith("/journal.jsonl") and b'"r":"messages"' in content[0] for path, content in state.tree.items()
    )


def judge(stage: Stage, lab: Lab, name: str, shows: bool) -> None:
    assert lab.claims() == [], "stuck in inprogress/"
    assert lab.at_rest(), f"stuck: {lab.unrest()}"
    assert not lab.server.broken, lab.server.broken
    twice = {token: count for token, count in Counter(one.token for one in lab.server.complete()).items() if count > 1}
    assert not twice, f"imported twice: {twice}"
    others = Counter(one for one in stage.user_bytes if one != stage.case.drop[2][name])
    found = Counter(path.read_bytes() for path in lab.files_below(lab.box))
    assert not others - found, f"lost: {others - found}"
    for done in lab.filed("done"):
        data = (done / layout.MEMBERS / name).read_bytes()
        same = any(sha1(data).hexdigest() in one.contents for one in lab.server.complete())
        assert same or not shows or (done / layout.ATTENTION).exists(), f"nobody was told that {name} is not what OMERO has: {data!r}"
