"""A real mail server for tests: what it got, by whom and about which drops."""

from __future__ import annotations

from collections import Counter
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller

from tests.support.ports import kept_port


class Postbox:
    """A mail server that can be stopped and started on one port. `cut`: after so many mails it takes one and says nothing of it."""

    def __init__(self, cut: int = 0) -> None:
        self.mails: list[EmailMessage] = []
        self.cut = cut
        self.cuts = 0
        self.port = kept_port()
        self._server: Controller | None = None

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        mail = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(mail, EmailMessage)
        assert [mail["To"]] == envelope.rcpt_tos
        self.mails.append(mail)
        if self.cut and len(self.mails) % self.cut == 0:
            self.cuts += 1
            server.transport.abort()
        return "250 OK"

    def start(self) -> None:
        self._server = Controller(self, hostname="127.0.0.1", port=self.port, ready_timeout=60)
        self._server.start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop()
            self._server = None

    def to(self, address: str) -> list[EmailMessage]:
        return [mail for mail in self.mails if mail["To"] == address]

    def drops(self, address: str) -> Counter[str]:
        """How often each drop was told to that address, the same mail once more counted once."""
        unique = {mail["Message-ID"]: mail for mail in self.to(address)}
        return Counter(drop for mail in unique.values() for drop in str(mail["X-Dropbox-Import-Drop"] or "").split())

    def again(self) -> int:
        """Mails that came more than once."""
        return len(self.mails) - len({mail["Message-ID"] for mail in self.mails})
