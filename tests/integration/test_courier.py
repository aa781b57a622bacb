"""A courier on a real disk, with a mailroom of plain objects: when letters are made, sent, kept, tried again and given up."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dropbox_import.daemon.channels import AT_ONCE
from dropbox_import.daemon.courier import Courier
from dropbox_import.daemon.post import Post
from dropbox_import.errors import ServerUnavailable, TryLater
from dropbox_import.notify.message import Event, Message
from dropbox_import.notify.outbox import Kept, Outbox, write_message
from dropbox_import.settings.model import BoxNotify, Channel, Listener, Mail, Notify, Quiet
from dropbox_import.spool import layout
from dropbox_import.spool.layout import Layout, create_box, find_filed
from dropbox_import.workers.protocol import Command
from dropbox_import.workers.replies import Reply
from tests.support.clocks import HandClock
from tests.support.mailroom import Mailroom

RULES = Notify(mail=Mail("relay"), admin=Listener(("ops@example.org",)))
ME = "lab-0000ffff"


class Desk:
    """One box, its courier, and the mailroom behind it."""

    def __init__(self, folder: Path, rules: Notify = RULES, wishes: BoxNotify | None = None) -> None:
        self.clock = HandClock()
        self.folder, self.rules, self.wishes = folder, rules, wishes
        self.box = Layout(folder / "box")
        create_box(self.box.box, self.clock)
        self.box.instance(ME).mkdir()
        (folder / "state").mkdir()
        self.mail = Mailroom([self.box.box], {"jdoe": "jdoe@example.org", "asmith": "asmith@example.org"})
        self.omero_down = self.hold = False
        self.held: list[tuple[Command, Callable[[Reply], None]]] = []
        self.number = 0
        self.start()

    def start(self) -> None:
        """A fresh process."""
        self.held = []
        self.post = Post(self.rules, self.folder / "state", self, self, self.clock)
        self.outbox = Outbox(self.box.outbox(ME))
        self.courier = Courier(self.outbox, self.post, box=self.box, wishes=self.wishes)

    @property
    def down(self) -> bool:
        return self.omero_down

    @property
    def answered(self) -> bool:
        return not self.omero_down

    def submit(self, role: str, command: Command, on_reply: Callable[[Reply], None]) -> None:
        if self.hold and command.do == "send":
            self.held.append((command, on_reply))
        else:
            on_reply(self.mail.do(command))

    def tell(self, event: Event = "done", user: str = "jdoe", *, filed: bool = True, **more: object) -> Message:
        self.number += 1
        drop = layout.new_id(self.clock)
        at = self.clock.now().isoformat(timespec="seconds")
        message = Message(event, f"{drop}.{event}", at=at, drop=drop, user=user, owner=user, sidecar=f"s{self.number}.yaml", **more)
        write_message(self.outbox.folder, message)
        claim = self.box.instance(ME) / drop
        claim.mkdir()
        if filed:
            self.file(message)
        return message

    def file(self, message: Message) -> None:
        place = self.box.box / ("failed" if message.event == "failed" else "done") / message.user / layout.month_of(message.drop)
        place.mkdir(parents=True, exist_ok=True)
        (self.box.instance(ME) / message.drop).rename(place / layout.filed_name(message.sidecar, message.drop))

    def passes(self, seconds: float, step: float = 1.0) -> None:
        for _ in range(int(seconds / step)):
            self.courier.turn()
            self.clock.forward(step)
        self.courier.turn()

    def subjects(self) -> list[tuple[str, int]]:
        return [(one.route.to or one.route.channel, len(one.messages)) for one in self.mail.got]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_the_user_knows_within_a_minute(desk: Desk) -> None:
    desk.tell()
    desk.passes(30)
    assert desk.subjects() == [("jdoe@example.org", 1)]
    assert desk.outbox.names() == ([], [], [])


def test_a_message_never_comes_before_its_drop_is_filed(desk: Desk) -> None:
    message = desk.tell(filed=False)
    desk.passes(600, 10)
    assert desk.mail.got == []
    desk.file(message)
    desk.passes(30)
    (letter,) = desk.mail.got
    assert letter.messages[0].done_at == str(desk.box.done / "jdoe" / "2026-11" / layout.filed_name("s1.yaml", message.drop))
    assert desk.mail.wrong == []


def test_a_drop_of_two_outcomes_waits_for_both_parts(desk: Desk) -> None:
    message = desk.tell("partly", filed=False)
    second = desk.box.instance("another-instance") / f"{message.drop}.failed"
    second.mkdir(parents=True)
    desk.file(message)
    desk.passes(60)
    assert desk.mail.got == []
    second.rmdir()
    desk.passes(60)
    assert len(desk.mail.got) == 2


def test_many_drops_of_one_user_are_one_digest(desk: Desk) -> None:
    for _ in range(40):
        desk.tell()
        desk.passes(2)
    desk.passes(300, 5)
    first, second = (count for _, count in desk.subjects())
    assert (first + second, first < 8) == (40, True)


def test_a_facility_that_fails_500_drops_at_once_sends_a_handful_of_mails(desk: Desk) -> None:
    for number in range(500):
        desk.tell("failed", "jdoe" if number % 2 else "asmith")
    desk.passes(600, 5)
    assert len(desk.mail.got) <= 6
    told = sum(len(one.messages) + sum(one.folded.values()) for one in desk.mail.got if one.audience == "admin")
    assert told == 500
    assert desk.outbox.names() == ([], [], [])


def test_a_dead_mail_server_loses_nothing_and_all_arrives_in_digests(desk: Desk) -> None:
    desk.mail.down = {"mail"}
    for _ in range(200):
        desk.tell("failed")
        desk.passes(10, 5)
    assert desk.mail.got == []
    assert desk.mail.tries < 30
    desk.mail.down = set()
    desk.passes(7200, 30)
    assert set(desk.mail.told().values()) == {1}
    assert len(desk.mail.names()) == 400
    assert len(desk.mail.got) <= 6
    assert desk.mail.again() == 0
    assert desk.outbox.names() == ([], [], [])
    assert [(one.channel, one.why) for one in desk.post.channels.troubles()] == []


def test_one_address_that_is_refused_holds_nobody_else_up(desk: Desk) -> None:
    desk.mail.refuses = {"asmith@example.org"}
    desk.tell(user="asmith")
    desk.passes(60)
    desk.tell(user="jdoe")
    desk.passes(900, 5)
    assert desk.subjects() == [("jdoe@example.org", 1)]
    _, (waiting,), _ = desk.outbox.names()
    assert desk.outbox.letter(waiting).why == "the mail server refused the recipient."


def refused_until_it_is_given_up(desk: Desk) -> None:
    desk.mail.refuses = {"jdoe@example.org"}
    desk.tell()
    desk.passes(4 * 86400, 600)
    assert desk.outbox.names()[2] == []
    desk.passes(2 * 86400, 600)
    assert [len(found) for found in desk.outbox.names()] == [0, 0, 1]


def test_what_cannot_be_sent_for_days_is_laid_aside_and_listed(desk: Desk) -> None:
    refused_until_it_is_given_up(desk)
    assert desk.courier.counts()["dead"] == 1
    desk.mail.refuses = set()
    desk.outbox.take_up(desk.outbox.names()[2][0])
    desk.passes(60)
    assert desk.subjects() == [("jdoe@example.org", 1)]


def test_a_letter_whose_refusal_has_other_words_each_time_is_given_up_too(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Servers put a time or an id into them. It was tried for ever, and its recipient heard of nothing any more."""
    usual = desk.mail.do

    def refuses(command: Command) -> Reply:
        reply = usual(command)
        if reply.error is None:
            return reply
        return Reply(command, None, TryLater(f"451 Greylisted for {desk.mail.tries} seconds", code="refused"), "none", 1)

    monkeypatch.setattr(desk.mail, "do", refuses)
    refused_until_it_is_given_up(desk)
    desk.mail.refuses = set()
    desk.tell()
    desk.passes(60)
    assert desk.subjects() == [("jdoe@example.org", 1)]


