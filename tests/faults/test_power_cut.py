"""A power cut takes with it what was written to a journal and not synced; the work goes on from what is left."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dropbox_import.disk.files import Appender
from dropbox_import.spool import layout
from tests.support.lab import Lab

TEXT = "target: {dataset: HeLa}\ntags: [x]\n"
MEMBERS = {"p/good.tif": b"good", "p/bad.tif": b"broken"}


class Power:
    """Remembers how much of each journal was synced."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.synced: dict[int, int] = {}
        sync = Appender.sync

        def remembered(appender: Appender) -> None:
            sync(appender)
            self.synced[appender.path.stat().st_ino] = appender.size()

        monkeypatch.setattr(Appender, "sync", remembered)

    def cut(self, box: Path) -> int:
        """Returns how many bytes are lost."""
        lost = 0
        for path in box.rglob(layout.JOURNAL):
            found = path.stat()
            kept = self.synced.get(found.st_ino, 0)
            lost += found.st_size - kept
            os.truncate(path, kept)
        return lost


@pytest.mark.slow
def test_a_power_cut_at_every_effect_on_the_disk_is_survived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    power, lost = Power(monkeypatch), 0

    def lab_at(name: str) -> Lab:
        power.synced.clear()
        lab = Lab(tmp_path / name)
        lab.drop("p.yaml", TEXT, MEMBERS)
        return lab

    effects = lab_at("count").life()
    for point in range(1, effects + 1):
        lab = lab_at(str(point))
        lab.life(crash_at=point)
        lost += power.cut(lab.box)
        lab.life()
        try:
            lab.check(1, sidecar_copies=1)
        except AssertionError as error:
            pytest.fail(f"power cut at effect {point} of {effects}: {error}")
    assert lost > 1000, "every record was synced by itself: then this test is a repetition of another one"
