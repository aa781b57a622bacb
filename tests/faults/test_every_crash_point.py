"""Never lost, never twice, never stuck: the daemon ends at every effect on the disk and at every command, and goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.lab import Lab

ONE = ("a.yaml", "target: {dataset: HeLa}\ntags: [x]\n", {"a.tif": b"image-a"})
SEVERAL = ("set.yaml", "target: {dataset: HeLa}\n", {"set/1.tif": b"one", "set/2.tif": b"two", "set/notes.txt": b"notes"})
PARTLY = ("p.yaml", "target: {dataset: HeLa}\n", {"p/good.tif": b"good", "p/bad.tif": b"broken"})
REFUSED = ("r.yaml", "target: {dataset: HeLa}\ntagz: 1\n", {"r.tif": b"image-r"})
CASES = {"one": (ONE, 1, 0), "several": (SEVERAL, 2, 0), "partly": (PARTLY, 1, 1), "refused": (REFUSED, 0, 0)}


def lab_with(folder: Path, case: str) -> tuple[Lab, int, int]:
    (sidecar, text, members), imported, copies = CASES[case]
    lab = Lab(folder)
    lab.drop(sidecar, text, members)
    return lab, imported, copies


@pytest.mark.parametrize("case", CASES)
def test_a_drop_travels_the_whole_way(tmp_path: Path, case: str) -> None:
    lab, imported, copies = lab_with(tmp_path, case)
    lab.life()
    lab.check(imported, sidecar_copies=copies)
    states = {"one": (1, 0), "several": (1, 0), "partly": (1, 1), "refused": (0, 1)}
    assert (len(lab.filed("done")), len(lab.filed("failed"))) == states[case]


@pytest.mark.parametrize("case", CASES)
def test_a_crash_at_every_effect_on_the_disk_is_survived(tmp_path: Path, case: str) -> None:
    lab, imported, copies = lab_with(tmp_path / "count", case)
    effects = lab.life()
    assert effects > 40
    for point in range(1, effects + 1):
        lab, imported, copies = lab_with(tmp_path / str(point), case)
        lab.life(crash_at=point)
        lab.life()
        try:
            lab.check(imported, sidecar_copies=copies)
        except AssertionError as error:
            pytest.fail(f"crash at effect {point} of {effects}: {error}")


@pytest.mark.parametrize("how", ["before", "after", "late"])
@pytest.mark.parametrize("case", CASES)
def test_a_worker_lost_at_every_command_is_survived(tmp_path: Path, case: str, how: str) -> None:
    lab, imported, copies = lab_with(tmp_path / "count", case)
    lab.life()
    commands = lab.server.commands
    for number in range(1, commands + 1):
        lab, imported, copies = lab_with(tmp_path / str(number), case)
        lab.server.cut = (number, how)
        lab.start()
        lab.turns(60)
        lab.server.land()
        lab.turns()
        try:
            lab.check(imported, sidecar_copies=copies)
        except AssertionError as error:
            pytest.fail(f"worker lost {how} command {number} of {commands}: {error}")
