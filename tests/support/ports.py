"""A TCP port for a server that dies and comes back."""

from __future__ import annotations

import random
import socket

BELOW_THE_SYSTEMS = range(20_000, 32_000)  # the system gives ports by itself from 32768 on


def kept_port() -> int:
    """A free one that nobody else gets while its server is dead: of those that the system gives, another test might."""
    for port in random.SystemRandom().sample(BELOW_THE_SYSTEMS, 50):
        try:
            with socket.create_server(("127.0.0.1", port)):
                return port
        except OSError:
            continue
    raise AssertionError("no port is free")
