"""The main loop of a worker: commands in on stdin, events out on stdout, several commands at once in threads.

The order at the start matters. The pipe is taken away from file descriptor 1 before anything heavy is imported, so a print of a library
cannot break the protocol. Everything is imported before the first command is read: on Windows an import in one thread can hang while
another reads from stdin. The end of stdin means that the daemon is gone: the process ends at once, with no clean-up that could hang.
"""

from __future__ import annotations

import contextvars
import logging
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, NoReturn

from dropbox_import import __version__
from dropbox_import.clock import Clock, SystemClock
from dropbox_import.workers.protocol import (
    MAX_LINE,
    PROTOCOL,
    URGENT,
    Command,
    Done,
    Event,
    Failed,
    Hello,
    InCall,
    LineError,
    Progress,
    Started,
    decode_command,
    encode_event,
    failure,
)
from dropbox_import.workers.relay import current_drop, current_step, log_to_parent

log = logging.getLogger(__name__)

EXIT_PARENT_GONE = 0
EXIT_CANNOT_LOAD = 3
EXIT_BAD_LINE = 4

SHORT = 0.25  # seconds: repeated progress and in-call events closer together than this tell the daemon nothing new


class Job:
    """One command inside its handler: its fields, and what the handler may say while it works. Threads of a handler may share it."""

    def __init__(self, command: Command, send: Callable[[Event], None], clock: Clock) -> None:
        self.command = command
        self.id = command.id
        self.do = command.do
        self.args = command.args
        self.drop = command.drop
        self.key = command.key
        self.attempt = command.attempt
        self._send = send
        self._clock = clock
        self._lock = threading.Lock()
        self._over = False
        self._told = float("-inf")
        self._call: tuple[str, int, float] = ("", 0, float("-inf"))

    # `bytes` is the word on the wire, and what handlers write: in_call("write", bytes=5_000_000).
    def progress(
        self,
        *,
        step: int | None = None,
        steps: int | None = None,
        bytes: int | None = None,
        total: int | None = None,
    ) -> None:
        """Something to show. Cheap: calls in quick succession are dropped."""
        with self._lock:
            now = self._clock.monotonic()
            if not self._over and now - self._told >= SHORT:
                self._told = now
                self._send(Progress(self.id, step, steps, bytes, total))

    def in_call(self, name: str, bytes: int = 0) -> None:
        """A call begins that may hang: the daemon's clock judges it by `name` and `bytes` (table in docs/worker-protocol.md)."""
        with self._lock:
            now = self._clock.monotonic()
            last, size, since = self._call
            if self._over or (name == last and bytes <= size and now - since < SHORT):
                return
            self._call = (name, bytes, now)
            self._send(InCall(self.id, name, bytes))

    def end(self, event: Done | Failed) -> None:
        """Send the one answer. For `serve`, not for handlers."""
        with self._lock:
            self._over = True
            self._send(event)


Handler = Callable[[Job], dict[str, Any]]


def serve(role: str, load: Callable[[], Mapping[str, Handler]], *, parallel: int, clock: Clock | None = None) -> NoReturn:
    """Work until stdin ends; never returns.

    `load` imports everything and gives the handlers by command; it is called when fd 1 already points at stderr. A handler returns the
    result, or raises: an error of ours is sent as it is, anything else as class "Bug" with its traceback in the log only. An exception may
    have an attribute `effect` ("none", "done", "unknown"); see `protocol.failure` for what is assumed without. At most `parallel` commands
    run at once, each in a thread; those in `protocol.URGENT` always start at once.
    """
    commands, events = _take_pipes()
    # The worker's life hangs on stdin alone: a Ctrl-C or a service stop that reaches the whole group must not cut a drain short.
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    log_to_parent()
    try:
        handlers = load()
    except BaseException:
        log.critical("this worker cannot start", exc_info=True)
        os._exit(EXIT_CANNOT_LOAD)
    room = _Room(handlers, events, clock or SystemClock())
    for _ in range(parallel):
        threading.Thread(target=room.work, daemon=True).start()
    events.write(b"\n")  # ends whatever was printed before the pipe was ours: the hello gets a line of its own
    room.send(Hello(PROTOCOL, __version__, role, os.getpid()))
    while line := commands.readline(MAX_LINE + 1):
        try:
            if not line.endswith(b"\n"):
                if len(line) <= MAX_LINE:
                    break
                raise LineError(f"a command of more than {MAX_LINE} bytes")
            if line.strip():
                room.take(decode_command(line))
        except LineError as problem:
            log.critical("the daemon and this worker do not understand each other: %s", problem)
            os._exit(EXIT_BAD_LINE)
    os._exit(EXIT_PARENT_GONE)


class _Room:
    """What the threads of a worker share: the queue in and the pipe out."""

    def __init__(self, handlers: Mapping[str, Handler], events: BinaryIO, clock: Clock) -> None:
        self._handlers = handlers
        self._events = events
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: queue.SimpleQueue[Command] = queue.SimpleQueue()

    def take(self, command: Command) -> None:
        if command.do in URGENT:
            threading.Thread(target=self._run, args=(command,), daemon=True).start()
        else:
            self._waiting.put(command)

    def work(self) -> None:
        while True:
            self._run(self._waiting.get())

    def send(self, event: Event) -> None:
        line = encode_event(event)
        try:
            with self._lock:
                self._events.write(line)
                self._events.flush()
        except OSError:
            os._exit(EXIT_PARENT_GONE)

    def _run(self, command: Command) -> None:
        contextvars.Context().run(self._answer, command)

    def _answer(self, command: Command) -> None:
        current_drop.set(command.drop)
        current_step.set(command.do)
        job = Job(command, self.send, self._clock)
        self.send(Started(command.id))
        try:
            handler = self._handlers.get(command.do)
            if handler is None:
                job.end(Failed(command.id, "Bug", "unknown-command", f"This worker has no command {command.do!r}."))
                return
            result = handler(job)
        except BaseException as error:
            event = failure(command.id, error)
            if event.kind == "Bug":
                log.error("bug in command %s", command.do, exc_info=True)
            job.end(event)
            return
        try:
            job.end(Done(command.id, result))
        except LineError as problem:
            log.error("the result of %s cannot be sent: %s", command.do, problem)
            job.end(Failed(command.id, "Bug", "unsendable-result", f"The result of {command.do} cannot be sent.", effect="done"))


def _take_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Private copies of stdin and stdout, which no child of this process inherits; fd 0 then reads nothing and fd 1 is stderr."""
    commands = os.fdopen(os.dup(0), "rb")
    events = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    if sys.stdout is not None:
        sys.stdout.flush()
        sys.stdout = sys.stderr
    return commands, events
