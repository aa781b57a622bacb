"""Two daemons on one box: the first one is stopped (SIGSTOP) at an exact place, the second takes its claims over, the first wakes up.

All of it in one thread: at the place where the first one is to stop, the second one lives its life, and then the first goes on from
there as if nothing had happened, an hour later.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from dropbox_import.daemon.orders import AdminOrder, OrderAnswer
from dropbox_import.disk import observe
from dropbox_import.spool import layout
from dropbox_import.spool.adopt import adopt
from dropbox_import.workers.protocol import Command
from dropbox_import.workers.replies import Reply
from tests.support.lab import Lab
from tests.support.lab_daemon import Daemon
from tests.support.scripted import CHANGES

EARLY, LATE = "early", "late"  # the first one wakes up at once after the adoption, or when everything is over


class Handover:
    """`life` runs the first daemon up to `stop_at`, hands over, and goes on until all is at rest."""

    def __init__(self, lab: Lab, when: str) -> None:
        self.lab = lab
        self.first, self.second = lab.daemons
        self.when = when
        self.effects = 0
        self.commands = 0
        self.done = False
        self.answer: OrderAnswer | None = None
        self.adopted: frozenset[str] = frozenset()
        self.changed_after: list[str] = []  # what the first one's workers were told to change for these after it woke up

    # --- where it stops -------------------------------------------------------------------

    def life(self, *, at_effect: int = 0, at_command: int = 0) -> None:
        """1 = the first effect on the disk, or the first command for a worker. 0 = never."""
        self._watch(self.first, at_command)
        observe.set_observer(self._observer(at_effect))
        try:
            self.spin([self.first], self.lab.at_rest if not (at_effect or at_command) else lambda: self.done or self.lab.at_rest())
        finally:
            observe.set_observer(None)

    def _observer(self, at: int) -> Callable[[str, str, Path], None]:
        def observer(when: str, what: str, path: Path) -> None:
            self.effects += 1
            if self.effects == at:
                self.hand_over()

        return observer

    def _watch(self, daemon: Daemon, at_command: int) -> None:
        """A command is stopped at on its way to the worker: it was journaled, the claim was looked at, and nothing has happened."""
        daemon.start()
        original = daemon.workers.submit

        def submit(role: str, command: Command, on_reply: Callable[[Reply], None], **words: Any) -> None:
            self.commands += 1
            if self.done and command.do in CHANGES and command.drop in self.adopted:
                self.changed_after.append(command.do)
            if self.commands == at_command:
                self.hand_over()
            original(role, command, on_reply, **words)

        daemon.workers.submit = submit  # type: ignore[method-assign]

    # --- the second one -------------------------------------------------------------------

    def hand_over(self) -> None:
        observe.set_observer(None)
        self.adopted = frozenset(self.lab.claims())
        self.second.start()
        if self.when == EARLY:
            for box in self.lab.boxes:
                adopt(layout.Layout(box), self.first.identity().name, self.second.identity())
            self.spin([self.second], most=2)
        else:
            self.order()
            self.spin([self.second], self.lab.at_rest)
        self.done = True

    def order(self) -> OrderAnswer:
        """By order of the administrator, which waits until the first one was seen to be silent."""
        order = AdminOrder("1", "adopt", str(self.lab.box), (self.first.identity().name,))
        answers: list[OrderAnswer] = []
        self.second.runners[0].order(order, answers.append)
        self.spin([self.second], lambda: bool(answers))
        assert answers, "stuck: the order to adopt was never answered"
        self.answer = answers[0]
        return self.answer

    def spin(self, daemons: Sequence[Daemon], until: Callable[[], object] = lambda: False, most: int = 3000) -> None:
        """Let these run, and time with them."""
        for _ in range(most):
            self.lab.server.tick()
            for daemon in daemons:
                daemon.runners[0].turn(0)
                daemon.keeper.tend()
            pause = min(daemon.runners[0].pause() for daemon in daemons)
            self.lab.clock.forward(max(0.05, min(pause, 5.0)))
            if until():
                return

    def pass_by(self, seconds: float) -> None:
        """Both work for so long."""
        end = self.lab.clock.monotonic() + seconds
        self.spin([self.first, self.second], lambda: self.lab.clock.monotonic() > end)

    def calm(self) -> None:
        """Both go on until all is at rest, and a while longer."""
        self.spin([self.first, self.second], self.lab.at_rest)
        self.spin([self.first, self.second], most=30)
        self.lab.server.land()
        self.spin([self.first, self.second], self.lab.at_rest)

    # --- looking --------------------------------------------------------------------------

    def messages(self) -> list[str]:
        """Every message in any outbox, by its name."""
        return sorted(path.name for box in self.lab.boxes for path in (box / "inprogress").glob("*/outbox/*.json"))


class Told(logging.Handler):
    """What was logged, with tracebacks as a word of their own."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(("TRACEBACK " if record.exc_info else "") + record.getMessage())
