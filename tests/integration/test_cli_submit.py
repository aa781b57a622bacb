"""Promises of `submit`: the safe order, nothing half, no name taken, and a clear word when no daemon is there."""

from __future__ import annotations

import errno
import json
import os
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dropbox_import import submit
from dropbox_import.cli.entry import cli
from dropbox_import.clock import SystemClock
from dropbox_import.disk import observe
from dropbox_import.disk.volumes import PROBE_PREFIX
from dropbox_import.errors import AccessDenied, ConfigError, DiskFull, DropboxImportError, MembersMissing, Paused, Rejected
from dropbox_import.sidecar import parse_sidecar
from dropbox_import.spool.layout import Layout, create_box

TARGET = {"target": {"dataset": "HeLa"}}


@pytest.fixture
def box(tmp_path: Path) -> Path:
    path = tmp_path / "box"
    create_box(path, SystemClock(), ["jdoe"])
    beat(path)
    return path


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    (folder / "run7" / "deep").mkdir(parents=True)
    (folder / "a.tif").write_bytes(b"a" * 10)
    (folder / "b.tif").write_bytes(b"b" * 20)
    (folder / "run7" / "c.tif").write_bytes(b"c" * 30)
    (folder / "run7" / "deep" / "d.tif").write_bytes(b"d" * 40)
    return folder


def beat(box: Path, *, age: float = 0.0, accepting: bool = True) -> None:
    path = Layout(box).heartbeat("lab1")
    path.write_text(json.dumps({"instance": "lab1", "host": "pc7", "pid": 4, "interval": 10, "beat": 3, "accepting": accepting}))
    if age:
        then = time.time() - age
        os.utime(path, (then, then))


def in_drop(box: Path) -> list[str]:
    base = box / "drop" / "jdoe"
    return sorted(path.relative_to(base).as_posix() for path in base.rglob("*") if path.is_file())


def run(*args: str | Path) -> Result:
    return CliRunner().invoke(cli, ["submit", *map(str, args)])


def test_files_and_sidecar_arrive_and_the_sidecar_tells_every_size(box: Path, images: Path) -> None:
    result = submit.submit([images / "a.tif", images / "run7"], drop=box, user="jdoe", fields=TARGET)
    assert in_drop(box) == ["a.tif", "a.tif.yaml", "run7/c.tif", "run7/deep/d.tif"]
    assert result.sidecar == box / "drop/jdoe/a.tif.yaml"
    assert result.bytes == 80
    request = parse_sidecar(result.sidecar.read_bytes(), "a.tif.yaml")
    assert request.files.include == ("a.tif", "run7")
    assert request.files.expect.size == {"a.tif": 10, "run7/c.tif": 30, "run7/deep/d.tif": 40}
    assert request.files.expect.count == 3
    assert (images / "a.tif").exists()


def test_the_sidecar_is_the_last_thing_that_gets_its_name(box: Path, images: Path) -> None:
    named: list[str] = []
    observe.set_observer(lambda when, op, path: named.append(path.name) if (when, op) == ("after", "rename") else None)
    try:
        submit.submit([images / "a.tif", images / "b.tif"], drop=box, user="jdoe", fields=TARGET)
    finally:
        observe.set_observer(None)
    assert named == ["a.tif", "b.tif", "a.tif.yaml"]


@pytest.mark.parametrize("move", [False, True])
def test_a_full_disk_at_any_effect_leaves_everything_as_it_was(box: Path, images: Path, move: bool) -> None:
    for stop_at in range(1, 200):
        beat(box)  # the daemon of this box lives as long as it takes
        seen, failed = 0, ""

        def observer(when: str, op: str, path: Path, stop_at: int = stop_at) -> None:
            nonlocal seen, failed
            seen += when == "before"
            if seen == stop_at and not failed:
                failed = op
                raise OSError(errno.ENOSPC, "No space left on device")

        observe.set_observer(observer)
        try:
            result = submit.submit([images / "a.tif", images / "run7"], drop=box, user="jdoe", fields=TARGET, move=move)
        except DiskFull:
            assert [name for name in in_drop(box) if failed != "remove_file" or PROBE_PREFIX not in name] == []
            for left in (box / "drop/jdoe").glob(PROBE_PREFIX + "*"):
                left.unlink()
            assert (images / "a.tif").read_bytes() == b"a" * 10
            assert (images / "run7/deep/d.tif").read_bytes() == b"d" * 40
            continue
        finally:
            observe.set_observer(None)
        assert in_drop(box) == ["a.tif", "a.tif.yaml", "run7/c.tif", "run7/deep/d.tif"]
        assert bool(failed) == bool(result.notices), "what fails after the sidecar is in place is told, not raised"
        return
    pytest.fail("it never got through")


