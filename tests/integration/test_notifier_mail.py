"""The notifier against real mail servers and a real web server, and as a real process."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

from dropbox_import.errors import ConfigError, TryLater
from dropbox_import.notifier import samples
from dropbox_import.notifier.mail import Seconds
from dropbox_import.notifier.worker import Notifier
from dropbox_import.notify.message import Letter, Message, Route
from dropbox_import.plain import to_plain
from dropbox_import.standin.tls import Certificates, certificates
from dropbox_import.workers.protocol import Command
from dropbox_import.workers.serve import Job
from tests.support.clocks import HandClock

PASSWORD = "s3cret-pass-word"
PATIENCE = Seconds(connect=30.0, read=30.0)
SHORT = Seconds(connect=1.0, read=1.0)
FAILED = next(one for one in samples.MESSAGES if one.event == "failed")
ADDRESSES = ("bcc", "cc", "resent-to")


class Sink:
    """What arrived; `refuse` is the answer to every recipient."""

    def __init__(self, refuse: str = "") -> None:
        self.refuse = refuse
        self.mails: list[EmailMessage] = []
        self.recipients: list[list[str]] = []

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:  # noqa: N802
        if self.refuse:
            return self.refuse
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
        self.recipients.append(envelope.rcpt_tos)
        return "250 OK"


class Implicit(Controller):
    """TLS from the first byte; the controller's own test connection trusts the certificate."""

    def _trigger_server(self) -> None:
        with socket.create_connection((self.hostname, self.port)) as plain, ssl._create_unverified_context().wrap_socket(plain) as way:
            way.recv(100)


@contextmanager
def smtp(sink: Sink, kind: type[Controller] = Controller, **more: Any) -> Iterator[int]:
    server = kind(sink, hostname="127.0.0.1", port=free_port(), ready_timeout=60, **more)
    server.start()
    try:
        yield server.port
    finally:
        server.stop()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@pytest.fixture(scope="module")