def test_a_clock_that_jumps_gives_nothing_up(desk: Desk) -> None:
    desk.mail.down = {"mail"}
    desk.tell()
    desk.passes(60)
    desk.clock.forward(30 * 86400)
    desk.start()
    desk.passes(600, 5)  # the mail server comes up later than the daemon
    assert desk.outbox.names()[2] == []
    desk.mail.down = set()
    desk.passes(900, 5)
    assert desk.subjects() == [("jdoe@example.org", 1)]


def test_a_restart_sends_what_was_written_under_the_same_id(desk: Desk) -> None:
    desk.hold = True
    desk.tell()
    desk.passes(20)
    (command, _) = desk.held[0]
    desk.mail.do(command)
    desk.start()
    desk.hold = False
    desk.passes(60)
    assert len(desk.mail.got) == 2
    assert desk.mail.again() == 1
    assert desk.mail.wrong == []
    assert desk.outbox.names() == ([], [], [])


def test_an_end_between_a_letter_and_its_messages_tells_nobody_twice(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(self: Outbox, names: list[str]) -> None:
        if names:
            raise OSError(28, "No space left on device")

    desk.tell("failed")
    with monkeypatch.context() as patch:
        patch.setattr(Outbox, "forget", fails)
        with pytest.raises(OSError, match="No space"):
            desk.passes(30)
    assert len(desk.outbox.names()[1]) == 2
    assert desk.mail.got == []
    desk.start()
    desk.passes(300, 5)
    assert sorted(desk.subjects()) == [("jdoe@example.org", 1), ("ops@example.org", 1)]
    assert desk.mail.again() == 0


def test_an_address_that_is_not_known_is_asked_of_omero_and_only_that_one_waits(desk: Desk) -> None:
    desk.omero_down = True
    desk.tell("failed")
    desk.passes(60)
    assert desk.subjects() == [("ops@example.org", 1)]
    assert desk.mail.asked == []
    desk.start()
    desk.omero_down = False
    desk.passes(60)
    assert desk.mail.asked == ["jdoe"]
    assert desk.subjects() == [("ops@example.org", 1), ("jdoe@example.org", 1)]
    assert desk.outbox.names() == ([], [], [])


def test_what_omero_once_said_of_an_address_serves_while_it_is_down(desk: Desk) -> None:
    desk.tell(email="jane@example.org")
    desk.passes(30)
    desk.omero_down = True
    desk.start()
    desk.tell("failed")
    desk.passes(300, 5)
    assert ("jane@example.org", 1) in desk.subjects()[1:]


def test_somebody_whom_omero_does_not_know_is_no_error(desk: Desk) -> None:
    desk.tell("failed", "scope-room-1")
    desk.passes(60)
    assert desk.subjects() == [("ops@example.org", 1)]
    assert desk.outbox.names() == ([], [], [])


def test_quiet_hours_collect_what_a_chat_is_to_hear(tmp_path: Path) -> None:
    chat = Channel("lab-chat", quiet=Quiet(9 * 60, 11 * 60))  # it is 09:39 UTC
    rules = replace(RULES, channels={"lab-chat": chat}, time_zone="UTC")
    desk = Desk(tmp_path, rules, BoxNotify(also=Listener(("lab-chat",))))
    for _ in range(5):
        desk.tell()
        desk.passes(600, 10)
    assert [to for to, _ in desk.subjects()] == ["jdoe@example.org"] * 5
    desk.passes(3600, 30)
    assert desk.subjects()[-1] == ("lab-chat", 5)


def test_a_message_whose_address_is_not_known_survives_any_outage_and_stop(desk: Desk) -> None:
    """After days without the daemon OMERO is asked first, and nothing is given up because it is old."""
    desk.omero_down = True
    desk.tell("failed")
    desk.clock.forward(10 * 86400)
    desk.start()
    desk.passes(2 * 86400, 600)
    desk.omero_down = False
    desk.start()
    desk.passes(60)
    assert ("jdoe@example.org", 1) in desk.subjects()


def test_an_address_that_nobody_can_say_ends_among_the_dead_letters(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(command: Command) -> Reply:
        return Reply(command, None, ServerUnavailable("gone"), "none", 1)

    usual = desk.mail.do
    monkeypatch.setattr(desk.mail, "do", lambda command: fails(command) if command.do == "who_is" else usual(command))
    desk.mail.refuses = {"jdoe"}
    desk.tell("failed")
    desk.passes(12 * 86400, 1200)
    messages, letters, dead = desk.outbox.names()
    assert (messages, letters, len(dead)) == ([], [], 1)
    assert desk.outbox.dead(dead[0]).route.to == "jdoe"


def test_a_courier_that_hangs_with_its_volume_takes_no_way_from_the_others(desk: Desk) -> None:
    desk.hold = True
    for user in ("jdoe", "asmith"):
        desk.tell(user=user)
    desk.passes(20)
    assert len(desk.held) == AT_ONCE
    hanging, desk.hold = desk.held, False
    outbox = Outbox(desk.folder / "state" / "outbox")
    other = Courier(outbox, desk.post)
    write_message(outbox.folder, Message("alert-begins", "a.alert-begins", at="2026-11-22T09:39:12+00:00", alert="hung", text="it hangs"))
    for command, on_reply in hanging:  # the server has taken both, and the first courier never turns again
        on_reply(desk.mail.do(command))
    for _ in range(30):
        other.turn()
        desk.clock.forward(1.0)
    assert ("ops@example.org", 1) in desk.subjects()


def test_a_letter_that_was_discarded_while_it_was_sent_does_not_come_back(desk: Desk) -> None:
    desk.hold = True
    desk.tell()
    desk.passes(20)
    ((command, on_reply),) = desk.held
    desk.outbox.discard(desk.outbox.names()[1][0])
    desk.mail.down = {"mail"}
    on_reply(desk.mail.do(command))
    desk.hold, desk.mail.down = False, set()
    desk.passes(3600, 10)
    assert desk.outbox.names() == ([], [], [])
    assert desk.mail.got == []


def test_the_last_reason_is_told_and_not_the_first(desk: Desk) -> None:
    desk.mail.down = {"mail"}
    desk.tell()
    desk.passes(60)
    desk.mail.down, desk.mail.refuses = set(), {"jdoe@example.org"}
    desk.passes(3600, 10)
    (waiting,) = desk.outbox.names()[1]
    assert desk.outbox.letter(waiting).why == "the mail server refused the recipient."


def test_who_waits_for_omero_hears_nothing_of_it_when_it_is_back(desk: Desk) -> None:
    waits = Message("waits-omero", "a-jdoe.waits-omero", at="2026-11-22T09:39:12+00:00", user="jdoe", owner="jdoe", waiting_in_all=3)
    desk.omero_down = True
    write_message(desk.outbox.folder, waits)
    desk.passes(60)
    assert len(desk.outbox.names()[0]) == 1  # no address is known
    desk.omero_down = False
    desk.passes(60)
    assert desk.outbox.names() == ([], [], [])
    assert desk.mail.got == []


@pytest.mark.parametrize("text", [b'{"event": "done", "told": 5}', b'{"event": "done", "told": [1]}', b'{"event": "done", "told": {}}'])
def test_whatever_lies_in_a_message_it_holds_no_other_one_up(desk: Desk, text: bytes) -> None:
    desk.tell()
    (desk.outbox.folder / "20261122-093912-aaaaaaaaaa.done.json").write_bytes(text)
    desk.passes(60)
    assert desk.subjects() == [("jdoe@example.org", 1)]


def test_what_may_not_be_read_holds_no_other_one_up(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    closed, usual = "20261122-093912-aaaaaaaaaa.done", Outbox.message

    def message(self: Outbox, name: str) -> Kept:
        if name == closed:
            raise PermissionError(13, "Permission denied")
        return usual(self, name)

    monkeypatch.setattr(Outbox, "message", message)
    desk.tell()
    (desk.outbox.folder / f"{closed}.json").write_bytes(b"{}")
    desk.passes(60)
    assert desk.subjects() == [("jdoe@example.org", 1)]


def test_the_folder_of_the_last_filing_is_named(desk: Desk) -> None:
    message = desk.tell(filed=False)
    desk.file(message)
    first = find_filed(desk.box.done, "jdoe", message.sidecar, message.drop)
    assert first is not None
    again = first.with_name(layout.filed_name(message.sidecar, message.drop, 2))
    again.mkdir()
    desk.passes(30)
    assert desk.mail.got[0].messages[0].done_at == str(again)


def test_two_boxes_that_tell_one_recipient_keep_to_one_limit(desk: Desk, tmp_path: Path) -> None:
    other = Courier(Outbox(tmp_path / "state" / "outbox"), desk.post)
    alert = Message("alert-begins", "a.alert-begins", at="2026-11-22T09:39:12+00:00", alert="x", text="x")
    write_message(tmp_path / "state" / "outbox", alert)
    desk.tell("failed")
    for _ in range(30):
        desk.courier.turn()
        other.turn()
        desk.clock.forward(1.0)
    assert [to for to, _ in desk.subjects()].count("ops@example.org") == 1
    for _ in range(200):
        desk.courier.turn()
        other.turn()
        desk.clock.forward(1.0)
    assert [to for to, _ in desk.subjects()].count("ops@example.org") == 2


def test_a_run_that_is_to_end_waits_for_an_address_and_not_for_what_cannot_go(desk: Desk) -> None:
    desk.post.hurry = True
    desk.mail.refuses = {"jdoe@example.org"}
    desk.tell()
    desk.passes(3)
    assert desk.courier.at_rest()
    desk.hold = True
    desk.tell(user="asmith")
    desk.passes(2)
    assert not desk.courier.at_rest()


def test_with_nothing_configured_messages_are_kept_for_some_days(tmp_path: Path) -> None:
    desk = Desk(tmp_path, Notify())
    desk.tell()
    desk.passes(3600, 60)
    assert len(desk.outbox.names()[0]) == 1
    desk.passes(5 * 86400, 3600)
    assert desk.outbox.names() == ([], [], [])


def test_a_damaged_message_is_left_alone_and_the_others_are_told(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    desk.tell()
    odd = desk.outbox.folder / "20261122-093912-aaaaaaaaaa.done.json"
    odd.write_bytes(b'{"event": "done", "at"')
    desk.passes(60)
    assert desk.subjects() == [("jdoe@example.org", 1)]
    assert odd.exists()
    assert sum("nobody can be told" in one.getMessage() for one in caplog.records) == 1


def test_a_box_whose_volume_is_not_mounted_is_not_looked_into(desk: Desk) -> None:
    desk.tell()
    marker = desk.box.marker
    marker.rename(marker.with_name("away"))
    desk.passes(60)
    assert desk.mail.got == []
    marker.with_name("away").rename(marker)
    desk.passes(60)
    assert len(desk.mail.got) == 1


def test_a_drop_that_was_tried_again_before_anybody_heard_is_told_once(desk: Desk) -> None:
    first = desk.tell("failed")
    at = "2026-11-22T10:00:00+00:00"
    write_message(desk.outbox.folder, replace(first, event="done", name=f"{first.drop}.again-1.done", at=at))
    desk.passes(300, 5)
    events = {one.audience: [message.event for message in one.messages] for one in desk.mail.got}
    assert events["user"] == ["done"]


def test_an_end_after_a_letter_that_only_counts_some_tells_none_of_them_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(self: Outbox, names: list[str]) -> None:
        if names:
            raise OSError(28, "No space left on device")

    for _ in range(250):
        desk.tell("done")
    first = desk.tell("failed", "asmith")
    again = replace(first, event="done", name=f"{first.drop}.again-1.done", at="2026-11-22T23:00:00+00:00")
    write_message(desk.outbox.folder, again)
    with monkeypatch.context() as patch:
        patch.setattr(Outbox, "forget", fails)
        with pytest.raises(OSError, match="No space"):
            desk.passes(30)
    desk.start()
    desk.passes(900, 5)
    told = Counter((message.name, one.audience) for one in desk.mail.got for message in one.messages)
    assert set(told.values()) == {1}
    assert sum(sum(one.folded.values()) for one in desk.mail.got) == 50
    assert (first.name, "user") not in told
    assert desk.outbox.names() == ([], [], [])


def test_letters_of_another_instance_that_were_adopted_go_out(desk: Desk) -> None:
    desk.mail.down = {"mail"}
    desk.tell()
    desk.passes(60)
    (letter,) = desk.outbox.names()[1]
    other = desk.box.outbox("gone-0000aaaa")
    other.mkdir(parents=True)
    (desk.outbox.folder / f"{letter}.letter.json").rename(other / f"{letter}.letter.json")
    desk.passes(1)
    assert desk.courier.counts()["letters"] == 0
    (other / f"{letter}.letter.json").rename(desk.outbox.folder / f"{letter}.letter.json")
    desk.mail.down = set()
    desk.passes(600, 5)
    assert desk.subjects() == [("jdoe@example.org", 1)]


def test_a_letter_that_was_sent_and_cannot_be_removed_is_not_sent_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(self: Outbox, name: str) -> None:
        raise OSError(5, "Input/output error")

    desk.tell()
    with monkeypatch.context() as patch:
        patch.setattr(Outbox, "sent", fails)
        desk.passes(600, 5)
    desk.passes(60)
    assert desk.subjects() == [("jdoe@example.org", 1)]
    assert desk.outbox.names() == ([], [], [])


def test_while_the_daemon_ends_nothing_new_is_sent(desk: Desk) -> None:
    desk.tell()
    desk.post.draining = True
    desk.passes(60)
    assert desk.mail.got == []


def test_a_run_that_is_to_end_waits_for_nothing_more(desk: Desk) -> None:
    desk.tell()
    desk.post.hurry = True
    desk.courier.turn()
    desk.courier.turn()
    assert len(desk.mail.got) == 1


def test_a_message_is_json_that_anybody_can_read(desk: Desk) -> None:
    message = desk.tell("failed")
    kept = json.loads((desk.outbox.folder / f"{message.name}.json").read_text())
    assert (kept["event"], kept["drop"], kept["user"]) == ("failed", message.drop, "jdoe")
