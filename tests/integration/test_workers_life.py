"""How workers start, hang, idle and end, and that nothing of them outlives the service."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest

from dropbox_import.clock import SystemClock
from dropbox_import.workers.child import Child
from dropbox_import.workers.limits import END_GRACE
from dropbox_import.workers.locks import end_orphans, start_mark, write_lock
from dropbox_import.workers.protocol import MAX_LINE
from dropbox_import.workers.tree import lower_priority
from tests.integration.workers_help import FAKE, PATIENCE, HandClock, Some, crew, gone, until

ROOT = str(FAKE.parent.parent.parent)
linux = pytest.mark.skipif(sys.platform != "linux", reason="looks at what only Linux shows")


# --- limits ------------------------------------------------------------------------------


def test_only_the_command_that_hangs_counts_a_death_and_the_others_had_their_time(tmp_path: Path) -> None:
    clock = HandClock()
    with crew(tmp_path, clock=clock) as here:
        hanging = here.submit("hang", call="poll")
        other = here.submit("hang", call="commit")
        until(lambda: {"poll", "commit"} <= here.calls(), "both are in their calls")
        clock.time += 121
        here.workers.tick()
        waiting = here.submit("echo")
        named = here.submit("echo", worker=1)
        assert hanging.wait(0.3) is None
        clock.time += 30
        here.workers.tick()
        replies = [ticket.wait(PATIENCE) for ticket in (hanging, other, named, waiting)]
    told = [(reply.died, reply.error.kind if reply.error else "", reply.effect, reply.worker) for reply in replies if reply is not None]
    assert told == [
        (True, "hung", "unknown", 1),
        (False, "worker-stopped", "unknown", 1),
        (False, "no-such-session", "none", 0),
        (False, "", "done", 2),
    ]
    assert "poll" in str(replies[0])


def test_a_lone_command_over_its_limit_is_ended_at_once(tmp_path: Path) -> None:
    clock = HandClock()
    with crew(tmp_path, clock=clock) as here:
        hanging = here.submit("hang", call="close", bytes=5_000_000_000)
        until(lambda: "close" in here.calls(), "it is in its call")
        clock.time += 1119
        here.workers.tick()
        assert hanging.wait(0.3) is None
        clock.time += 1
        here.workers.tick()
        reply = hanging.wait(PATIENCE)
    assert reply is not None
    assert (reply.died, reply.error and reply.error.kind) == (True, "hung")


def test_an_inspector_that_cannot_be_killed_does_not_keep_the_others_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process inside a call to a dead disk or share stays until that answers, killed or not."""
    clock, kill = HandClock(), Child.kill
    with crew(tmp_path, clock=clock) as here:
        monkeypatch.setattr(Child, "kill", lambda child: None)
        hanging = here.submit("hang", "inspector", call="inspect")
        until(lambda: "inspect" in here.calls(), "it is in its call")
        waiting = here.submit("echo", "inspector")
        clock.time += 600
        here.workers.tick()
        assert here.states() == ["inspector ready"]
        clock.time += END_GRACE
        here.workers.tick()
        reply = waiting.wait(PATIENCE)
        assert reply is not None
        assert (reply.effect, reply.worker) == ("done", 2)
        assert here.states() == ["inspector lost", "inspector ready"]
        assert hanging.wait(0.1) is None
        monkeypatch.setattr(Child, "kill", kill)
    late = hanging.wait(PATIENCE)
    assert late is not None
    assert (late.died, late.error and late.error.kind) == (True, "hung")


def test_idle_workers_end_after_their_time_and_not_before(tmp_path: Path) -> None:
    clock = HandClock()
    with crew(tmp_path, clock=clock) as here:
        first = here.ask("echo").worker
        clock.time += 59
        here.workers.tick()
        assert here.ask("echo").worker == first
        clock.time += 60
        here.workers.tick()
        until(lambda: here.states() == [], "the worker has ended")
        assert here.ask("echo").worker == first + 1


def test_idle_workers_end_by_themselves_with_a_real_clock(tmp_path: Path) -> None:
    with crew(tmp_path, Some(idle_after=0.2)) as here:
        here.ask("echo")
        until(lambda: here.states() == [], "the worker has ended")


# --- start -------------------------------------------------------------------------------


def test_the_environment_holds_no_secret_but_the_one_that_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMERO_PASSWORD", "secret-1")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-2")
    monkeypatch.setenv("OTHER_PASSWORD", "secret-3")
    with crew(tmp_path, config={"password_env": "OMERO_PASSWORD"}) as here:
        importer = here.ask("environment").result
        inspector = here.ask("environment", "inspector").result
    assert importer is not None
    assert inspector is not None
    assert importer["environment"]["OMERO_PASSWORD"] == "secret-1"
    assert importer["environment"]["CREDENTIALS_DIRECTORY"] == "/run/credentials/x"
    assert "secret-2" not in str(importer)
    assert "secret-3" not in str(importer)
    assert "secret" not in str(inspector)
    assert "PATH" in inspector["environment"]


@linux
def test_a_worker_has_a_group_of_its_own_low_priority_and_a_neutral_folder(tmp_path: Path) -> None:
    with crew(tmp_path) as here:
        found = here.ask("environment", "inspector").result
        assert found is not None
        assert found["group"] == found["pid"] != os.getpgid(0)
        assert found["nice"] == min(19, os.nice(0) + 10)
        assert Path(found["cwd"]) == tmp_path
        assert psutil.Process(found["pid"]).ionice() == (psutil.IOPRIO_CLASS_BE, 7)
        assert psutil.Process(found["pid"]).rlimit(psutil.RLIMIT_AS) == (2 << 30, 2 << 30)


