"""Everything that can be known to be wrong before a letter is sent. Nothing is sent."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from dropbox_import.errors import TryLater
from dropbox_import.logs import one_line
from dropbox_import.notifier import samples
from dropbox_import.notifier.channels import check_channel
from dropbox_import.notifier.config import Config, MailServer
from dropbox_import.notifier.mail import address_of, sender_of
from dropbox_import.notifier.secret import password_of
from dropbox_import.notifier.texts import SHIPPED, Texts, where_of


@dataclass(frozen=True, slots=True)
class Problem:
    """`about` is the part of the config: `mail`, `channels.NAME`, `templates`."""

    about: str
    sentence: str
    hint: str = ""


def problems(config: Config, texts: Texts) -> tuple[Problem, ...]:
    """All that is wrong with the mail settings, the addresses of channels, and the templates."""
    found = list(_of_mail(config.mail)) if config.mail else []
    for name, address in sorted(config.channels.items()):
        try:
            check_channel(address)
        except TryLater as problem:
            found.append(_problem(f"channels.{name}", problem))
    return (*found, *(_of_folder(Path(config.templates)) if config.templates else ()), *_of_texts(texts))


def _of_mail(mail: MailServer) -> Iterator[Problem]:
    try:
        sender_of(mail)
        if mail.reply_to:
            address_of(mail.reply_to, "address for answers (notify.mail.reply_to)")
        password_of(mail)
    except TryLater as problem:
        yield _problem("mail", problem)
    if mail.ca_file:
        try:
            ssl.create_default_context(cafile=mail.ca_file)
        except OSError as error:
            yield Problem(
                "mail", f"The certificate file {mail.ca_file} cannot be used: {error.strerror or error}.", "Check notify.mail.ca_file."
            )


def _of_folder(site: Path) -> Iterator[Problem]:
    if not site.is_dir():
        yield Problem("templates", f"The folder {site} is not there.", "Check notify.templates.")
        return
    known = {path.relative_to(SHIPPED).as_posix() for path in SHIPPED.rglob("*") if path.is_file()}
    for path in sorted(site.rglob("*")):
        name = path.relative_to(site).as_posix()
        if path.suffix in (".txt", ".html", ".j2") and path.is_file() and name not in known:
            yield Problem("templates", one_line(f"{path} replaces nothing."), f"The templates are {', '.join(sorted(known))}.")


def _of_texts(texts: Texts) -> Iterator[Problem]:
    said = set()
    for letter in samples.letters():
        try:
            texts.render_strictly(letter)
        except Exception as problem:  # noqa: BLE001 a template can raise whatever Python can
            said.add(where_of(problem))
    yield from (
        Problem("templates", one_line(each), "Mend this template; until then the one of the product is used.") for each in sorted(said)
    )
    try:
        for name, macro in texts.missing_words():
            yield Problem("templates", f"{name} of this site has no macro {macro}.", f"Copy it from {SHIPPED / name}.")
    except Exception as problem:  # noqa: BLE001 a file that cannot be read at all was told above
        if not said:
            yield Problem("templates", one_line(where_of(problem)))


def _problem(about: str, problem: TryLater) -> Problem:
    return Problem(about, problem.sentence, problem.hint)
