"""Programs that save files in every way, while the real daemon looks: each drop is imported once, as it was in the end."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dropbox_import.standin import samples
from tests.support.realrun import MODEST, ROOT, Dropped, RealRun, real_run
from tests.support.tally import ALL, counted
from tests.support.writer import WAYS

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="saves as programs on POSIX do")
# Where nothing tells that a program is not ready yet, the sidecar has to.
BLIND = ("page-by-page",)


def begin(how: str, target: Path, source: Path | str) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "tests.support.writer", how, str(target), str(source)]
    return subprocess.Popen(words, cwd=ROOT, stdin=subprocess.DEVNULL)


def save(run: RealRun, name: str, how: str, number: int, *, user: str = "alice") -> tuple[subprocess.Popen[bytes], Path]:
    """The sidecar at once, the image as that program writes it."""
    source = samples.plain_tiff(run.folder / f"{name}.source.tif", 1000 + number)
    data = source.read_bytes()
    text = MODEST.format(dataset=name, name=name)
    if how in BLIND:
        text += f"files: {{expect: {{size: {{{name}.tif: {len(data)}}}}}}}\n"
    home = run.layout.drop / user
    (home / f"{name}.yaml").write_text(text)
    for one in (data, text.encode()):
        run.digests[hashlib.sha256(one).hexdigest()] += 1
    run.drops.append(Dropped(name, user, (f"{name}.tif",), rich=False))
    return begin(how, home / f"{name}.tif", source), source


def stored(run: RealRun) -> set[str]:
    return {str(row[0]) for row in run.ask("select hash from OriginalFile where hash is not null")}


def test_every_kind_of_writer_is_waited_for(tmp_path: Path) -> None:
    """All beside each other, one of them stopped for a while, and in a flood of events."""
    with real_run(tmp_path) as run:
        run.start()
        ways = [how for how in WAYS for _ in range(3 if ALL else 1)]
        with counted("a program is still writing", ", ".join(WAYS), len(ways)):
            begun = [save(run, f"{ways[0]}-0", ways[0], 0)]
            paused = begun[0][0]
            run.until((run.layout.drop / "alice" / f"{ways[0]}-0.tif").exists)
            os.kill(paused.pid, signal.SIGSTOP)
            flood = begin("flood", run.layout.drop / "alice", "4")
            begun += [save(run, f"{how}-{number}", how, number) for number, how in enumerate(ways[1:], 1)]
            time.sleep(2.0)
            assert (run.layout.drop / "alice" / f"{ways[0]}-0.yaml").exists(), "taken under a program that was stopped"
            os.kill(paused.pid, signal.SIGCONT)
            assert [writer.wait(60) for writer, _ in begun] == [0] * len(begun)
            assert flood.wait(30) == 0
            run.rest(120)
            run.check()
            wanted = {hashlib.sha1(source.read_bytes()).hexdigest() for _, source in begun}
            assert wanted <= stored(run), "done, but not in OMERO as it was in the end"


def test_a_tree_that_is_moved_in_at_once(tmp_path: Path) -> None:
    with real_run(tmp_path) as run:
        run.start()
        with counted("a program is still writing", "a tree that is moved in"):
            ready = run.folder / "box" / "ready"
            for number in range(8):
                folder = ready / f"day{number % 2}" / "deep"
                folder.mkdir(parents=True, exist_ok=True)
                image = samples.plain_tiff(folder / f"cells{number}.tif", 2000 + number)
                text = MODEST.format(dataset=f"cells{number}", name=f"cells{number}")
                image.with_suffix(".yaml").write_text(text)
                for data in (image.read_bytes(), text.encode()):
                    run.digests[hashlib.sha256(data).hexdigest()] += 1
            ready.rename(run.layout.drop / "alice" / "moved")
            run.rest()
            time.sleep(0.5)
            filed = sorted(path.name.partition("__")[0] for path in (run.layout.done / "alice").glob("*/*"))
            assert filed == [f"cells{number}" for number in range(8)]
            assert len(run.ask("select id from Fileset")) == 8
