"""`retry` of a failed folder while its user stands in it with a shell: what is closed later than it is believed is the user's to say."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from dropbox_import.disk.observe import set_observer
from dropbox_import.spool.journal import encode, read_newest
from tests.support.lab import Lab
from tests.support.office import Office

if sys.platform == "win32":
    pytest.skip("Windows keeps access lists", allow_module_level=True)
if os.geteuid() != 0:
    pytest.skip("only root can be somebody else", allow_module_level=True)

USER = 65534
SIDECAR = "target: {dataset: HeLa}\nattachments: [{file: plan.pdf}]\n"
FORGED = "journal-9999.jsonl"

Act = Callable[[str, str, Path], None]


@pytest.fixture
def office() -> Iterator[Office]:
    # Not pytest's own temporary folders: they are closed to other users.
    with tempfile.TemporaryDirectory(prefix="dropbox-import-shell-inside-") as name:
        Path(name).chmod(0o755)
        made = Office(Path(name), lab=Lab(Path(name), users=("jdoe", "alice")))
        made.start()
        yield made
        set_observer(None)


def failed_of_a_user(office: Office) -> Path:
    """A failed folder that belongs to who wrote the sidecar, its file mended."""
    home = office.lab.layout.drop / "jdoe"
    (home / "plan.pdf").write_bytes(b"plan")
    office.lab.drop("run.yaml", SIDECAR, {"run/bad.tif": b"image"})
    for path in (home, *home.rglob("*")):
        os.chown(path, USER, USER)
    office.lab.turns()
    failed = office.filed("failed")
    assert (failed.stat().st_uid, failed.parent.stat().st_uid) == (USER, USER)
    (failed / "d/run/bad.tif").rename(failed / "d/run/good.tif")
    return failed


def as_user(act: Act) -> Act:
    """Done with the rights of the user, at each effect; what is refused is refused."""

    def at(when: str, op: str, path: Path) -> None:
        os.seteuid(USER)
        try:
            with suppress(OSError):
                act(when, op, path)
        finally:
            os.seteuid(0)

    return at


def forged(folder: Path) -> bytes:
    """The journal of that drop, as if it were alice's and not filed yet."""
    records = [one for one in read_newest(folder) if one.kind in ("intent", "seal", "claimed")]
    records[0].data["candidate"]["owner"] = "alice"
    return b"".join(encode(replace(one, number=number, epoch=1)) for number, one in enumerate(records, 1))


def plant(text: bytes, folder: int) -> None:
    made = os.open(FORGED, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=folder)
    os.write(made, text)
    os.close(made)


def imported(office: Office) -> list[tuple[str, str]]:
    return sorted((one.owner, path.rpartition("/")[2]) for one in office.lab.server.complete() for path in one.paths)


@pytest.mark.parametrize("believed", [True, False], ids=["after it is believed", "before it is moved"])
def test_who_stands_in_it_writes_no_journal_into_the_claim(office: Office, believed: bool) -> None:
    """The newest segment counts: theirs was believed, with an owner and a place of filing of their choice."""
    failed = failed_of_a_user(office)
    text, inside = forged(failed), os.open(failed, os.O_RDONLY | os.O_DIRECTORY)

    def act(when: str, op: str, path: Path) -> None:
        if believed:
            os.stat("journal-0002.jsonl", dir_fd=inside)  # refused where it is not there, or not theirs to see
        elif (when, op, path.parent.name) != ("before", "rename", "discarded"):
            return
        plant(text, inside)

    set_observer(as_user(act))
    result = office.order("retry", failed.name.rpartition("__")[2], seconds=40)
    set_observer(None)
    os.close(inside)
    assert result.ok, result
    assert ("was put back" in result.says) is not believed, result
    assert imported(office) == [("jdoe", "good.tif")]
    assert [path.parent.parent.name for path in office.lab.filed("done")] == ["jdoe"]
    assert office.lab.filed("failed") == []


def test_where_its_name_is_in_use_what_is_not_believed_lies_in_discarded(office: Office) -> None:
    """What could not go back stayed among the claims, and was believed at the next look."""
    failed = failed_of_a_user(office)
    text, inside = forged(failed), os.open(failed, os.O_RDONLY | os.O_DIRECTORY)

    def act(when: str, op: str, path: Path) -> None:
        if (when, op, path.parent.name) == ("before", "rename", "discarded"):
            plant(text, inside)
        if not failed.exists():
            failed.mkdir()

    set_observer(as_user(act))
    result = office.order("retry", failed.name.rpartition("__")[2], seconds=40)
    set_observer(None)
    os.close(inside)
    assert not result.ok and "another folder has its name now" in result.says, result
    assert imported(office) == []
    (aside,) = office.lab.layout.discarded.iterdir()
    assert (aside / "d/run/good.tif").read_bytes() == b"image"
    assert str(aside.parent) in result.says


@pytest.mark.parametrize("trick", ["a link", "it is gone"])
def test_an_attachment_that_is_swapped_then_fails_the_drop_and_it_can_be_tried_again(office: Office, trick: str) -> None:
    """It was tried to be taken for ever, and held in the end; nothing but `discard` was of any use."""
    failed = failed_of_a_user(office)
    drop_id, inside = failed.name.rpartition("__")[2], os.open(failed / "refs", os.O_RDONLY | os.O_DIRECTORY)

    def act(when: str, op: str, path: Path) -> None:
        if "inprogress" in path.parts:
            os.unlink("plan.pdf", dir_fd=inside)
            if trick == "a link":
                os.symlink("/etc/hostname", "plan.pdf", dir_fd=inside)

    set_observer(as_user(act))
    assert office.order("retry", drop_id, seconds=40).ok
    set_observer(None)
    os.close(inside)
    again = office.filed("failed")
    reason = (again / "REASON.txt").read_text(encoding="utf-8")
    assert "plan.pdf" in reason or "attachment" in reason
    assert imported(office) == []
    (again / "refs/plan.pdf").unlink(missing_ok=True)
    (again / "refs/plan.pdf").write_bytes(b"plan")
    assert office.order("retry", drop_id, seconds=40).ok
    assert imported(office) == [("jdoe", "good.tif")]
    assert office.lab.filed("failed") == []


def test_a_failed_folder_with_an_attachment_is_moved_back_by_hand(office: Office) -> None:
    """The attachment is a copy that the service account has made, and was refused as somebody else's file."""
    failed = failed_of_a_user(office)
    failed.rename(office.lab.layout.drop / "jdoe" / failed.name)
    office.work(40)
    assert imported(office) == [("jdoe", "good.tif")]
    assert office.lab.filed("failed") == []
