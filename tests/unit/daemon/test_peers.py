"""Other daemons are judged by heartbeats that change before our eyes, never by a clock; who is silent with drops at hand is told once."""

from __future__ import annotations

import contextlib
import json
import logging
import os
from pathlib import Path

import pytest

from dropbox_import.daemon.peers import Peers
from dropbox_import.errors import ShareUnavailable
from dropbox_import.spool.identity import Instance
from dropbox_import.spool.layout import Layout, create_box, new_id
from tests.support.clocks import HandClock

OTHER = "west-1111aaaa"


class Desk:
    """One box, one daemon `lab-0000ffff`, and what others leave there."""

    def __init__(self, folder: Path) -> None:
        self.clock = HandClock()
        self.box = Layout(folder / "box")
        create_box(self.box.box, self.clock)
        self.peers = self.fresh(folder)

    def fresh(self, folder: Path) -> Peers:
        return Peers(self.box, Instance("lab-0000ffff", folder / "state", b"k" * 32), self.clock)

    def beat(self, number: int, name: str = OTHER, host: str = "west", accepting: bool = True) -> None:
        facts = {"instance": name, "host": host, "pid": 7, "interval": 10.0, "beat": number, "accepting": accepting}
        self.box.heartbeat(name).write_text(json.dumps(facts))

    def claim(self, name: str = OTHER) -> Path:
        path = self.box.instance(name) / new_id(self.clock)
        path.mkdir(parents=True)
        return path

    def watch(self, seconds: float, step: float = 5.0) -> tuple[str, ...]:
        told: tuple[str, ...] = ()
        for _ in range(int(seconds / step)):
            self.clock.forward(step)
            told = self.peers.look()
        return told


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_nothing_is_known_before_it_was_observed_for_a_while(desk: Desk) -> None:
    assert desk.peers.alive(OTHER) is None
    desk.beat(1)
    desk.peers.look()
    desk.watch(25)
    assert desk.peers.alive(OTHER) is None
    desk.watch(10)
    assert desk.peers.alive(OTHER) is False


def test_a_beat_that_changes_is_life_whatever_time_its_file_bears(desk: Desk) -> None:
    desk.beat(1)
    desk.peers.look()
    for number in range(2, 30):
        desk.beat(number)
        os.utime(desk.box.heartbeat(OTHER), (1000, 1000))
        desk.clock.forward(10)
        desk.peers.look()
        assert desk.peers.alive(OTHER) is True


def test_a_young_file_whose_beat_stands_still_is_no_life(desk: Desk) -> None:
    desk.beat(1)
    desk.claim()
    for _ in range(20):
        desk.beat(1)
        desk.clock.forward(10)
        desk.peers.look()
    assert desk.peers.alive(OTHER) is False
    assert desk.peers.silent


def test_who_begins_anew_at_the_same_number_is_seen(desk: Desk) -> None:
    desk.beat(1)
    desk.watch(60)
    assert desk.peers.alive(OTHER) is False
    desk.box.heartbeat(OTHER).write_text(desk.box.heartbeat(OTHER).read_text().replace('"pid": 7', '"pid": 8'))
    desk.peers.look()
    assert desk.peers.alive(OTHER) is True


def test_time_in_which_we_did_not_look_counts_for_nothing(desk: Desk) -> None:
    """We were stopped, or the share was away for both of us: the first look afterwards accuses nobody."""
    desk.beat(1)
    desk.claim()
    desk.peers.look()
    desk.beat(2)
    desk.watch(5)
    assert desk.peers.alive(OTHER) is True
    desk.clock.forward(7200)
    assert desk.peers.look() == ()
    assert desk.peers.alive(OTHER) is True
    assert desk.watch(150)


