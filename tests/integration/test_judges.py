"""The judges of the fault tests can fail: each lie, put by hand into a lab where all is well, turns them red."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.lab import Lab
from tests.support.scripted import Stored
from tests.support.tally import column

PARTLY = ("p.yaml", "target: {dataset: HeLa}\ntags: [x]\n", {"p/good.tif": b"good", "p/bad.tif": b"broken"})


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def said(lab: Lab, where: str, name: str = "result.yaml") -> Path:
    return lab.filed(where)[0] / name


def message(lab: Lab) -> Path:
    (path,) = lab.layout.inprogress.glob("*/outbox/*.partly.json")
    return path


def stored(lab: Lab) -> Stored:
    (one,) = lab.server.filesets.values()
    return one


def told_by_two(lab: Lab) -> None:
    other = lab.layout.inprogress / "other" / "outbox"
    shutil.copytree(message(lab).parent, other)


def told_of_another(lab: Lab) -> None:
    path = message(lab)
    shutil.copy(path, path.with_name("20200101-093912-k7f3q2mzt4.done.json"))


def half_done(lab: Lab) -> None:
    one = stored(lab)
    meta = {**one.meta, "attempt": 7}
    two = lab.server.make_fileset(one.session, one.token, meta, [*one.paths])
    two.images = 1


def open_again(lab: Lab) -> None:
    """A session that was used, and that no daemon knows any more."""
    lab.server.open("jdoe").needed = True


def in_done_as_well(lab: Lab) -> None:
    (failed,) = lab.filed("failed")
    failed.rename(lab.filed("done")[0].with_name(f"x{failed.name}"))


def nothing_wrong(lab: Lab) -> None:
    path = said(lab, "failed", "d") / "p"
    (path / "bad.tif").rename(path / "fine.tif")
    edit(said(lab, "failed"), "- p/bad.tif", "- p/fine.tif")


LIES: dict[str, tuple[Callable[[Lab], object], str]] = {
    "another image": (lambda lab: edit(said(lab, "done"), "id: ", "id: 9"), "wrongly told"),
    "another size": (lambda lab: edit(said(lab, "done"), "size: ", "size: 9"), "wrongly told"),
    "another fileset": (lambda lab: edit(said(lab, "done"), "fileset: ", "fileset: 9"), "lost"),
    "another dataset": (lambda lab: edit(said(lab, "done"), "dataset: ", "dataset: 9"), "wrongly told"),
    "an annotation that is not there": (lambda lab: lab.server.annotated.clear(), "wrongly told"),
    "another owner": (lambda lab: edit(said(lab, "done"), "owner: ", "owner: x"), "wrongly told"),
    "failed, it says in done": (lambda lab: edit(said(lab, "done"), "state: done", "state: failed"), "wrongly told"),
    "no reason": (lambda lab: said(lab, "failed", "REASON.txt").unlink(), "wrongly told"),
    "another reason": (lambda lab: edit(said(lab, "failed", "REASON.txt"), "cut in half", "fine"), "wrongly told"),
    "attention to nothing": (lambda lab: said(lab, "done", "ATTENTION.txt").write_text("look"), "wrongly told"),
    "a journal that is not ours": (lambda lab: edit(said(lab, "done", "journal.jsonl"), "\n", "\n\n"), "lost"),
    "in the wrong place": (in_done_as_well, "lost"),
    "in failed with nothing wrong": (nothing_wrong, "wrongly told"),
    "no message": (lambda lab: message(lab).unlink(), "wrongly told"),
    "a message twice": (told_by_two, "wrongly told"),
    "a message of another event": (lambda lab: message(lab).rename(str(message(lab)).replace("partly", "failed")), "wrongly told"),
    "a message of other images": (lambda lab: edit(message(lab), '"id": ', '"id": 9'), "wrongly told"),
    "a message with another reason": (lambda lab: edit(message(lab), "cut in half", "fine"), "wrongly told"),
    "a message of nothing": (told_of_another, "wrongly told"),
    "a half-done image": (half_done, "left behind"),
    "a session that nobody ends": (open_again, "left behind"),
}


@pytest.mark.parametrize("lie", LIES)
def test_each_lie_turns_the_judge_red(tmp_path: Path, lie: str) -> None:
    lab = Lab(tmp_path)
    lab.drop(*PARTLY)
    lab.life()
    lab.check(1, sidecar_copies=1)
    tell, wanted = LIES[lie]
    tell(lab)
    with pytest.raises(AssertionError) as red:
        lab.check(1, sidecar_copies=1)
    assert column(str(red.value)) == wanted, red.value
