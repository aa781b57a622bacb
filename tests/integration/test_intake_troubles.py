"""What goes wrong around one file stops that drop alone; a share is judged by size and time only."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from dropbox_import import sidecar
from dropbox_import.intake import reading, ready, scan, tree
from tests.conftest import Unprivileged
from tests.integration.intake_help import Desk, T


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "box")


def good(desk: Desk) -> None:
    desk.save("good.tif")
    desk.save("good.yaml", T)


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES, errno.ENOENT, errno.ESTALE])
@pytest.mark.parametrize("where", ["lstat", "sidecar", "writer", "folder"])
def test_an_error_around_one_drop_never_stops_the_others(desk: Desk, monkeypatch: pytest.MonkeyPatch, where: str, number: int) -> None:
    good(desk)
    desk.save("bad/cells.tif")
    desk.save("bad.yaml", T)

    def broken(path: object, *rest: object, **options: object) -> None:
        raise OSError(number, os.strerror(number), str(path))

    with monkeypatch.context() as patch:
        if where == "lstat":
            real = os.lstat
            patch.setattr(tree.os, "lstat", lambda path: broken(path) if str(path).endswith("cells.tif") else real(path))
        elif where == "sidecar":
            read = reading.read_below
            patch.setattr(reading, "read_below", lambda base, path, limit: broken(path) if path == "bad.yaml" else read(base, path, limit))
        elif where == "writer":
            test = ready.being_written

            def asked(path: Path, network: bool) -> object:
                return broken(path) if path.name == "cells.tif" else test(path, network=network)

            patch.setattr(ready, "being_written", asked)
        else:
            listed = os.scandir
            patch.setattr(tree.os, "scandir", lambda path: broken(path) if str(path).endswith("bad") else listed(path))
        found = desk.settled()
        assert [one.sidecar.path for one in found.ready] == ["good.yaml"]
        (waiting,) = found.waiting
        assert waiting.sidecar == "bad.yaml"
        assert waiting.reason
    assert {one.sidecar.path for one in desk.settled().ready} == {"good.yaml", "bad.yaml"}


@pytest.mark.parametrize("where", ["parse_sidecar", "allowed_owner"])
def test_a_fault_of_ours_holds_that_drop_alone_and_is_logged_once(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, where: str
) -> None:
    good(desk)
    desk.save("bad.tif")
    desk.save("bad.yaml", T + "owner: jdoe\n")
    real = getattr(sidecar, where)

    def broken(*what: object, **options: object) -> object:
        if any(b"owner" in part if isinstance(part, bytes) else getattr(part, "owner", None) for part in what):
            raise KeyError("a bug")
        return real(*what, **options)

    monkeypatch.setattr(sidecar, where, broken)
    found = desk.settled()
    assert [one.sidecar.path for one in found.ready] == ["good.yaml"]
    assert "unexpected" in found.waiting[0].reason
    assert len([record for record in caplog.records if record.exc_info]) == 1


def test_a_drop_folder_that_cannot_be_read_is_an_error_of_the_whole_scan(desk: Desk) -> None:
    good(desk)
    desk.settled()
    away = desk.drop.rename(desk.root / "away")
    with pytest.raises(OSError):  # noqa: PT011 - what the system says
        desk.after()
    away.rename(desk.drop)
    assert "could not be looked at" in desk.reason(desk.after())
    assert len(desk.settled().ready) == 1


def test_a_users_closed_folder_is_told_and_the_others_go_on(unprivileged: Unprivileged) -> None:
    box = unprivileged.folder / "box"
    desk = Desk(box)
    good(desk)
    (desk.drop / "closed").mkdir()
    desk.save("part/x.tif")
    desk.save("part.yaml", T)
    unprivileged.give(box)
    (desk.drop / "closed").chmod(0)
    (desk.home / "part").chmod(0)
    code = f"""
import json
from pathlib import Path
from dropbox_import.clock import SystemClock
from dropbox_import.intake import Intake
from dropbox_import.settings import Box
intake = Intake(Box(path=Path({str(box)!r}), quiet_period=0.0), SystemClock())
for _ in range(3):
    scan = intake.scan()
print(json.dumps([[one.sidecar.path for one in scan.ready], [one.reason for one in scan.waiting], scan.notices]))
"""
    done = unprivileged.run([unprivileged.python, "-c", code])
    assert done.returncode == 0, done.stderr
    taken, waits, notices = json.loads(done.stdout)
    assert taken == ["good.yaml"]
    assert "part" in waits[0]
    assert any("closed" in notice for notice in notices)


def test_a_filed_folder_that_is_moved_back_whole_waits_and_says_what_to_do(desk: Desk) -> None:
    old = "cells__20261122-093912-k7f3q2mzt4"
    for name in ("journal.jsonl", "REASON.txt", "d/cells.tif"):
        desk.save(f"{old}/{name}")
    desk.save(f"{old}/request.json", '{"target": {"dataset": "HeLa"}}')
    desk.save(f"{old}/result.yaml", "schema: 1\ntarget: {}\n")
    desk.save(f"{old}/cells.yaml", T)
    scan = desk.settled()
    assert desk.reason(scan) == "it lies in the folder of a drop that was filed before"
    (notice,) = scan.notices
    assert f'jdoe: "{old}" is the folder of a drop that was filed before; REASON.txt, journal.jsonl, request.json, result.yaml' in notice
    assert 'move what is in its "d" out of it' in notice
    (desk.home / old / "d/cells.tif").rename(desk.home / "cells.tif")
    (desk.home / old / "cells.yaml").rename(desk.home / "cells.yaml")
    assert [one.path for one in desk.only().members] == ["cells.tif"]


@pytest.fixture
def share(monkeypatch: pytest.MonkeyPatch, desk: Desk) -> Desk:
    """The same box, believed to lie on a share."""
    monkeypatch.setattr(scan, "is_network", lambda path: True)
    return desk


def test_on_a_share_identity_and_change_time_do_not_count(share: Desk) -> None:
    image = share.save("cells.tif")
    share.save("cells.yaml", T)
    share.after(6)
    share.after(6)
    seen = image.stat()
    copy = share.save("copy")
    os.utime(copy, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    copy.rename(image)
    (found,) = share.after(6).ready
    assert found.members[0].file_id == ""
    assert found.sidecar.file_id == ""


def test_on_a_share_a_sidecar_is_read_again_before_it_is_taken(share: Desk) -> None:
    share.save("cells.tif")
    sidecar = share.save("cells.yaml", T)
    share.after(6)
    share.after(6)
    seen = sidecar.stat()
    sidecar.write_text(T.replace("HeLa", "Vero"))
    os.utime(sidecar, ns=(seen.st_atime_ns, seen.st_mtime_ns))
    assert share.after(6).ready == ()
    (found,) = share.after(6).ready
    assert found.request is not None
    assert found.request.target.dataset is not None
    assert found.request.target.dataset.name == "Vero"
