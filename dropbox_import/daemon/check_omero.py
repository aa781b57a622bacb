"""The part of `check` that asks OMERO: reachable, certificate, log-in, privilege, clock. An importer worker does the asking."""

from __future__ import annotations

import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from dropbox_import.clock import SystemClock
from dropbox_import.daemon.findings import Finding
from dropbox_import.daemon.service import importer_config
from dropbox_import.disk import files as disk
from dropbox_import.errors import DropboxImportError, ServerUnavailable
from dropbox_import.settings import Settings
from dropbox_import.workers.dispatcher import Workers
from dropbox_import.workers.protocol import Command, Role

# Longer than the worker's own limits for connecting and logging in, so that its better sentence comes first.
PATIENCE = 120.0
CONNECT_SECONDS = 10.0
# Beyond it the times in journals and in OMERO no longer tell one story.
SKEW_WARNING = 30.0


def check_reachable(host: str, port: int) -> Iterator[Finding]:
    """Does anything answer there? Told apart: no such name, nobody listens, a firewall that swallows."""
    about = f"OMERO {host}:{port}"
    try:
        socket.create_connection((host, port), CONNECT_SECONDS).close()
    except socket.gaierror:
        yield Finding("problem", about, "no computer has that name", "Correct omero.host.")
    except TimeoutError:
        yield Finding("problem", about, "does not answer", "Open that port in the firewall between here and there, or correct omero.host.")
    except OSError as error:
        yield Finding(
            "problem",
            about,
            f"cannot be reached: {error.strerror or error}",
            "Start the OMERO server, or correct omero.host and omero.port.",
        )
    else:
        yield Finding("ok", about, "can be reached")


def judge_answer(answer: Mapping[str, Any], host: str) -> Iterator[Finding]:
    """What a log-in that worked tells: version, privilege, clock. Pure."""
    user = answer.get("user", "")
    yield Finding("ok", "log-in", f"as {user} to OMERO {answer.get('server', '(unknown version)')} at {host}")
    privileges = list(answer.get("privileges") or ())
    if not answer.get("admin"):
        yield Finding(
            "problem",
            "privilege Sudo",
            f"{user} is an ordinary user of OMERO and cannot import for others",
            f"An OMERO administrator types: omero user add {user} ... --privilege Sudo, or gives that privilege in OMERO.web.",
        )
    elif "Sudo" not in privileges:
        yield Finding(
            "problem",
            "privilege Sudo",
            f"{user} does not have it",
            "An OMERO administrator gives it in OMERO.web: Admin, Users, Edit, Sudo.",
        )
    else:
        yield Finding("ok", "privilege Sudo", f"{user} has it")
        more = sorted(set(privileges) - {"Sudo"})
        if more:
            yield Finding(
                "warning",
                "privileges",
                f"{user} has {len(more)} more than it needs ({', '.join(more[:4])}{' ...' if len(more) > 4 else ''})",
                "Sudo alone is enough: take the others away.",
            )
    skew = answer.get("clock_skew")
    if isinstance(skew, (int, float)):
        if abs(skew) > SKEW_WARNING:
            yield Finding(
                "warning",
                "clock",
                f"OMERO's is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} ours",
                "Let NTP set both clocks: timedatectl set-ntp true",
            )
        else:
            yield Finding("ok", "clock", f"OMERO's and ours differ by {abs(skew):.1f} s")


def judge_error(error: DropboxImportError) -> Finding:
    """What a check that did not work tells, at the step where it stopped. Pure."""
    about = {"certificate": "certificate", "login": "log-in", "password": "password", "host": "OMERO address"}.get(error.kind, "OMERO")
    return Finding("problem", about, error.sentence, error.hint)


def check_omero(settings: Settings, ask: Callable[[Settings], Mapping[str, Any]]) -> Iterator[Finding]:
    """`ask(settings)` runs the worker's `check` and returns its answer or raises a DropboxImportError."""
    omero = settings.omero
    if "://" not in omero.host:
        reachable = list(check_reachable(omero.host, omero.port))
        yield from reachable
        if any(finding.level == "problem" for finding in reachable):
            return
    try:
        answer = ask(settings)
    except DropboxImportError as error:
        yield judge_error(error)
        return
    if not omero.insecure:
        yield Finding("ok", "certificate", f"is valid for {omero.host}")
    yield from judge_answer(answer, omero.host)


def ask_worker(settings: Settings) -> dict[str, Any]:
    """Let an importer worker log in, and end it."""
    return ask_one(
        settings,
        "importer",
        lambda own: {**importer_config(settings, settings.instance), "sessions_dir": str(own / "sessions")},
        PATIENCE,
        "Look at the load of the OMERO server and at the network.",
    )


def ask_one(settings: Settings, role: Role, config: Callable[[Path], Mapping[str, Any]], patience: float, hint: str) -> dict[str, Any]:
    """Start a worker of that role, have it do `check`, and end it. `config(folder)` makes the arguments of its `configure`; the folder
    is its own and is gone afterwards. Raises what the worker answers, and ServerUnavailable with `hint` after `patience` seconds."""
    clock = SystemClock()
    # A folder of its own: workers that are found in the daemon's would be taken for orphans and ended.
    own = Path(tempfile.gettempdir()) / f"dropbox-import-check-{clock.token_bits(50):013x}"
    disk.make_dir(own, 0o700)
    try:
        made = config(own)
        workers = Workers(settings.workers, own, clock, importer_config=made, notifier_config=made)
        try:
            reply = workers.submit(role, Command(1, "check", {}), lambda _reply: None).wait(patience)
        finally:
            workers.stop()
    finally:
        remove_tree(own)
    if reply is None:
        raise ServerUnavailable(f"no answer within {patience:.0f} s", hint=hint)
    if reply.error is not None:
        raise reply.error
    return dict(reply.result or {})


def remove_tree(folder: Path) -> None:
    """Remove a folder that this process made, with all that is in it. Links are removed, not followed."""
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            remove_tree(entry)
        else:
            disk.remove_file(entry)
    disk.remove_dir(folder)
