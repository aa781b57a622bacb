"""The part of `check` that asks OMERO: reachable, certificate, log-in, privilege, clock. An importer worker does the asking."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from dropbox_import.daemon.beside import worker_beside
from dropbox_import.daemon.findings import Finding
from dropbox_import.errors import DropboxImportError
from dropbox_import.settings import Settings

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
    with worker_beside(settings, "importer") as ask:
        return ask("check", patience=PATIENCE)
