"""Handles: long commands that a client polls or is called back from."""

from __future__ import annotations

import logging
import threading
from typing import Any

import omero
import omero.clients
import omero.cmd

from dropbox_import.standin.house import House
from dropbox_import.standin.servants import Servant, operation
from dropbox_import.standin.sessions import Session
from dropbox_import.standin.store import now_ms

LOG = logging.getLogger("standin")
CANCEL_SECONDS = 5.0


class Handle(Servant, omero.cmd.Handle):
    """One running command. Polling it does not count as use of the session (SUMMARY 26)."""

    keeps_session_alive = False

    def __init__(self, house: House, session: Session, request: Any, steps: int) -> None:
        super().__init__(house, session)
        self.request = request
        self.response: Any = None
        self.status = omero.cmd.Status(
            category=request.ice_id(),
            name="",
            flags=[],
            parameters={},
            currentStep=0,
            steps=steps,
            startTime=now_ms(),
            stepStartTimes=[],
            stepStopTimes=[],
            stopTime=0,
        )
        self.done = threading.Event()
        self._callbacks: dict[str, Any] = {}

    def step(self, number: int) -> None:
        """Step `number` (from 1) is over."""
        self.status.currentStep = min(number, self.status.steps - 1)
        for callback in list(self._callbacks.values()):
            self._tell(callback, "step", number, self.status.steps)

    def finish(self, response: Any, *, failed: bool = False) -> None:
        """The end, once: answer and status are there, callbacks are told."""
        self.status.stopTime = now_ms()
        if failed:
            self.status.flags = [omero.cmd.State.FAILURE, omero.cmd.State.CANCELLED]
        self.response = response
        self.done.set()
        for callback in list(self._callbacks.values()):
            self._tell(callback, "finished", response, self.status)

    def fail(self, name: str, message: str, stack: str, **more: str) -> None:
        """SUMMARY 7: an ERR, with the status showing where it stopped."""
        parameters = {"message": message, "stacktrace": stack, **more}
        self.finish(omero.cmd.ERR(category=self.request.ice_id(), name=name, parameters=parameters), failed=True)

    @staticmethod
    def _tell(callback: Any, name: str, *given: Any) -> None:
        try:
            getattr(callback, name)(*given)
        except Exception as error:
            LOG.info("a callback could not be told %s: %s", name, error)

    @operation("read omero-blitz slice/omero/cmd/API.ice: called back over the client's own connection")
    def addCallback(self, callback: Any, current: Any) -> None:
        proxy = current.con.createProxy(callback.ice_getIdentity())
        self._callbacks[callback.ice_getIdentity().name] = omero.cmd.CmdCallbackPrx.uncheckedCast(proxy.ice_oneway())

    @operation("read omero-blitz slice/omero/cmd/API.ice")
    def removeCallback(self, callback: Any, current: Any) -> None:
        self._callbacks.pop(callback.ice_getIdentity().name, None)

    @operation("recorded 01")
    def getRequest(self, current: Any) -> Any:
        return self.request

    @operation("recorded 01")
    def getResponse(self, current: Any) -> Any:
        return self.response

    @operation("recorded 01")
    def getStatus(self, current: Any) -> Any:
        return self.status

    @operation("recorded 06 cancel, SUMMARY 10: it times out and the command goes on")
    def cancel(self, current: Any) -> bool:
        if self.done.wait(CANCEL_SECONDS):
            return False
        raise omero.LockTimeout("", "", "timed out while waiting on CANCELLED state", 5000, 5)

    @operation("recorded SUMMARY 11; that a command whose handle is closed goes on is assumed from 10")
    def close(self, current: Any) -> None:
        self._callbacks.clear()
        self.house.registry.remove(current.id)
