"""What `retry`, `discard` and `adopt` have in common: leave an order for the daemon, wait a moment for its answer, show it."""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dropbox_import.cli import terminal
from dropbox_import.cli.drops import EVERY, STATUS_FILE, all_drops, life, reachable
from dropbox_import.cli.exits import Exit
from dropbox_import.clock import SystemClock
from dropbox_import.daemon.order_files import answer_to, give, take_answer
from dropbox_import.daemon.orders import AdminOrder, OrderAnswer, Result
from dropbox_import.errors import Rejected, ShareUnavailable
from dropbox_import.spool.layout import is_id, new_id, read_marker

if TYPE_CHECKING:
    from dropbox_import.settings import Settings

_MOST = 500  # drops in one order
_FRESH = 15.0  # seconds; a running daemon writes its status every two
_LOOK = 0.2


@dataclass(frozen=True, slots=True)
class Given:
    """An order and its answer, as far as there is one."""

    order: AdminOrder
    answer: OrderAnswer | None = None


def order_all(settings: Settings, do: str, wanted: Sequence[tuple[str, str]], wait: float, output: str) -> int:
    """Give the orders for these (box, drop or instance), wait, show what came of them. Returns the exit code."""
    clock = SystemClock()
    orders = []
    for box, about in _by_box(wanted):
        for start in range(0, len(about), _MOST):
            at = clock.now().isoformat(timespec="seconds")
            orders.append(AdminOrder(new_id(clock), do, box, tuple(about[start : start + _MOST]), _who(), at))
    for order in orders:
        give(settings.state_dir, order)
    running = daemon_runs(settings.state_dir)
    given = _wait_for(settings.state_dir, orders, wait if running else 0.0)
    gone = away(settings) if any(one.answer is None for one in given) else []
    if output == "json":
        terminal.say(json.dumps({"orders": [_as_json(one, running, gone) for one in given]}, indent=2))
    else:
        for one in given:
            show(one, running, gone)
    if any(not result.ok for one in given if one.answer for result in one.answer.results):
        return Exit.FAILED
    return Exit.WAITS if running and any(one.answer is None for one in given) else Exit.OK


def _by_box(wanted: Iterable[tuple[str, str]]) -> list[tuple[str, list[str]]]:
    boxes: dict[str, list[str]] = {}
    for box, about in dict.fromkeys(wanted):
        boxes.setdefault(box, []).append(about)
    return list(boxes.items())


def _who() -> str:
    """Who gives the order, for the log."""
    try:
        return os.environ.get("SUDO_USER") or getpass.getuser()
    except (OSError, KeyError):
        return ""


def daemon_runs(state_dir: Path) -> bool:
    """Whether a daemon with this state folder has shown itself a moment ago."""
    try:
        facts: Any = json.loads((state_dir / STATUS_FILE).read_bytes())
        age = (SystemClock().now() - datetime.fromisoformat(facts["at"]).astimezone(UTC)).total_seconds()
        return bool(facts["running"]) and abs(age) < _FRESH
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _wait_for(state_dir: Path, orders: Sequence[AdminOrder], seconds: float) -> list[Given]:
    clock = SystemClock()
    until = clock.monotonic() + seconds
    found: dict[str, OrderAnswer] = {}
    while True:
        for order in orders:
            if order.id not in found and (answer := answer_to(state_dir, order.id)) is not None:
                found[order.id] = answer
                take_answer(state_dir, order.id)
        if len(found) == len(orders) or clock.monotonic() >= until:
            return [Given(order, found.get(order.id)) for order in orders]
        clock.sleep(_LOOK)


# --- showing ---------------------------------------------------------------------------


def show(given: Given, running: bool, gone: Sequence[str]) -> None:
    """One line for each drop, and below it what to know or do."""
    if given.answer is None:
        terminal.tell(f"{given.order.do} {_shown(given.order.about)}: {not_yet(given.order, running, gone)}")
        return
    for result in given.answer.results:
        head = terminal.visible(result.about or given.order.id)
        if result.ok:
            terminal.say(f"{head}: {terminal.visible(result.says)}")
        else:
            terminal.tell(terminal.paint(f"{head}: ", "problem", err=True) + terminal.visible(result.says))
        _below(result, given.order.do)


def _below(result: Result, do: str) -> None:
    if do == "discard" and result.ok:
        terminal.say("  In OMERO, as far as is known:" if result.omero else "  OMERO has nothing of it.")
        for line in result.omero:
            terminal.say(f"    {terminal.visible(line)}")
    if result.hint:
        (terminal.say if result.ok else terminal.tell)(f"  {terminal.visible(result.hint)}")


def not_yet(order: AdminOrder, running: bool, gone: Sequence[str]) -> str:
    """Why there is no answer yet, and what becomes of the order. `gone` are the boxes that cannot be seen."""
    if order.box in gone:
        return f"{order.box} cannot be seen (not mounted?). The order waits until it can; `dropbox-import status` lists it."
    if not running:
        return "no daemon is running. The order is carried out at the next start; `dropbox-import status` lists it until then."
    if order.do == "adopt":
        return "the daemon still watches whether that instance lives. The order waits; `dropbox-import status` lists it."
    return "the daemon has not come to it yet. The order waits; `dropbox-import status` lists it."


def _shown(about: Sequence[str]) -> str:
    return ", ".join(about[:3]) + (f" and {len(about) - 3} more" if len(about) > 3 else "")


def _as_json(given: Given, running: bool, gone: Sequence[str]) -> dict[str, Any]:
    told = {"id": given.order.id, "do": given.order.do, "box": given.order.box, "about": list(given.order.about)}
    if given.answer is None:
        return told | {"state": "waits", "says": not_yet(given.order, running, gone), "results": []}
    good = all(result.ok for result in given.answer.results)
    return told | {"state": "done" if good else "refused", "says": "", "results": [asdict(result) for result in given.answer.results]}


# --- finding ---------------------------------------------------------------------------


def find(settings: Settings, wanted: Sequence[str]) -> list[tuple[str, str]]:
    """Box and id of each drop that is meant. Raises Rejected for one that is not there, unless it may lie in a box that is away."""
    from dropbox_import.cli.show import pick

    there, _ = reachable(settings)
    drops = all_drops(there, life(there), newest=EVERY)
    found = []
    for word in wanted:
        try:
            drop = pick(drops, word)
            found.append((drop.box, drop.id))
        except Rejected as error:
            gone = away(settings)
            if not gone or error.kind != "no-such-drop" or not is_id(word):
                raise
            found += [(box, word) for box in gone]
    return found


def away(settings: Settings) -> list[str]:
    """The boxes that cannot be seen now: not mounted, or their volume hangs."""
    there, hung = reachable(settings)
    gone = [*hung]
    for box in there.boxes:
        try:
            read_marker(box.path)
        except ShareUnavailable:
            gone.append(str(box.path))
    return gone
