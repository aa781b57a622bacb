"""Folders of done/ and failed/ that somebody puts back into drop/: what intake makes of them, also of forged ones."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from dropbox_import.model import ContainerRef
from tests.integration.intake_help import Desk, T

ID = "20261122-093912-k7f3q2mzt4"
OLD = f"plate__{ID}"
RESULT = f"drop: '{ID}'\nstate: failed\nsubmission: '{ID}'\nuser: jdoe\nowner: jdoe\n"


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path / "box")


def put_back(desk: Desk, *files: str, sidecar: str = T, result: str | bytes = RESULT, folder: str = OLD, name: str = "plate.yaml") -> None:
    """Somebody moves a filed folder with these files below its d/ into the drop folder."""
    for path in files:
        desk.save(f"{folder}/d/{path}", path)
    for record in ("journal.jsonl", "request.json", "REASON.txt"):
        desk.save(f"{folder}/{record}", "{}")
    desk.save(f"{folder}/result.yaml", result)
    desk.save(f"{folder}/{name}", sidecar)


def test_it_is_taken_as_the_drop_that_it_was(desk: Desk) -> None:
    text = 'target: {project: {name: "{path1}"}, dataset: {name: "{date} {folder} {stem}"}}\nattachments: [{file: p.pdf}]\n'
    put_back(
        desk,
        "plate/a.tif",
        sidecar=text,
        folder=f"again/{OLD}",
        result=RESULT + "dropped: jdoe/mitosis/run7/plate.yaml\ndated: '2025-02-03T04:05:06+00:00'\n",
    )
    desk.save(f"again/{OLD}/refs/p.pdf")
    desk.save(f"again/{OLD}/journal-0002.jsonl")
    desk.save(f"again/{OLD}/earlier/result.yaml", RESULT)
    found = desk.only()
    assert (found.folder, found.base, found.refs_base) == (f"jdoe/again/{OLD}", "d", "refs")
    assert [one.path for one in found.members] == ["plate/a.tif"]
    assert [one.path for one in found.references] == ["p.pdf"]
    assert found.whole_folders == ("plate",)
    assert found.leftovers == (
        "REASON.txt",
        "journal-0002.jsonl",
        "journal.jsonl",
        "request.json",
        "result.yaml",
        "refs/p.pdf",
        "earlier/result.yaml",
    )
    assert (found.dropped, found.home) == ("jdoe/mitosis/run7/plate.yaml", "jdoe/mitosis/run7")
    assert found.dated == "2025-02-03T04:05:06+00:00"
    assert found.request is not None
    assert found.request.submission == ID
    assert found.request.target.project == ContainerRef(name="mitosis")
    assert found.request.target.dataset == ContainerRef(name="2025-02-03 plate a")


def test_the_first_time_and_the_second_time_give_the_same_names(desk: Desk) -> None:
    """For members beside the sidecar, in folders below it, and for a sidecar in the user's own folder."""
    text = 'target: {dataset: {name: "{date} {folder} {stem}"}}\nfiles: {include: ["**/*.tif"]}\n'
    for home, image in (("", "a.tif"), ("", "x/a.tif"), ("run", "a.tif"), ("run/two", "x/y/a.tif")):
        first = Desk(desk.root.parent / f"first-{len(home)}-{len(image)}")
        first.save(f"{home}/{image}".strip("/"))
        first.save(f"{home}/plate.yaml".strip("/"), text)
        seen = first.only()
        second = Desk(first.root.with_name(first.root.name + "-again"))
        second.clock.seconds += 9e5
        result = f"{RESULT}dropped: {seen.folder}/plate.yaml\ndated: '{seen.dated}'\n"
        put_back(second, image, sidecar=text, result=result)
        again = second.only()
        assert (again.request, again.dated, again.home) != (None, "", "")
        assert again.request is not None and seen.request is not None
        assert again.request.target == seen.request.target
        assert (again.dated, again.home) == (seen.dated, seen.folder)
        assert [one.path for one in again.members] == [one.path for one in seen.members]