def certified(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def context(certified: Certificates) -> ssl.SSLContext:
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.load_cert_chain(certified.certificate)
    return made


@pytest.fixture
def password(tmp_path: Path) -> Path:
    path = tmp_path / "password"
    path.write_text(PASSWORD + "\n")
    return path


@pytest.fixture(autouse=True)
def no_ca(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "")  # so that what a test sets is undone


def notifier(patience: Seconds = PATIENCE, **config: Any) -> Callable[[str, dict[str, Any]], dict[str, Any]]:
    handlers = Notifier(HandClock(), patience).handlers()

    def ask(do: str, args: dict[str, Any]) -> dict[str, Any]:
        return handlers[do](Job(Command(1, do, args), lambda event: None, HandClock()))

    ask("configure", {"instance": "facility-1", "time_zone": "Europe/Paris", **config})
    return ask


def mail_to(port: int, **more: Any) -> dict[str, Any]:
    return {"host": "127.0.0.1", "port": port, "security": "none", "sender": "OMERO imports <imports@example.org>", **more}


def letter(*messages: Message, to: str = "jdoe@example.org", channel: str = "mail") -> dict[str, Any]:
    made = Letter("L1", Route(channel, to), "user", "en", "2026-11-28T10:05:00+00:00", messages or (FAILED,), {})
    return {"letter": to_plain(made)}


def refused(ask: Callable[[str, dict[str, Any]], dict[str, Any]], args: dict[str, Any]) -> TryLater:
    with pytest.raises(TryLater) as caught:
        ask("send", args)
    assert PASSWORD not in str(caught.value)
    return caught.value


def test_a_mail_has_two_renderings_one_recipient_and_ids_that_a_repeat_has_again() -> None:
    sink = Sink()
    with smtp(sink) as port:
        ask = notifier(mail=mail_to(port, reply_to="help@example.org"))
        assert ask("send", letter()) == {}
        assert ask("send", letter()) == {}
    mail, again = sink.mails
    assert sink.recipients == [["jdoe@example.org"]] * 2
    assert (mail["To"], mail["From"], mail["Reply-To"]) == ("jdoe@example.org", "OMERO imports <imports@example.org>", "help@example.org")
    assert mail["Subject"] == "[dropbox-import] cells.yaml could not be imported"
    assert mail["Message-ID"] == again["Message-ID"] == "<L1@example.org>"
    assert mail["References"] == mail["In-Reply-To"] == f"<{FAILED.drop}@dropbox-import.facility-1>"
    assert (mail["Auto-Submitted"], mail["X-Auto-Response-Suppress"]) == ("auto-generated", "All")
    assert (mail["X-Dropbox-Import-Drop"], mail["X-Dropbox-Import-Event"]) == (FAILED.drop, "failed")
    assert mail["Date"].datetime.year == 2026
    assert [part.get_content_type() for part in mail.walk()] == ["multipart/alternative", "text/plain", "text/html"]
    text, page = mail.iter_parts()
    assert "What to do:" in text.get_content()
    assert "<h1" in page.get_content()


@pytest.mark.parametrize(
    "nasty", ["x\r\nBcc: v@example.org\r\n\r\nbody", "é\u2028日\udce9" * 300, "a" * 3000, '"<>,;:@example.org', "=?utf-8?q?=0ABcc:_v?="]
)
def test_hostile_texts_add_no_header_and_no_recipient(nasty: str) -> None:
    sink = Sink()
    message = Message("failed", drop=nasty, owner=nasty, sidecar=nasty, failures=FAILED.failures, failed_at=nasty)
    with smtp(sink) as port:
        ask = notifier(mail=mail_to(port), instance=nasty[:5])
        ask("send", letter(FAILED))
        ask("send", letter(message))
    good, bad = sink.mails
    assert [name for name, _ in bad.items()] == [name for name, _ in good.items()]
    assert sink.recipients[1] == ["jdoe@example.org"]
    assert not any(bad[name] for name in ADDRESSES)
    assert len(bad["To"].addresses) == 1


@pytest.mark.parametrize(
    "to", ["", "jdoe", "a@b.org, c@d.org", "a@b.org\r\nBcc: c@d.org", "<a@b.org> c@d.org", "a b@c.org", "x@" + "y" * 500]
)
def test_what_is_not_exactly_one_address_gets_no_mail(to: str) -> None:
    sink = Sink()
    with smtp(sink) as port:
        assert "is not a mail address" in refused(notifier(mail=mail_to(port)), letter(to=to)).sentence
    assert sink.mails == []


def test_names_and_hosts_may_have_any_letters() -> None:
    sink = Sink()
    with smtp(sink, enable_SMTPUTF8=True) as port:
        ask = notifier(mail=mail_to(port, sender="Équipe imagerie <imports@müller.example>"))
        ask("send", letter(to="Jörg <jörg@müller.example>"))
        ask("send", letter(to="Jörg <joerg@müller.example>"))
    assert sink.recipients == [["jörg@xn--mller-kva.example"], ["joerg@xn--mller-kva.example"]]
    assert sink.mails[1]["From"].addresses[0].display_name == "Équipe imagerie"


def test_starttls_with_log_in_and_a_ca_of_its_own(context: ssl.SSLContext, certified: Certificates, password: Path) -> None:
    seen = []

    def log_in(server: Any, session: Any, envelope: Any, way: str, data: Any) -> AuthResult:
        seen.append((data.login, data.password))
        return AuthResult(success=data.password == PASSWORD.encode(), handled=False)

    sink = Sink()
    more = {"security": "starttls", "user": "imports", "password_file": str(password), "host": "localhost"}
    with smtp(sink, tls_context=context, require_starttls=True, authenticator=log_in, auth_required=True) as port:
        untrusted = refused(notifier(mail=mail_to(port, **more)), letter())
        notifier(mail=mail_to(port, **more, insecure=True))("send", letter())
        ask = notifier(mail=mail_to(port, **more, ca_file=str(certified.ca)))
        ask("send", letter())
        assert seen == [(b"imports", PASSWORD.encode())] * 2
        password.write_text("wrong-pass-word")
        wrong = refused(ask, letter())
        password.unlink()
        missing = refused(ask, letter())
    assert untrusted.sentence.startswith(f"the certificate of localhost:{port} is not accepted")
    assert wrong.sentence.startswith(f"the server localhost:{port} refused the log-in of imports: 535")
    assert "wrong-pass-word" not in wrong.sentence
    assert missing.kind == "no-secret"
    assert len(sink.mails) == 2


def test_tls_from_the_first_byte(context: ssl.SSLContext, certified: Certificates) -> None:
    sink = Sink()
    with smtp(sink, Implicit, ssl_context=context) as port:
        notifier(mail=mail_to(port, security="tls", host="localhost", ca_file=str(certified.ca)))("send", letter())
    assert len(sink.mails) == 1


def test_the_servers_reason_is_told() -> None:
    with smtp(Sink("550 5.1.1 no such user")) as port:
        problem = refused(notifier(mail=mail_to(port)), letter())
    assert problem.sentence == f"the server 127.0.0.1:{port} refused the recipient: 550 5.1.1 no such user."
    assert problem.kind == "refused"
    problem = refused(notifier(mail=mail_to(port)), letter())
    assert problem.sentence == f"127.0.0.1:{port} does not accept connections."


@contextmanager
def scripted(answers: list[bytes], *, stay: bool) -> Iterator[int]:
    """A server that says each of `answers` after a line of the client's, and then nothing more (`stay`) or hangs up."""
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def talk() -> None:
            way, _ = server.accept()
            with way, way.makefile("rb") as lines:
                with suppress(ConnectionError):  # the client may have gone
                    for answer in answers:
                        way.sendall(answer)
                        lines.readline()
                if stay:
                    done.wait(10)

        thread = threading.Thread(target=talk)
        thread.start()
        try:
            yield server.getsockname()[1]
        finally:
            done.set()
            thread.join()


@pytest.mark.parametrize(
    ("answers", "stay", "reason"),
    [
        ([], True, "did not answer in time"),
        ([b"220 hello\r\n", b"250 hello\r\n", b"250 ok\r\n"], True, "did not answer in time"),
        ([b"220 hello\r\n", b"250 hello\r\n", b"250 ok\r\n", b"250 ok\r\n", b"354 go on\r\n"], False, "ended the connection"),
        ([b"554 go away\r\n"], False, "lets nobody in: 554 go away"),
        ([b"\x00\xff rubbish\r\n"], False, "127.0.0.1"),
    ],
)
def test_a_server_that_hangs_or_dies_costs_a_bounded_time(answers: list[bytes], stay: bool, reason: str) -> None:
    with scripted(answers, stay=stay) as port:
        problem = refused(notifier(SHORT if stay else PATIENCE, mail=mail_to(port)), letter())
    assert reason in problem.sentence
    assert problem.kind == "not-delivered"


def test_a_server_that_looks_long_through_a_mail_before_it_takes_it_gets_it_once() -> None:
    class Slow(Sink):
        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
            await asyncio.sleep(2 * SHORT.read)
            return await super().handle_DATA(server, session, envelope)

    sink = Slow()
    with smtp(sink) as port:
        assert notifier(SHORT, mail=mail_to(port))("send", letter()) == {}
    assert len(sink.mails) == 1


def test_a_recipient_in_letters_that_the_server_does_not_know_is_no_fault_of_the_server() -> None:
    with smtp(Sink(), enable_SMTPUTF8=False) as port:
        problem = refused(notifier(mail=mail_to(port)), letter(to="jos\u00e9@example.org"))
    assert problem.kind == "refused"


@pytest.mark.parametrize("url", ["json://joe:S3cret\u2100Pass@127.0.0.1:9", "json://joe:S3c]ret@127.0.0.1:9", "json://["])
def test_an_odd_address_of_a_chat_is_told_without_its_secret(tmp_path: Path, url: str) -> None:
    (tmp_path / "lab").write_text(url + "\n")
    ask = notifier(channels={"lab": {"url_file": str(tmp_path / "lab")}})
    problem = refused(ask, letter(channel="lab", to=""))
    told = problem.sentence + json.dumps(ask("check", {}))
    assert "S3c" not in told
    assert "Pass" not in told
    assert "lab" in json.dumps(ask("check", {}))


@contextmanager
def web(code: int = 200) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    got: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(code)
            self.end_headers()
            self.wfile.write(b"token-in-an-answer")

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server.server_port, got
        finally:
            server.shutdown()
            thread.join()


def chat(folder: Path, url: str) -> Callable[[str, dict[str, Any]], dict[str, Any]]:
    (folder / "url").write_text(url + "\n")
    return notifier(channels={"lab-chat": {"url_file": str(folder / "url")}})


def test_a_chat_gets_plain_text_without_mentions_and_links(tmp_path: Path) -> None:
    nasty = "@here <!channel> [x](http://evil.com/) :smile: \\n {{ 7 * 7 }}"
    with web() as (port, got):
        chat(tmp_path, f"json://127.0.0.1:{port}/SECRET-TOKEN")("send", letter(Message("failed", sidecar=nasty), channel="lab-chat", to=""))
    (said,) = got
    assert said["title"].startswith("[dropbox-import] ＠here < !channel>")
    assert ":smile: \\n {{ 7 * 7 }}" in said["message"]
    for word in ("@here", "<!channel>", "](", "://"):
        assert word not in said["title"] + said["message"]


@pytest.mark.parametrize("path", ["SECRET-TOKEN", "SECRET-TOKEN/?+Authorization=SECRET-TOKEN"])
def test_what_a_chat_answers_is_told_without_its_address(tmp_path: Path, path: str, caplog: pytest.LogCaptureFixture) -> None:
    with web(403) as (port, _):
        answered = refused(chat(tmp_path, f"json://me:{PASSWORD}@127.0.0.1:{port}/{path}"), letter(channel="lab-chat", to=""))
    gone = refused(chat(tmp_path, f"json://me:{PASSWORD}@127.0.0.1:{port}/{path}"), letter(channel="lab-chat", to=""))
    assert answered.sentence == "The channel lab-chat did not take the message: it answered with error 403."
    assert gone.sentence == "The channel lab-chat did not take the message: connection refused."
    # pytest listens to apprise's own log too, whose records go no further
    assert not logging.getLogger("apprise").propagate
    told = [record.getMessage() for record in caplog.records if record.name != "apprise"]
    assert not any(secret in text for secret in ("SECRET", PASSWORD) for text in (*told, answered.sentence, gone.sentence))


def test_a_check_tells_every_mistake_and_sends_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    for name, text in {"good": "json://localhost/x", "bad": "nonsense://SECRET-TOKEN", "two": "json://a\njson://b"}.items():
        (tmp_path / name).write_text(text)
    names = ("good", "bad", "two", "none")
    mail = {"host": "h", "user": "u", "sender": "nobody", "ca_file": str(tmp_path / "good")}
    found = notifier(mail=mail, channels={name: {"credential": name} for name in names})("check", {})["problems"]
    assert [one["about"] for one in found] == ["mail", "mail", "channels.bad", "channels.none", "channels.two"]
    assert "SECRET" not in str(found)
    fine = notifier(mail={"host": "h", "sender": "a@b.org"}, channels={"good": {"credential": "good"}})
    assert fine("check", {}) == {"problems": []}


def test_the_password_may_be_a_credential(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    more = {"user": "imports", "sender": "a@b.org"}
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    assert "no credential mail-password" in notifier(mail={"host": "h", **more})("check", {})["problems"][0]["sentence"]
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    (tmp_path / "mail-password").write_text(PASSWORD)
    assert notifier(mail={"host": "h", **more})("check", {}) == {"problems": []}


def test_a_zone_that_there_is_not_and_a_way_that_there_is_not_are_told() -> None:
    with pytest.raises(ConfigError, match="Europe/Nowhere"):
        notifier(time_zone="Europe/Nowhere")
    assert "no channel lab-chat" in refused(notifier(), letter(channel="lab-chat", to="")).sentence
    assert "no mail server" in refused(notifier(), letter()).sentence


def test_the_process_sends_a_test_letter_and_ends_with_its_stdin(tmp_path: Path) -> None:
    sink = Sink()
    with smtp(sink) as port:
        args = {"mail": mail_to(port), "channels": {}, "templates": None, "web": "", "time_zone": None, "instance": "facility-1"}
        commands = [
            {"id": 1, "do": "configure", "args": args},
            {"id": 2, "do": "test", "args": {"route": {"channel": "mail", "to": "jdoe@example.org"}, "language": "fr"}},
        ]
        process = subprocess.Popen(
            [sys.executable, "-m", "dropbox_import.notifier"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert process.stdin is not None
        assert process.stdout is not None
        events: list[dict[str, Any]] = []
        for command in commands:
            process.stdin.write(json.dumps(command).encode() + b"\n")
            process.stdin.flush()
            while not events or (events[-1].get("id"), events[-1]["event"]) not in ((command["id"], "done"), (command["id"], "error")):
                line = process.stdout.readline()
                assert line, process.communicate()
                if line.strip():
                    events.append(json.loads(line))
        _, said = process.communicate(timeout=30)
    assert events[0]["role"] == "notifier"
    assert [one["event"] for one in events[1:]] == ["started", "done", "started", "in-call", "done"]
    assert (process.returncode, said) == (0, b"")
    assert sink.mails[0]["Subject"] == "[dropbox-import] Un message d’essai"
