"""`python -m dropbox_import.inspector`: the inspector as a worker of the daemon."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dropbox_import.workers.limits import computing_limit
from dropbox_import.workers.serve import Handler, Job, serve

OPEN_FILES = 256


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m dropbox_import.inspector", description="Looks into image files for the daemon.")
    parser.add_argument("--memory", type=int, default=0, help="most bytes of memory; 0 = only the daemon's own limit")
    parser.add_argument("--cpu", type=int, default=0, help="most seconds of computing for one file; 0 = half the time it may take")
    options = parser.parse_args()
    _limit_process(options.memory)
    serve("inspector", lambda: handlers(options.cpu), parallel=1)


def handlers(cpu_seconds: int = 0) -> Mapping[str, Handler]:
    """The inspector's commands (docs/worker-protocol.md)."""
    from dropbox_import.inspector.inspect import inspect_members
    from dropbox_import.model import FileFacts
    from dropbox_import.plain import from_plain, to_plain

    def inspect(job: Job) -> dict[str, Any]:
        def next_file(done: int, steps: int) -> None:
            job.progress(step=done, steps=steps)
            job.in_call("inspect")
            _limit_computing(seconds)

        seconds = cpu_seconds or computing_limit()
        _limit_computing(seconds)
        members = from_plain(tuple[FileFacts, ...], job.args.get("members", []))
        named = from_plain(tuple[str, ...], job.args.get("named", []))
        found = inspect_members(Path(job.args["root"]), members, named, next_file)
        plain: dict[str, Any] = to_plain(found)
        return plain

    return {"inspect": inspect}


if sys.platform == "win32":

    def _limit_process(memory: int) -> None:
        """The daemon's job object holds the limits on Windows."""

    def _limit_computing(cpu_seconds: int) -> None:
        """As above."""

else:
    import resource

    def _limit_process(memory: int) -> None:
        """Nothing here writes a file or needs many; a core dump could hold a user's image."""
        _lower(resource.RLIMIT_CORE, 0)
        _lower(resource.RLIMIT_NOFILE, OPEN_FILES)
        if memory > 0:
            _lower(resource.RLIMIT_AS, memory)

    def _limit_computing(cpu_seconds: int) -> None:
        """So many seconds from now on; over it the system ends this process, which fails only the drop of this file."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        _lower(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime) + cpu_seconds, raise_too=True)

    def _lower(what: int, value: int, *, raise_too: bool = False) -> None:
        soft, hard = resource.getrlimit(what)
        if hard != resource.RLIM_INFINITY:
            value = min(value, hard)
        if raise_too or soft == resource.RLIM_INFINITY or value < soft:
            resource.setrlimit(what, (value, hard))


if __name__ == "__main__":
    main()
