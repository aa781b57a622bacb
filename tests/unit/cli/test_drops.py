"""What `status` and `show` tell of drops: order, reasons, and which one is meant."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dropbox_import.cli import status
from dropbox_import.cli.drops import life, recent, sidecars
from dropbox_import.cli.show import pick
from dropbox_import.errors import Rejected
from dropbox_import.heartbeat import Heartbeat, ago
from dropbox_import.intake.filed import RECORDS
from dropbox_import.model import DropState, DropSummary
from dropbox_import.settings import Box, Omero, Settings
from dropbox_import.spool import layout

ONE = DropSummary(
    "20261122-093912-aaaaaaaaaa", DropState.DONE, "/box", "jdoe", "run/cells.yaml", since="2026-11-22T09:00:00Z", filesets=2, images=3
)
TWO = replace(ONE, id="20261122-093912-aaaaaabbbb", state=DropState.FAILED, sidecar="other.yaml", why="no such dataset")
WAITS = replace(ONE, id="", state=DropState.WAITING, sidecar="new.yaml", why="still being written")
BEAT = Heartbeat("lab1", "pc7", 4, 3.0, 10.0, True)


def test_what_needs_a_person_comes_first() -> None:
    running, held = replace(ONE, state=DropState.RUNNING), replace(ONE, state=DropState.HELD)
    order = status.in_order([ONE, running, WAITS, TWO, held])
    assert [drop.state.value for drop in order] == ["held", "failed", "waiting", "running", "done"]


def test_each_state_is_told_in_its_own_words() -> None:
    assert status.what(ONE) == "3 images in 2 filesets"
    assert status.what(replace(ONE, images=1, filesets=1, why="look")) == "1 image in 1 fileset; look"
    assert status.what(TWO) == "no such dataset"
    assert status.what(replace(ONE, state=DropState.RUNNING, step="uploaded")) == "uploaded"


def test_the_json_has_every_key_for_every_drop() -> None:
    told = status.as_json([ONE, WAITS], {"/box": (BEAT,)})
    assert told["counts"] == {"held": 0, "failed": 0, "waiting": 1, "running": 0, "done": 1, "discarded": 0}
    assert told["boxes"][0]["daemons"][0]["alive"] is True
    assert all(set(drop) == set(told["drops"][0]) for drop in told["drops"])


def test_a_daemon_that_missed_three_beats_is_down() -> None:
    assert "looked after by lab1" in status.daemon_line("/box", [BEAT])
    down = status.daemon_line("/box", [replace(BEAT, age=7200)])
    assert "no daemon is running; last sign of life 2 hours ago" in down
    assert "no daemon is running" in status.daemon_line("/box", [])


def test_a_daemon_that_was_stopped_is_not_called_alive() -> None:
    stopping = status.daemon_line("/box", [replace(BEAT, accepting=False)])
    assert "looked after by lab1 (process 4 on pc7), which was told to stop" in stopping
    ended = status.daemon_line("/box", [replace(BEAT, accepting=False, stopped="2026-11-22T09:39:12+00:00")])
    assert ended == "/box: no daemon is running; lab1 on pc7 stopped cleanly at 2026-11-22 09:39:12 UTC"


def test_since_leaves_out_what_was_filed_long_ago_and_nothing_else() -> None:
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.000Z}"
    late, old = replace(TWO, since=now), "2020-11-22T09:00:00.000Z"
    unknown = replace(TWO, since="")
    held, waiting = (replace(ONE, state=state, since=old) for state in (DropState.HELD, DropState.WAITING))
    assert recent([replace(ONE, since=old), replace(TWO, since=old), late, unknown, held, waiting], 24) == [late, unknown, held, waiting]
    assert recent([ONE, TWO], 1e6) == [ONE, TWO]


def test_a_drop_is_found_by_id_part_of_it_or_sidecar() -> None:
    drops = [ONE, TWO, WAITS]
    assert pick(drops, ONE.id) is ONE
    assert pick(drops, "bbbb") is TWO
    assert pick(drops, "cells.yaml") is ONE
    assert pick(drops, "cells") is ONE


def test_the_two_parts_of_a_drop_are_one_drop_however_it_is_called() -> None:
    parts = [ONE, replace(ONE, state=DropState.FAILED), TWO]
    assert pick(parts, "cells.yaml") is parts[0]
    assert pick(parts, "aaaaaaaaaa") is parts[0]


def test_both_parts_of_a_drop_are_found_by_its_id() -> None:
    assert pick([ONE, replace(ONE, state=DropState.FAILED)], ONE.id) is ONE


def test_the_records_of_a_filed_folder_are_no_waiting_sidecars(tmp_path: Path) -> None:
    names = {layout.JOURNAL, layout.REQUEST, layout.RESULT, layout.REASON, layout.ATTENTION}
    assert names == RECORDS
    old = tmp_path / "jdoe" / "old"
    old.mkdir(parents=True)
    for name in ("cells.yaml", layout.JOURNAL, layout.REQUEST, layout.RESULT):
        (old / name).write_text('{"target": {"dataset": "HeLa"}}')
    assert [path for _, path, _ in sidecars(tmp_path)] == ["old/cells.yaml"]


@pytest.mark.parametrize(("wanted", "says"), [("aaaaaa", "fits 2 drops"), ("zzz", "there is no drop"), ("new.yaml", "not taken yet")])
def test_a_drop_that_is_not_clear_is_told(wanted: str, says: str) -> None:
    with pytest.raises(Rejected, match=says):
        pick([ONE, TWO, WAITS], wanted)


@pytest.mark.parametrize(("seconds", "shown"), [(0, "0 seconds"), (1, "1 second"), (90, "1 minute"), (7199, "1 hour"), (200_000, "2 days")])
def test_ages_are_readable(seconds: float, shown: str) -> None:
    assert ago(seconds) == shown


@pytest.mark.skipif(os.name != "posix", reason="Windows ends a path that long sooner")
def test_a_folder_deeper_than_any_path_keeps_nobody_from_seeing_the_others(tmp_path: Path) -> None:
    (tmp_path / "alice").mkdir()
    (tmp_path / "bob").mkdir()
    (tmp_path / "bob" / "b.yaml").write_text("target: none\n")
    here = os.open(tmp_path / "alice", os.O_RDONLY)
    deep = [here]
    try:
        for _ in range(30):  # 30 times 200 letters are more than a path may have
            os.mkdir("x" * 200, dir_fd=deep[-1])
            deep.append(os.open("x" * 200, os.O_RDONLY, dir_fd=deep[-1]))
        assert [(user, path) for user, path, _ in sidecars(tmp_path)] == [("bob", "b.yaml")]
    finally:
        for descriptor in deep:
            os.close(descriptor)


def test_a_folder_that_may_not_be_entered_keeps_nobody_from_seeing_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`chmod 744`: its names are listed, and nothing can be said of them."""
    for name in ("alice/sub/a.yaml", "bob/b.yaml"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("target: none\n")
    stat = Path.lstat

    def denied(self: Path) -> os.stat_result:
        if self.name == "a.yaml":
            raise PermissionError(13, "Permission denied", str(self))
        return stat(self)

    monkeypatch.setattr(Path, "lstat", denied)
    assert [(user, path) for user, path, _ in sidecars(tmp_path)] == [("bob", "b.yaml")]


@pytest.mark.parametrize(
    ("seconds", "shown", "alive"), [(5, -45.0, True), (300, -45.0, False), (5, 3600.0, True), (300, 3600.0, False), (300, -5.0, True)]
)
def test_where_the_clock_of_a_file_server_is_another_one_our_own_daemon_is_believed(
    tmp_path: Path, seconds: int, shown: float, alive: bool
) -> None:
    """The heartbeat is the newest there is; the share shows it with a time 45 seconds ago, or in an hour; or its own word is the older."""
    now = datetime.now(UTC)
    settings = Settings(
        omero=Omero(host="localhost", user="importer"), state_dir=tmp_path, instance="lab1", boxes=(Box(path=tmp_path / "box"),)
    )
    beat = tmp_path / "box" / ".heartbeat-lab1"
    beat.parent.mkdir()
    beat.write_text('{"instance": "lab1", "host": "pc7", "pid": 4, "interval": 10, "beat": 3}')
    written = {"instance": "lab1", "pid": 4, "running": True, "at": (now - timedelta(seconds=seconds)).isoformat(timespec="seconds")}
    (tmp_path / "status.json").write_text(json.dumps(written))
    os.utime(beat, (now.timestamp() + shown,) * 2)
    assert [one.alive for one in life(settings)[str(tmp_path / "box")]] == [alive]
