"""What the demo prints: progress while it runs, tables at the end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from dropbox_import.cli import terminal
from dropbox_import.cli.demo.checks import Filed, Held
from dropbox_import.cli.demo.mailbox import Mail
from dropbox_import.cli.demo.scenario import Case
from dropbox_import.clock import Clock
from dropbox_import.model import DropSummary
from dropbox_import.spool.layout import is_id
from dropbox_import.spool.survey import story

# Also in a log, where nobody sets a width.
READABLE = 110
# Steps that would only repeat what the one before or after says.
QUIET = frozenset({"intent", "seal", "looked-up", "begin", "commit", "committed", "messages", "split-done"})


class Watcher:
    """Prints each new line of each drop's journal once."""

    def __init__(self, clock: Clock, boxes: Sequence[Path]) -> None:
        self._clock = clock
        self._boxes = boxes
        self._began = clock.monotonic()
        self._told: set[tuple[str, ...]] = set()

    def look(self, drops: Iterable[DropSummary]) -> None:
        """Tell what is new since the last look."""
        names: dict[str, str] = {}
        for drop in drops:
            # The second part of a drop of two outcomes knows its sidecar only when it is complete.
            if drop.id and (drop.id not in names or not is_id(drop.sidecar)):
                names[drop.id] = drop.sidecar.rpartition("/")[2]
        for drop_id, name in names.items():
            for record in story(self._boxes, drop_id):
                what = (drop_id, str(record.get("at")), str(record.get("fileset")), str(record.get("says")))
                if record.get("step") not in QUIET and what not in self._told:
                    self.tell(f"{name:<20} {terminal.visible(what[-1])}")
                self._told.add(what)

    def tell(self, text: str) -> None:
        """One line of progress, with the seconds since the beginning."""
        terminal.tell(f"{terminal.paint(f'{self._clock.monotonic() - self._began:5.1f} s', 'dim', err=True)}  {text}")


def holdings(held: Sequence[Held]) -> None:
    """The table of what OMERO holds now."""
    terminal.say(terminal.paint("In OMERO now", "bold"))
    terminal.table(
        ("Project / dataset / image", "x*y z c t", "Owner", "Tags", "Key-values and more"),
        [
            (
                f"{one.project or '-'} / {one.dataset or '-'} / {one.image.name}",
                "{}*{} {} {} {}".format(*one.image.size),
                one.owner,
                ", ".join(one.image.tags),
                _more(one),
            )
            for one in sorted(held, key=lambda one: one.id)
        ],
        whole=("Project / dataset / image", "x*y z c t", "Owner"),
        widest=READABLE,
    )
    terminal.say()


def _more(one: Held) -> str:
    parts = [f"{key}={value}" for key, value in one.image.key_values]
    parts += [f'comment "{text}"' for text in one.image.comments]
    if one.image.rating is not None:
        parts.append("rating " + "*" * one.image.rating)
    parts += [f"attached {name}" for name in one.image.attachments]
    return "; ".join(parts)


def folders(filed: Sequence[Filed], cases: Sequence[Case]) -> None:
    """What is in done/ and failed/, and why."""
    about = {case.sidecar.rpartition(".")[0]: case.about for case in cases}
    for state, mood in (("done", "ok"), ("failed", "problem")):
        terminal.say(terminal.paint(f"In {state}/", "bold"))
        for one in filed:
            if one.state != state:
                continue
            terminal.say(f"  {terminal.paint(one.path.name, 'ok' if mood == 'ok' else 'problem')}  ({about.get(one.stem, '')})")
            terminal.say(f"      {', '.join(one.members) or 'the sidecar alone'}")
            for line in _told(one.reason):
                terminal.say(f"      {terminal.paint(terminal.visible(line), 'dim')}")
        terminal.say()


def _told(reason: str) -> list[str]:
    """The sentences of REASON.txt that tell what is wrong and what to do; what comes after holds for every drop."""
    lines = [line for line in reason.splitlines() if line.strip()]
    end = next((number for number, line in enumerate(lines) if line.startswith(("Nothing ", "Drop "))), len(lines))
    return lines[1:end]


def mail(mails: Sequence[Mail], full: Mail | None) -> None:
    """To whom which mail was sent, and one of them as its reader sees it."""
    terminal.say(terminal.paint("Mail that was sent", "bold"))
    for one in mails:
        terminal.say(f"  {', '.join(one.to):<20} {terminal.visible(_spaces(one.subject))}")
    for to in dict.fromkeys(one.to for one in mails):
        drops = {drop for one in mails if one.to == to for drop in one.drops}
        terminal.say(f"  So {', '.join(to)} was told of {terminal.count(len(drops), 'drop')}.")
    terminal.say()
    if full is not None:
        terminal.say(terminal.paint(f"One of them, to {', '.join(full.to)}", "bold"))
        for line in (f"Subject: {full.subject}", "", *full.text.rstrip().splitlines()):
            terminal.say(f"  {terminal.visible(_spaces(line))}".rstrip())
        terminal.say()


def _spaces(text: str) -> str:
    """With the spaces that do not break as spaces: they are for mail programs."""
    return "".join(" " if char.isspace() else char for char in text)


def places(folder: Path, config: Path, port: int) -> None:
    """Where to look when everything was kept."""
    terminal.say(terminal.paint("Where to look", "bold"))
    for what, path in (
        ("the box", folder / "box"),
        ("the config", config),
        ("the daemon's log", folder / "daemon.log"),
        ("the stand-in's data", folder / "omero"),
        ("the images", folder / "images"),
        ("the mail", folder / "mail"),
    ):
        terminal.say(f"  {what:<20} {path}")
    terminal.say(f"  {'the drops':<20} dropbox-import status --config {config}")
    terminal.say(f"  {'to go on':<20} dropbox-import standin --dir {folder / 'omero'} --port {port}")
    terminal.say(f"  {'':<20} dropbox-import run --config {config}")
