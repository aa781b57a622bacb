"""Journals of real runs, kept for ever: `python -m tests.support.record_journals` adds those of this release to tests/golden/journals.

It is to be run once for a version of the journal, and what is there is never written over: every later release must read it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from dropbox_import.spool import journal
from dropbox_import.spool.reopen import reopen
from tests.support.crashes import CASES, Case, Stage, as_on_a_share, layout_id, quick_folder
from tests.support.lab import Lab

KEPT = Path(__file__).resolve().parents[1] / "golden" / "journals"
SUMS = KEPT / "SHA256SUMS"
BAD = ("b.yaml", "target: {dataset: HeLa}\n", {"b/bad.tif": b"broken", "b/bad.xml": b"of it"})
RUNS = {**CASES, "released": CASES["one"], "retried": Case(BAD, 0)}


def stage_of(folder: Path, run: str) -> Stage:
    stage = Stage(folder, RUNS[run])
    if run == "released":
        stage.after_a_change()
    return stage


def record(folder: Path, run: str) -> Iterator[tuple[str, bytes]]:
    """Each journal of a run, under the name of its file: what its newest segment holds in the end."""
    stage = stage_of(folder, run)
    kept: dict[str, bytes] = {}
    if run == "released":  # the journal of a claim that was given up is gone in the end
        for state in states(stage):
            for path, content in state.items():
                if path.endswith("/journal.jsonl") and b'"r":"release"' in content:
                    kept.setdefault("released", content)
        yield from kept.items()
        return
    lab = stage.rest(stage.first)
    if run == "retried":
        retry(lab)
    for filed in (*lab.filed("done"), *lab.filed("failed")):
        part = ".failed" if lab.filed("done") and filed in lab.filed("failed") else ""
        yield f"{run}{part}", journal.segments(filed)[-1].read_bytes()


def states(stage: Stage) -> list[dict[str, bytes]]:
    found: list[dict[str, bytes]] = []

    def visit(state, effects: int) -> None:  # type: ignore[no-untyped-def]
        found.append({path: content[0] for path, content in state.tree.items() if content is not None})

    stage.life(stage.first, visit)
    return found


def retry(lab: Lab) -> None:
    (path,) = lab.filed("failed")
    assert layout_id(path.name)
    reopen(lab.layout, lab.daemons[0].identity(), path, lab.clock)
    lab.start()
    lab.turns()


def main() -> None:
    known = SUMS.read_text() if SUMS.exists() else ""
    with as_on_a_share(), quick_folder() as folder:
        for run in RUNS:
            for name, content in record(folder, run):
                path = KEPT / f"v{journal.VERSION}-{name}.jsonl"
                if path.name not in known:
                    path.write_bytes(content)
                    known += f"{hashlib.sha256(content).hexdigest()}  {path.name}\n"
    SUMS.write_text(known)


if __name__ == "__main__":
    main()
