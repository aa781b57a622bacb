"""check, validate, status and show on a real disk, as an administrator and a user meet them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from dropbox_import.cli.entry import cli
from dropbox_import.clock import SystemClock
from dropbox_import.daemon import check, check_omero, check_secrets, service
from dropbox_import.daemon.findings import Finding
from dropbox_import.disk import observe
from dropbox_import.errors import AccessDenied, ConfigError, ServerUnavailable
from dropbox_import.settings import Box, load_settings
from dropbox_import.spool.journal import Record, encode
from dropbox_import.spool.layout import Layout, create_box


def run(*args: str | Path) -> Result:
    return CliRunner().invoke(cli, [str(arg) for arg in args])


@pytest.fixture
def box(tmp_path: Path) -> Path:
    create_box(tmp_path / "box", SystemClock(), ["jdoe"])
    return tmp_path / "box"


@pytest.fixture
def config(box: Path, tmp_path: Path) -> Path:
    password = tmp_path / "password"
    password.write_text("secret\n")
    password.chmod(0o600)
    path = tmp_path / "config.yaml"
    path.write_text(
        f"omero: {{host: localhost, port: 1, user: importer, password_file: {password}}}\n"
        f"state_dir: {tmp_path / 'state'}\ninstance: lab1\n"
        f"boxes:\n  - {{path: {box}, min_free: 1 MB, check_file_owner: false, quiet_period: 0 s, scan_interval: 0.1 s}}\n"
    )
    return path


def problems(result: Result) -> list[dict[str, str]]:
    return [finding for finding in json.loads(result.stdout) if finding["level"] == "problem"]


# --- check -------------------------------------------------------------------------------


def test_a_good_set_up_has_no_problem(config: Path) -> None:
    result = run("check", "--config", config, "--no-omero")
    assert result.exit_code == 0, result.output
    assert "PROBLEM" not in result.stdout
    assert "\x1b" not in result.output


def test_every_mistake_of_a_config_is_a_line_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("omero: {hots: x, user: y}\nboxes: []\nlog: {level: loud}\n")
    result = run("check", "--config", path, "--output", "json")
    assert result.exit_code == 3
    found = problems(result)
    assert any(one["about"].endswith("config.yaml:1:9") and "hots" in one["sentence"] for one in found)
    assert any(one["about"].startswith(f"{path}:3:") for one in found)
    assert len(found) >= 3


def test_a_config_that_is_not_there_is_told(tmp_path: Path) -> None:
    assert run("check", "--config", tmp_path / "none.yaml").exit_code == 3
    for command in ("run", "status"):
        result = run(command, "--config", tmp_path / "none.yaml")
        assert result.exit_code == 3
        assert "no config file" in result.stderr


def test_all_that_is_wrong_is_found_at_once(config: Path, box: Path, tmp_path: Path) -> None:
    (tmp_path / "password").chmod(0o644)
    (tmp_path / "state").mkdir(mode=0o755)
    (box / "failed").rmdir()
    (box / "drop/stray.tif").write_text("")
    result = run("check", "--config", config)
    assert result.exit_code == 3
    assert "others can read it (mode 0644)" in result.stdout
    assert "failed: is not there" in result.stdout
    assert "cannot be reached" in result.stdout
    assert "others can look into it" in result.stdout
    assert result.stdout.count("->") >= 4


def test_a_folder_that_is_no_box_or_not_mounted_is_told(config: Path, box: Path) -> None:
    Layout(box).marker.unlink()
    found = problems(run("check", "--config", config, "--no-omero", "--output", "json"))
    assert len(found) == 1
    assert "init" in found[0]["hint"]


def test_a_user_folder_on_another_volume_is_a_problem(config: Path, box: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def observer(when: str, op: str, path: Path) -> None:
        if (when, op) == ("before", "rename") and path.parent == Layout(box).inprogress:
            raise OSError(18, "Invalid cross-device link")

    observe.set_observer(observer)
    try:
        found = problems(run("check", "--config", config, "--no-omero", "--output", "json"))
    finally:
        observe.set_observer(None)
    assert len(found) == 1
    assert "two volumes" in found[0]["sentence"]
    assert found[0]["about"].endswith("drop/jdoe")
    assert list((box / "drop/jdoe").iterdir()) == []


def levels(findings: list[Finding]) -> list[str]:
    return [finding.level for finding in findings]


def test_user_folders_are_judged_by_owner_and_mode(box: Path) -> None:
    me = __import__("pwd").getpwuid(os.geteuid()).pw_name
    create_box(box, SystemClock(), [me])
    found = list(check.check_box(Box(path=box, min_free=0)))
    assert any("there is no user jdoe" in one.sentence for one in found)
    assert not [one for one in found if one.about.endswith(f"drop/{me}") and one.level != "ok"]
    (box / "drop" / me).chmod(0o777)
    found = list(check.check_box(Box(path=box, min_free=0)))
    assert any("everybody can write" in one.sentence for one in found)


def test_too_little_room_and_an_open_inprogress_are_problems(box: Path) -> None:
    Layout(box).inprogress.chmod(0o777)
    found = [one.sentence for one in check.check_box(Box(path=box, min_free=10**18, check_file_owner=False)) if one.level == "problem"]
    assert any("less than" in sentence for sentence in found)
    assert any("users can change" in sentence for sentence in found)


@pytest.mark.parametrize(
    ("content", "mode", "level"), [(b"x\n", 0o600, "ok"), (b"x\n", 0o640, "problem"), (b" \n", 0o600, "problem"), (None, 0, "problem")]
)
def test_secret_files(tmp_path: Path, content: bytes | None, mode: int, level: str) -> None:
    path = tmp_path / "secret"
    if content is not None:
        path.write_bytes(content)
        path.chmod(mode)
    assert levels(list(check_secrets.check_secret_file("password", path))) == [level]


def test_what_omero_answers_is_judged() -> None:
    good = {"server": "5.6.17", "user": "importer", "admin": True, "privileges": ["Sudo"], "clock_skew": 0.4}
    assert set(levels(list(check_omero.judge_answer(good, "h")))) == {"ok"}
    no_sudo = list(check_omero.judge_answer({**good, "privileges": ["Chown"]}, "h"))
    assert "problem" in levels(no_sudo)
    assert "problem" in levels(list(check_omero.judge_answer({**good, "admin": False}, "h")))
    assert "warning" in levels(list(check_omero.judge_answer({**good, "privileges": ["Sudo", "Chown"]}, "h")))
    assert "warning" in levels(list(check_omero.judge_answer({**good, "clock_skew": -90}, "h")))


@pytest.mark.parametrize(
    ("error", "about"),
    [
        (ConfigError("x", code="certificate"), "certificate"),
        (AccessDenied("x", code="login"), "log-in"),
        (AccessDenied("x", code="password"), "password"),
        (ServerUnavailable("x"), "OMERO"),
    ],
)
def test_an_error_of_the_log_in_is_told_where_it_belongs(error: ConfigError | AccessDenied, about: str) -> None:
    assert check_omero.judge_error(error).about == about


# --- validate ------------------------------------------------------------------------------


def test_validate_tells_every_mistake_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "cells.yaml"
    path.write_text("target: {dataset: HeLa}\ntagz: [a]\nrating: 9\n")
    result = run("validate", path)
    assert result.exit_code == 4
    assert f"{path}:2:1" in result.stderr
    assert f"{path}:3:9" in result.stderr
    assert 'did you mean "tags"' in result.stderr


def test_validate_accepts_a_good_one_and_can_show_how_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "cells.yaml"
    path.write_text("target: {dataset: HeLa}\ntags: [00123]\n")
    result = run("validate", path, "--output", "json")
    assert result.exit_code == 0
    [told] = json.loads(result.stdout)
    assert told["request"]["tags"] == [{"name": "00123"}]
    assert "good" in run("validate", path).stdout
    assert run("validate", tmp_path / "none.yaml").exit_code == 2


# --- status and show -----------------------------------------------------------------------


def test_status_shows_what_waits_without_a_daemon(config: Path, box: Path) -> None:
    (box / "drop/jdoe/cells.yaml").write_text("target: {dataset: HeLa}\n")
    (box / "drop/jdoe/other.yaml").write_text("microscope: {lens: 40x}\n")
    result = run("status", "--config", config, "--output", "json")
    assert result.exit_code == 5
    told = json.loads(result.stdout)
    assert [(drop["sidecar"], drop["state"]) for drop in told["drops"]] == [("cells.yaml", "waiting")]
    shown = run("status", "--config", config)
    assert "no daemon is running" in shown.stderr
    assert "cells.yaml" in shown.stdout


def test_the_reason_of_the_daemon_is_shown(config: Path, box: Path, tmp_path: Path) -> None:
    (box / "drop/jdoe/cells.yaml").write_text("target: {dataset: HeLa}\n")
    (tmp_path / "state").mkdir(mode=0o700)
    waiting = [{"user": "jdoe", "sidecar": "cells.yaml", "reason": "2 of 3 files are there", "since": 1.0}]
    facts = {"omero": {"down": False}, "boxes": [{"box": str(box), "waiting": waiting, "active": []}]}
    (tmp_path / "state/status.json").write_text(json.dumps(facts))
    assert "2 of 3 files are there" in run("status", "--config", config).stdout


def write_life(box: Path, state: Path, *, accepting: bool, running: bool, pid: int = 4) -> None:
    facts = {"instance": "lab1", "host": "pc7", "pid": 4, "interval": 10, "beat": 3, "accepting": accepting}
    Layout(box).heartbeat("lab1").write_text(json.dumps(facts))
    state.mkdir(mode=0o700, exist_ok=True)
    facts = {"instance": "lab1", "pid": pid, "running": running, "at": "2026-11-22T09:39:12+00:00", "omero": {"down": False}, "boxes": []}
    (state / "status.json").write_text(json.dumps(facts))


def test_a_clean_stop_is_told_as_one(config: Path, box: Path, tmp_path: Path) -> None:
    write_life(box, tmp_path / "state", accepting=False, running=False)
    stopped = run("status", "--config", config)
    assert f"{box}: no daemon is running; lab1 on pc7 stopped cleanly at 2026-11-22 09:39:12 UTC" in stopped.stderr
    [daemon] = json.loads(run("status", "--config", config, "--output", "json").stdout)["boxes"][0]["daemons"]
    assert (daemon["alive"], daemon["stopped"]) == (False, "2026-11-22T09:39:12+00:00")


@pytest.mark.parametrize(("accepting", "running", "pid"), [(True, False, 4), (True, True, 4), (False, False, 5)])
def test_a_daemon_that_has_begun_again_is_not_called_stopped(
    config: Path, box: Path, tmp_path: Path, accepting: bool, running: bool, pid: int
) -> None:
    write_life(box, tmp_path / "state", accepting=accepting, running=running, pid=pid)
    assert "looked after by lab1" in run("status", "--config", config).stderr


def test_monitoring_can_look_at_recent_failures_only(config: Path, box: Path) -> None:
    for day in ("2026-01-02", "2999-01-02"):
        folder = box / f"failed/jdoe/{day[:7]}/cells__{day.replace('-', '')}-093912-k7f3q2mzt4"
        folder.mkdir(parents=True)
        (folder / "journal.jsonl").write_bytes(encode(Record("claimed", number=1, at=f"{day}T09:39:12.000Z")))
    assert run("status", "--config", config).exit_code == 4
    assert "20260102" not in run("status", "--config", config, "--since", "24").stdout
    assert run("status", "--config", config, "--since", "24").exit_code == 4
    assert run("status", "--config", config, "--since", "0").exit_code == 2
    (box / "handled").mkdir()
    (box / "failed/jdoe/2999-01").rename(box / "handled/2999-01")
    assert run("status", "--config", config, "--since", "24").exit_code == 0
    (box / "failed/jdoe/2026-01").rename(box / "handled/2026-01")
    assert run("status", "--config", config).exit_code == 0


def test_an_empty_box_is_all_well(config: Path) -> None:
    assert run("status", "--config", config).exit_code == 0


def test_show_says_that_a_drop_is_unknown(config: Path) -> None:
    result = run("show", "nothing", "--config", config)
    assert result.exit_code == 4
    assert "there is no drop" in result.stderr


def test_observe_says_what_would_be_taken_and_touches_nothing(config: Path, box: Path) -> None:
    (box / "drop/jdoe/cells.yaml").write_text("target: {project: P, dataset: HeLa}\n")
    (box / "drop/jdoe/cells.tif").write_bytes(b"II*\x00")
    before = sorted((path, path.stat().st_mtime_ns) for path in box.rglob("*"))
    result = run("run", "--observe", "--config", config)
    assert result.exit_code == 0, result.output
    assert "would be imported" in result.stdout
    assert "P / HeLa" in result.stdout
    assert sorted((path, path.stat().st_mtime_ns) for path in box.rglob("*")) == before
    assert run("run", "--observe", "--once", "--config", config).exit_code == 2


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("cells.vsi", "would be refused: cells.vsi is in a format of several files (CellSens VSI)"),
        ("cells.txt", "would be refused: There is no image in this drop, only cells.txt."),
        ("cells/a.tif cells/b.vsi", "a part would be refused: cells/b.vsi is in a format"),
        ("cells.czi cells.txt", "would be imported"),
        ("cells.tif", "would be imported"),
    ],
)
def test_observe_tells_what_the_names_of_the_files_decide(config: Path, box: Path, name: str, says: str) -> None:
    for one in name.split():
        (box / "drop/jdoe" / one).parent.mkdir(exist_ok=True)
        (box / "drop/jdoe" / one).write_bytes(b"not opened")
    (box / "drop/jdoe/cells.yaml").write_text("target: {dataset: HeLa}\n")
    result = run("run", "--observe", "--config", config)
    assert result.exit_code == 0, result.output
    assert f"  {says}" in result.stdout


def test_observe_looks_often_enough_where_each_look_takes_its_time(config: Path, box: Path) -> None:
    class SlowShare(SystemClock):
        """Another minute has gone by with each sleep."""

        minutes = 0

        def monotonic(self) -> float:
            return super().monotonic() + 60 * self.minutes

        def sleep(self, seconds: float) -> None:
            self.minutes += 1

    (box / "drop/jdoe/cells.yaml").write_text("target: {dataset: HeLa}\n")
    (box / "drop/jdoe/cells.tif").write_bytes(b"II*\x00")
    assert [one["says"] for one in service.observe(load_settings(config), SlowShare())] == ["would be imported"]
