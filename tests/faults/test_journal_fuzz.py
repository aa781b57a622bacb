"""Whatever happens to the bytes of a journal: nothing lost, nothing imported twice, the other drops go on.

At each record of a drop's life the journal is cut at a byte, or one bit of it is another one. A journal that can be seen to be damaged
holds its drop: that is told, and nothing of the claim is touched. One that reads like an earlier one goes on from there, because OMERO
knows the rest.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dropbox_import.daemon.orders import AdminOrder, OrderAnswer
from dropbox_import.errors import JournalDamaged
from dropbox_import.spool import journal
from dropbox_import.spool.claim import cut_short
from dropbox_import.spool.fold import fold
from dropbox_import.spool.survey import survey
from tests.support.crashes import CASES, PARTLY, Case, Stage, State, as_on_a_share, pack, quick_folder
from tests.support.lab import Lab
from tests.support.modeldisk import ModelDisk, Tree
from tests.support.tally import ALL, STRIDE, counted

OTHER = ("other.yaml", "target: {dataset: HeLa}\n", {"other.tif": b"of another drop"})
FUZZED = {"partly": Case(PARTLY, 2, 1, (OTHER,)), "one": replace(CASES["one"], imported=2, also=(OTHER,))}

pytestmark = [pytest.mark.timeout(3600 if ALL else 120), pytest.mark.faults(minutes=5)]


@pytest.fixture
def folder() -> Iterator[Path]:
    with as_on_a_share(), quick_folder() as found:
        yield found


def lives(stage: Stage) -> Iterator[tuple[State, str]]:
    """A state for each content that a journal of the drop has in its life, and where that journal is."""
    states: list[State] = []
    stage.life(stage.first, lambda state, effects: states.append(state))
    seen = set()
    for state in states:
        for path, content in state.tree.items():
            mine = content is not None and b'"other.tif"' not in content[0] and path.startswith("box/inprogress/")
            if mine and content is not None and path.endswith("/journal.jsonl") and content[0] and content[0] not in seen:
                seen.add(content[0])
                yield state, path


def truncations(raw: bytes, rng: random.Random) -> Iterator[bytes]:
    """At each end of a line, and at three places in each line."""
    begin = 0
    while begin < len(raw):
        end = raw.index(b"\n", begin)
        for cut in {begin, begin + 1, rng.randrange(begin, end), end}:
            yield raw[:cut]
        begin = end + 1


def flips(raw: bytes, rng: random.Random) -> Iterator[bytes]:
    """One bit in each line, and one in the end of the last line."""
    begin = 0
    while begin < len(raw):
        end = raw.index(b"\n", begin)
        yield flipped(raw, rng.randrange(begin, end), rng)
        begin = end + 1
    yield flipped(raw, len(raw) - 1, rng)


def second_segment(raw: bytes, instance: str) -> bytes:
    """The journal of a drop that was adopted: all records so far, and the order as the beginning of another epoch."""
    records, _ = journal.read(raw)
    last = records[-1]
    adopted = journal.Record("adopted", {"from": "lab-gone", "by": instance}, number=last.number + 1, epoch=2, at=last.at)
    return b"".join(map(journal.encode, (*records, adopted)))


def flipped(raw: bytes, place: int, rng: random.Random) -> bytes:
    return raw[:place] + bytes([raw[place] ^ 1 << rng.randrange(8)]) + raw[place + 1 :]


def rested(stage: Stage, state: State) -> Lab:
    """What was put back is left alone for a while, and then taken again."""
    lab = stage.rest(state)
    if any(lab.layout.drop.rglob("*.yaml")):
        lab.clock.forward(40.0)
        lab.turns()
    return lab


def check(stage: Stage, lab: Lab, drop_id: str) -> None:
    """As always; but what its journal does not know any more may be told once more, as it is by then."""
    lab.check(stage.case.imported, sidecar_copies=stage.case.copies, forgotten={drop_id})
    twice = {what: count for what, count in Counter(lab.server.made).items() if count > 1}
    assert not twice, f"made twice: {twice}"


def is_damaged(claim: Path) -> bool:
    try:
        records = journal.read_newest(claim)
        return not records or bool(cut_short(claim, fold(claim.name, records)))
    except JournalDamaged:
        return True


@pytest.mark.parametrize("how", [truncations, flips])
@pytest.mark.parametrize("case", FUZZED)
def test_a_journal_of_which_bytes_are_gone_or_wrong_loses_nothing_and_imports_nothing_twice(
    folder: Path, case: str, how: Callable[..., Any]
) -> None:
    stage, rng = Stage(folder, FUZZED[case]), random.Random(f"{case} {how.__name__}")
    kind = "a journal is cut at a byte" if how is truncations else "a bit of a journal is another one"
    tried: set[bytes] = set()
    for number, (state, path) in enumerate(list(lives(stage))):
        content = state.tree[path]
        assert content is not None
        damaged = [one for one in how(content[0], rng) if one not in tried]
        tried.update(damaged if how is flips else ())
        for raw in damaged if ALL else damaged[number % STRIDE :: STRIDE * 9]:
            with counted(kind, f"{case}, record {number + 1}, {len(raw)} of {len(content[0])} bytes"):
                tree = {**state.tree, path: (raw, 0)}
                judge(stage, rested(stage, replace(state, tree=tree, synced={})), tree, path)


@pytest.mark.parametrize("how", [truncations, flips])
def test_the_second_segment_of_an_adopted_drop_whose_bytes_are_gone_or_wrong(folder: Path, how: Callable[..., Any]) -> None:
    stage, rng = Stage(folder, FUZZED["partly"]), random.Random(f"second {how.__name__}")
    kind = "a journal is cut at a byte" if how is truncations else "a bit of a journal is another one"
    for number, (state, path) in enumerate(list(lives(stage))[:: 1 if ALL else 5]):
        content, place = state.tree[path], path.replace("journal.jsonl", "journal-0002.jsonl")
        assert content is not None
        whole = second_segment(content[0], path.split("/")[2])
        damaged = list(how(whole, rng))
        for raw in rng.sample(damaged, min(len(damaged), 3 if ALL else 2)):
            with counted(kind, f"second segment, record {number + 1}, {len(raw)} of {len(whole)} bytes"):
                tree = {**state.tree, place: (raw, 0)}
                judge(stage, rested(stage, replace(state, tree=tree, synced={})), tree, path)


@pytest.mark.parametrize("how", [truncations, flips])
def test_a_filed_journal_of_which_bytes_are_gone_or_wrong_is_not_believed_by_a_retry(folder: Path, how: Callable[..., Any]) -> None:
    stage, rng = Stage(folder, Case(PARTLY, 1, 1)), random.Random(f"filed {how.__name__}")
    kind = "a journal is cut at a byte" if how is truncations else "a bit of a journal is another one"
    lab = stage.rest(stage.first)
    (filed,) = lab.filed("failed")
    done = State(ModelDisk.of(folder).now(), pack(lab.server))
    path = (filed / "journal.jsonl").relative_to(folder).as_posix()
    content = done.tree[path]
    assert content is not None
    for raw in [content[0], *list(how(content[0], rng))[:: 1 if ALL else 4]]:
        with counted(kind, f"a filed journal, {len(raw)} of {len(content[0])} bytes"):
            lab = stage.set_up(replace(done, tree={**done.tree, path: (raw, 0)}))
            lab.start()
            answers: list[OrderAnswer] = []
            assert lab.runner is not None
            lab.runner.order(AdminOrder("1", "retry", str(lab.box), (filed.name.rpartition("__")[2],)), answers.append)
            stage.turns(lab)
            assert answers and all(one.ok for one in answers[0].results), f"stuck: the order was answered {answers}"
            (again,) = lab.filed("failed")
            believed = "reopened" in [record.kind for record in journal.read_newest(again)]
            assert believed == (raw == content[0]), f"twice: a journal that is {'damaged' if believed else 'whole'} was believed or not"
            lab.check(1, sidecar_copies=1)


def judge(stage: Stage, lab: Lab, before: Tree, path: str) -> None:
    everything = [each for each in lab.files_below(lab.box) if "outbox" not in each.parts]
    found = Counter(each.read_bytes() for each in everything)
    lost = [data for data in stage.user_bytes if not found[data]]
    assert not lost, f"lost: {lost}"
    complete = Counter(one for each in lab.server.complete() for one in each.paths)
    assert all(count == 1 for count in complete.values()), f"imported twice: {complete}"
    assert not lab.server.broken, lab.server.broken
    assert [each for each in lab.filed("done") if each.name.startswith("other__")], "stuck: another drop was held up"
    claim = path.rpartition("/")[0]
    if not (stage.folder / claim).is_dir():
        if not (stage.folder / f"{claim}.failed").is_dir():
            check(stage, lab, claim.rpartition("/")[2].removesuffix(".failed"))
        return
    # It is held: told, and as it was.
    told = [one for one in survey([lab.box]) if one.id == claim.rpartition("/")[2].removesuffix(".failed") and one.why]
    assert told, f"{claim} is held, and nobody is told why"
    assert is_damaged(stage.folder / claim), "stuck, though its journal is not damaged"
    now = {each.relative_to(stage.folder).as_posix(): each.read_bytes() for each in lab.files_below(stage.folder / claim)}
    was = {each: content[0] for each, content in before.items() if each.startswith(f"{claim}/") and content is not None}
    assert now == was, f"stuck: the held claim was touched: {sorted(set(now.items()) ^ set(was.items()))}"
