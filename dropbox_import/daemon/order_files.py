"""Orders as files: `<state>/commands/<id>.json` from a command, `<id>.answer.json` from the daemon.

Promises after a crash: an order is removed only when its answer is on the disk, and answered only when its effect is;
so it is carried out at least once, and carrying it out again changes nothing. What is no order is answered, and moved
to `commands/bad/`.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from dropbox_import.clock import Clock
from dropbox_import.daemon.orders import FOLDER, KINDS, VERSION, AdminOrder, OrderAnswer, refusal
from dropbox_import.disk import files
from dropbox_import.disk.facts import NotAPlainFile, read_below
from dropbox_import.disk.trouble import as_ours
from dropbox_import.errors import ConfigError, Rejected
from dropbox_import.plain import from_plain

log = logging.getLogger(__name__)

ANSWER = ".answer.json"
BAD = "bad"
_LARGEST = 1 << 20
_LOOK = 1.0  # seconds
_TIDY = 3600.0
_KEEP_ANSWERS = timedelta(days=7)


# --- a command's side ------------------------------------------------------------------


def give(state_dir: Path, order: AdminOrder) -> None:
    """Leave an order for the daemon, durable, as a file of the daemon's own account. Raises ConfigError, TryLater."""
    folder = state_dir / FOLDER
    try:
        owner = folder.stat()
        part = folder / f".{order.id}.part"
        files.write_new(part, order.encoded(), 0o600)
        if sys.platform != "win32" and owner.st_uid != os.geteuid():  # root gives it: the daemon must be able to read and remove it
            files.give_dir(part, owner.st_uid, owner.st_gid)
        files.rename(part, folder / f"{order.id}.json")
        files.sync_dir(folder)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ConfigError(
            f"{folder} is not there: no daemon has run with this config yet", hint="Start it once: dropbox-import run"
        ) from error
    except PermissionError as error:
        raise ConfigError(
            f"you may not leave orders in {folder}", hint="Run the command as root, or as the account of the daemon (sudo -u ACCOUNT ...)."
        ) from error
    except OSError as error:
        raise as_ours(error, "leaving an order for the daemon") from error


