"""Faults on demand, and the log of every call.

A test writes `faults.json` into the stand-in's folder; it is read again whenever it changes:

    {"rules": [{"id": "a", "operation": "verifyUpload", "nth": 1, "do": "cut-after"}],
     "settings": {"import_seconds": 3, "verify_queue_seconds": 0, "login_delay_seconds": 3, "idle_seconds": 600}}

No new session may be idle for longer than `idle_seconds`.
A rule counts the calls that it matches from the moment it is first seen, and acts on the `nth` (default 1) and the
`times - 1` following ones (default 1). `operation` may be "*"; with `users` it matches the calls of their sessions only
("" = nobody's). `do` is one of
cut-before (no effect, the connection breaks), cut-after (effect, no answer), late (the connection breaks, the effect
lands `seconds` later, or as soon as that user has had the answer of an `until` operation), hang (no effect, no answer), delay
(`seconds`), disk-full (of a write), no-hash (of a close: it succeeds, and size and hash are not stored), corrupt (of a write: other
bytes are stored), refuse (of a log-in), end-session (the session is closed before the call), error (Ice.UnknownException without an
effect), blackout (as if Glacier2 were killed and started again: for `seconds` every call breaks its connection and has no effect;
sessions stay).
`calls.jsonl` there holds one line for each call: {"n", "op", "id", "user", "at"}; `watch` tells of those that do not end.
Who reads it while the server writes may meet half of the last line.
`struck.jsonl` holds one line for each fault that came about: {"rule": its id, "do", "op", "user"}. A test must look there: a rule alone
proves nothing, since its call may never come, or have no session to end.
"""

from __future__ import annotations

import json
import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from dropbox_import.standin.watch import Watch

ACTIONS = (
    "cut-before",
    "cut-after",
    "late",
    "hang",
    "delay",
    "disk-full",
    "no-hash",
    "corrupt",
    "refuse",
    "end-session",
    "error",
    "blackout",
)
DEFAULTS = {"import_seconds": 0.0, "verify_queue_seconds": 0.0, "login_delay_seconds": 3.0, "idle_seconds": 600.0}


@dataclass(slots=True)
class Rule:
    """One wanted fault and how many calls it has matched so far."""

    name: str
    operation: str
    do: str
    nth: int
    times: int
    seconds: float
    users: tuple[str, ...] | None = None
    until: str = ""
    seen: int = 0

    def strikes(self, operation: str, user: str) -> bool:
        if self.operation not in ("*", operation) or (self.users is not None and user not in self.users):
            return False
        self.seen += 1
        return self.nth <= self.seen < self.nth + self.times


def log_of_lines(path: Path) -> TextIO:
    """Open to append to. Half a line, which a killed server may leave, is cut off: the next one would be glued to it."""
    if path.exists():
        os.truncate(path, path.read_bytes().rfind(b"\n") + 1)
    return path.open("a", encoding="ascii", buffering=1)


class Faults:
    """The rules in force. Safe to use from any thread."""

    def __init__(self, folder: Path, faults_file: Path | None = None) -> None:
        self._file = faults_file or folder / "faults.json"
        self._stamp: tuple[int, int] | None = None
        self._rules: list[Rule] = []
        self._settings = dict(DEFAULTS)
        self._lock = threading.Lock()
        self._log = log_of_lines(folder / "calls.jsonl")
        self._struck = log_of_lines(folder / "struck.jsonl")
        self._calls = 0
        self._dark_until = 0.0
        self._awaited: list[tuple[tuple[str, str], threading.Event]] = []
        self.stopping = threading.Event()
        self.watch = Watch(folder)

    def log(self, operation: str, identity: str, user: str) -> int:
        with self._lock:
            self._calls += 1
            line = {"n": self._calls, "op": operation, "id": identity, "user": user, "at": round(time.time(), 4)}
            self._log.write(json.dumps(line) + "\n")
            return self._calls

    def _read(self) -> None:
        try:
            state = self._file.stat()
        except FileNotFoundError:
            if self._stamp is not None:
                self._stamp, self._rules, self._settings = None, [], dict(DEFAULTS)
            return
        stamp = (state.st_mtime_ns, state.st_size)
        if stamp == self._stamp:
            return
        try:
            wanted = json.loads(self._file.read_text(encoding="utf-8"))
        except ValueError:
            return  # half written; the next call looks again
        self._stamp = stamp
        self._settings = DEFAULTS | wanted.get("settings", {})
        known = {rule.name: rule for rule in self._rules}
        self._rules = [self._rule(index, entry, known) for index, entry in enumerate(wanted.get("rules", []))]

    @staticmethod
    def _rule(index: int, entry: dict[str, Any], known: dict[str, Rule]) -> Rule:
        if entry["do"] not in ACTIONS:
            raise ValueError(f"faults: {entry['do']!r} is not one of {', '.join(ACTIONS)}")
        name = str(entry.get("id", f"{index}:{json.dumps(entry, sort_keys=True)}"))
        seen = known[name].seen if name in known else 0
        return Rule(
            name,
            entry.get("operation", "*"),
            entry["do"],
            int(entry.get("nth", 1)),
            int(entry.get("times", 1)),
            float(entry.get("seconds", 1.0)),
            tuple(entry["users"]) if "users" in entry else None,
            entry.get("until", ""),
            seen,
        )

    def strike(self, operation: str, user: str) -> Rule | None:
        """The rule that acts on this call, if any."""
        with self._lock:
            self._read()
            struck = [rule for rule in self._rules if rule.strikes(operation, user)]
            if struck and struck[0].do == "blackout":
                self._dark_until = time.monotonic() + struck[0].seconds
            return struck[0] if struck else None

    def came_about(self, rule: Rule, operation: str, user: str) -> None:
        """Write down that the call met what the rule wants."""
        with self._lock:
            self._struck.write(json.dumps({"rule": rule.name, "do": rule.do, "op": operation, "user": user}) + "\n")

    @property
    def dark(self) -> bool:
        """Whether a blackout lasts."""
        return time.monotonic() < self._dark_until

    def answered(self, operation: str, user: str) -> None:
        """A call is over: lets land what was to be late until then."""
        for awaited, moment in list(self._awaited):
            if awaited == (operation, user):
                moment.set()

    def wait_for(self, operation: str, user: str, seconds: float) -> None:
        """Until the next such call of that user is over, at most `seconds`."""
        moment = threading.Event()
        entry = ((operation, user), moment)
        self._awaited.append(entry)
        end = time.monotonic() + seconds
        while not moment.wait(0.05) and time.monotonic() < end and not self.stopping.is_set():
            pass
        self._awaited.remove(entry)

    def setting(self, name: str) -> float:
        with self._lock:
            self._read()
            return float(self._settings[name])

    def wait(self, seconds: float) -> None:
        """Sleeps, but not beyond the end of the server."""
        self.stopping.wait(seconds)
