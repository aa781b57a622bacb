"""Users who write, rename, edit and remove while their drop is taken: at each turn of the daemon, told or right in the end."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from pathlib import Path

import pytest

from tests.support.lab import Lab
from tests.support.promises import always, at_rest
from tests.support.tally import ALL, counted

TURNS = range(26) if ALL else range(1, 26, 4)
SIDECAR = "target: {dataset: HeLa}\n"


def promised(lab: Lab, late: Collection[bytes] = ()) -> None:
    told = [*always(lab, lab.boxes), *at_rest(lab, late)]
    assert not told, "; ".join(told)


def home(lab: Lab) -> Path:
    return lab.layout.drop / "jdoe"


def two_drops(lab: Lab) -> None:
    lab.drop("run.yaml", SIDECAR, {"run/a.tif": b"image-a", "run/b.tif": b"image-b"})
    lab.drop("c.yaml", SIDECAR, {"c.tif": b"image-c"})


@pytest.mark.parametrize("turn", TURNS)
def test_an_open_descriptor_that_nobody_can_see(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, turn: int) -> None:
    """On a share, or without the right to ask: written through it at any turn, it is told or imported as it is in the end."""
    from dropbox_import.disk.writers import Writing
    from dropbox_import.intake import ready

    monkeypatch.setattr(ready, "being_written", lambda path, network: Writing.UNKNOWN)
    with counted("a user changes their mind", f"writes through an old descriptor, turn {turn}"):
        lab = Lab(tmp_path)
        two_drops(lab)
        fd = os.open(home(lab) / "run" / "a.tif", os.O_RDWR)
        lab.start()
        lab.turns(turn)
        filed = any(folder.name.startswith("run__") for folder in lab.filed("done"))  # nobody looks at it any more
        lab.user_bytes[b"image-a"] -= 1
        os.pwrite(fd, b"CHANGED", 0)
        os.close(fd)
        lab.user_bytes[b"CHANGED"] += 1
        lab.turns()
        promised(lab, [b"CHANGED"] if filed else [])
        assert lab.filed("failed") == []
        assert len(lab.filed("done")) == 2


@pytest.mark.parametrize("turn", TURNS)
def test_the_same_names_again_while_the_drop_is_at_work(tmp_path: Path, turn: int) -> None:
    with counted("a user changes their mind", f"saves the same names again, turn {turn}"):
        lab = Lab(tmp_path)
        lab.drop("c.yaml", SIDECAR, {"c.tif": b"first"})
        lab.start()
        lab.turns(turn)
        taken = not (home(lab) / "c.yaml").exists()
        if not taken:  # it is written over
            lab.user_bytes[b"first"] -= 1
            lab.user_bytes[SIDECAR.encode()] -= 1
        lab.drop("c.yaml", SIDECAR, {"c.tif": b"second"})
        lab.turns()
        promised(lab)
        assert len(lab.filed("done")) == len(lab.server.complete()) == 1 + taken
        assert lab.filed("failed") == []


Back = Callable[[], None] | None  # None: it is not there any more, and its user does nothing


def _gone(lab: Lab) -> Back:
    """An image is moved away, and comes back."""
    image, away = home(lab) / "run" / "a.tif", lab.layout.box / "away.tif"
    if not image.exists():
        return None
    image.rename(away)
    return lambda: _back(away, image)


def _back(away: Path, image: Path) -> None:
    image.parent.mkdir(exist_ok=True)
    away.rename(image)


def _folder_gone(lab: Lab) -> Back:
    folder, away = home(lab) / "run", lab.layout.box / "away"
    if not folder.exists():
        return None
    folder.rename(away)

    def back() -> None:
        away.rename(folder)

    return back


def _sidecar_gone(lab: Lab) -> Back:
    sidecar, away = home(lab) / "run.yaml", lab.layout.box / "away.yml"
    if not sidecar.exists():
        return None
    sidecar.rename(away)
    return lambda: _back(away, sidecar)


def _twice(lab: Lab) -> Back:
    """The sidecar is saved once more, as it was, and removed when nothing came of it."""
    sidecar = home(lab) / "run.yaml"
    sidecar.write_text(SIDECAR)

    def withdrawn() -> None:
        sidecar.unlink(missing_ok=True)

    return withdrawn


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("what", [_gone, _folder_gone, _sidecar_gone, _twice], ids=lambda what: what.__name__.strip("_"))
def test_what_vanishes_and_comes_back(tmp_path: Path, what: Callable[[Lab], Back], turn: int) -> None:
    lab = Lab(tmp_path)
    lab.drop("run.yaml", SIDECAR + "files: {include: [run/a.tif, run/b.tif]}\n", {"run/a.tif": b"image-a", "run/b.tif": b"image-b"})
    lab.drop("c.yaml", SIDECAR, {"c.tif": b"image-c"})
    if what is _twice:
        lab.user_bytes.clear()
        lab.user_bytes.update([b"image-a", b"image-b", b"image-c", SIDECAR.encode()])
        (home(lab) / "run.yaml").write_text(SIDECAR)
    lab.start()
    lab.turns(turn)
    back = what(lab)
    with counted("a user changes their mind", f"{what.__name__}, turn {turn}", points=int(back is not None)):
        lab.turns(40)
        if back is not None:
            back()
        lab.turns()
        promised(lab)
        assert lab.filed("failed") == []
        assert sum(len(one.paths) for one in lab.server.complete()) == 3


@pytest.mark.parametrize("turn", TURNS)
def test_an_edited_sidecar_counts_as_it_was_when_it_was_taken(tmp_path: Path, turn: int) -> None:
    lab = Lab(tmp_path)
    lab.drop("c.yaml", SIDECAR, {"c.tif": b"image-c"})
    lab.start()
    lab.turns(turn)
    sidecar = home(lab) / "c.yaml"
    edited = sidecar.exists()
    if edited:
        sidecar.write_text(SIDECAR.replace("HeLa", "Vero"))
        lab.user_bytes.clear()
        lab.user_bytes.update([b"image-c", sidecar.read_bytes()])
    with counted("a user changes their mind", f"edits the sidecar, turn {turn}", points=int(edited)):
        lab.turns()
        promised(lab)
        assert [name for _, name in lab.server.targets] == ["Vero" if edited else "HeLa"]


LONG = "x" * 250
NAMES = {
    "long": (f"{LONG}.yaml", f"{LONG}.tif", True),
    "long, of two bytes each": (f"{'ä' * 125}.yaml", f"{'ä' * 125}.tif", True),
    "composed": ("Zelle_\u00e4.yaml", "Zelle_\u00e4.tif", True),
    "decomposed": ("Zelle_a\u0308.yaml", "Zelle_a\u0308.tif", True),
    "both": ("Zelle_\u00e4.yaml", "Zelle_a\u0308.tif", True),
    "odd": ("a 'b' \"c\" $(d) ;#&{e}.yaml", "a 'b' \"c\" $(d) ;#&{e}.tif", True),
    "emoji": ("🔬.yaml", "🔬.tif", True),
    "right to left": ("\u202eabc.yaml", "\u202eabc.tif", True),
    "a line break": ("a\nb.yaml", "a\nb.tif", False),
    "not UTF-8": ("caf\udce9.yaml", "caf\udce9.tif", False),
    "of a device": ("con.yaml", "con.tif", False),
    "a dot at the end": ("a..yaml", "a./x.tif", False),
    "a backslash": ("a\\b.yaml", "a\\b.tif", False),
}


@pytest.mark.parametrize("name", NAMES)
def test_an_odd_name_is_taken_or_told(tmp_path: Path, name: str) -> None:
    sidecar, image, good = NAMES[name]
    with counted("a user changes their mind", f"names: {name}"):
        lab = Lab(tmp_path)
        lab.drop(sidecar, SIDECAR, {image: b"image"})
        lab.drop("c.yaml", SIDECAR, {"c.tif": b"image-c"})
        lab.life()
        promised(lab)
        assert len(lab.filed("done")) == 1 + good
        assert len(lab.filed("failed")) == 1 - good
        for folder in lab.filed("failed"):
            assert (folder / "REASON.txt").read_text(encoding="utf-8")
            assert (home(lab) / image).exists()


def test_names_that_differ_in_case_alone_are_two_drops_and_never_one(tmp_path: Path) -> None:
    with counted("a user changes their mind", "names: upper and lower case"):
        lab = Lab(tmp_path)
        for stem in ("Cells", "cells"):
            lab.drop(f"{stem}.yaml", SIDECAR, {f"{stem}.tif": stem.encode()})
        lab.drop("both.yaml", SIDECAR, {"both/A.tif": b"A", "both/a.tif": b"a"})
        lab.life()
        promised(lab)
        assert len(lab.filed("done")) == 2
        (failed,) = lab.filed("failed")
        assert "same name on Windows and macOS" in (failed / "REASON.txt").read_text()
