"""The inspector on real files and as a real child process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from dropbox_import.disk.facts import facts
from dropbox_import.errors import FileBusy
from dropbox_import.inspector.inspect import inspect_members
from dropbox_import.model import FileFacts, Inspection
from dropbox_import.plain import from_plain, to_plain
from dropbox_import.standin import samples


def members_of(folder: Path) -> list[FileFacts]:
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return [facts(folder, path.relative_to(folder).as_posix()) for path in paths]


class Child:
    """The inspector, spoken to as the daemon does."""

    def __init__(self, *options: str, program: Sequence[str] = ("-m", "dropbox_import.inspector")) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *program, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.hello = self._event()
        self.calls: list[str] = []
        self.errors = b""

    def _event(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        while line := self.process.stdout.readline():
            if line.strip():
                event: dict[str, Any] = json.loads(line)
                return event
        return {"event": "end"}

    def inspect(self, root: Path, members: list[FileFacts], named: tuple[str, ...] = ()) -> dict[str, Any]:
        assert self.process.stdin is not None
        args = {"root": str(root), "members": to_plain(members), "named": list(named)}
        self.process.stdin.write(json.dumps({"id": 7, "do": "inspect", "drop": "d", "args": args}).encode() + b"\n")
        self.process.stdin.flush()
        while (event := self._event())["event"] in ("started", "progress", "in-call"):
            assert event["id"] == 7
            self.calls += [event["call"]] if event["event"] == "in-call" else []
        return event

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        self.errors = self.process.communicate(timeout=20)[1]


def test_a_drop_of_everything_is_sorted_out_by_the_child(tmp_path: Path) -> None:
    samples.main([str(tmp_path), "--mebibytes", "2"])
    (tmp_path / "notes.txt").write_text("seen at t=40")
    (tmp_path / "empty.czi").touch()
    with Child() as child:
        assert child.hello["role"] == "inspector"
        event = child.inspect(tmp_path, members_of(tmp_path))
    assert event["event"] == "done"
    found = from_plain(Inspection, event["result"])
    assert [[one.path for one in plan.files] for plan in found.filesets] == [
        ["big.tif"],
        ["field_1.tif"],
        ["field_2.tif"],
        ["five_d.ome.tif"],
        ["plain.tif"],
        ["plate.companion.ome", "plate_T0.ome.tif", "plate_T1.ome.tif"],
        ["timelapse_T0.ome.tif", "timelapse_T1.ome.tif", "timelapse_T2.ome.tif"],
    ]
    assert {bad.files[0]: bad.code for bad in found.bad} == {
        "bomb.tif": "too-large",
        "empty.czi": "empty-file",
        "field_3.tif": "cut-file",
        "half_zero.tif": "zero-filled",
    }
    assert found.extras == ("notes.txt",)
    assert found == inspect_members(tmp_path, members_of(tmp_path))


def test_names_that_are_not_utf8_travel(tmp_path: Path) -> None:
    if sys.platform != "linux":
        return
    samples.plain_tiff(tmp_path / "a.tif").rename(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.tif"))
    with Child() as child:
        event = child.inspect(tmp_path, members_of(tmp_path))
    assert event["result"]["filesets"][0]["files"][0]["path"] == "caf\udce9.tif"


def test_neither_numpy_nor_tifffile_nor_omero_is_loaded_in_the_child() -> None:
    load = "import sys, dropbox_import.inspector.__main__ as inspector; inspector.handlers()"
    code = f"{load}; print([name for name in ('numpy', 'tifffile', 'omero', 'Ice') if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


@pytest.mark.skipif(sys.platform == "win32", reason="the daemon's job object limits it there")
def test_memory_over_the_limit_fails_this_drop_and_the_child_goes_on(tmp_path: Path) -> None:
    huge = tmp_path / "x.companion.ome"
    huge.write_bytes(b"<OME>" + b"<Image/>" * (20 << 20) + b"</OME>")
    samples.plain_tiff(tmp_path / "a.tif")
    with Child("--memory", str(180 << 20)) as child:
        found = from_plain(Inspection, child.inspect(tmp_path, members_of(tmp_path))["result"])
        again = from_plain(Inspection, child.inspect(tmp_path, [facts(tmp_path, "a.tif")])["result"])
    assert [bad.code for bad in found.bad] == ["too-large"]
    assert len(found.filesets) == len(again.filesets) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="the daemon's job object limits it there")
def test_computing_over_the_limit_ends_the_child(tmp_path: Path) -> None:
    deep = tmp_path / "x.companion.ome"
    deep.write_bytes(b"<OME>" + b"<Image><Pixels/></Image>" * (8 << 20) + b"</OME>")
    with Child("--cpu", "1") as child:
        assert child.inspect(tmp_path, members_of(tmp_path)) == {"event": "end"}
    assert child.process.returncode != 0


TELLING = """
import sys
from dropbox_import.inspector import __main__ as inspector
from dropbox_import.workers import serve
serve.SHORT = 0
inspector._limit_computing = lambda seconds: print("may compute for", seconds, file=sys.stderr)
inspector.main()
"""


def test_each_file_has_its_own_limits_and_they_do_not_grow_with_its_size(tmp_path: Path) -> None:
    """Together they may take any time; but one that hangs is found out soon."""
    for number in range(3):
        samples.plain_tiff(tmp_path / f"{number}.tif")
    with (tmp_path / "huge.czi").open("wb") as file:
        file.truncate(10**12)
    with Child(program=("-c", TELLING)) as child:
        assert child.inspect(tmp_path, members_of(tmp_path))["event"] == "done"
    assert child.calls == ["inspect"] * 4
    assert child.errors.splitlines() == [b"may compute for 300"] * 5


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    samples.plain_tiff(tmp_path / "secret.tif")
    inner = tmp_path / "d"
    inner.mkdir()
    (inner / "a.tif").symlink_to(tmp_path / "secret.tif")
    found = inspect_members(inner, [FileFacts("a.tif", (tmp_path / "secret.tif").stat().st_size, 0)])
    assert not found.filesets
    assert found.bad[0].files == ("a.tif",)


def test_a_file_that_vanished_is_bad_and_one_that_changed_waits(tmp_path: Path) -> None:
    samples.plain_tiff(tmp_path / "a.tif")
    found = inspect_members(tmp_path, [facts(tmp_path, "a.tif"), FileFacts("gone.tif", 10, 0)])
    assert [(bad.files, bad.code) for bad in found.bad] == [(("gone.tif",), "file-missing")]
    with pytest.raises(FileBusy, match=r"a\.tif had 1 bytes when it was taken"):
        inspect_members(tmp_path, [FileFacts("a.tif", 1, 0)])


def test_sixty_pages_take_less_than_fifty_milliseconds(tmp_path: Path) -> None:
    samples.plain_tiff(tmp_path / "a.tif", pages=60)
    members = members_of(tmp_path)
    inspect_members(tmp_path, members)
    times = []
    for _ in range(20):
        began = time.process_time()
        assert len(inspect_members(tmp_path, members).filesets) == 1
        times.append(time.process_time() - began)
    assert min(times) < 0.05


def test_a_big_file_is_judged_by_reading_little(tmp_path: Path) -> None:
    path = samples.big_tiff(tmp_path / "a.tif", 200)
    began = time.process_time()
    assert len(inspect_members(tmp_path, members_of(tmp_path)).filesets) == 1
    assert time.process_time() - began < 0.5
    os.truncate(path, path.stat().st_size - 1)
    found = inspect_members(tmp_path, members_of(tmp_path))
    assert found.bad[0].sentence.startswith("a.tif ends after ")
