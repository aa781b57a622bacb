"""A thread for each outbox: one for each box, and one for what concerns no box. Imports never wait for any of them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any

from dropbox_import.clock import Clock
from dropbox_import.daemon.alerts import OUTBOX, Alert
from dropbox_import.daemon.box import BoxRunner
from dropbox_import.daemon.courier import LOOK, Courier
from dropbox_import.daemon.hung import JOIN, join_all
from dropbox_import.daemon.post import Post
from dropbox_import.daemon.shared import Shared
from dropbox_import.daemon.waits import FILE, Told, Waits
from dropbox_import.notify.outbox import Outbox

log = logging.getLogger(__name__)

_HURRY = 30.0  # seconds that a run which is to end waits for its letters
_LAST = 15.0  # seconds for a letter that is just being sent when the daemon is stopped


class _Round:
    """One courier with its thread."""

    def __init__(self, courier: Courier, before: Callable[[], None], name: str) -> None:
        self.courier = courier
        self._before = before
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)  # a hung mount must not keep the process alive
        courier.wake = self.wake

    def wake(self) -> None:
        self._woken.set()

    def stop(self) -> None:
        self._stopping.set()
        self._woken.set()

    def _run(self) -> None:
        troubled = False
        while not self._stopping.is_set():
            pause = LOOK
            try:
                self._before()
                pause = self.courier.turn()
                troubled = False
            except OSError as error:
                if not troubled:
                    log.warning("messages cannot be looked after now: %s", error, extra={"step": "notify"})
                troubled = True
            except Exception:  # a bug here must not end what tells people
                log.exception("a bug in telling people; it goes on in a moment")
            self._woken.wait(pause)
            self._woken.clear()


class Couriers:
    """Made and used by the service's thread."""

    def __init__(self, shared: Shared, runners: Sequence[BoxRunner], outage: Callable[[], Alert | None]) -> None:
        settings, instance, clock = shared.settings, shared.instance, shared.clock
        self._clock: Clock = clock
        self.post = Post(settings.notify, instance.state_dir, shared.workers, shared.outage, clock)
        self._rounds: list[_Round] = []
        told = Told(instance.state_dir / FILE)
        for number, runner in enumerate(runners):
            folder = runner.layout.outbox(instance.name)
            courier = Courier(Outbox(folder), self.post, box=runner.layout, wishes=runner.box.notify)
            waits = Waits(runner, folder, told, outage, settings.notify.waits_after, clock)
            self._rounds.append(_Round(courier, waits.tend, f"courier-{number}"))
        self._rounds.append(_Round(Courier(Outbox(instance.state_dir / OUTBOX), self.post), lambda: None, "courier"))

    def start(self) -> None:
        for one in self._rounds:
            one.thread.start()

    def wake(self) -> None:
        """Something may be to be told."""
        for one in self._rounds:
            one.wake()

    def flush(self, stop: threading.Event) -> None:
        """The run is to end: send what can be sent, without waiting for more of the same. For half a minute at most."""
        if not self.post.rules_say_how:
            return
        self.post.hurry = True
        end = self._clock.monotonic() + _HURRY
        before = [one.courier.turns for one in self._rounds]
        while self._clock.monotonic() < end and not stop.is_set():
            self.wake()
            stop.wait(0.2)
            turned = all(one.courier.turns > turns + 1 for one, turns in zip(self._rounds, before, strict=True))
            if turned and all(one.courier.at_rest() for one in self._rounds):
                return

    def drain(self, stop: threading.Event) -> None:
        """Nothing new is begun; what is under way may end, since else it would come twice."""
        self.post.draining = True
        end = self._clock.monotonic() + _LAST
        while any(one.courier.flying() for one in self._rounds) and self._clock.monotonic() < end and not stop.is_set():
            stop.wait(0.1)

    def stop(self) -> None:
        for one in self._rounds:
            one.stop()
        join_all([one.thread for one in self._rounds], JOIN, self._clock)

    def state(self) -> dict[str, Any]:
        """For status.json."""
        counts = [one.courier.counts() for one in self._rounds]
        troubles = [{"channel": one.channel, "since": one.since, "why": one.why} for one in self.post.channels.troubles()]
        return {**{name: sum(one[name] for one in counts) for name in counts[0]}, "troubles": troubles}