def test_a_drop_folder_that_may_not_be_written_is_told(box: Path, images: Path) -> None:
    def observer(when: str, op: str, path: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    observe.set_observer(observer)
    try:
        with pytest.raises(AccessDenied, match="writing into"):
            submit.submit([images / "a.tif"], drop=box, user="jdoe", fields=TARGET)
    finally:
        observe.set_observer(None)


def test_move_takes_the_files_away(box: Path, images: Path) -> None:
    submit.submit([images / "a.tif"], drop=box, user="jdoe", fields=TARGET, move=True)
    assert not (images / "a.tif").exists()
    assert (box / "drop/jdoe/a.tif").read_bytes() == b"a" * 10


def test_a_name_that_is_taken_is_refused_and_nothing_changes(box: Path, images: Path) -> None:
    (box / "drop/jdoe/b.tif").write_bytes(b"older")
    with pytest.raises(Rejected, match=r"b\.tif is already in"):
        submit.submit([images / "a.tif", images / "b.tif"], drop=box, user="jdoe", fields=TARGET)
    assert in_drop(box) == ["b.tif"]
    assert (box / "drop/jdoe/b.tif").read_bytes() == b"older"


def test_a_folder_of_their_own_solves_a_clash(box: Path, images: Path) -> None:
    (box / "drop/jdoe/a.tif").write_bytes(b"older")
    submit.submit([images / "a.tif"], drop=box, user="jdoe", fields=TARGET, folder="second")
    assert in_drop(box) == ["a.tif", "second/a.tif", "second/a.tif.yaml"]


def test_two_files_of_one_name_are_refused(box: Path, images: Path) -> None:
    (images / "other").mkdir()
    (images / "other" / "A.TIF").write_bytes(b"x")
    with pytest.raises(Rejected, match="would both become"):
        submit.submit([images / "a.tif", images / "other" / "A.TIF"], drop=box, user="jdoe", fields=TARGET)
    assert in_drop(box) == []


def test_links_missing_files_and_empty_folders_are_refused(box: Path, images: Path) -> None:
    (images / "link.tif").symlink_to("a.tif")
    (images / "empty").mkdir()
    with pytest.raises(Rejected, match="not a regular file"):
        submit.submit([images / "link.tif"], drop=box, user="jdoe", fields=TARGET)
    with pytest.raises(MembersMissing, match="no file"):
        submit.submit([images / "nothing.tif"], drop=box, user="jdoe", fields=TARGET)
    with pytest.raises(MembersMissing, match="is empty"):
        submit.submit([images / "empty"], drop=box, user="jdoe", fields=TARGET)
    assert in_drop(box) == []


def test_an_attachment_that_lies_there_already_is_shared(box: Path, images: Path) -> None:
    (images / "protocol.txt").write_text("heat")
    submit.submit([images / "a.tif"], drop=box, user="jdoe", fields=TARGET, attachments=[images / "protocol.txt"])
    submit.submit([images / "b.tif"], drop=box, user="jdoe", fields=TARGET, attachments=[images / "protocol.txt"])
    (images / "protocol.txt").write_text("cold")
    (images / "c.tif").write_bytes(b"c")
    with pytest.raises(Rejected, match=r"protocol\.txt is already in"):
        submit.submit([images / "c.tif"], drop=box, user="jdoe", fields=TARGET, attachments=[images / "protocol.txt"])
    request = parse_sidecar((box / "drop/jdoe/b.tif.yaml").read_bytes(), "b.tif.yaml")
    assert [one.file for one in request.attachments] == ["protocol.txt"]


def test_without_a_daemon_nothing_is_submitted_unless_asked(box: Path, images: Path) -> None:
    beat(box, age=300)
    with pytest.raises(Paused, match=r"last sign of life of lab1 on pc7 is (4|5) minutes old"):
        submit.submit([images / "a.tif"], drop=box, user="jdoe", fields=TARGET)
    assert in_drop(box) == []
    submit.submit([images / "a.tif"], drop=box, user="jdoe", fields=TARGET, even_if_down=True)
    assert "a.tif.yaml" in in_drop(box)


def test_a_daemon_that_stops_or_never_was_is_told_apart(box: Path, images: Path) -> None:
    beat(box, accepting=False)
    with pytest.raises(Paused, match="was told to stop and takes nothing new"):
        submit.submit([images / "a.tif"], drop=box, user="jdoe", fields=TARGET)
    beat(box, accepting=False, age=300)
    with pytest.raises(Paused, match=r"was stopped (4|5) minutes ago"):
        submit.submit([images / "a.tif"], drop=box, user="jdoe", fields=TARGET)
    Layout(box).heartbeat("lab1").unlink()
    with pytest.raises(Paused, match="no daemon has ever"):
        submit.submit([images / "a.tif"], drop=box, user="jdoe", fields=TARGET)


def test_the_place_may_be_named_in_three_ways(box: Path, images: Path) -> None:
    for given in (box, box / "drop", box / "drop" / "jdoe"):
        assert submit.find_place(given, None, "jdoe").folder == box / "drop/jdoe"
    assert submit.find_place(box / "drop" / "jdoe", None, None).user == "jdoe"
    with pytest.raises(ConfigError, match="no drop box"):
        submit.find_place(images, None, None)
    with pytest.raises(ConfigError, match="no drop folder for nobody-here") as caught:
        submit.find_place(box, None, "nobody-here")
    assert "jdoe" in caught.value.hint
    with pytest.raises(ConfigError):
        submit.find_place(box, None, "../jdoe")


def test_mistakes_in_the_fields_are_told_before_anything_is_written(box: Path, images: Path) -> None:
    with pytest.raises(DropboxImportError):
        submit.submit([images / "a.tif"], drop=box, user="jdoe", fields={"target": {"dataset": "x"}, "rating": 9})
    assert in_drop(box) == []


def test_the_command_prints_the_sidecar_on_stdout_and_the_rest_on_stderr(box: Path, images: Path) -> None:
    result = run(
        images / "a.tif", "--drop", box / "drop" / "jdoe", "--project", "P", "--dataset", "151", "--create", "--tag", "live", "--tag", "2",
        "--key-value", "Organism=Homo sapiens", "--key-value", "E=m=c2", "--comment", "Say: hello", "--rating", "4", "--image-name",
        "{stem}",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{box}/drop/jdoe/a.tif.yaml\n"
    assert "Submitted 1 file (10 B)" in result.stderr
    request = parse_sidecar((box / "drop/jdoe/a.tif.yaml").read_bytes(), "a.tif.yaml")
    assert request.target.dataset is not None
    assert (request.target.dataset.name, request.target.dataset.id, request.target.dataset.create) == ("151", None, True)
    assert [tag.name for tag in request.tags] == ["live", "2"]
    assert request.key_values[0].pairs == (("Organism", "Homo sapiens"), ("E", "m=c2"))
    assert request.comments == ("Say: hello",)
    assert request.rating == 4


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (["--dataset", "x"], 2, "Say where"),
        (["--drop", "BOX", "--project", "x"], 2, "needs --dataset"),
        (["--drop", "BOX", "--orphaned", "--dataset", "x"], 2, "excludes"),
        (["--drop", "BOX", "--dataset", "x", "--key-value", "novalue"], 2, "KEY=VALUE"),
        (["--drop", "BOX", "--dataset", "id:x"], 2, "id:151"),
        (["--drop", "/", "--dataset", "x"], 3, "no drop box"),
        (["--drop", "BOX", "--dataset", "x", "--user", "who"], 3, "--user"),
    ],
)
def test_what_is_typed_wrong_is_told_with_its_code(box: Path, images: Path, args: list[str], code: int, says: str) -> None:
    result = run(images / "a.tif", *(str(box) if arg == "BOX" else arg for arg in args))
    assert result.exit_code == code, result.output
    assert says in result.stderr
    assert "Traceback" not in result.output
    assert in_drop(box) == []