def test_a_submission_of_the_sidecar_counts_more_and_that_of_an_earlier_try_is_kept(desk: Desk) -> None:
    put_back(desk, "plate.tif", sidecar=T + "submission: run-7\n")
    put_back(desk, "plate.tif", folder="b", result=RESULT.replace(f"submission: '{ID}'", "submission: run-8"))
    put_back(desk, "plate.tif", folder="c", result=f"drop: '{ID}'\n")
    found = {one.folder.rpartition("/")[2]: one.request and one.request.submission for one in desk.settled().ready}
    assert found == {OLD: "run-7", "b": "run-8", "c": ID}


def test_what_the_other_part_holds_is_not_waited_for(desk: Desk) -> None:
    rule = "files: {include: [1.tif, 2.tif, sub], expect: {count: 4, size: {1.tif: 5, 2.tif: 5}}}\n"
    put_back(desk, "2.tif", sidecar=T + rule, result=RESULT + "other_part: done\nother_files:\n  - 1.tif\n  - sub/3.tif\n  - sub/4.tif\n")
    found = desk.only()
    assert [one.path for one in found.members] == ["2.tif"]
    assert found.elsewhere == ("1.tif", "sub/3.tif", "sub/4.tif")


def test_what_nobody_has_is_waited_for_in_its_d(desk: Desk) -> None:
    put_back(desk, "2.tif", sidecar=T + "files: {include: [1.tif, 2.tif]}\n", result=RESULT + "other_files: [3.tif]\n")
    assert desk.reason(desk.settled()) == 'not in the "d" beside it: "1.tif"'
    desk.save(f"{OLD}/d/1.tif")
    assert len(desk.settled().ready) == 1


def test_only_its_files_moved_back_and_the_list_names_all(desk: Desk) -> None:
    """The plain way, where four of five are in OMERO: the wait says what to do."""
    desk.save("5.tif")
    sidecar = desk.save("plate.yaml", T + "files: {include: [1.tif, 2.tif, 3.tif, 4.tif, 5.tif]}\n")
    why = desk.reason(desk.settled())
    assert why.startswith('not there yet: "1.tif", "2.tif", "3.tif", "4.tif"')
    assert why.endswith("if they are in OMERO already, from an earlier try, take their names out of the sidecar")
    sidecar.write_text(T + "files: {include: [5.tif]}\n")
    assert [one.path for one in desk.only().members] == ["5.tif"]


def test_the_usual_rules_of_quiet_hold(desk: Desk) -> None:
    put_back(desk, "plate.tif")
    assert "moment ago" in desk.reason(desk.after())
    with (desk.home / OLD / "d" / "plate.tif").open("ab"):
        assert "open for writing" in desk.reason(desk.settled())
    assert len(desk.settled().ready) == 1


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (RESULT + "dropped: ../../etc/plate.yaml\n", ("", ID)),
        (RESULT + "dropped: jdoe/../boss/plate.yaml\n", ("", ID)),
        (RESULT + "dropped: boss/secret/plate.yaml\n", ("", ID)),
        (RESULT + "dropped: /jdoe/plate.yaml\n", ("", ID)),
        (RESULT + "dropped: [jdoe, plate.yaml]\n", ("", ID)),
        (RESULT + 'dropped: "jdoe/a\\nb/plate.yaml"\n', ("", ID)),
        (RESULT + "dropped: jdoe/" + "x/" * 3000 + "plate.yaml\n", ("", ID)),
        (RESULT + "dated: yesterday\n", ("", ID)),
        (RESULT + "dated: '9999-12-31T23:59:59-23:59'\n", ("", ID)),
        (RESULT + "dated: '2025-01-01T00:00:00'\n", ("", ID)),
        (RESULT + "other_files: {a: b}\n", ("", ID)),
        (RESULT.replace("owner: jdoe", "owner: root").replace("user: jdoe", "user: boss"), ("", ID)),
        (f"drop: '{ID}'\nsubmission: 'a/b %'\n", ("", ID)),
        (RESULT + "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\nother_files: [*c,*c]\n", ("", ID)),
        (RESULT + "other_files: &a [*a]\n", ("", ID)),
        (RESULT + "filesets:\n" + "  - {fileset: 1, files: [{path: x.tif}]}\n" * 150_000, ("", ID)),
        (RESULT + "\x00\x01\x02", ("", ID)),
        ((RESULT + "x: y\n").encode() + bytes(range(128, 256)), ("", ID)),
    ],
    ids=lambda value: repr(value)[-40:],
)
def test_a_forged_result_gives_nothing_but_an_id(desk: Desk, result: str | bytes, expected: tuple[str, str]) -> None:
    (desk.drop / "boss").mkdir()
    put_back(desk, "plate.tif", result=result, sidecar="target: {dataset: {name: '{date:%Y} {folder}'}}\n")
    found = desk.only()
    assert found.request is not None
    assert (found.dropped, found.request.submission) == expected
    assert (found.owner, found.user, found.elsewhere) == ("jdoe", "jdoe", ())
    assert found.request.target.dataset is not None
    assert found.request.target.dataset.name == "2026 d"


