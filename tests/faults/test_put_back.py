"""A drop of five with a bad one, put back into drop/ in each way: always exactly five filesets in the end, whatever ends the daemon."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dropbox_import.strict_yaml import load, to_value
from tests.support.lab import Lab
from tests.support.tally import ALL, counted, points

BY_FOLDER = 'target: {dataset: {name: "{date} {folder}"}}\ntags: [x]\n'
BY_NAME = BY_FOLDER + "files: {include: [p/1.tif, p/2.tif, p/3.tif, p/4.tif, p/5-bad.tif], expect: {count: 5}}\n"
BY_GLOB = BY_FOLDER + 'files: {include: ["p/*.tif"]}\nsubmission: mine\n'
SIDECARS = {"by its folder": BY_FOLDER, "by name": BY_NAME, "by pattern, with a submission": BY_GLOB}
FIVE = {f"run/p/{number}.tif": str(number).encode() for number in range(1, 5)} | {"run/p/5-bad.tif": b"cut"}


def mend(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on the inspector finds nothing wrong with any file: what was bad has been mended in its place."""
    from tests.support.scripted_commands import Commands

    real = Commands._inspect

    def kind(self: Commands, command: Any, root: str, members: list[dict[str, Any]], named: list[str]) -> dict[str, Any]:
        renamed = [{**one, "path": one["path"].replace("bad", "BAD")} for one in members]
        return _named_back(real(self, command, root, renamed, named))

    monkeypatch.setattr(Commands, "_inspect", kind)


def _named_back(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _named_back(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_named_back(one) for one in value]
    return value.replace("BAD", "bad") if isinstance(value, str) else value


def failed_in_part(folder: Path, sidecar: str) -> Lab:
    lab = Lab(folder)
    lab.drop("run/p.yaml", sidecar, dict(FIVE))
    lab.life()
    lab.check(4, sidecar_copies=1)
    assert (len(lab.filed("done")), len(lab.filed("failed"))) == (1, 1)
    return lab


def whole(lab: Lab) -> None:
    lab.filed("failed")[0].rename(lab.layout.drop / "jdoe" / "again")


def whole_into_a_folder(lab: Lab) -> None:
    place = lab.layout.drop / "jdoe" / "mended" / "now"
    place.mkdir(parents=True)
    lab.filed("failed")[0].rename(place / lab.filed("failed")[0].name)


def a_copy(lab: Lab) -> None:
    """The failed folder stays, with what is in it; the sidecar lies there once more then."""
    failed = lab.filed("failed")[0]
    shutil.copytree(failed, lab.layout.drop / "jdoe" / failed.name)
    shutil.rmtree(failed)


WAYS: dict[str, Callable[[Lab], None]] = {"moved": whole, "moved into a folder": whole_into_a_folder, "copied": a_copy}


def only_target(lab: Lab) -> str:
    """All of it went where the first of it went."""
    ((_, name),) = lab.server.targets
    return name


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("sidecar", SIDECARS if ALL else ["by name"])
def test_a_failed_part_that_is_put_back_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sidecar: str, way: str) -> None:
    with counted("a filed folder is put back", f"{sidecar}, {way}"):
        lab = failed_in_part(tmp_path, SIDECARS[sidecar])
        mend(monkeypatch)
        WAYS[way](lab)
        lab.clock.forward(100_000)  # another day
        lab.life()
        lab.check(5, sidecar_copies=1)
        assert only_target(lab).endswith(" p")
        assert lab.filed("failed") == []
        assert [path for path in (lab.layout.drop / "jdoe").rglob("*") if path.is_file()] == [], "left behind in drop/"
        last = next(path for path in lab.filed("done") if (path / "earlier" / "result.yaml").exists())
        said = to_value(load((last / "result.yaml").read_bytes(), "result.yaml").root)
        assert isinstance(said, dict)
        assert (said["dropped"], said["state"]) == ("jdoe/run/p.yaml", "done")
        assert len(said["other_files"]) == 4


def test_it_may_fail_and_be_put_back_again_and_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = failed_in_part(tmp_path, BY_NAME)
    for _ in range(3):
        whole(lab)
        lab.clock.forward(100_000)
        lab.life()
        lab.check(4, sidecar_copies=1)
        assert len(lab.filed("failed")) == 1
        assert (lab.filed("failed")[0] / "REASON.txt").read_text().startswith("A part of p.yaml was not imported")
        assert "dropped: jdoe/run/p.yaml" in (lab.filed("failed")[0] / "result.yaml").read_text()
    mend(monkeypatch)
    whole(lab)
    lab.life()
    lab.check(5, sidecar_copies=1)
    assert only_target(lab).endswith(" p")


@pytest.mark.parametrize("sidecar", SIDECARS if ALL else ["by pattern, with a submission"])
def test_what_is_done_is_not_imported_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sidecar: str) -> None:
    with counted("a filed folder is put back", f"done, {sidecar}"):
        lab = failed_in_part(tmp_path, SIDECARS[sidecar])
        lab.filed("done")[0].rename(lab.layout.drop / "jdoe" / "again")
        before = set(lab.server.filesets)
        lab.clock.forward(100_000)
        lab.life()
        lab.check(4, sidecar_copies=1)
        assert set(lab.server.filesets) == before
        assert len(lab.filed("done")) == 1
        # And the other part after it: nothing knows of a third one.
        mend(monkeypatch)
        whole(lab)
        lab.life()
        lab.check(5, sidecar_copies=1)
        assert only_target(lab).endswith(" p")


def test_only_its_files_and_the_sidecar_moved_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with counted("a filed folder is put back", "its files"):
        lab = failed_in_part(tmp_path, BY_FOLDER)
        mend(monkeypatch)
        failed, home = lab.filed("failed")[0], lab.layout.drop / "jdoe" / "run"
        shutil.move(failed / "d" / "p", home / "p")
        (failed / "p.yaml").rename(home / "p.yaml")
        lab.life()
        lab.check(5, sidecar_copies=1)


def test_the_same_submission_with_all_five_again_or_with_one_fewer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with counted("a filed folder is put back", "the same submission"):
        lab = failed_in_part(tmp_path, BY_GLOB)
        mend(monkeypatch)
        fewer = {name: data for name, data in FIVE.items() if "1.tif" not in name}
        lab.drop("run/p.yaml", BY_GLOB, dict(fewer))
        lab.life()
        lab.check(5, sidecar_copies=1)
        lab.drop("run/p.yaml", BY_GLOB, dict(FIVE))
        lab.life()
        lab.check(5, sidecar_copies=1)


@pytest.mark.parametrize("again", ["goes well", "fails again"] if ALL else ["goes well"])
def test_a_crash_at_any_effect_on_what_was_put_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, again: str) -> None:
    kind, imported = "the daemon ends with what was put back", 5 if again == "goes well" else 4
    lab = failed_in_part(tmp_path / "counting", BY_NAME)
    with monkeypatch.context() as patch:
        if imported == 5:
            mend(patch)
        whole(lab)
        effects = lab.life()
    for point in points(effects, again):
        lab = failed_in_part(tmp_path / str(point), BY_NAME)
        with counted(kind, f"{again}, {point} of {effects}"), monkeypatch.context() as patch:
            if imported == 5:
                mend(patch)
            whole(lab)
            assert lab.life(crash_at=point) >= point, "it did not come to this effect"
            lab.life()
            lab.check(imported, sidecar_copies=1)
            assert len(lab.filed("failed")) == 5 - imported
            assert only_target(lab).endswith(" p")
        shutil.rmtree(tmp_path / str(point))
