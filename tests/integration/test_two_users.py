"""What is being imported is out of its user's reach, whatever they have open in it; what they change all the same is told or imported."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Unprivileged
from tests.support.two_users import CAPABILITIES, SERVICE, Somebody, TwoUsers, two_users

pytestmark = [pytest.mark.needs_root, pytest.mark.timeout(180)]

WITHOUT_LEASE = tuple(name for name in CAPABILITIES if name != "lease")
FROM_INSIDE = (
    "os.listdir('.')",
    "open('0.tif', 'r+b')",
    "open('0.tif', 'ab')",
    "open('0.tif', 'rb')",
    "open('new.tif', 'wb')",
    "os.truncate('0.tif', 0)",
    "os.unlink('0.tif')",
    "os.rename('0.tif', 'other.tif')",
    "os.mkdir('sub')",
    "os.symlink('/etc/passwd', 'link')",
    "os.link('0.tif', '../stolen.tif')",
    "os.chmod('0.tif', 0o666)",
    "os.chmod('.', 0o777)",
    "os.utime('0.tif', (1, 1))",
    "os.chdir('..')",
)
BY_DESCRIPTOR = (
    "os.open('0.tif', os.O_RDWR, dir_fd=held['dir'])",
    "os.open('new.tif', os.O_WRONLY | os.O_CREAT, dir_fd=held['dir'])",
    "os.unlink('0.tif', dir_fd=held['dir'])",
    "os.rename('0.tif', 'other.tif', src_dir_fd=held['dir'], dst_dir_fd=held['dir'])",
    "os.rename('0.tif', 'stolen.tif', src_dir_fd=held['dir'], dst_dir_fd=held['home'])",
    "os.rmdir('0.tif', dir_fd=held['dir'])",
    "os.fchmod(held['dir'], 0o777)",
    "os.fchmod(held['file'], 0o666)",
    "os.utime(held['file'], (1, 1))",
    "os.link('/proc/self/fd/%d' % held['file'], 'stolen.tif', dst_dir_fd=held['home'], follow_symlinks=True)",
    "open('/proc/self/fd/%d' % held['file'], 'r+b')",
    "os.fchown(held['file'], os.getuid(), -1)",
)


@pytest.fixture
def users(unprivileged: Unprivileged) -> Iterator[TwoUsers]:
    # Not pytest's own temporary folders: they are closed to other users.
    with tempfile.TemporaryDirectory(prefix="dropbox-import-two-users-") as name:
        Path(name).chmod(0o755)
        with two_users(Path(name), unprivileged) as found:
            yield found


def digest(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()


def in_omero(users: TwoUsers) -> dict[str, str]:
    """File name -> SHA-1 of what OMERO has."""
    rows = users.run.ask("select o.name, o.hash from OriginalFile o join FilesetEntry e on e.originalFile = o.id")
    return {str(name): str(sha1) for name, sha1 in rows}


def refused(person: Somebody, tries: tuple[str, ...]) -> None:
    for expression in tries:
        said = person.tries(expression)
        assert isinstance(said, str) and said.startswith("PermissionError"), f"{expression} was not refused: {said}"


def test_a_shell_inside_the_folder_and_open_descriptors_reach_nothing_while_it_is_imported(users: TwoUsers) -> None:
    users.run.standin.faults(import_seconds=20)
    folder = users.take_drop_from("one")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    inside = users.somebody(folder)
    inside.does("held.update(dir=os.open('.', os.O_RDONLY), home=os.open('..', os.O_RDONLY), file=os.open('0.tif', os.O_RDONLY))")
    users.start()
    claim = users.claimed("committed")
    refused(inside, FROM_INSIDE)
    refused(inside, BY_DESCRIPTOR)
    outside = users.somebody(users.run.layout.box)
    paths = (claim, claim / "d" / "one" / "0.tif", claim / "journal.jsonl", claim.parent)
    refused(outside, tuple(f"open({str(path)!r}, 'ab')" for path in paths[1:3]))
    refused(outside, tuple(f"os.rename({str(path)!r}, {str(users.home / 'mine')!r})" for path in paths))
    refused(outside, (f"os.listdir({str(claim)!r})", f"os.listdir({str(claim.parent)!r})", "os.listdir('inprogress')"))
    refused(outside, ("os.rename('drop/alice', 'drop/bob')", "os.rename('inprogress', 'gone')", "os.unlink('.dropbox-import-box')"))
    users.run.rest(90)
    users.run.check()
    (filed,) = users.run.filed("done", users.run.drops[0])
    assert {path.name: path.read_bytes() for path in (filed / "d" / "one").iterdir()} == before
    # Filed, it is hers again, from inside too.
    assert sorted(inside.does("os.listdir('.')")) == ["0.tif", "1.tif"]
    inside.does("os.unlink('0.tif')")


def test_a_writer_that_has_the_file_open_keeps_it_from_being_taken(users: TwoUsers) -> None:
    folder = users.take_drop_from("one")
    writer = users.somebody(folder)
    writer.does("held.update(file=os.open('0.tif', os.O_RDWR))")
    users.start()
    told = users.run.until(lambda: "still" in status(users) or "open" in status(users), 40)
    assert told and not users.run.claims()
    writer.does("os.close(held['file'])")
    users.run.rest(60)
    users.run.check()


def status(users: TwoUsers) -> str:
    try:
        return (users.run.state / "status.json").read_text()
    except FileNotFoundError:
        return ""


def test_what_an_open_write_descriptor_changes_before_the_upload_ends_is_what_is_imported(users: TwoUsers) -> None:
    users.run.standin.faults({"operation": "importFileset", "do": "delay", "seconds": 8, "times": 2})
    folder = users.take_drop_from("one")
    writer = users.somebody(folder)
    users.run.until(lambda: writer.does("held.update(file=os.open('0.tif', os.O_RDWR))") is None, 5)
    users.start(WITHOUT_LEASE)
    claim = users.claimed("begin")
    size = (claim / "d" / "one" / "0.tif").stat().st_size
    writer.does(f"os.pwrite(held['file'], b'changed!', {size})")
    changed = (claim / "d" / "one" / "0.tif").read_bytes()
    users.run.until(users.run.at_rest, 90)
    (filed,) = users.run.filed("done", users.run.drops[0])
    assert (filed / "d" / "one" / "0.tif").read_bytes() == changed, "lost: what she wrote"
    assert in_omero(users)["0.tif"] == digest(changed) or (filed / "ATTENTION.txt").exists(), "nobody is told"
    assert "reinspect" in users.run.records(filed)


def test_what_an_open_write_descriptor_changes_after_the_upload_is_told(users: TwoUsers) -> None:
    users.run.standin.faults(import_seconds=12)
    folder = users.take_drop_from("one")
    before = (folder / "0.tif").read_bytes()
    writer = users.somebody(folder)
    writer.does("held.update(file=os.open('0.tif', os.O_RDWR))")
    users.start(WITHOUT_LEASE)
    claim = users.claimed("committed")
    writer.does(f"os.pwrite(held['file'], b'changed!', {len(before)})")
    changed = (claim / "d" / "one" / "0.tif").read_bytes()
    users.run.until(users.run.at_rest, 90)
    (filed,) = users.run.filed("done", users.run.drops[0])
    assert (filed / "d" / "one" / "0.tif").read_bytes() == changed, "lost: what she wrote"
    assert in_omero(users)["0.tif"] == digest(before)
    assert "one/0.tif changed on disk after it was imported" in (filed / "ATTENTION.txt").read_text()


def test_a_file_with_a_second_name_is_not_taken(users: TwoUsers) -> None:
    """By the other name it could be changed while it is imported. Only the sidecar is taken, and says so."""
    folder = users.take_drop_from("one")
    sidecar = (users.home / "one.yaml").read_bytes()
    person = users.somebody(users.home)
    person.does("os.link('one/0.tif', 'kept.tif')")
    users.start()
    users.run.until(lambda: users.run.filed("failed", users.run.drops[0]), 60)
    users.run.until(users.run.at_rest)
    (failed,) = users.run.filed("failed", users.run.drops[0])
    assert "has 2 names (hard links)" in (failed / "REASON.txt").read_text()
    assert sorted(path.name for path in folder.iterdir()) == ["0.tif", "1.tif"]
    assert not in_omero(users)
    person.does("os.unlink('kept.tif')")
    person.does(f"open('one.yaml', 'wb').write({sidecar!r})")
    users.run.until(lambda: users.run.filed("done", users.run.drops[0]), 60)
    assert sorted(in_omero(users)) == ["0.tif", "1.tif"]


def test_check_says_what_to_type_when_the_capabilities_are_missing(users: TwoUsers) -> None:
    users.take_drop_from("one")
    told = users.check()
    assert "AmbientCapabilities" not in told, told
    line = "AmbientCapabilities=CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_LEASE"
    told = users.check(())
    assert "CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_LEASE are missing" in told, told
    assert f"write below [Service]: {line}" in told, told
    assert f"sudo setpriv --reuid={SERVICE}" in told, told
    told = users.check(WITHOUT_LEASE)
    assert "only quiet_period tells: CAP_LEASE is missing" in told, told
    assert line in told, told


def test_without_capabilities_nothing_is_lost_and_the_reason_is_told(users: TwoUsers) -> None:
    folder = users.take_drop_from("one")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    users.start(())
    users.run.until(lambda: "ermission" in status(users) + users.run.log.read_text() or "may not" in status(users), 60)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    users.run.kill()
    users.start()
    users.run.rest(60)
    users.run.check()
