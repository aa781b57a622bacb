"""One hiccup in a long wait costs seconds: how often something was looked at is not how often it went wrong. With the default delays."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dropbox_import.errors import OutcomeUnknown, ServerUnavailable, TargetUnusable
from dropbox_import.settings.model import Retry
from dropbox_import.workers.protocol import Command
from dropbox_import.workers.replies import Reply
from tests.support.lab import Lab
from tests.support.scripted import Stored

SIDECAR = "target: {dataset: HeLa}\n"
BUSY = ServerUnavailable("OMERO is too busy for this now", code="busy")
AWAY = ServerUnavailable("OMERO cannot be reached", code="unreachable")
LOST = OutcomeUnknown("The connection to OMERO was lost", code="connection-lost")
SOON = 20.0  # seconds


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path, delays=Retry().delays)


def go_on(lab: Lab, until: Callable[[], object], *, seconds: float, each: Callable[[], None] = lambda: None) -> bool:
    """Let the daemon work until something has come about; False when it has not in that time. `each` happens before each turn."""
    assert lab.runner is not None
    end = lab.clock.monotonic() + seconds
    while not until():
        if lab.clock.monotonic() >= end:
            return False
        each()
        lab.server.tick()
        lab.runner.turn(0)
        lab.clock.forward(max(0.05, min(lab.runner.pause(), 1.0)))
    return True


def imports(lab: Lab, seconds: float) -> Stored:
    """Go on until the import of a drop is started, which takes so long."""
    lab.drop("a.yaml", SIDECAR, {"a.tif": b"a"})
    lab.start()
    assert go_on(lab, lambda: any(one.committed for one in lab.server.filesets.values()), seconds=30)
    (one,) = lab.server.filesets.values()
    one.images, one.half_at = 0, lab.clock.monotonic() + seconds
    one.full_at = one.over_at = one.half_at
    return one


def refused_once(lab: Lab, command: str, error: ServerUnavailable) -> None:
    """OMERO says no to that command once."""
    before = lab.server.commands
    lab.server.refuse[command] = error
    assert go_on(lab, lambda: any(why is error for _, why in lab.runners[0].waits()) and lab.server.commands > before, seconds=60)
    del lab.server.refuse[command]


def lose_worker(lab: Lab) -> None:
    """The importer is gone; what is asked of it from now on is told so."""
    lab.workers.incarnation += 1
    lab.workers.holds = {}


def die_of_a_poll(lab: Lab) -> None:
    before = lab.workers.incarnation
    lab.server.deadly.add("poll")
    assert go_on(lab, lambda: lab.workers.incarnation > before, seconds=30)
    lab.server.deadly.clear()


HICCUPS: dict[str, Callable[[Lab], None]] = {
    "busy": lambda lab: refused_once(lab, "poll", BUSY),
    "server-fault": lambda lab: refused_once(lab, "poll", ServerUnavailable("OMERO has an error", code="server-fault")),
    "the-importer-is-gone": lose_worker,
    "the-importer-dies-of-a-poll": die_of_a_poll,
}


@pytest.mark.parametrize("hiccup", HICCUPS)
def test_one_hiccup_of_a_poll_does_not_keep_a_finished_import_for_an_hour(lab: Lab, hiccup: str) -> None:
    running = imports(lab, 200)
    go_on(lab, lambda: False, seconds=100)
    HICCUPS[hiccup](lab)
    assert go_on(lab, lambda: lab.clock.monotonic() >= running.full_at, seconds=200)
    assert lab.claims()
    assert go_on(lab, lambda: not lab.claims(), seconds=SOON), "its end was not seen"
    lab.check(1)


def test_an_importer_that_is_lost_again_and_again_does_not_keep_the_polls_that_it_never_took(lab: Lab) -> None:
    """Another call hangs in each importer, so that all are ended: what only waited there waits for its session to be joined, no longer."""
    running = imports(lab, 400)
    book = lab.shared.book

    def lose_it_when_it_has_joined() -> None:
        if book.holds_anything(running.session) and book.worker_of(running.session) == lab.workers.incarnation:
            lose_worker(lab)

    go_on(lab, lambda: False, seconds=300, each=lose_it_when_it_has_joined)
    assert lab.workers.incarnation > 10
    assert go_on(lab, lambda: lab.clock.monotonic() >= running.full_at, seconds=200)
    assert go_on(lab, lambda: not lab.claims(), seconds=SOON), "its end was not seen"
    lab.check(1)


def test_polls_that_go_wrong_one_after_the_other_are_tried_less_and_less_often(lab: Lab) -> None:
    imports(lab, 100)
    lab.server.refuse["poll"] = BUSY
    go_on(lab, lambda: False, seconds=1000)
    assert lab.server.commands < 30
    assert lab.runner is not None
    assert [why for _, why in lab.runner.waits()] == [BUSY]


def test_a_poll_that_hangs_in_every_importer_does_not_end_one_after_the_other_at_once(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Uploads in the same importer would never come to their end."""
    running, hung, submit = imports(lab, 2000), list[Command](), lab.workers.submit

    def hangs(role: str, command: Command, on_reply: Callable[[Reply], None], **named: Any) -> None:
        if command.do != "poll" or named["worker"] != lab.workers.incarnation:
            submit(role, command, on_reply, **named)
            return
        hung.append(command)
        lose_worker(lab)
        on_reply(Reply(command, None, OutcomeUnknown("it hung", code="hung"), "unknown", named["worker"], died=True))

    monkeypatch.setattr(lab.workers, "submit", hangs)
    go_on(lab, lambda: False, seconds=1000)
    assert 3 < len(hung) < 12
    monkeypatch.undo()
    assert go_on(lab, lambda: not lab.claims(), seconds=4000)
    assert lab.clock.monotonic() >= running.full_at
    lab.check(1)


