"""`python -m benchmarks [NAME…]`: run these benchmarks, or all of them, one after the other."""

from __future__ import annotations

import importlib
import os
import sys
import time

import psutil

from benchmarks.figures import table

NAMES = ("upload", "drops", "idle", "claim", "scan", "backlog", "life", "durability", "notify")


def main(words: list[str]) -> int:
    unknown = [word for word in words if word not in NAMES]
    if unknown:
        print(f"There is no benchmark {unknown[0]!r}; there are {', '.join(NAMES)}.", file=sys.stderr)
        return 2
    print(f"{os.cpu_count()} processors, load {psutil.getloadavg()[0]:.1f} at the start; ratios tell more than times\n", flush=True)
    for name in words or NAMES:
        begun = time.monotonic()
        figures = importlib.import_module(f"benchmarks.{name}").run()
        print(table(f"{name} ({time.monotonic() - begun:.0f} s)", figures) + "\n", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
