"""`python -m dropbox_import.notifier`: the notifier process. apprise is imported inside `load`, when the pipe is safe."""

from __future__ import annotations

from collections.abc import Mapping

from dropbox_import.clock import SystemClock
from dropbox_import.workers.serve import Handler, serve

PARALLEL = 4


def load() -> Mapping[str, Handler]:
    from dropbox_import.notifier.worker import Notifier

    return Notifier(SystemClock()).handlers()


if __name__ == "__main__":
    serve("notifier", load, parallel=PARALLEL)