def answer_to(state_dir: Path, order_id: str) -> OrderAnswer | None:
    """The daemon's answer, once it is there."""
    try:
        return from_plain(OrderAnswer, json.loads((state_dir / FOLDER / f"{order_id}{ANSWER}").read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def take_answer(state_dir: Path, order_id: str) -> None:
    """Remove an answer that was read."""
    files.remove_file(state_dir / FOLDER / f"{order_id}{ANSWER}")


def waiting_orders(state_dir: Path) -> tuple[AdminOrder, ...]:
    """The orders that are not carried out yet, the oldest first; what cannot be read is left out."""
    found = []
    for name in _names(state_dir / FOLDER):
        try:
            if not (state_dir / FOLDER / _answer_name(name)).exists():
                found.append(_read(state_dir / FOLDER, name))
        except (OSError, Rejected):
            continue
    return tuple(found)


# --- the daemon's side -----------------------------------------------------------------


class Carrier(Protocol):
    def order(self, order: AdminOrder, answer: Callable[[OrderAnswer], None]) -> None:
        """Have it carried out by the box's own thread; `answer` is called from there."""
        ...


class OrderDesk:
    """Takes orders in for the boxes and puts answers out. Used by the service's own thread only."""

    def __init__(self, state_dir: Path, boxes: Mapping[str, Carrier], clock: Clock) -> None:
        self._folder = state_dir / FOLDER
        self._boxes = boxes
        self._clock = clock
        self._handed: set[str] = set()
        self._answers: queue.SimpleQueue[OrderAnswer] = queue.SimpleQueue()
        self._unwritten: list[OrderAnswer] = []
        self._next_look = self._next_tidy = 0.0
        self._troubled = False

    def tend(self) -> None:
        """Once a second: hand on what is new, write the answers that have come. Never raises: what cannot be done now is done later."""
        now = self._clock.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + _LOOK
        try:
            self._write_answers()
            for name in _names(self._folder):
                if name not in self._handed:
                    self._hand_on(name)
            if now >= self._next_tidy:
                self._next_tidy = now + _TIDY
                self._tidy()
            self._troubled = False
        except OSError as error:
            if not self._troubled:
                log.warning("%s", as_ours(error, "looking for orders of administrators").sentence, extra={"step": "orders"})
            self._troubled = True

    def finish(self) -> None:
        """Before the end: what was carried out is answered, so that the next daemon does not do it once more."""
        try:
            self._write_answers()
        except OSError as error:
            log.warning("%s", as_ours(error, "answering orders of administrators").sentence, extra={"step": "orders"})

    def _hand_on(self, name: str) -> None:
        try:
            order = _read(self._folder, name)
        except FileNotFoundError:
            return
        except (OSError, Rejected) as error:
            trouble = error if isinstance(error, Rejected) else as_ours(error, f"reading the order {name}")
            self._put_aside(name, refusal(name.removesuffix(".json"), "", trouble, self._now()))
            return
        if (self._folder / _answer_name(name)).exists():  # carried out by an earlier daemon, which ended before it could remove it
            self._remove(name)
            return
        carrier = self._boxes.get(order.box)
        if carrier is None:
            trouble = Rejected(f"this daemon has no box {order.box}", hint="Look into its config; it reads that at its start.")
            self._put_aside(name, refusal(order.id, order.do, trouble, self._now()))
            return
        log.info("order: %s %s, by %s", order.do, " ".join(order.about[:5]), order.by or "?", extra={"step": "order"})
        self._handed.add(name)
        carrier.order(order, self._answers.put)

    def _write_answers(self) -> None:
        while not self._answers.empty():
            self._unwritten.append(self._answers.get())
        while self._unwritten:
            answer = self._unwritten[0]
            self._write(answer)
            self._remove(f"{answer.id}.json")
            self._unwritten.pop(0)

    def _write(self, answer: OrderAnswer) -> None:
        files.replace(self._folder / f"{answer.id}{ANSWER}", json.dumps({"v": VERSION, **asdict(answer)}).encode() + b"\n", 0o600)

    def _remove(self, name: str) -> None:
        files.remove_file(self._folder / name)
        files.sync_dir(self._folder)
        self._handed.discard(name)

    def _put_aside(self, name: str, answer: OrderAnswer) -> None:
        log.warning("the order %s cannot be carried out: %s", name, answer.results[0].says, extra={"step": "order"})
        self._write(answer)
        bad = self._folder / BAD
        if not bad.is_dir():
            files.make_dir(bad, 0o700)
        target, again = bad / name, 1
        while os.path.lexists(target):
            again += 1
            target = bad / f"{name}-{again}"
        files.rename(self._folder / name, target)
        files.sync_dir(bad)
        files.sync_dir(self._folder)

    def _tidy(self) -> None:
        """Answers that nobody came for."""
        oldest = self._clock.now() - _KEEP_ANSWERS
        for path in sorted(self._folder.glob(f"*{ANSWER}")):
            if datetime.fromtimestamp(path.lstat().st_mtime, UTC) < oldest:
                files.remove_file(path)

    def _now(self) -> str:
        return self._clock.now().isoformat(timespec="seconds")


# --- both ------------------------------------------------------------------------------


def _names(folder: Path) -> list[str]:
    """The orders in the folder, the oldest first; () where it cannot be read."""
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    return sorted(name for name in names if name.endswith(".json") and not name.endswith(ANSWER) and not name.startswith("."))


def _answer_name(name: str) -> str:
    return f"{name.removesuffix('.json')}{ANSWER}"


def _read(folder: Path, name: str) -> AdminOrder:
    """Raises Rejected for what is no order of this version, OSError."""
    try:
        raw = read_below(folder, name, _LARGEST + 1)
        said: Any = json.loads(raw[:_LARGEST])
        if said.get("v") != VERSION:
            raise Rejected(f"{name} is an order of version {said.get('v')}, which this release does not know")
        order = from_plain(AdminOrder, said)
    except NotAPlainFile as error:
        raise Rejected(error.sentence) from error
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise Rejected(f"{name} is no order: {type(error).__name__}") from error
    if order.id != name.removesuffix(".json") or order.do not in KINDS or not order.about:
        raise Rejected(f"{name} is no order that can be carried out", hint=f"There are: {', '.join(KINDS)}.")
    if not all(one and not one.startswith(".") and "/" not in one and "\0" not in one for one in order.about):
        raise Rejected(f"{name} is about something that cannot be the name of a drop or an instance")
    return order
