"""The whole service under strace, with worker processes whose every answer is the test's: OMERO and people are plain objects here.

A `Stage` has one story, played anew for each point: a drop of two images, one of which a part fails, a sidecar that is refused, an order to
try an earlier drop again, and people who are to be told of all that.
"""

from __future__ import annotations

import contextlib
import random
import shutil
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from dropbox_import import __version__
from dropbox_import.daemon.channels import AT_ONCE
from dropbox_import.daemon.order_files import answer_to, give, waiting_orders
from dropbox_import.daemon.orders import AdminOrder
from dropbox_import.errors import NotAllowed
from dropbox_import.notify.message import OUTCOMES
from dropbox_import.settings.model import Listener, Mail, Notify, Retry
from dropbox_import.workers.protocol import PROTOCOL, Command, Done, Event, Hello, Started, decode_command, encode_event, failure
from dropbox_import.workers.replies import Reply
from tests.support.lab import Lab
from tests.support.promises import always, at_rest
from tests.support.scripted import ScriptedWorkers
from tests.support.servicerun import Life
from tests.support.straced import Ended, Zygote, litter

HELA = "target: {dataset: HeLa}\n"
EARLIER = ("old.yaml", HELA, {"old.tif": b"an image of old"})
DROPS = (
    ("set.yaml", HELA, {"set/1.tif": b"one", "set/2.tif": b"two"}),
    ("p.yaml", HELA, {"p/good.tif": b"good", "p/bad.tif": b"broken"}),
    ("r.yaml", f"{HELA}tagz: 1\n", {"r.tif": b"image-r"}),
)
IMPORTED, SIDECAR_COPIES = 4, 1
FILED = {"done": ["p", "set"], "failed": ["p", "r"]}  # besides the earlier one
EVENTS = ("failed", "done", "partly", "failed")  # the first is the earlier one's, before it is tried again
TOLD = Notify(mail=Mail("relay"), admin=Listener(("ops@example.org",)), gather=0.1, digest=0.1)
USER, ADMIN = "mail:jdoe@example.org", "mail:ops@example.org"
ORDER = "20261122-093912-order1"
QUICK = 0.2  # seconds