def test_one_hiccup_while_the_end_of_a_foreign_session_is_waited_for_costs_seconds(lab: Lab) -> None:
    """Its secret is lost, so it is asked after until OMERO has ended it."""
    lab.server.refuse["send"] = BUSY
    lab.drop("a.yaml", SIDECAR, {"a.tif": b"a"})
    lab.start()
    assert go_on(lab, lambda: lab.server.filesets, seconds=30)
    (one,) = lab.server.filesets.values()
    for record in lab.workers.sessions_dir.glob("*.json"):
        record.unlink()
    lab.server.refuse.clear()
    lab.start()
    go_on(lab, lambda: False, seconds=500)
    refused_once(lab, "session_state", BUSY)
    assert lab.server.is_open(one.session)
    assert go_on(lab, lambda: not lab.server.is_open(one.session), seconds=200)
    assert go_on(lab, lambda: not lab.claims(), seconds=30 + SOON), "the end of the session was not seen"
    lab.check(1)


def test_one_hiccup_after_the_end_of_a_session_had_to_wait_costs_seconds(lab: Lab) -> None:
    running = imports(lab, 100)
    lab.server.refuse["begin"] = LOST  # what became of it is not known: the session has to end, and another import runs in it
    lab.drop("b.yaml", SIDECAR, {"b.tif": b"b"})
    go_on(lab, lambda: False, seconds=90)
    lab.server.refuse = {"end_session": BUSY}
    assert go_on(lab, lambda: any(why is BUSY for _, why in lab.runners[0].waits()), seconds=60)
    assert lab.server.is_open(running.session)
    lab.server.refuse.clear()
    assert go_on(lab, lambda: not lab.claims(), seconds=SOON)
    lab.check(2)


def test_one_hiccup_after_a_long_outage_costs_seconds(lab: Lab) -> None:
    lab.server.refuse["open_session"] = AWAY
    lab.drop("a.yaml", SIDECAR, {"a.tif": b"a"})
    lab.start()
    go_on(lab, lambda: False, seconds=30_000)
    assert lab.shared.outage.down
    refused_after = lab.server.commands
    lab.server.refuse["open_session"] = BUSY
    assert go_on(lab, lambda: lab.server.commands > refused_after, seconds=4000)
    lab.server.refuse.clear()
    assert go_on(lab, lambda: not lab.claims(), seconds=SOON)
    lab.check(1)


def test_a_target_that_goes_away_while_omero_is_busy_is_looked_for_anew(lab: Lab) -> None:
    lab.drop("a.yaml", SIDECAR, {"a.tif": b"a"})
    lab.server.refuse["target"] = BUSY
    lab.start()
    go_on(lab, lambda: False, seconds=15)
    asked = lab.server.commands
    lab.server.refuse["target"] = TargetUnusable("There is no dataset 51.", hint="Write another one.", code="missing-target")
    assert go_on(lab, lambda: lab.server.commands > asked, seconds=60)
    lab.server.refuse.clear()
    lab.turns()
    assert len(lab.filed("done")) == 1
    lab.check(1)
