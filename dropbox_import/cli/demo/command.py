"""The command: sets the stage, drops, waits, compares, shows."""

from __future__ import annotations

import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dropbox_import.cli import terminal
from dropbox_import.cli.exits import Exit
from dropbox_import.clock import SystemClock
from dropbox_import.errors import ConfigError, DropboxImportError

if TYPE_CHECKING:
    from dropbox_import.cli.demo.stage import Stage


@click.command(short_help="Show the main job with real images, without an OMERO server.")
@click.option(
    "--keep",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Do it in DIR, a new or empty folder, and leave all there.",
)
def demo(keep: Path | None) -> int:
    """Show the main job here and now: real images, a real daemon, and a stand-in for OMERO.

    It starts the stand-in on a free port of this machine, makes a drop box and a config, starts the
    daemon, and drops images as a user would: a 5-D OME-TIFF; three files that are one image; an
    image with tags, key-values, a comment, a rating and an attachment; a folder with a damaged
    image; and two sidecars that must be refused. At the end it shows what OMERO holds, what is in
    done/ and failed/, and the mail that was sent, which a mail server inside of the demo has kept. It
    takes about ten seconds.

    \b
    Examples:
      dropbox-import demo
      dropbox-import demo --keep /tmp/look     leaves everything to explore

    \b
    Exit codes: 0 every outcome was the right one, 4 one was not.
    """
    from dropbox_import.cli.demo.stage import Stage
    from dropbox_import.daemon.beside import remove_tree
    from dropbox_import.disk import files as disk

    clock = SystemClock()
    folder = (keep or Path(tempfile.gettempdir()) / f"dropbox-import-demo-{clock.token_bits(40):010x}").absolute()
    if folder.is_dir() and any(folder.iterdir()):
        raise ConfigError(f"{folder} is not empty", hint="Name a new folder for --keep.")
    # Whoever ends the demo ends its processes: SIGTERM takes the same way out as Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    disk.make_dirs(folder)
    stage = Stage(folder, clock)
    good, unwanted = False, keep is None
    try:
        good = _perform(stage, keep=keep is not None)
        unwanted = unwanted and good
    except DropboxImportError:
        unwanted = False
        raise
    finally:
        stage.close()
        if unwanted:
            remove_tree(folder)
        elif keep is None:
            terminal.tell(f"Everything is left in {folder}")
    if good and keep is None:
        terminal.say("All of it was removed again; to look around: dropbox-import demo --keep DIR")
    return Exit.OK if good else Exit.FAILED


def _perform(stage: Stage, *, keep: bool) -> bool:
    from dropbox_import.cli.demo import checks, show, told
    from dropbox_import.cli.demo.patience import LONGEST, Patience, Verdict
    from dropbox_import.cli.demo.scenario import ADDRESS, CASES, USER, drop_case
    from dropbox_import.cli.demo.stage import DemoFailed
    from dropbox_import.spool.survey import survey

    watcher = show.Watcher(stage.clock, [stage.box])
    watcher.tell("make real images")
    stage.make_images()
    watcher.tell("start the OMERO stand-in")
    stage.start_standin()
    stage.open_mailbox()
    stage.make_box()
    watcher.tell("start the daemon")
    stage.start_daemon()
    for case in CASES:
        watcher.tell(f"{terminal.paint('drop', 'bold', err=True)} {case.sidecar}: {case.about}")
        drop_case(case, stage.images, stage.box)
    wanted = sum((case.done is not None) + (case.failed is not None) for case in CASES)
    patience = Patience(wanted)
    while True:
        watcher.look(survey([stage.box]))
        claimed = checks.claims(stage.box)
        match patience.look(stage.clock.monotonic(), len(checks.filed_folders(stage.box)), len(claimed)):
            case Verdict.JUDGE:
                break
            case Verdict.GIVE_UP:
                said = stage.last_trouble()
                raise DemoFailed(
                    f"{', '.join(claimed)}: nothing has moved for {LONGEST:.0f} s" + (f"; the log says: {said}" if said else ""),
                    hint=f"Look into {stage.log('daemon')} and {stage.box}.",
                )
        stage.check_alive()
        stage.clock.sleep(0.2)
    held = checks.held_images(stage.holdings())
    watcher.tell("wait for the mail")
    _wait_for_mail(stage)
    watcher.tell("stop the daemon")
    stage.stop_daemon()
    terminal.tell()
    filed = checks.filed_folders(stage.box)
    show.holdings(held)
    show.folders(filed, CASES)
    became, mails = told.outcomes(filed), stage.mails()
    partly = next((drop for drop, event in became.items() if event == "partly"), "")
    show.mail(mails, told.about_drop(mails, ADDRESS, partly))
    problems = checks.wrong(CASES, held, filed, checks.dropped(stage.box / "drop" / USER), checks.claims(stage.box))
    problems += told.wrong_mail(became, mails)
    if keep or problems:
        show.places(stage.folder, stage.config, stage.port)
        terminal.say()
    for problem in problems:
        terminal.say(terminal.paint("WRONG  ", "problem") + terminal.visible(problem))
    if not problems:
        terminal.say(terminal.paint("Every outcome is the right one.", "ok"))
    return not problems


def _wait_for_mail(stage: Stage) -> None:
    """Until everybody is told what they must be, or no mail has come for a while: what is missing then is judged."""
    from dropbox_import.cli.demo import checks, told

    became = told.outcomes(checks.filed_folders(stage.box))
    seen, moved = -1, stage.clock.monotonic()
    while told.wrong_mail(became, stage.mails()) and stage.clock.monotonic() < moved + told.STILL:
        stage.check_alive()
        if len(stage.mails()) != seen:
            seen, moved = len(stage.mails()), stage.clock.monotonic()
        stage.clock.sleep(0.2)