@pytest.mark.parametrize(
    "result",
    [
        "",
        "target: {dataset: HeLa}\n",
        "drop: 7\n",
        "drop: ../../../etc\n",
        f"drop: '{ID}/x'\n",
        f"drop: ['{ID}']\n",
        f"drop: '{ID}'\ndrop: '{ID}'\n",
        "drop: &a [*a]\n",
        "drop: '٢٠٢٦١١٢٢-093912-k7f3q2mzt4'\n",
        f"- drop: '{ID}'\n",
        f"drop: '{ID}\n",
        "drop: {" * 5000,
        b"\xff\xfe\x00",
    ],
)
def test_what_is_no_result_of_ours_is_not_believed(desk: Desk, result: str | bytes) -> None:
    put_back(desk, "plate.tif", result=result)
    scan = desk.settled()
    assert desk.reason(scan) == "it lies in the folder of a drop that was filed before"
    assert 'move what is in its "d" out of it' in scan.notices[0]


def test_a_result_without_our_other_files_is_enough_and_a_foreign_one_is_data(desk: Desk) -> None:
    desk.save(f"{OLD}/d/plate.tif")
    desk.save(f"{OLD}/plate.yaml", T)
    desk.save(f"{OLD}/result.yaml", RESULT)
    desk.save("run/result.yaml", "drop: 5\n")
    desk.save("run/d/run.tif")
    desk.save("run.yaml", T)
    found = {one.sidecar.path: [member.path for member in one.members] for one in desk.settled().ready}
    assert found == {"plate.yaml": ["plate.tif"], "run.yaml": ["run/d/run.tif", "run/result.yaml"]}


def test_a_result_that_is_a_link_is_not_followed(desk: Desk) -> None:
    desk.save("../../elsewhere.yaml", RESULT)
    desk.save(f"{OLD}/d/plate.tif")
    desk.save(f"{OLD}/plate.yaml", T)
    (desk.home / OLD / "result.yaml").symlink_to(desk.root / "elsewhere.yaml")
    assert 'no file or folder "plate"' in desk.reason(desk.settled())


def test_of_a_sidecar_that_was_filed_alone_the_wait_says_where_it_belongs(desk: Desk) -> None:
    put_back(desk, result=RESULT + "dropped: jdoe/run7/plate.yaml\n")
    assert 'only the sidecar was filed, without its images; move it back to them, which were in "run7" then' in desk.reason(desk.settled())
    desk.save(f"{OLD}/plate.tif")  # or the images are put beside it
    found = desk.only()
    assert ([one.path for one in found.members], found.base) == (["plate.tif"], "")
    assert "result.yaml" in found.leftovers


def test_without_its_sidecar_it_is_told(desk: Desk) -> None:
    put_back(desk, "plate.tif")
    (desk.home / OLD / "plate.yaml").unlink()
    (notice,) = desk.settled().notices
    assert notice.endswith('no sidecar lies in it. To drop it again, save its sidecar beside its "d".')