def test_drops_of_a_silent_instance_are_told_with_what_to_type_and_once(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    desk.beat(5)
    desk.claim()
    desk.claim()
    with caplog.at_level(logging.WARNING):
        assert desk.watch(100) == ()
        (told,) = desk.watch(60)
        desk.claim()
        (later,) = desk.watch(60)
    assert told.startswith(
        f"2 drops wait in {desk.box.instance(OTHER)} for the instance {OTHER} on west, which gives no sign of life since "
    )
    assert told.endswith(f"if it is gone for good: dropbox-import adopt {OTHER}")
    assert later.startswith("3 drops wait")
    assert len(caplog.records) == 1


def test_who_comes_back_is_told_too_and_its_silence_again(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    desk.beat(5)
    desk.claim()
    desk.watch(200)
    desk.beat(6)
    with caplog.at_level(logging.WARNING):
        assert desk.watch(5) == ()
        assert "signs of life again" in caplog.text
        caplog.clear()
        desk.watch(200)
        assert "gives no sign of life" in caplog.text


def test_silence_alone_is_not_worth_a_word(desk: Desk) -> None:
    desk.beat(5)
    desk.box.instance(OTHER).mkdir()
    (desk.box.inprogress / "a-file").write_bytes(b"")
    assert desk.watch(500) == ()


def test_messages_that_nobody_delivers_are_told(desk: Desk) -> None:
    desk.beat(5)
    desk.box.outbox(OTHER).mkdir(parents=True)
    (desk.box.outbox(OTHER) / "x.outcome.json").write_bytes(b"{}")
    (told,) = desk.watch(200)
    assert told.startswith("1 message waits in ")


def test_claims_without_any_heartbeat_are_told(desk: Desk) -> None:
    desk.claim()
    (told,) = desk.watch(200)
    assert "1 drop waits" in told
    assert "since this daemon looks for it (2026-11-22 09:39 UTC)" in told


def test_who_was_stopped_is_told_in_other_words(desk: Desk) -> None:
    desk.beat(5, accepting=False)
    desk.claim()
    (told,) = desk.watch(200)
    assert "was stopped and has not come back" in told


def test_a_lone_daemon_whose_state_folder_was_lost_knows_its_own_name(desk: Desk, tmp_path: Path) -> None:
    desk.beat(5, "lab-22223333", host="container-7")
    desk.claim("lab-22223333")
    (told,) = desk.watch(200)
    assert "the same name in its config as this daemon (lab-0000ffff)" in told
    assert f"before {tmp_path / 'state'} was lost or replaced: dropbox-import adopt lab-22223333" in told


def test_beside_a_living_daemon_it_does_not_guess(desk: Desk) -> None:
    desk.claim("lab-22223333")
    for number in range(40):
        desk.beat(number)
        desk.watch(5)
    (told,) = desk.peers.silent.values()
    assert "same name" not in told


def test_a_heartbeat_that_is_no_heartbeat_is_judged_by_its_change_alone(desk: Desk) -> None:
    desk.claim()
    for text in (b"", b"\xff", b"[]", b'{"interval": "x"}', b'{"interval": -1}', b'{"interval": 1e99}'):
        desk.box.heartbeat(OTHER).write_bytes(text)
        desk.watch(5)
    assert desk.peers.alive(OTHER) is True
    assert desk.watch(200)


def test_a_heartbeat_that_cannot_be_read_right_now_says_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.beat(1)
    desk.peers.look()
    desk.beat(2)
    desk.peers.look()

    def stale(path: Path) -> bytes:
        raise OSError(116, "Stale file handle")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", stale)
        desk.watch(100)
    assert desk.peers.alive(OTHER) is True


def test_an_instance_that_is_gone_with_all_it_had_is_forgotten(desk: Desk) -> None:
    desk.beat(1)
    desk.claim().rmdir()
    desk.watch(60)
    desk.box.heartbeat(OTHER).unlink()
    desk.box.instance(OTHER).rmdir()
    desk.watch(5)
    assert desk.peers.alive(OTHER) is None


def test_two_daemons_with_one_identity_are_noticed_and_one_of_them_stops(desk: Desk, tmp_path: Path) -> None:
    """A machine was copied with all that is on it: neither the place of the state folder nor the machine's id tells."""
    desk.peers.beat({"pid": 1, "host": "east"})
    desk.peers.beat({"pid": 1, "host": "east"})
    copy = desk.fresh(tmp_path)
    copy.beat({"pid": 2, "host": "west"})
    with pytest.raises(ShareUnavailable, match=r"process 2 on west.*twice"):
        desk.peers.beat({"pid": 1, "host": "east"})
    with pytest.raises(ShareUnavailable):
        desk.peers.alone()
    copy.beat({"pid": 2, "host": "west"})
    copy.alone()
    desk.fresh(tmp_path).alone()


def beats(peers: Peers, clock: HandClock, seconds: int) -> list[int]:
    """It beats each ten seconds as far as it may; the seconds after which it did."""
    done = []
    for passed in range(10, seconds + 1, 10):
        clock.forward(10.0)
        with contextlib.suppress(ShareUnavailable):
            peers.beat({"beat": passed})
            done.append(passed)
    return done


def test_a_heartbeat_that_came_back_with_the_volume_is_no_second_daemon(desk: Desk, tmp_path: Path) -> None:
    """The box was restored as it was before the last start: the heartbeat of then lies there, and nobody writes it any more."""
    path = desk.box.heartbeat("lab-0000ffff")
    desk.peers.beat({"pid": 1, "host": "east"})
    old = path.read_bytes()
    now = desk.fresh(tmp_path)
    now.beat({})
    path.write_bytes(old)
    with pytest.raises(ShareUnavailable, match=r"may work.*process 1 on east"):
        now.beat({})
    with pytest.raises(ShareUnavailable):
        now.alone()
    assert path.read_bytes() == old, "what a living one would have to write over is gone"
    assert beats(now, desk.clock, 120) == [60, 70, 80, 90, 100, 110, 120]
    now.alone()


def test_a_second_daemon_that_beats_again_is_told_from_an_old_heartbeat(desk: Desk, tmp_path: Path) -> None:
    """However late it is within a minute: who saw it does nothing until then, and nothing ever after."""
    desk.peers.beat({})
    copy = desk.fresh(tmp_path)
    copy.beat({"pid": 2, "host": "west", "beat": 1})
    assert beats(desk.peers, desk.clock, 50) == []
    copy.beat({"pid": 2, "host": "west", "beat": 2})
    assert beats(desk.peers, desk.clock, 600) == []
    with pytest.raises(ShareUnavailable, match=r"works in.*process 2 on west.*twice"):
        desk.peers.alone()
    copy.alone()


def test_a_second_restore_while_the_first_is_in_doubt_is_no_second_daemon(desk: Desk, tmp_path: Path) -> None:
    path = desk.box.heartbeat("lab-0000ffff")
    desk.peers.beat({"beat": 1})
    older = path.read_bytes()
    desk.peers.beat({"beat": 2})
    old = path.read_bytes()
    now = desk.fresh(tmp_path)
    now.beat({})
    path.write_bytes(old)
    assert beats(now, desk.clock, 30) == []
    desk.clock.forward(100.0)  # the volume is away
    path.write_bytes(older)
    assert beats(now, desk.clock, 120) == [70, 80, 90, 100, 110, 120]


def test_a_heartbeat_that_cannot_be_read_for_a_moment_ends_no_doubt(desk: Desk, tmp_path: Path) -> None:
    path = desk.box.heartbeat("lab-0000ffff")
    desk.peers.beat({})
    copy = desk.fresh(tmp_path)
    copy.beat({"beat": 1})
    assert beats(desk.peers, desk.clock, 10) == []
    path.unlink()
    assert beats(desk.peers, desk.clock, 20) == []
    copy.beat({"beat": 2})
    assert beats(desk.peers, desk.clock, 600) == []


def test_a_restart_and_a_damaged_heartbeat_are_no_second_daemon(desk: Desk, tmp_path: Path) -> None:
    desk.peers.beat({})
    again = desk.fresh(tmp_path)
    again.beat({})
    for text in (b"", b"[]", b"{", b'{"pid": 1}'):
        desk.box.heartbeat("lab-0000ffff").write_bytes(text)
        again.beat({})
    desk.box.heartbeat("lab-0000ffff").unlink()
    again.beat({})
    again.alone()
