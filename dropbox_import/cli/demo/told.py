"""Was everybody told what concerns them, and nobody anything else? Compares the mail that came with what became of the drops. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dropbox_import.cli.demo.checks import Filed
from dropbox_import.cli.demo.mailbox import Mail
from dropbox_import.cli.demo.scenario import ADDRESS, OPS
from dropbox_import.spool.layout import is_id

OUTCOMES = ("done", "partly", "failed")
STILL = 40.0  # seconds without a new mail: nothing more will come


def outcomes(filed: Iterable[Filed]) -> dict[str, str]:
    """What became of each drop, by its id, from the folders in done/ and failed/."""
    states: dict[str, set[str]] = {}
    for one in filed:
        drop = one.path.name.rpartition("__")[2]
        if is_id(drop):
            states.setdefault(drop, set()).add(one.state)
    return {drop: "partly" if len(both) == 2 else "".join(both) for drop, both in states.items()}


def wrong_mail(became: dict[str, str], mails: Sequence[Mail]) -> list[str]:
    """Every difference as a sentence; empty = everybody was told once what concerns them, and nothing else was sent."""
    found = [f'a mail to {", ".join(mail.to)}, which nobody asked for: "{mail.subject}"' for mail in mails if mail.to not in _PEOPLE]
    failures = {drop: event for drop, event in became.items() if event != "done"}
    for address, due in ((ADDRESS, became), (OPS, failures)):
        mine = [mail for mail in mails if mail.to == (address,)]
        for drop, event in due.items():
            about = [mail for mail in mine if drop in mail.drops]
            if not about:
                found.append(f"{address} was not told that {drop} is {event}")
            found += [f'{address} was told of {drop} as "{mail.subject}", not as {event}' for mail in about if event not in mail.events]
            if len(about) > 1:
                found.append(f"{address} was told {len(about)} times of {drop}")
        for mail in mine:
            unasked = [drop for drop in mail.drops if drop not in due] or [event for event in mail.events if event not in OUTCOMES]
            if unasked or not mail.drops:
                found.append(f'{address} got a mail about {", ".join(unasked) or "nothing"}, which nobody asked for: "{mail.subject}"')
    return found


_PEOPLE = ((ADDRESS,), (OPS,))


def about_drop(mails: Iterable[Mail], address: str, drop: str) -> Mail | None:
    """The mail that told somebody of a drop."""
    return next((mail for mail in mails if mail.to == (address,) and drop in mail.drops), None)
