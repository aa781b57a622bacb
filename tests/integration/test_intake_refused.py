"""Bad input: refused with a reason that names file, line and cure; the data stays and the others go on."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import NOBODY
from tests.integration.intake_help import Desk, T


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "box")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("target: {dataset: HeLa\n", "cells.yaml:"),
        (T + "tagz: [x]\n", 'cells.yaml:2:1: tagz: unknown key, did you mean "tags"'),
        (T + "rating: many\n", "cells.yaml:2:"),
        (T + "tags: [a]\ntags: [b]\n", "cells.yaml:3:"),
        (T + "\ttags: [a]\n", "cells.yaml:2:"),
        (T + "files: {include: [../x.tif]}\n", ".."),
        (T + "files: {include: [/etc/passwd]}\n", "absolute"),
        (T + "owner: boss\n", "owner-not-allowed"),
        (T + "x-note: " + "a" * (1 << 20) + "\n", "cells.yaml"),
        (T + "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n", "cells.yaml:"),
        (T.encode("utf-16-le"), "cells.yaml"),
        ("target: {dataset: '{path3}'}\n", "path3"),
    ],
)
def test_a_sidecar_with_a_mistake_is_filed_by_itself(desk: Desk, text: str | bytes, words: str) -> None:
    desk.save("cells.tif")
    desk.save("cells.yaml", text)
    desk.save("good.tif")
    desk.save("good.yaml", T)
    good, bad = sorted(desk.settled().ready, key=lambda one: one.request is None)
    assert good.sidecar.path == "good.yaml"
    assert (bad.sidecar.path, bad.request, bad.members) == ("cells.yaml", None, ())
    assert words in bad.refusal_code + "\n".join(str(mistake) for mistake in bad.mistakes)
    assert (desk.home / "cells.tif").exists()


def test_a_huge_sidecar_is_refused_and_not_read_to_its_end(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    os.truncate(desk.save("cells.yaml", T), 100 << 30)
    read, counts = os.read, [0]

    def counted(fd: int, size: int) -> bytes:
        counts[0] += size
        assert counts[0] < 20 << 20
        return read(fd, size)

    monkeypatch.setattr(os, "read", counted)
    candidate = desk.only()
    assert (candidate.sidecar.size, candidate.sidecar_sha256, candidate.request) == (100 << 30, "", None)
    assert "too large" in str(candidate.mistakes[0])


def test_a_half_written_sidecar_is_not_judged_while_it_changes(desk: Desk) -> None:
    desk.save("cells.tif")
    for length in range(5, len(T), 3):
        desk.save("cells.yaml", T[:length])
        assert desk.after(4).ready == ()
    desk.save("cells.yaml", T)
    assert desk.only().request is not None


def link(desk: Desk) -> None:
    desk.save("secret/cells.tif")
    (desk.home / "run").mkdir()
    (desk.home / "run" / "cells.tif").symlink_to("../secret/cells.tif")


def linked_folder(desk: Desk) -> None:
    desk.save("real/cells.tif")
    (desk.home / "run").symlink_to("real")


def hard_link(desk: Desk) -> None:
    os.link(desk.save("elsewhere.tif"), desk.save("run/x").with_name("cells.tif"))


def fifo(desk: Desk) -> None:
    desk.save("run/x")
    os.mkfifo(desk.home / "run" / "cells.tif")


def not_utf8(desk: Desk) -> None:
    desk.save("run/x")
    Path(os.fsdecode(os.fsencode(desk.home) + b"/run/caf\xe9.tif")).write_bytes(b"x")


def line_break(desk: Desk) -> None:
    desk.save("run/cells\n.tif")


def two_cases(desk: Desk) -> None:
    desk.save("run/cells.tif")
    desk.save("run/Cells.tif")


def trailing_dot(desk: Desk) -> None:
    desk.save("run/cells.")


def reserved(desk: Desk) -> None:
    desk.save("run/aux.tif")


def deep(desk: Desk) -> None:
    desk.save("run/" + "d/" * 40 + "cells.tif")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (link, '"run/cells.tif" is a link'),
        (linked_folder, '"run" is a link'),
        (hard_link, "hard links"),
        (fifo, "pipe"),
        (not_utf8, '"run/caf\\xe9.tif" is not valid UTF-8'),
        (line_break, "control character"),
        (two_cases, "the same name on Windows"),
        (trailing_dot, "dot or a space"),
        (reserved, "Windows keeps"),
        (deep, "folders deep"),
    ],
)
def test_a_member_that_cannot_be_taken_refuses_the_sidecar(desk: Desk, make: Callable[[Desk], None], words: str) -> None:
    make(desk)
    before = sorted(desk.home.rglob("*"))
    desk.save("run.yaml", T)
    told = desk.refusal()
    assert words in told
    assert "run.yaml" in told
    assert "(" in told.splitlines()[1]
    assert [path for path in sorted(desk.home.rglob("*")) if path.name != "run.yaml"] == before


def test_an_attachment_that_is_a_link_is_refused_with_its_line(desk: Desk) -> None:
    desk.save("cells.tif")
    (desk.home / "notes.pdf").symlink_to("/etc/passwd")
    desk.save("cells.yaml", T + "attachments:\n  - file: notes.pdf\n")
    assert 'cells.yaml:3:11: "notes.pdf" is a link' in desk.refusal()


def test_a_sidecar_that_is_a_link_is_told_and_never_read(desk: Desk) -> None:
    desk.save("cells.tif")
    (desk.root / "outside.yaml").write_text(T)
    (desk.home / "cells.yaml").symlink_to(desk.root / "outside.yaml")
    scan = desk.settled()
    assert (scan.ready, scan.waiting) == ((), ())
    assert "is a link" in scan.notices[0]


def test_a_sidecar_with_two_names_waits_for_its_cure(desk: Desk) -> None:
    desk.save("cells.tif")
    os.link(desk.save("x", T), desk.home / "cells.yaml")
    assert "hard links" in desk.reason(desk.settled())


def test_two_sidecars_for_one_file_name_each_other_and_the_data_stays(desk: Desk) -> None:
    desk.save("a.tif")
    desk.save("x.yaml", T + 'files: {include: ["*.tif"]}\n')
    desk.save("y.yaml", T + 'files: {include: ["a.*"]}\n')
    x, y = desk.settled().ready
    assert (x.request, x.members, y.request, y.members) == (None, (), None, ())
    assert "y.yaml" in str(x.mistakes[0])
    assert "x.yaml" in str(y.mistakes[0])
    assert "a.tif" in str(x.mistakes[0])


def test_of_two_sidecars_neither_is_refused_while_one_is_being_written(desk: Desk) -> None:
    desk.save("a.tif")
    desk.save("x.yaml", T + 'files: {include: ["*.tif"]}\n')
    desk.settled()
    desk.save("y.yaml", T + 'files: {include: ["a.*"]}\n')
    scan = desk.after(1)
    assert scan.ready == ()
    assert "y.yaml" in scan.waiting[0].reason
    (desk.home / "y.yaml").unlink()
    assert len(desk.after(1).ready) == 1


def test_a_file_of_another_system_user_is_refused_where_the_box_checks(tmp_path: Path) -> None:
    for check in (True, False):
        desk = Desk(tmp_path / str(check), {"check_file_owner": check})
        image = desk.save("cells.tif")
        desk.save("cells.yaml", T)
        # As an ordinary user nothing can be given away, and then both boxes must take it.
        foreign = os.getuid() == 0
        if foreign:
            os.chown(image, NOBODY, NOBODY)
        if foreign and check:
            told = desk.refusal()
            assert "belongs to" in told
            assert "check_file_owner" in told
        else:
            assert desk.only().request is not None


def test_a_sidecar_saved_as_text_is_told(desk: Desk) -> None:
    desk.save("cells.tif")
    desk.save("cells.yaml.txt", T)
    assert ".txt" in desk.refusal()


def test_files_directly_in_drop_are_told_and_left_alone(desk: Desk) -> None:
    (desk.drop / "cells.tif").write_text("x")
    (desk.drop / "cells.yaml").write_text(T)
    (desk.drop / "READ_ME.txt").write_text("hello")
    (desk.drop / "link").symlink_to("jdoe")
    (desk.drop / "trailing ").mkdir()
    scan = desk.settled()
    assert (scan.ready, scan.waiting) == ((), ())
    assert len(scan.notices) == 4
    assert sum("directly in drop/" in notice for notice in scan.notices) == 2
