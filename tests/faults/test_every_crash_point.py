"""Never lost, never twice, never stuck: the daemon ends at any effect on the disk, its workers at any command, and it goes on.

Every point with DROPBOX_IMPORT_FAULTS=all (`make faults`), else every seventh.
"""

from __future__ import annotations

import errno
import random
import shutil
from pathlib import Path

import pytest

from tests.support.lab import Lab, refused_after
from tests.support.tally import ALL, counted, points

ONE = ("a.yaml", "target: {dataset: HeLa}\ntags: [x]\n", {"a.tif": b"image-a"})
SEVERAL = ("set.yaml", "target: {dataset: HeLa}\n", {"set/1.tif": b"one", "set/2.tif": b"two", "set/notes.txt": b"notes"})
PARTLY = ("p.yaml", "target: {dataset: HeLa}\n", {"p/good.tif": b"good", "p/bad.tif": b"broken"})
REFUSED = ("r.yaml", "target: {dataset: HeLa}\ntagz: 1\n", {"r.tif": b"image-r"})
CASES = {"one": (ONE, 1, 0), "several": (SEVERAL, 2, 0), "partly": (PARTLY, 1, 1), "refused": (REFUSED, 0, 0)}

pytestmark = [pytest.mark.timeout(3600 if ALL else 120), pytest.mark.faults(minutes=3)]


def lab_with(folder: Path, case: str) -> tuple[Lab, int, int]:
    (sidecar, text, members), imported, copies = CASES[case]
    shutil.rmtree(folder, ignore_errors=True)
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
def test_a_crash_at_any_effect_on_the_disk_is_survived(tmp_path: Path, case: str) -> None:
    lab, imported, copies = lab_with(tmp_path, case)
    effects = lab.life()
    assert effects > 40
    for point in points(effects, case):
        lab, imported, copies = lab_with(tmp_path, case)
        with counted("the daemon ends at an effect", f"{point} of {effects}"):
            assert lab.life(crash_at=point) >= point, "it did not come to this effect"
            lab.life()
            lab.check(imported, sidecar_copies=copies)


@pytest.mark.parametrize("case", CASES)
def test_a_second_crash_while_the_first_is_mended_is_survived(tmp_path: Path, case: str) -> None:
    lab, imported, copies = lab_with(tmp_path, case)
    effects = lab.life()
    rng = random.Random(case)
    for point in points(effects, case + "twice"):
        lab, imported, copies = lab_with(tmp_path, case)
        assert lab.life(crash_at=point) >= point
        second = rng.randint(1, 40)
        twice = lab.life(crash_at=second) >= second  # else its rest was shorter, and it ended once
        lab.life()
        with counted("the daemon ends twice", f"{point} of {effects}, then {second}", points=int(twice)):
            lab.check(imported, sidecar_copies=copies)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO], ids=["full", "broken"])
@pytest.mark.parametrize("case", CASES)
def test_a_disk_error_at_any_effect_is_waited_out(tmp_path: Path, case: str, number: int) -> None:
    lab, imported, copies = lab_with(tmp_path, case)
    effects = refused_after(lab, 1, 0, number)
    assert effects > 20
    for point in points(effects, case + str(number)):
        lab, imported, copies = lab_with(tmp_path, case)
        with counted(f"the disk refuses ({errno.errorcode[number]})", f"effect {point} of {effects}"):
            assert refused_after(lab, point, 1 + point % 5, number) >= point, "it did not come to this effect"
            lab.clock.forward(700)  # a drop that could not be taken is left alone for ten minutes
            lab.turns()
            lab.check(imported, sidecar_copies=copies)


@pytest.mark.parametrize("how", ["before", "after", "late"])
@pytest.mark.parametrize("case", CASES)
def test_a_worker_lost_at_every_command_is_survived(tmp_path: Path, case: str, how: str) -> None:
    lab, imported, copies = lab_with(tmp_path, case)
    lab.life()
    commands = lab.server.commands
    for number in range(1, commands + 1):
        lab, imported, copies = lab_with(tmp_path, case)
        lab.server.cut = (number, how)
        with counted(f"a worker dies, its command's effect {how}", f"{number} of {commands}"):
            lab.start()
            lab.turns(60)
            assert lab.server.commands >= number, "it did not come to this command"
            lab.server.land()
            lab.turns()
            lab.check(imported, sidecar_copies=copies)
