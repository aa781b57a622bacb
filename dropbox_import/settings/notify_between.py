"""The mistakes between the keys of `notify:`: who is named and does not exist, and what one key needs another for.

Found on the tree of the file, so that they are told together with mistakes inside of single keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pydantic_core import PydanticCustomError

from dropbox_import.errors import Mistake
from dropbox_import.settings.model import is_address
from dropbox_import.sidecar.checks import guess
from dropbox_import.sidecar.fields import as_mail
from dropbox_import.strict_yaml import Mapping, Node, Scalar, Sequence, shown


def mistakes_in_notify(root: Node) -> list[Mistake]:
    """What is wrong between the keys of `notify:` and of `notify:` in boxes. What is wrong in one key alone is told by its own check."""
    notify = _below(root, "notify")
    channels = _below(notify, "channels")
    ways = _Ways(
        None if channels is not None and not isinstance(channels, Mapping) else tuple(_keys(channels)), _below(notify, "mail") is not None
    )
    found: list[Mistake] = []
    for about, listener in _listeners(root, notify):
        for name in _names(listener):
            found += ways.judge(about, name)
    if isinstance(notify, Mapping):
        found += _mistakes_of_all(root, notify, ways)
    return found


@dataclass(frozen=True, slots=True)
class _Ways:
    """By what people can be told. `channels` None = they are not written so that their names could be known."""

    channels: tuple[str, ...] | None
    mail: bool

    def judge(self, about: str, name: Scalar) -> Iterator[Mistake]:
        """A name of somebody who is to hear."""
        text, channels = name.text, self.channels
        if not text.strip() or ":" in text or (name.plain and text in ("null", "~")):
            return
        if is_address(text):
            wrong = _wrong_address(text)
            if wrong is not None:
                yield name.mark.mistake(f"{about}: {wrong[0]}", wrong[1])
            elif not self.mail:
                yield name.mark.mistake(
                    f"{about}: {shown(text, 60)} is a mail address, but there is no mail server", "add below notify: mail: smtp.example.org"
                )
        elif channels is not None and text not in channels:
            near = guess(text, channels)
            hint = (
                "write an address like ops@example.org"
                + (f", or one of the channels {', '.join(channels)}" if channels else "")
                + f"; or add below channels: {shown(text, 40)}: {{url_file: /etc/dropbox-import/lab-chat}}"
            )
            yield name.mark.mistake(f"{about}: {shown(text, 60)} is neither an address nor a channel{near}", "" if near else hint)


def _mistakes_of_all(root: Node, notify: Mapping, ways: _Ways) -> Iterator[Mistake]:
    mail, admin = notify.get("mail"), notify.get("admin")
    if admin is None:
        if mail is not None or ways.channels != ():
            here = (root.key("notify") if isinstance(root, Mapping) else None) or notify
            yield here.mark.mistake(
                "notify.admin: is missing: nobody would hear of trouble",
                "add below notify: admin: ops@example.org, or the name of a channel",
            )
        return
    if mail is None or (isinstance(mail, Mapping) and mail.get("from") is not None):
        return
    names = [name.text for name in _names(admin)]
    # A name that is mistaken may be meant as an address: that is told already.
    if ways.channels is not None and names and all(name in ways.channels for name in names):
        hint = "add from: imports@example.org" if isinstance(mail, Mapping) else _with_sender(mail)
        yield mail.mark.mistake("notify.mail.from: it is not said from whom mails come", hint)


def _with_sender(mail: Node) -> str:
    host, _, port = mail.text.partition(":") if isinstance(mail, Scalar) else ("smtp.example.org", "", "")
    return f"write mail: {{host: {shown(host, 60)}, {f'port: {shown(port, 10)}, ' if port else ''}from: imports@example.org}}"


def _wrong_address(text: str) -> tuple[str, str] | None:
    try:
        as_mail(text)
    except PydanticCustomError as error:
        about = error.context or {}
        return str(about.get("sentence", "")), str(about.get("hint", ""))
    return None


def _listeners(root: Node, notify: Node | None) -> Iterator[tuple[str, Node]]:
    """Each place that says who hears, with its name."""
    admin = _below(notify, "admin")
    if admin is not None:
        yield "notify.admin", admin
    users = _below(notify, "users")
    if isinstance(users, Mapping):
        for login, listener in users.entries:
            yield f"notify.users.{shown(login.text, 40)}", listener
    boxes = _below(root, "boxes")
    for box in boxes.items if isinstance(boxes, Sequence) else ():
        also = _below(_below(box, "notify"), "also")
        if also is not None:
            yield "boxes.notify.also", also


def _names(listener: Node | None) -> Iterator[Scalar]:
    if isinstance(listener, Mapping):
        listener = listener.get("to")
    if isinstance(listener, Scalar):
        yield listener
    elif isinstance(listener, Sequence):
        yield from (item for item in listener.items if isinstance(item, Scalar))


def _keys(node: Node | None) -> Iterator[str]:
    if isinstance(node, Mapping):
        yield from (key.text for key, _ in node.entries)


def _below(node: Node | None, key: str) -> Node | None:
    return node.get(key) if isinstance(node, Mapping) else None