@linux
@pytest.mark.parametrize(("daemon", "worker"), [(3, 13), (15, 19), (19, 19)])
def test_a_worker_is_below_a_daemon_of_low_priority_too(daemon: int, worker: int) -> None:
    if (own := os.nice(0)) > daemon:
        daemon, worker = own, min(19, own + 10)
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        psutil.Process(process.pid).nice(daemon)
        lower_priority(process.pid)
        assert psutil.Process(process.pid).nice() == worker
        assert psutil.Process(process.pid).ionice() == (psutil.IOPRIO_CLASS_BE, 7)
    finally:
        process.communicate(b"\n")


def test_a_lock_file_tells_of_each_worker_while_it_lives(tmp_path: Path) -> None:
    with crew(tmp_path) as here:
        result = here.ask("echo").result
        assert result is not None
        lock = tmp_path / "locks" / f"worker-{result['pid']}.json"
        assert json.loads(lock.read_text()) == {"role": "importer", "pid": result["pid"], "start": start_mark(result["pid"])}
    assert not lock.exists()


@linux
def test_a_service_stop_that_reaches_the_worker_does_not_cut_its_work_short(tmp_path: Path) -> None:
    with crew(tmp_path) as here:
        result = here.ask("echo").result
        assert result is not None
        ticket = here.submit("slow", seconds=0.3)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(result["pid"], number)
        reply = ticket.wait(PATIENCE)
    assert reply is not None
    assert reply.effect == "done"


# --- end ---------------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["stop", "death"])
def test_what_a_worker_started_ends_with_it(tmp_path: Path, end: str) -> None:
    with crew(tmp_path) as here:
        result = here.ask("grandchild").result
        assert result is not None
        assert not gone(result["pid"])
        if end == "stop":
            here.workers.stop()
        else:
            here.ask("crash")
        until(lambda: gone(result["pid"]), "the grandchild has ended")


SERVICE = """
    import sys, time
    from pathlib import Path
    from tests.integration.workers_help import Some, crew, until
    with crew(Path(sys.argv[1])) as here:
        pid = here.ask("echo").result["pid"]
        here.submit("hang")
        until(lambda: "login" in here.calls(), "it hangs")
        print(pid, flush=True)
        time.sleep(600)
"""


def service(state_dir: Path) -> tuple[subprocess.Popen[str], int]:
    """Another process with a busy worker; the worker's pid."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SERVICE), str(state_dir)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": ROOT},
    )
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def test_a_worker_ends_at_once_when_the_service_dies_even_if_a_call_hangs(tmp_path: Path) -> None:
    process, pid = service(tmp_path)
    assert not gone(pid)
    kill(process)
    until(lambda: gone(pid), "the worker has ended")


@linux
def test_the_next_service_kills_a_worker_that_could_not_end(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    process, pid = service(tmp_path)
    os.kill(pid, signal.SIGSTOP)
    kill(process)
    clock = HandClock()
    with crew(tmp_path, clock=clock) as here:
        assert clock.time >= 1010
        assert here.ask("echo").effect == "done"
    until(lambda: gone(pid), "the worker has been killed")
    assert f"killing worker {pid}, which outlived its service" in caplog.text


def test_a_process_that_only_has_the_number_of_an_old_worker_is_left_alone(tmp_path: Path) -> None:
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    try:
        lock = write_lock(tmp_path, "importer", other.pid)
        lock.write_text(lock.read_text().replace(str(start_mark(other.pid)), "another start"))
        assert end_orphans(tmp_path, SystemClock()) == 0
        assert other.poll() is None
        assert not lock.exists()
    finally:
        other.kill()
        other.wait()


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"pid": "x", "start": "y"}', b"\xff", b'{"pid": -1, "start": "None"}'])
def test_a_damaged_lock_file_kills_nobody_and_stops_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks" / "worker-1.json").write_bytes(content)
    assert end_orphans(tmp_path, SystemClock()) == 0


# --- the main loop of a worker, by itself ------------------------------------------------


def talk(lines: bytes, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, str(FAKE), *(arguments or ("importer",))]
    return subprocess.run(command, input=lines, capture_output=True, timeout=60, env=os.environ | {"PYTHONPATH": ROOT})


def test_the_first_line_is_a_hello_and_the_end_of_stdin_ends_the_worker() -> None:
    done = talk(b"")
    hello = json.loads(done.stdout.split(b"\n")[-2])
    assert (hello["event"], hello["protocol"], hello["role"]) == ("hello", 1, "importer")
    assert done.returncode == 0


@pytest.mark.parametrize("line", [b"nonsense\n", b'{"id": 1}\n', b"\xff\n"])
def test_a_worker_ends_when_it_does_not_understand_its_service(line: bytes) -> None:
    done = talk(line)
    assert done.returncode == 4
    assert b"do not understand each other" in done.stderr


def test_a_line_that_never_ends_does_not_fill_the_memory() -> None:
    assert talk(b"x" * (MAX_LINE + 2)).returncode == 4


def test_a_worker_that_cannot_import_says_so_and_never_says_hello() -> None:
    done = talk(b"", "importer", "broken")
    assert done.returncode == 3
    assert b"a library is missing" in done.stderr
    assert b"hello" not in done.stdout