def test_files_beside_its_sidecar_stay_and_are_told(desk: Desk) -> None:
    put_back(desk, "plate.tif")
    desk.save(f"{OLD}/mended.tif")
    scan = desk.settled()
    assert [one.path for one in scan.ready[0].members] == ["plate.tif"]
    assert '"mended.tif" beside its sidecar will stay where they are' in scan.notices[0]


def test_emptied_into_a_folder_with_other_drops_only_its_own_sidecar_looks_in_its_d(desk: Desk) -> None:
    put_back(desk, "plate.tif", folder="run7", result=RESULT + "dropped: jdoe/run7/plate.yaml\n")
    desk.save("run7/other.yaml", T)
    desk.save("run7/other.tif")
    found = {one.sidecar.path: ([member.path for member in one.members], one.base) for one in desk.settled().ready}
    assert found == {"plate.yaml": (["plate.tif"], "d"), "other.yaml": (["other.tif"], "")}


@pytest.mark.parametrize("name", ["renamed.yaml", "sidecar-plate.yaml"])
def test_its_only_sidecar_is_its_own_whatever_its_name(desk: Desk, name: str) -> None:
    put_back(desk, "a.tif", name=name, sidecar=T + 'files: {include: ["*.tif"]}\n', result=RESULT + "dropped: jdoe/plate.yaml\n")
    assert desk.only().base == "d"


def test_a_sidecar_that_was_called_like_one_of_our_files(desk: Desk) -> None:
    put_back(desk, "result.tif", name="sidecar-result.yaml", result=RESULT + "dropped: jdoe/result.yaml\n")
    assert [one.path for one in desk.only().members] == ["result.tif"]


def test_a_sidecar_that_was_called_so_in_other_letters(desk: Desk) -> None:
    put_back(desk, "Result.tif", name="sidecar-Result.yaml", result=RESULT + "dropped: jdoe/Result.yaml\n")
    assert [one.path for one in desk.only().members] == ["Result.tif"]


def test_nobody_elses_pattern_takes_what_is_in_it(desk: Desk) -> None:
    put_back(desk, "plate.tif")
    desk.save("all.yaml", T + 'files: {include: ["**/*.tif"]}\n')
    desk.save("x/other.tif")
    found = {one.sidecar.path: [member.path for member in one.members] for one in desk.settled().ready}
    assert found == {"plate.yaml": ["plate.tif"], "all.yaml": ["x/other.tif"]}


def test_nothing_inside_it_is_a_sidecar(desk: Desk) -> None:
    put_back(desk, "plate.tif", "plate.json")
    desk.save(f"{OLD}/d/inner.yaml", T)
    desk.save(f"{OLD}/d/deep/{OLD}/result.yaml", RESULT)
    desk.save(f"{OLD}/d/deep/{OLD}/x.yaml", T)
    found = desk.only()
    assert [one.path for one in found.members] == ["plate.json", "plate.tif"]


def _rewritten(desk: Desk) -> None:
    desk.save(f"{OLD}/result.yaml", RESULT.replace("k7f3", "aaaa"))


def _unreadable(desk: Desk) -> None:
    (desk.home / OLD / "result.yaml").unlink()
    (desk.home / OLD / "result.yaml").mkdir()


@pytest.mark.parametrize(("change", "submission"), [(_rewritten, ID.replace("k7f3", "aaaa")), (_unreadable, None)])
def test_a_result_that_changes_is_read_anew(desk: Desk, change: Callable[[Desk], None], submission: str | None) -> None:
    put_back(desk, "plate.tif")
    assert desk.only().base == "d"
    change(desk)
    ready = desk.settled().ready
    assert [one.request.submission for one in ready if one.request is not None] == ([submission] if submission else [])


def test_a_result_that_cannot_be_read_now_is_asked_for_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    put_back(desk, "plate.tif")
    real = os.open

    def broken(path: object, *rest: object, **options: object) -> int:
        if str(path) == "result.yaml":
            raise OSError(5, "Input/output error")
        return real(path, *rest, **options)  # type: ignore[call-overload,no-any-return]

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", broken)
        assert desk.settled().ready == ()
    assert desk.after().ready[0].base == "d"
