"""One worker process seen from the daemon: start, commands in, events out, stderr to the log, kill, and its lock file for life.

Nothing here decides anything. One thread reads the events (the caller's, in `events`), one writes commands, so that a worker that does not
read never blocks the daemon, and one passes stderr on.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import dropbox_import
from dropbox_import.workers.locks import remove_lock, write_lock
from dropbox_import.workers.protocol import MAX_LINE, Command, Event, Hello, LineError, Role, decode_event, encode_command
from dropbox_import.workers.relay import LEVEL_VARIABLE, pass_on
from dropbox_import.workers.tree import Tree, lower_priority, start_options

LOG_LINE = 64 * 1024
JOIN = 2.0

# What a worker needs to find its interpreter, libraries, languages and folders. Anything else (and with it any secret) stays here.
_PASSED = frozenset(
    {
        *("PATH", "HOME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "TEMP", "TMP", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"),
        *("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "PYTHONWARNINGS", "PYTHONDONTWRITEBYTECODE"),
        *("SYSTEMROOT", "WINDIR", "SYSTEMDRIVE", "COMSPEC", "PATHEXT", "NUMBER_OF_PROCESSORS"),
        *("USERPROFILE", "APPDATA", "LOCALAPPDATA", "PROGRAMDATA"),
        *("SSL_CERT_FILE", "SSL_CERT_DIR", "OMERODIR", "OMERO_USERDIR", "OMERO_TMPDIR", "JAVA_HOME"),
    }
)


def default_command(role: Role) -> tuple[str, ...]:
    """How a worker of that role is started."""
    return (sys.executable, "-m", f"dropbox_import.{role}")


def environment(parent: Mapping[str, str], extra: Sequence[str], level: int) -> dict[str, str]:
    """The worker's environment: only what it needs, and the variables named in `extra`."""
    kept = {name: value for name, value in parent.items() if name.upper() in _PASSED or name.upper().startswith("LC_") or name in extra}
    root = Path(dropbox_import.__file__).resolve().parent.parent
    if root.name not in ("site-packages", "dist-packages"):
        kept["PYTHONPATH"] = os.pathsep.join([str(root), *filter(None, [kept.get("PYTHONPATH", "")])])
    # The folder that the daemon was started in is not to be trusted as a place of modules; and names of files are coded as in the daemon.
    # Numeric libraries would reserve memory for a thread on each processor, which on a large host alone breaks the limit of memory.
    kept |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return kept | {"PYTHONSAFEPATH": "1", "PYTHONUTF8": str(sys.flags.utf8_mode), LEVEL_VARIABLE: str(level)}


@dataclass(frozen=True, slots=True)
class Start:
    """How to start a worker. `variables`: environment variables to pass on besides the usual; `memory` in bytes, None = no limit."""

    role: Role
    command: tuple[str, ...]
    state_dir: Path
    variables: tuple[str, ...] = ()
    memory: int | None = None


class Child:
    """Call `start`, then `events` to its end, then `reap`, all in one thread; `send`, `let_go` and `kill` from any thread."""

    def __init__(self, how: Start, number: int, log: logging.Logger) -> None:
        self._how = how
        self._number = number
        self._log = log
        self._lock = threading.Lock()
        self._outgoing: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._process: subprocess.Popen[bytes] | None = None
        self._tree: Tree | None = None
        self._lock_file: Path | None = None
        self._threads: list[threading.Thread] = []
        self._killed = False

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    def start(self) -> None:
        """Start the process. OSError when that cannot be done; then nothing is left of it, and neither `events` nor `reap` is called."""
        process = subprocess.Popen(
            self._how.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self._how.state_dir,
            env=environment(os.environ, self._how.variables, self._log.getEffectiveLevel()),
            **start_options(),
        )
        try:
            lower_priority(process.pid)
            tree = Tree(process, self._how.memory)
            self._lock_file = write_lock(self._how.state_dir, self._how.role, process.pid)
        except OSError:
            process.kill()
            process.communicate()
            raise
        with self._lock:
            self._process, self._tree = process, tree
            if self._killed:
                tree.kill()
        for work in (self._write, self._pass_stderr_on):
            thread = threading.Thread(target=work, args=(process,), name=f"{self._how.role}-{self._number}-{work.__name__}", daemon=True)
            thread.start()
            self._threads.append(thread)

    def send(self, command: Command) -> None:
        """Queue a command; never blocks. LineError when it cannot be written as a line."""
        self._outgoing.put(encode_command(command))

    def let_go(self) -> None:
        """End the worker's stdin, after what is queued: it ends at once."""
        self._outgoing.put(None)

    def kill(self) -> None:
        """End the worker and all that it started, now. Nothing happens if it has been reaped."""
        with self._lock:
            self._killed = True
            if self._tree is not None:
                self._tree.kill()

    def events(self) -> Iterator[Event]:
        """What the worker says, to the end of its pipe. LineError when that cannot be understood: then it is to be killed."""
        assert self._process is not None
        assert self._process.stdout is not None
        greeted = False
        while line := self._process.stdout.readline(MAX_LINE + 1):
            if not line.endswith(b"\n"):
                if len(line) > MAX_LINE:
                    raise LineError(f"an event of more than {MAX_LINE} bytes")
                return  # the death of the worker cut this line off
            if not line.strip():
                continue
            try:
                event = decode_event(line)
            except LineError:
                if greeted:
                    raise
                # Whatever an interpreter prints before the worker's code runs.
                pass_on(line, self._log, self._how.role, self._number)
                continue
            greeted = greeted or isinstance(event, Hello)
            yield event

    def reap(self) -> int:
        """Kill what is left of the tree, wait for it, and give everything back. Returns the exit code (POSIX: minus the signal)."""
        assert self._process is not None
        assert self._process.stdout is not None
        with self._lock:
            tree, self._tree = self._tree, None
        if tree is not None:
            # The pipe is closed, so the worker has ended or is about to; what it started may not be.
            tree.kill()
        self._outgoing.put(None)
        code = self._process.wait()
        if tree is not None:
            tree.close()
        for thread in self._threads:
            # A process that left the group may hold stderr for as long as it likes; its thread then stays behind.
            thread.join(JOIN)
        self._process.stdout.close()
        if self._lock_file is not None:
            remove_lock(self._lock_file)
        return code

    def _write(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        with contextlib.suppress(OSError), process.stdin as pipe:  # OSError: it has ended, which `events` finds out
            while (line := self._outgoing.get()) is not None:
                pipe.write(line)
                pipe.flush()

    def _pass_stderr_on(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stderr is not None
        with process.stderr as pipe:
            while line := pipe.readline(LOG_LINE):
                pass_on(line, self._log, self._how.role, self._number)
