"""`python -m dropbox_import.standin --dir D [--port P] [--tcp-port P] [--users FILE] [--faults FILE] [--host H]`.

Prints one line of JSON when it is ready, then serves until SIGTERM or SIGINT (exit code 0).
"""

from __future__ import annotations

import argparse
import json
import logging
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from dropbox_import.errors import ConfigError


def arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m dropbox_import.standin",
        description="An OMERO server to try things on. Not for real data.",
    )
    parser.add_argument("--dir", type=Path, required=True, help="where it keeps everything; made if missing")
    parser.add_argument("--port", type=int, default=0, help="TLS port (default: a free one)")
    parser.add_argument("--tcp-port", type=int, default=0, help="port without TLS (default: a free one)")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this computer only)")
    parser.add_argument("--users", type=Path, help="JSON file with users and groups (default: root, importer, alice, bob, carol)")
    parser.add_argument("--faults", type=Path, help="JSON file with wanted faults (default: DIR/faults.json), read again when it changes")
    parser.add_argument("--verbose", action="store_true", help="say more on stderr")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> int:
    given = arguments(words)
    logging.basicConfig(level=logging.INFO if given.verbose else logging.WARNING, stream=sys.stderr, format="stand-in: %(message)s")
    from dropbox_import.standin.server import StandIn, Wanted  # Ice and omero are slow to load: --help is not

    stopping = threading.Event()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    try:
        server = StandIn(Wanted(given.dir, given.port, given.tcp_port, given.host, given.users, given.faults))
        ready = server.start()
    except ConfigError as error:
        print(f"{error} {error.hint}".strip(), file=sys.stderr)
        return 3
    except Exception as error:
        if "Ice" not in type(error).__module__:
            raise
        print(f"The stand-in cannot listen on port {given.port}: {error}", file=sys.stderr)
        return 3
    print(json.dumps(ready), flush=True)
    while not stopping.wait(3600):
        pass
    server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
