"""A message of every kind, to try templates with; and the letter of a test."""

from __future__ import annotations

from dataclasses import replace

from dropbox_import.notify.message import Audience, ImageMade, Letter, Message, Route, Waiter, WentWrong

_AT = "2026-11-28T10:05:00+00:00"
_ROUTE = Route("mail", "somebody@example.org")

_DONE = Message(
    "done",
    at=_AT,
    drop="20261128-100412-e6fmeqfeom",
    box="microscopes",
    user="jdoe",
    owner="jdoe",
    sidecar="cells.yaml",
    project="Demo",
    project_id=2,
    dataset="HeLa",
    dataset_id=5,
    images=(ImageMade(123, "HeLa control"), ImageMade(124, "HeLa drug A"), ImageMade(125, "field_2.tif")),
    images_in_all=14,
    files_in_all=14,
    bytes_in_all=1_234_567_890,
    points=('The tag "control" exists twice; the older one was used.',),
    done_at="/srv/imports/done/jdoe/2026-11/cells__20261128-100412-e6fmeqfeom",
)
_WRONG = (
    WentWrong(
        "field_3.tif ends after 6,248 of the 12,496 bytes that it announces.",
        "Copy it again from where it was made, and drop it with its sidecar once more.",
        ("field_3.tif", "field_4.tif"),
        5,
    ),
    WentWrong(
        "cells.yaml has 2 mistakes, so nothing of it was imported.",
        "Correct the sidecar and put it into the drop folder again; the images are still there.",
        mistakes=(
            'cells.yaml:2:1: tagz: unknown key, did you mean "tags"?',
            "cells.yaml:3:9: rating: 9 is not between 1 and 5 (write a whole number from 1 to 5)",
        ),
    ),
)
_FAILED_AT = "/srv/imports/failed/jdoe/2026-11/cells__20261128-100412-e6fmeqfeom"
_FAILED = Message("failed", at=_AT, drop=_DONE.drop, box="microscopes", user="jdoe", owner="asmith", sidecar="cells.yaml")
_WAITER = Waiter("cells.yaml", "field_5.tif is not there.")
_TROUBLE = "OMERO at omero.example.org:4064 cannot be reached: connection refused."

MESSAGES = (
    _DONE,
    replace(_DONE, event="partly", images_in_all=3, points=(), failures=_WRONG[:1], failures_in_all=1, failed_at=_FAILED_AT),
    replace(_FAILED, failures=_WRONG[1:], failures_in_all=1, failed_at=_FAILED_AT, sidecar_only=True),
    replace(_FAILED, failures=_WRONG, failures_in_all=4, failed_at=_FAILED_AT),
    replace(_FAILED, event="attention", text="The record of this drop cannot be read.", hint="Look into the log.", points=("One point.",)),
    Message("waits-files", at=_AT, box="microscopes", user="jdoe", waiting=(_WAITER,), waiting_in_all=3),
    Message("waits-omero", at=_AT, box="microscopes", user="jdoe", since=_AT, waiting_in_all=3),
    Message("alert-begins", at=_AT, alert="omero", text=_TROUBLE, hint="Look at the OMERO server.", since=_AT),
    Message("alert-ends", at=_AT, alert="omero", text=_TROUBLE, since=_AT, until="2026-11-28T11:45:00+00:00"),
    Message("test", at=_AT),
)


def letters() -> tuple[Letter, ...]:
    """One of each event, and a digest of all, in both languages and for each audience."""
    audiences: tuple[Audience, ...] = ("user", "box", "admin")
    contents: list[tuple[tuple[Message, ...], dict[str, int]]] = [((one,), {}) for one in MESSAGES]
    contents.append((MESSAGES[:-1], {"failed": 300, "done": 150}))
    return tuple(
        Letter("sample", _ROUTE, audience, language, _AT, messages, folded)
        for language in ("en", "fr")
        for audience in audiences
        for messages, folded in contents
    )


def test_letter(route: Route, language: str, at: str) -> Letter:
    """The letter with which an administrator tries a way; `at` in ISO form makes its id."""
    return Letter(f"test-{''.join(filter(str.isalnum, at))}", route, "admin", language, at, (Message("test", at=at),), {})
