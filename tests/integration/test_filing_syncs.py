"""A drop that lies in its place is filed, also if the disk refuses the syncs that come after: nobody else has taken it."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from dropbox_import.daemon.pipeline import Pipeline
from dropbox_import.disk import observe
from tests.support.lab import Lab

TEXT = "target: {dataset: HeLa}\n"


@pytest.mark.parametrize("state", ["done", "failed"])
@pytest.mark.parametrize("refused", ["the month", "the instance's folder"])
def test_what_is_filed_is_told_so_though_its_place_could_not_be_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, state: str, refused: str
) -> None:
    lab = Lab(tmp_path)
    image = "a.tif" if state == "done" else "bad.tif"
    lab.drop(f"{image[:-4]}.yaml", TEXT, {image: b"image"})
    lab.start()
    happened: list[str] = []
    monkeypatch.setattr(Pipeline, "_tell", lambda pipeline, active, what, says="": happened.append(what))
    hits: list[Path] = []

    def observer(when: str, what: str, path: Path) -> None:
        folder = lab.box / state if refused == "the month" else lab.layout.inprogress
        if (when, what) == ("before", "sync_dir") and folder in path.parents and lab.filed(state):
            hits.append(path)
            raise OSError(errno.EIO, "Input/output error", str(path))

    observe.set_observer(observer)
    lab.turns()
    observe.set_observer(None)
    assert len(hits) == 1
    assert happened == ["claimed", state]
    assert "taken over" not in caplog.text
    assert "Input/output error" in caplog.text
