"""A worker that has no mind of its own: the test at the other end of a socket does each command. It ends when its daemon does.

`python relay.py ROLE PORT`; it loads nothing but the standard library, since hundreds of them are started.
"""

from __future__ import annotations

import os
import socket
import sys
import threading


def main() -> None:
    line = socket.create_connection(("127.0.0.1", int(sys.argv[2])))
    line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    line.sendall(f"{sys.argv[1]} {os.getpid()}\n".encode())
    threading.Thread(target=pass_on, args=(line,), daemon=True).start()
    while data := os.read(0, 65536):
        line.sendall(data)
    os._exit(0)


def pass_on(line: socket.socket) -> None:
    while data := line.recv(65536):
        os.write(1, data)
    os._exit(0)


if __name__ == "__main__":
    main()
