"""Real daemon, real workers, the stand-in, a real SMTP server, a chat: who hears what, when, and what a dead or hanging one changes."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from dropbox_import.notify.outbox import Outbox
from tests.support.postbox import Postbox
from tests.support.realrun import RealRun, real_run

QUICK = {"gather": "1 s", "digest": "2 s"}


@pytest.fixture
def postbox() -> Iterator[Postbox]:
    box = Postbox()
    box.start()
    yield box
    box.stop()


@contextmanager
def chat() -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """An HTTP server that takes JSON: its port, and what it got."""
    got: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port, got
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def notify(postbox: Postbox, **more: Any) -> dict[str, Any]:
    return {"admin": "ops@example.org", "mail": f"127.0.0.1:{postbox.port}", **QUICK, **more}


def outbox(run: RealRun) -> Outbox:
    """That of the one instance, once it has taken something."""
    instances = [path for path in run.layout.inprogress.iterdir() if path.is_dir()]
    return Outbox((*instances, run.layout.inprogress)[0] / "outbox")


def empty(run: RealRun) -> bool:
    return outbox(run).names()[:2] == ([], [])


def text_of(mail: EmailMessage) -> str:
    part = mail.get_body(("plain",))
    assert part is not None
    return str(part.get_content())


@pytest.mark.slow
def test_user_and_administrator_hear_what_concerns_them(tmp_path: Path, postbox: Postbox) -> None:
    with (
        chat() as (port, heard),
        real_run(tmp_path, "alice", "bob", notify=notify(postbox, channels={"lab": {"url_file": str(tmp_path / "lab")}})) as run,
    ):
        (tmp_path / "lab").write_text(f"json://127.0.0.1:{port}/\n")
        (tmp_path / "lab").chmod(0o600)
        config = json.loads(run.config.read_text())
        config["notify"] |= {"web": "https://omero.example.org", "users": {"bob": "lab"}}
        run.config.write_text(json.dumps(config))
        run.start()
        run.drop("fine", fine=2)
        run.drop("half", fine=1, broken=1)
        run.drop("chatty", user="bob")
        (run.layout.drop / "alice" / "typo.yaml").write_text("target: {dataset: HeLa}\ntagz: [x]\nnotify: [pi@example.org]\n")
        run.rest(90)
        run.until(lambda: len(postbox.drops("alice@example.org")) == 3 and heard and len(postbox.drops("ops@example.org")) == 2, 30)
        run.until(lambda: empty(run), 20)
        assert run.terminate() == 0
    subjects = " ".join(str(mail["Subject"]) for mail in postbox.to("alice@example.org"))
    told = "\n".join(text_of(mail) for mail in postbox.to("alice@example.org"))
    assert set(postbox.drops("alice@example.org").values()) == {1}
    assert "fine.yaml" in told
    assert "https://omero.example.org/webclient/?show=" in told
    assert "half/1.tif" in told
    assert "typo.yaml:2:1: tagz" in told
    assert "save the sidecar in the drop folder again" in told or "typo.yaml could not be imported" in told
    assert "[dropbox-import]" in subjects
    admins = "\n".join(text_of(mail) for mail in postbox.to("ops@example.org"))
    assert "half.yaml" in admins
    assert "fine.yaml" not in admins
    assert ["chatty.yaml" in json.dumps(one) for one in heard] == [True]
    assert {mail["To"] for mail in postbox.mails} == {"alice@example.org", "ops@example.org"}


def untold(run: RealRun) -> int:
    """How many messages and letters the daemon says wait; its file is a moment old."""
    status = json.loads((run.state / "status.json").read_text())
    return int(status["notify"]["messages"] + status["notify"]["letters"])


@pytest.mark.slow
def test_a_dead_mail_server_changes_nothing_for_imports_and_all_is_told_when_it_is_back(tmp_path: Path, postbox: Postbox) -> None:
    postbox.stop()
    with real_run(tmp_path, "alice", "bob", notify=notify(postbox)) as run:
        run.start()
        for number in range(12):
            run.drop(f"d{number:02}", user=("alice", "bob")[number % 2], rich=False, dataset="one")
        run.drop("bad", fine=0, broken=1)
        run.rest(90)
        run.until(lambda: "messages cannot be sent by mail" in run.log.read_text(), 30)
        run.until(lambda: untold(run) > 0)
        run.kill()  # and it survives that too
        run.start()
        run.until(lambda: any(outbox(run).names()), 60)
        postbox.start()
        run.until(lambda: empty(run) and postbox.mails, 60)
        assert run.terminate() == 0
    assert set(postbox.drops("alice@example.org").values()) == {1}
    assert len(postbox.drops("alice@example.org")) == 7
    assert len(postbox.drops("bob@example.org")) == 6
    assert len(postbox.drops("ops@example.org")) == 1
    assert len(postbox.mails) <= 8
    said = run.log.read_text()
    assert "Traceback" not in said


@pytest.mark.slow
def test_a_mail_server_that_hangs_holds_neither_imports_nor_a_chat_nor_the_end_up(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=50) as silent, chat() as (port, heard):
        rules = {
            "admin": ["ops@example.org", "lab"],
            "mail": f"127.0.0.1:{silent.getsockname()[1]}",
            "channels": {"lab": {"url_file": str(tmp_path / "lab")}},
            **QUICK,
        }
        with real_run(tmp_path, "alice", notify=rules) as run:
            (tmp_path / "lab").write_text(f"json://127.0.0.1:{port}/\n")
            (tmp_path / "lab").chmod(0o600)
            run.start()
            run.drop("bad", fine=0, broken=1)
            run.rest(60)
            run.until(lambda: heard, 40)
            run.drop("later", fine=1)
            run.rest(60)
            assert run.terminate(60) == 0
            assert len(outbox(run).names()[1]) == 2


@pytest.mark.slow
def test_a_run_for_cron_tells_before_it_ends(tmp_path: Path, postbox: Postbox) -> None:
    slow = {"admin": "ops@example.org", "mail": f"127.0.0.1:{postbox.port}"}
    with real_run(tmp_path, "alice", notify=slow) as run:
        run.drop("one")
        run.start(once=True)
        assert run.daemon is not None
        assert run.daemon.wait(90) == 0
        assert empty(run)
    assert len(postbox.to("alice@example.org")) == 1


@pytest.mark.slow
def test_a_stop_in_the_middle_of_letters_sends_none_twice(tmp_path: Path, postbox: Postbox) -> None:
    with real_run(tmp_path, "alice", notify=notify(postbox, gather="0 s", digest="0 s", limit={"letters": 1000, "per": "1 h"})) as run:
        for number in range(6):
            run.start()
            run.drop(f"d{number}", rich=False, dataset="one")
            run.until(lambda: len(list(run.layout.done.rglob("result.yaml"))) == len(run.drops), 60)
            assert run.terminate() == 0
        run.start()
        run.until(lambda: len(postbox.drops("alice@example.org")) == 6 and empty(run), 60)
        assert run.terminate() == 0
    identities = [mail["Message-ID"] for mail in postbox.mails]
    assert len(identities) == len(set(identities))
    assert set(postbox.drops("alice@example.org").values()) == {1}
