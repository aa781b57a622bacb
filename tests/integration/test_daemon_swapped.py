"""A user swaps folders and files for links while a drop is taken or put back: nothing foreign is read or written, and nothing loops."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest

from dropbox_import.disk import facts, files
from dropbox_import.disk.facts import NotAPlainFile
from dropbox_import.spool import filing, layout, taking
from dropbox_import.spool.claim import Claim
from dropbox_import.spool.journal import Journal, Record, read_newest
from tests.support.lab import Crash, Lab

SIDECAR = "target: {dataset: HeLa}\n"
ATTACHED = SIDECAR + "attachments: [{file: plan.csv}]\n"
HIDDEN = b"of somebody else"


@pytest.fixture
def lab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """Whose daemon ends where it would fill the disk with one record again and again."""
    append, written = Journal.append, list[str]()

    def counted(self: Journal, records: Iterable[Record], *, sync: bool = True) -> None:
        fresh = tuple(records)
        written.extend(record.kind for record in fresh)
        if written.count("failed") > 9:
            raise Crash
        append(self, fresh, sync=sync)

    monkeypatch.setattr(Journal, "append", counted)
    return Lab(tmp_path)


@pytest.fixture
def home(lab: Lab) -> Path:
    return lab.layout.drop / "jdoe"


@pytest.fixture
def hidden(tmp_path: Path) -> Path:
    """A folder of somebody else with files of the same names."""
    folder = tmp_path / "hidden"
    folder.mkdir()
    for name in ("plan.csv", "1.tif"):
        (folder / name).write_bytes(HIDDEN)
    return folder


def swapped(folder: Path, place: Path) -> None:
    """`folder` is moved away, and a link to `place` is in its place."""
    if not folder.is_symlink():
        folder.rename(folder.with_name("away"))
        folder.symlink_to(place)


def after(monkeypatch: pytest.MonkeyPatch, name: str, do: Callable[[], None]) -> None:
    """Once that function of taking has ended for the first time, `do` is done."""
    real, done = getattr(taking, name), list[bool]()

    def call(*args: object) -> object:
        result = real(*args)
        if not done:
            done.append(True)
            do()
        return result

    monkeypatch.setattr(taking, name, call)


def unharmed(hidden: Path, names: Sequence[str] = ("1.tif", "plan.csv")) -> bool:
    return {path.name: path.read_bytes() for path in hidden.iterdir()} == dict.fromkeys(names, HIDDEN)


def attached(lab: Lab) -> list[bytes]:
    return [path.read_bytes() for path in lab.files_below(lab.box) if path.parent.name == layout.REFERENCES]


# --- the sidecar's folder ----------------------------------------------------------------


def test_a_sidecars_folder_that_became_a_link_is_a_lost_claim(lab: Lab, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.drop("sub/a.yaml", SIDECAR, {"sub/a.tif": b"a"})
    after(monkeypatch, "take", lambda: swapped(home / "sub", home / "away"))
    lab.start()
    lab.turns(60)
    lab.check(1)  # from where it is now
    assert (home / "sub").is_symlink()


def test_no_attachment_is_read_through_a_link(lab: Lab, home: Path, hidden: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.drop("sub/a.yaml", ATTACHED, {"sub/a.tif": b"a", "sub/plan.csv": b"own"})
    copy_in = files.copy_in

    def raced(source: Path, target: Path, **more: Path) -> str:
        swapped(home / "sub", hidden)
        try:
            return copy_in(source, target, **more)
        finally:  # nobody who looks later sees anything of it
            (home / "sub").unlink()
            (home / "away").rename(home / "sub")

    monkeypatch.setattr(files, "copy_in", raced)
    lab.start()
    lab.turns(60)
    assert HIDDEN not in attached(lab)
    assert unharmed(hidden)
    monkeypatch.undo()
    lab.clock.forward(600)
    lab.turns()
    lab.check(1, sidecar_copies=1)


def test_an_attachment_that_is_written_while_it_is_copied_is_not_attached_torn(
    lab: Lab, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.drop("a.yaml", ATTACHED, {"a.tif": b"a", "plan.csv": b"half"})
    copy_in, written = files.copy_in, list[bool]()

    def raced(source: Path, target: Path, **more: Path) -> str:
        said = copy_in(source, target, **more)
        if not written:
            written.append(True)
            lab.user_bytes.subtract([b"half"])
            lab.user_bytes[b"half and whole"] += 1
            (home / "plan.csv").write_bytes(b"half and whole")
        return said

    monkeypatch.setattr(files, "copy_in", raced)
    lab.start()
    lab.turns(60)
    assert written
    lab.check(1, sidecar_copies=1)
    assert set(attached(lab)) == {b"half and whole"}


@pytest.mark.parametrize("when", ["before", "as the folder is looked at", "as the file is renamed"])
def test_what_is_put_back_is_not_put_through_a_link(lab: Lab, home: Path, hidden: Path, monkeypatch: pytest.MonkeyPatch, when: str) -> None:
    for path in hidden.iterdir():
        path.unlink()
    lab.drop("sub/a.yaml", SIDECAR, {"sub/a.tif": b"a"})
    make_dirs, rename = files.make_dirs, files.rename

    def change() -> None:
        if when == "before":
            swapped(home / "sub", hidden)
        raise taking.Changed("a.tif changed")

    def looked_at(path: Path, *rest: int, **more: Path) -> None:
        if path == home / "sub" and when == "as the folder is looked at":
            swapped(home / "sub", hidden)
        make_dirs(path, *rest, **more)

    def renamed(source: Path, target: Path, **more: Path) -> None:
        if target == home / "sub/a.tif" and when == "as the file is renamed":
            swapped(home / "sub", hidden)
        rename(source, target, **more)

    monkeypatch.setattr(files, "make_dirs", looked_at)
    monkeypatch.setattr(files, "rename", renamed)
    after(monkeypatch, "_take_members", change)
    lab.start()
    lab.turns(60)
    assert unharmed(hidden, ())
    assert lab.claims() == []
    (filed,) = lab.filed("failed")
    assert (filed / "d/a.tif").read_bytes() == b"a"
    assert (filed / "a.yaml").read_text() == SIDECAR
    assert '"jdoe/sub" is a link' in (filed / "REASON.txt").read_text()


def test_no_folder_is_made_through_a_link_for_what_is_put_back(lab: Lab, home: Path, hidden: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.drop("a.yaml", SIDECAR + "files: {include: [sub/deep/1.tif]}\n", {"sub/deep/1.tif": b"a"})
    make_dirs = files.make_dirs

    def change() -> None:
        (home / "sub/deep").rmdir()
        raise taking.Changed("1.tif changed")

    def raced(path: Path, *rest: int, **more: Path) -> None:
        if path == home / "sub/deep":
            swapped(home / "sub", hidden)
        make_dirs(path, *rest, **more)

    monkeypatch.setattr(files, "make_dirs", raced)
    after(monkeypatch, "_take_members", change)
    lab.start()
    lab.turns(60)
    assert unharmed(hidden)
    (filed,) = lab.filed("failed")
    assert (filed / "d/sub/deep/1.tif").read_bytes() == b"a"


def test_what_is_put_back_goes_into_a_folder_that_its_user_removed(lab: Lab, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.drop("sub/a.yaml", SIDECAR, {"sub/a.tif": b"a"})

    def remove() -> None:
        (home / "sub/a.tif").unlink()
        (home / "sub").rmdir()

    after(monkeypatch, "_take_sidecar", remove)
    lab.start()
    lab.turns(60)
    assert (home / "sub/a.yaml").read_text() == SIDECAR
    assert lab.claims() == []


@pytest.mark.parametrize("to", ["hidden", "nowhere"])
def test_a_folder_that_became_a_link_in_the_moment_of_its_rename_is_put_back(
    lab: Lab, home: Path, hidden: Path, monkeypatch: pytest.MonkeyPatch, to: str
) -> None:
    lab.drop("run.yaml", SIDECAR, {"run/1.tif": b"mine"})
    rename = files.rename

    def raced(source: Path, target: Path, **more: Path) -> None:
        if source == home / "run":
            swapped(source, hidden.with_name(to))
        rename(source, target, **more)

    monkeypatch.setattr(files, "rename", raced)
    runner = lab.start()
    lab.turns(20)  # then it is taken again, and refused
    assert lab.claims() == []
    (waits,) = runner.unclaimed()
    assert waits.reason.endswith(", so it was put back; it is taken again after 30 s")
    assert "., so" not in waits.reason
    assert (home / "run").is_symlink()
    assert (home / "run.yaml").read_text() == SIDECAR
    assert unharmed(hidden)


def test_a_sidecar_that_became_a_link_in_the_moment_of_its_rename_is_put_back(
    lab: Lab, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab.drop("a.yaml", SIDECAR, {"a.tif": b"a"})

    def swap() -> None:
        (home / "a.yaml").rename(home / "away.txt")
        (home / "a.yaml").symlink_to("nowhere")

    after(monkeypatch, "take", swap)
    lab.start()
    lab.turns(60)
    assert lab.claims() == []
    assert (home / "a.yaml").is_symlink()
    assert (home / "a.tif").read_bytes() == b"a"


# --- a step that is refused again and again ------------------------------------------------


def kinds(lab: Lab) -> list[str]:
    (claim,) = (path for path in lab.layout.inprogress.glob("*/*") if layout.is_id(path.name))
    return [record.kind for record in read_newest(claim)]


def test_a_drop_whose_claim_cannot_be_gathered_is_held(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(claim: Claim) -> None:
        raise NotAPlainFile("There is a link.")

    monkeypatch.setattr(taking, "gather", refuse)
    lab.drop("a.yaml", SIDECAR, {"a.tif": b"a"})
    for _ in range(2):
        lab.start()
        lab.turns(20)
        assert kinds(lab) == ["intent", "failed"]


def test_a_drop_that_cannot_be_split_is_held_and_nothing_more_is_said_of_it(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(claim: Claim, clock: object) -> None:
        raise NotAPlainFile("There is a link.")

    monkeypatch.setattr(filing, "split", refuse)
    lab.drop("p.yaml", SIDECAR, {"p/good.tif": b"good", "p/bad.tif": b"broken"})
    lab.start()
    lab.turns(60)
    assert kinds(lab)[-1] == "messages"
    monkeypatch.undo()
    lab.life()
    lab.check(1, sidecar_copies=1)


# --- a sidecar without end -------------------------------------------------------------------


@pytest.mark.parametrize("name", ["huge.yaml", "huge.json"])
def test_a_sidecar_without_end_is_refused_and_not_read(lab: Lab, home: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    read, counts = os.read, [0]

    def counted(fd: int, size: int) -> bytes:
        data = read(fd, size)
        counts[0] += len(data)
        if counts[0] > 40 << 20:
            raise Crash
        return data

    monkeypatch.setattr(facts.os, "read", counted)
    lab.drop("a.yaml", SIDECAR, {"a.tif": b"a"})
    (home / name).write_text(SIDECAR if name.endswith("yaml") else '{"target": {"dataset": "HeLa"},\n')
    os.truncate(home / name, 100 << 30)
    lab.start()
    lab.turns(60)
    assert lab.claims() == []
    assert len(lab.filed("done")) == 1
    (filed,) = lab.filed("failed")
    assert (filed / name).stat().st_size == 100 << 30
    assert "too large" in (filed / "REASON.txt").read_text()


def test_a_sidecar_without_end_that_is_changed_while_it_is_taken_is_put_back(lab: Lab, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "huge.yaml").write_text(SIDECAR)
    os.truncate(home / "huge.yaml", 100 << 30)
    after(monkeypatch, "take", lambda: os.truncate(home / "huge.yaml", 101 << 30))
    lab.start()
    lab.turns(12)
    assert (lab.claims(), lab.filed("failed")) == ([], [])
    assert (home / "huge.yaml").stat().st_size == 101 << 30
    lab.clock.forward(60)
    lab.turns()
    assert len(lab.filed("failed")) == 1


# --- another instance takes the claim over ----------------------------------------------------


def test_nothing_is_moved_into_a_claim_that_was_taken_over_between_two_of_its_files(
    lab: Lab, home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    lab.drop("a.yaml", SIDECAR + "files: {include: [sub/1.tif, sub/2.tif]}\n", {"sub/1.tif": b"1", "sub/2.tif": b"2", "sub/3.tif": b"3"})
    rename, other = files.rename, lab.layout.inprogress / "another-00000000"

    def slept(source: Path, target: Path, **more: Path) -> None:
        rename(source, target, **more)
        if target.name == "1.tif":
            other.mkdir()
            claim = target.parents[2]
            claim.rename(other / claim.name)

    monkeypatch.setattr(files, "rename", slept)
    lab.start()
    lab.turns(20)
    assert (home / "sub/2.tif").read_bytes() == b"2"
    assert [path.name for path in other.glob("*/d/sub/*")] == ["1.tif"]
    assert [path for path in lab.layout.inprogress.rglob("d") if other not in path.parents] == []
    assert [getattr(record, "step", "") for record in caplog.records if "was taken over" in record.message] == ["claim-taken"]