class Stage:
    """`begin` the story, have `life` after life on it, and see what is `broken`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder / "lab"
        self._zygote = Zygote(folder, "tests.support.servicerun")
        self._lock = threading.Lock()
        self._door = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._let_in, daemon=True).start()

    def close(self) -> None:
        self._zygote.close()
        self._door.close()

    def begin(self) -> Lab:
        shutil.rmtree(self._folder, ignore_errors=True)
        self.lab = lab = Lab(self._folder, notify=TOLD)
        lab.server.mail.boxes, lab.server.mail.addresses = lab.boxes, {"jdoe": "jdoe@example.org"}
        lab.server.refuse["resolve"] = NotAllowed("The group takes nothing now.")
        lab.drop(*EARLIER)
        lab.life()
        lab.server.refuse.clear()
        lab.kill(random.Random(0))
        (filed,) = lab.filed("failed")
        for drop in DROPS:
            lab.drop(*drop)
        about = filed.name.rpartition("__")[2]
        give(lab.settings.state_dir, AdminOrder(ORDER, "retry", str(lab.box), (about,), "root", "2026-11-22T09:39:12"))
        self._began = time.monotonic() - lab.clock.seconds
        return lab

    def life(self, thread: str = "", inject: str = "") -> Ended:
        """`thread`: which one strace sees, and meddles with; the others have peace."""
        lab = self.lab
        (box,) = lab.settings.boxes
        boxes = (replace(box, quiet_period=QUICK, scan_interval=QUICK),)
        settings = replace(lab.settings, boxes=boxes, retry=Retry((QUICK,), 0.0))
        return self._zygote.run(Life(settings, self._door.getsockname()[1], thread), inject, lambda *_: None)

    # --- the workers' minds -------------------------------------------------------------

    def _let_in(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                line, _ = self._door.accept()
                threading.Thread(target=self._be_worker, args=(line,), daemon=True).start()

    def _be_worker(self, line: socket.socket) -> None:
        lab = self.lab
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(OSError), line, line.makefile("rb") as commands:
            hello = commands.readline().decode().split()
            if not hello:
                return  # it was killed before it said who it is
            role, pid = hello
            line.sendall(encode_event(Hello(PROTOCOL, __version__, role, int(pid))))
            mind = ScriptedWorkers(lab.server, lab.settings.state_dir / "sessions")
            for text in commands:
                command = decode_command(text)
                line.sendall(encode_event(Started(command.id)))
                with self._lock:
                    lab.clock.seconds = max(lab.clock.seconds, time.monotonic() - self._began)
                    answer = _answer(mind, role, command)
                line.sendall(encode_event(answer))

    # --- what must be true --------------------------------------------------------------

    def broken(self, ended: Ended, *, again: int = AT_ONCE, error: str = "") -> list[str]:
        """The promises that do not hold when all is at rest. `again`: letters that may have come twice.

        `error`: what may have been answered to the order instead. Then its drop is where it was; or it was tried again all the same,
        where only the sync of the new journal's name was refused.
        """
        lab, state = self.lab, self.lab.settings.state_dir
        answer = answer_to(state, ORDER)
        if waiting_orders(state) or answer is None:
            return [f"the order is stuck: {waiting_orders(state)}, {answer}"]
        (result,) = answer.results
        if not result.ok and not (error and error in result.says):
            return [f"the order is answered with: {result}"]
        again_done = result.ok or any(path.name.startswith("old__") for path in lab.filed("done"))
        lab.check(IMPORTED - (not again_done), sidecar_copies=SIDECAR_COPIES)
        found = [*always(lab, lab.boxes), *(one for one in at_rest(lab) if "people were told" not in one)]
        for place, names in FILED.items():
            wanted = sorted([*names, *["old"] * (again_done == (place == "done"))])
            filed = sorted(path.name.partition("__")[0] for path in lab.filed(place))
            found += [f"in {place}/ are {filed}"] * (filed != wanted)
        left = [path for path in litter(lab) if path.split("/")[-1] != "outbox"]
        found += [f"left behind: {left}"] * bool(left)
        found += self._told(sorted([*EVENTS, *["done"] * again_done]), again)
        return found + [f"it says that this is a bug: {said.text}" for said in ended.said if said.traceback]

    def _told(self, events: list[str], again: int) -> list[str]:
        mail, told = self.lab.server.mail, self.lab.server.mail.told()
        outcomes = {name: name.rpartition(".")[2] for name, _ in told if name.rpartition(".")[2] in OUTCOMES}
        wanted = Counter((name, USER) for name in outcomes) + Counter((name, ADMIN) for name, event in outcomes.items() if event != "done")
        found = list(mail.wrong)
        found += [f"people were told {sorted(outcomes)}"] * (sorted(outcomes.values()) != events)
        found += [f"not told: {wanted - told}; told besides: {told - wanted}"] * (wanted != told)
        found += [f"{mail.again()} letters were told again"] * (mail.again() > again)
        outboxes = [*self.lab.box.glob("inprogress/*/outbox/*.json"), *self.lab.settings.state_dir.glob("outbox/*.json")]
        return found + [f"stuck in the outbox: {[path.name for path in outboxes]}"] * bool(outboxes)


def _answer(mind: ScriptedWorkers, role: str, command: Command) -> Event:
    if command.do == "configure":
        return Done(command.id, {})
    try:
        if role == "notifier" or command.do == "who_is":
            reply: Reply = mind.server.mail.do(command)
            return failure(command.id, reply.error) if reply.error is not None else Done(command.id, reply.result or {})
        return Done(command.id, mind._do(command))
    except Exception as error:  # noqa: BLE001 - as a worker does: every error is told
        return failure(command.id, error)


@contextlib.contextmanager
def stage(folder: Path) -> Iterator[Stage]:
    found = Stage(folder)
    try:
        yield found
    finally:
        found.close()
