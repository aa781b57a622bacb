"""Where the mail of the demo goes: a mail server in this process, which keeps all it gets as files. Nothing leaves the machine."""

from __future__ import annotations

import asyncio
import email
import email.policy
import threading
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from dropbox_import.disk import files as disk

HOST = "127.0.0.1"
_PATIENCE = 10.0


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail as it came. `drops` and `events` are those that its head names."""

    to: tuple[str, ...]
    subject: str
    text: str
    drops: tuple[str, ...] = ()
    events: tuple[str, ...] = ()


class Mailbox:
    """`open` takes a free port and fills `port`; `close` may be called twice. Mails lie in `folder` as 1.eml, 2.eml and so on."""

    def __init__(self, folder: Path) -> None:
        self.port = 0
        self._folder = folder
        self._got: list[Mail] = []
        self._runs: tuple[asyncio.AbstractEventLoop, asyncio.Server, threading.Thread] | None = None

    def open(self) -> None:
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, name="mailbox", daemon=True)
        thread.start()
        server = asyncio.run_coroutine_threadsafe(self._serve(loop), loop).result(_PATIENCE)
        self._runs = (loop, server, thread)
        self.port = int(server.sockets[0].getsockname()[1])

    def got(self) -> list[Mail]:
        """What has come so far, in that order."""
        return list(self._got)

    def close(self) -> None:
        if self._runs is None:
            return
        (loop, server, thread), self._runs = self._runs, None
        asyncio.run_coroutine_threadsafe(_end(server), loop).result(_PATIENCE)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_PATIENCE)
        loop.close()

    async def _serve(self, loop: asyncio.AbstractEventLoop) -> asyncio.Server:
        from aiosmtpd.smtp import SMTP

        return await loop.create_server(lambda: SMTP(self, enable_SMTPUTF8=True, loop=loop), HOST, 0)

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 aiosmtpd calls it so
        content = bytes(envelope.content)
        self._got.append(read_mail(content, tuple(str(one) for one in envelope.rcpt_tos)))
        disk.write_new(self._folder / f"{len(self._got)}.eml", content)
        return "250 taken"


async def _end(server: asyncio.Server) -> None:
    """Also of the connections that are open still."""
    server.close()
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def read_mail(content: bytes, to: tuple[str, ...]) -> Mail:
    """A mail from its bytes and the recipients that the server was told."""
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    body = message.get_body(("plain",))
    return Mail(
        to=to,
        subject=str(message["Subject"] or ""),
        text=str(body.get_content()).replace("\r\n", "\n") if body is not None else "",
        drops=tuple(str(message["X-Dropbox-Import-Drop"] or "").split()),
        events=tuple(str(message["X-Dropbox-Import-Event"] or "").split()),
    )