def test_a_daemon_that_is_down_is_exit_code_5(box: Path, images: Path) -> None:
    beat(box, age=300)
    result = run(images / "a.tif", "--drop", box, "--user", "jdoe", "--dataset", "x")
    assert result.exit_code == 5
    assert "--even-if-down" in result.stderr


def test_the_written_sidecar_is_plain_yaml(box: Path, images: Path) -> None:
    result = submit.submit([images / "a.tif"], drop=box, user="jdoe", fields={"target": {"dataset": "no"}, "tags": ["00123", "yes"]})
    text = result.sidecar.read_text()
    request = parse_sidecar(text.encode(), "a.tif.yaml")
    assert [tag.name for tag in request.tags] == ["00123", "yes"]


def config_with(box: Path, defaults: str) -> Path:
    path = box.parent / "config.yaml"
    path.write_text(
        f"omero: {{host: localhost, user: importer}}\nstate_dir: {box.parent / 'state'}\nboxes: [{{path: {box}, defaults: {defaults}}}]\n"
    )
    return path


def test_the_target_may_be_left_out_only_where_the_config_tells_the_default(box: Path, images: Path) -> None:
    alone = run(images / "a.tif", "--drop", box, "--user", "jdoe", "--tag", "live")
    assert alone.exit_code == 4
    assert "nothing says where the images go" in alone.stderr
    assert "only --config FILE in the place of --drop knows it" in alone.stderr
    without = run(images / "a.tif", "--config", config_with(box, "{tags: [x]}"), "--user", "jdoe")
    assert without.exit_code == 4
    assert "the box has no default for it" in without.stderr
    assert in_drop(box) == []
    good = run(images / "a.tif", "--config", config_with(box, "{target: {dataset: Inbox}}"), "--user", "jdoe")
    assert good.exit_code == 0, good.output
    assert "target" not in (box / "drop/jdoe/a.tif.yaml").read_text()


