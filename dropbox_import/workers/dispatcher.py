"""Who gives the workers their work: starts them when there is some, keeps sessions on the worker that holds them, judges limits by the
given clock, and answers every command exactly once whatever becomes of its worker.

Threads: one for each worker, which starts it, reads its events and hands its replies out; and one *warden*, which judges limits and
idleness and hands out the replies that no worker gave. All that they share is the floor, under one lock that is never held while something
can block.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dropbox_import.clock import Clock
from dropbox_import.workers.child import Child, Start, default_command
from dropbox_import.workers.crew import Flight, Member, State
from dropbox_import.workers.floor import Floor, Settings
from dropbox_import.workers.locks import end_orphans
from dropbox_import.workers.protocol import Command, Done, Event, Failed, Hello, LineError, Progress, Role, error_of
from dropbox_import.workers.replies import OnReply, Reply, Ticket

END = 5.0  # seconds that `stop` gives the workers to end by themselves, which they do at once

CREDENTIALS = "CREDENTIALS_DIRECTORY"
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "REQUESTS_CA_BUNDLE")

OnProgress = Callable[[Command, Progress], None]


class Workers:
    """All workers of one daemon. Every method may be called from any thread.

    `importer_config` and `notifier_config` are the args of `configure`, the first command of each of them. `on_progress` gets what running
    commands say to be shown; it must be quick. `commands` says how a role is started (tests). Making this object waits for workers that
    outlived an earlier daemon, and kills them. Limits: docs/worker-protocol.md.
    """

    def __init__(
        self,
        settings: Settings,
        state_dir: Path,
        clock: Clock,
        log: logging.Logger | None = None,
        *,
        importer_config: Mapping[str, Any] | None = None,
        notifier_config: Mapping[str, Any] | None = None,
        on_progress: OnProgress | None = None,
        commands: Mapping[Role, tuple[str, ...]] | None = None,
    ) -> None:
        self._clock = clock
        self._log = log or logging.getLogger("dropbox_import.workers")
        self._on_progress = on_progress
        self._changed = threading.Condition()
        self._threads: dict[int, threading.Thread] = {}
        self._warden: threading.Thread | None = None
        configs: dict[Role, Mapping[str, Any]] = {"importer": importer_config or {}, "notifier": notifier_config or {}}
        how = {
            "inspector": Start("inspector", default_command("inspector"), state_dir, memory=settings.inspector_memory),
            "importer": Start("importer", default_command("importer"), state_dir, variables=_secrets(configs["importer"])),
            "notifier": Start("notifier", default_command("notifier"), state_dir, variables=(CREDENTIALS, *PROXIES)),
        }
        roles: dict[Role, Start] = {start.role: start for start in how.values()}
        for role, command in (commands or {}).items():
            roles[role] = Start(role, command, state_dir, roles[role].variables, roles[role].memory)
        self._floor = Floor(settings, clock, self._log, roles, configs, self._launch)
        end_orphans(state_dir, clock)

    # --- for the daemon --------------------------------------------------------------

    def submit(self, role: Role, command: Command, on_reply: OnReply, *, alone: bool = False, worker: int | None = None) -> Ticket:
        """Have `command` done; `on_reply` is called exactly once, in another thread, and must be quick.

        `worker`: only by that incarnation, which holds the session; if that is gone the error is OutcomeUnknown "no-such-session", effect
        "none". `alone`: by a worker that is started for it and gets nothing else, except what names it.
        """
        ticket = Ticket(role, command, on_reply, alone=alone, worker=worker)
        with self._changed:
            self._have_a_warden()
            self._floor.take(ticket)
            self._changed.notify_all()
        return ticket

    def alive(self, incarnation: int) -> bool:
        """May that worker still be named in `submit`?"""
        with self._changed:
            return self._floor.open(incarnation)

    def busy(self) -> int:
        """How many commands have no answer yet."""
        with self._changed:
            return self._floor.busy()

    def snapshot(self) -> list[dict[str, Any]]:
        """For `status`: each worker, what it does, and for how many seconds."""
        with self._changed:
            return self._floor.snapshot()

    def tick(self) -> None:
        """Judge limits and idleness now. The warden does so by itself; this is for a clock that was moved by hand."""
        with self._changed:
            self._floor.judge()
            self._changed.notify_all()

    def drain(self, timeout: float | None = None) -> bool:
        """Take no new work, answer what was not sent ("stopping"), wait for what runs, then stop. True: nothing was cut short."""
        with self._changed:
            self._floor.close()
            self._changed.notify_all()
            complete = self._changed.wait_for(lambda: self._floor.flying() == 0, timeout)
        self.stop()
        return complete

    def stop(self) -> None:
        """End all workers now; what runs is answered with effect "unknown". When this returns, everything has been answered."""
        with self._changed:
            self._floor.close()
            self._floor.stopping = True
            self._changed.notify_all()
            for member, child in self._floor.crew.values():
                child.let_go()
                if member.state is State.STARTING:
                    child.kill()
            self._changed.wait_for(lambda: not self._floor.crew, END)
            for _, child in self._floor.crew.values():
                child.kill()
            threads = [*self._threads.values(), *([self._warden] if self._warden is not None else [])]
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join(END)

    # --- the warden ------------------------------------------------------------------

    def _have_a_warden(self) -> None:
        if self._warden is None:
            warden = threading.Thread(target=self._watch, name="warden", daemon=True)
            try:
                warden.start()
            except RuntimeError as trouble:  # the next command tries again, and what is to be answered waits until then
                self._log.warning("commands are not looked after: %s", trouble)
            else:
                self._warden = warden

    def _watch(self) -> None:
        while True:
            with self._changed:
                while not self._floor.answers:
                    if self._floor.stopping and not self._floor.crew:
                        self._warden = None
                        return
                    self._changed.wait(self._floor.judge())
                answers = [*self._floor.answers]
                self._floor.answers.clear()
            for ticket, reply in answers:
                ticket.answer(reply)

    # --- a worker's thread -----------------------------------------------------------

    def _launch(self, member: Member, child: Child) -> None:
        name = f"{member.role}-{member.number}"
        thread = threading.Thread(target=self._tend, args=(member, child), name=name, daemon=True)
        thread.start()  # it waits for the lock, which is held here
        self._threads[member.number] = thread

    def _tend(self, member: Member, child: Child) -> None:
        try:
            why = self._live(member, child)
        except Exception:  # noqa: BLE001 - whatever it is, the commands of this worker must be answered
            self._log.exception("a bug in the care of %s %d", member.role, member.number)
            why = "a bug in the service"
        with self._changed:
            answers = self._floor.bury(member, why)
            self._changed.notify_all()
        for ticket, reply in answers:
            ticket.answer(reply)
        with self._changed:
            del self._threads[member.number]

    def _live(self, member: Member, child: Child) -> str:
        """A worker from start to end; returns why it ended."""
        try:
            child.start()
        except OSError as problem:
            return str(problem)
        why = ""
        try:
            for event in child.events():
                self._hear(member, child, event)
        except LineError as problem:
            why = f"it said what cannot be understood: {problem}"
        finally:
            code = child.reap()
        return why or (f"signal {-code}" if code < 0 else f"exit code {code}")

    def _hear(self, member: Member, child: Child, event: Event) -> None:
        landed: Flight | None = None
        with self._changed:
            now = self._clock.monotonic()
            if isinstance(event, Hello):
                self._floor.greeted(member, child, event)
            elif isinstance(event, Done | Failed):
                landed = self._floor.land(member, event.id, now)
                if landed is not None and landed.ticket is None:
                    self._floor.configured(member, child, event)
                self._floor.assign()
            elif isinstance(event, Progress):
                landed = member.flights.get(event.id)
            else:
                member.note(event, now)
            if not isinstance(event, Progress):
                self._changed.notify_all()
        if landed is None or landed.ticket is None:
            return
        if isinstance(event, Progress):
            self._show(landed.ticket.command, event)
        elif isinstance(event, Done):
            landed.ticket.answer(Reply(landed.ticket.command, event.result, None, "done", member.number))
        elif isinstance(event, Failed):
            landed.ticket.answer(Reply(landed.ticket.command, None, error_of(event), event.effect, member.number))

    def _show(self, command: Command, progress: Progress) -> None:
        if self._on_progress is not None:
            try:
                self._on_progress(command, progress)
            except Exception:  # noqa: BLE001 - what is only shown must not end a worker
                self._log.exception("the receiver of progress failed")


def _secrets(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The environment variables that lead an importer to the password: the only ones of that kind that are passed on."""
    return (CREDENTIALS, *([str(config["password_env"])] if config.get("password_env") else []))
