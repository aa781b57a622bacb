"""From the rename of a sidecar to its claim, with the usual times and a local disk."""

from __future__ import annotations

import time
from statistics import median

from benchmarks.figures import Figure
from benchmarks.scene import Daemon, give, scene
from dropbox_import.spool.layout import Layout

TIMES = 30
PLAIN_TIMES = 6
IMAGE = b"no picture at all: it is claimed, and fails later"
PLAIN = "target: {dataset: {name: D, create: true}}\n"


def run() -> list[Figure]:
    with scene() as stage:
        box = stage.new_box()
        with stage.daemon(box) as daemon:
            expecting = [_seconds(daemon, box, f"e{number}", True) for number in range(TIMES)]
            plain = [_seconds(daemon, box, f"p{number}", False) for number in range(PLAIN_TIMES)]
    quiet = 10.0
    return [
        Figure("seconds to the claim with sizes: median", f"{median(expecting):.2f}"),
        Figure(f"  the worst of {TIMES}", f"{max(expecting):.2f}"),
        Figure("seconds to the claim of a plain sidecar: median", f"{median(plain):.2f}"),
        Figure(f"  the worst of {PLAIN_TIMES}", f"{max(plain):.2f}"),
        Figure("  of these beyond the quiet period of 10 s: median", f"{median(plain) - quiet:.2f}"),
        Figure("plain / with sizes, medians", f"{median(plain) / median(expecting):.0f}"),
    ]


def _seconds(daemon: Daemon, box: Layout, name: str, expecting: bool) -> float:
    """From the rename of the sidecar, which comes right after that of its image, until it is no longer in drop/."""
    give(box, f"{name}.tif", IMAGE)
    expect = f"files: {{expect: {{size: {{{name}.tif: {len(IMAGE)}}}}}}}\n"
    text = PLAIN + (expect if expecting else "")
    sidecar = box.drop / "alice" / f"{name}.yaml"
    begun = time.monotonic()
    give(box, sidecar.name, text.encode())
    while sidecar.exists():
        if time.monotonic() - begun > 60 or not daemon.alive():
            raise RuntimeError(f"{sidecar.name} is not claimed: {daemon.log.read_text()[-500:]}")
        time.sleep(0.005)
    spent = time.monotonic() - begun
    daemon.finish(60)
    return spent