def test_a_mistake_in_the_options_does_not_speak_of_a_sidecar_to_be_saved_again(box: Path, images: Path) -> None:
    result = run(images / "a.tif", "--drop", box, "--user", "jdoe", "--dataset", "{stam}")
    assert result.exit_code == 4
    assert "unknown placeholder" in result.stderr
    assert "Nothing was submitted." in result.stderr
    assert "drop folder again" not in result.stderr
    assert in_drop(box) == []


@pytest.mark.parametrize("name", ["a.tif.part", "a.tif.yaml.part"])
def test_the_half_file_of_another_program_is_left_alone(box: Path, images: Path, name: str) -> None:
    """A browser, rsync, or another `submit` that still runs."""
    theirs = Layout(box).drop / "jdoe" / name
    theirs.write_bytes(b"half of it")
    with pytest.raises(Rejected, match=name):
        submit.submit([images / "a.tif"], fields=TARGET, drop=box, user="jdoe")
    assert theirs.read_bytes() == b"half of it"
    assert [path.name for path in theirs.parent.iterdir()] == [name]


def test_a_half_file_that_comes_in_that_very_moment_is_left_alone(box: Path, images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = Layout(box).drop / "jdoe" / "a.tif.part"
    monkeypatch.setattr(submit, "_require_free", lambda *_: theirs.write_bytes(b"half of it"))
    with pytest.raises(DropboxImportError):
        submit.submit([images / "a.tif"], fields=TARGET, drop=box, user="jdoe")
    assert theirs.read_bytes() == b"half of it"


def test_a_folder_with_a_part_that_may_not_be_read_is_not_submitted_as_if_it_were_whole(
    box: Path, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scandir = os.scandir

    def denied(path: str) -> object:
        if str(path).endswith("deep"):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises(AccessDenied, match="deep"):
        submit.submit([images / "run7"], fields=TARGET, drop=box, user="jdoe")
    assert list((Layout(box).drop / "jdoe").iterdir()) == []
