"""From what became of a drop to its message: everything that people need, and never more than can be read."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from dropbox_import.model import BadFiles, Candidate, FileFacts, FilesetPlan, ImportRequest, Inspection, Target
from dropbox_import.notify import compose
from dropbox_import.notify.message import ImageMade, WentWrong
from dropbox_import.plain import to_plain
from dropbox_import.spool.filesets import Filesets
from dropbox_import.spool.fold import Drop, Failure, FilesetState

SIDECAR = FileFacts("cells.yaml", 30, 0)


def drop(images: int = 1, bad: int = 0, name: str = "a.tif", **more: object) -> Drop:
    files = (FileFacts(name, 1000, 0),)
    imported = {"fileset": 7, "images": [{"id": number, "name": f"image {number}"} for number in range(images)]}
    state = FilesetState(
        FilesetPlan("k", files),
        imported={**imported, "files": [{"path": name, "size": 1000, "sha1": "0"}]} if images else None,
        annotated={"made": [], "refused": []},
    )
    wrong = tuple(BadFiles((f"bad{number}.tif",), "cut", f"bad{number}.tif is cut in half", "copy it again") for number in range(bad))
    request = ImportRequest(Target(), notify=("pi@example.org",))
    base = Drop(
        "20261128-101500-abcdefghij",
        candidate=Candidate("jdoe", "jdoe", SIDECAR, "0", "asmith", request, members=files),
        claimed=True,
        inspection=Inspection((state.plan,) if images else (), wrong),
        resolved={"email": "asmith@example.org", "group": "lab"},
        target={"project": 3, "project_name": "Mitosis", "dataset": 5, "dataset_name": "HeLa"},
        filesets=Filesets({"k": state} if images else {}),
        at="2026-11-28T10:15:00.000Z",
    )
    return replace(base, **more)  # type: ignore[arg-type]


def test_success_says_what_is_where_and_whose() -> None:
    message = compose.outcome(drop(2), "/srv/imports")
    assert (message.event, message.name) == ("done", "20261128-101500-abcdefghij.done")
    assert (message.project, message.dataset, message.dataset_id) == ("Mitosis", "HeLa", 5)
    assert message.images == (ImageMade(0, "image 0"), ImageMade(1, "image 1"))
    assert (message.files_in_all, message.bytes_in_all) == (1, 1000)
    assert (message.user, message.owner, message.email, message.notify) == ("jdoe", "asmith", "asmith@example.org", ("pi@example.org",))


def test_a_drop_of_two_outcomes_is_one_message_that_says_both() -> None:
    message = compose.outcome(drop(1, 2), "/srv/imports")
    assert message.event == "partly"
    assert message.failures[0] == WentWrong("bad0.tif is cut in half.", "Copy it again.", ("bad0.tif",))
    assert message.images_in_all == 1


def test_what_was_refused_before_its_files_were_taken_says_so() -> None:
    failure = Failure("sidecar-invalid", "cells.yaml has a mistake", "Correct it.", ("cells.yaml:2:1: tagz: unknown key",))
    message = compose.outcome(drop(0, failure=failure, claimed=False, inspection=None, resolved=None), "/srv/imports")
    assert (message.event, message.sidecar_only, message.email) == ("failed", True, None)
    assert message.failures[0].mistakes == ("cells.yaml:2:1: tagz: unknown key",)


def test_the_same_drop_gives_the_same_message_and_a_second_try_another_one() -> None:
    assert compose.outcome(drop(), "/b") == compose.outcome(drop(), "/b")
    assert compose.outcome(drop(again=1), "/b").name == "20261128-101500-abcdefghij.again-1.done"
    assert compose.outcome(drop(again=1, tried=1), "/b").name == "20261128-101500-abcdefghij.again-2.done"


def test_an_administrator_is_told_only_where_something_needs_a_look() -> None:
    assert compose.attention(drop(), "/b") is None
    message = compose.attention(drop(attention=("OMERO has these files twice",)), "/b")
    assert message is not None
    assert (message.event, message.points) == ("attention", ("OMERO has these files twice.",))


@pytest.mark.parametrize("images", [0, 10_000])
def test_a_message_of_ten_thousand_files_is_small(images: int) -> None:
    message = compose.outcome(drop(images, 10_000, name="x" * 5000), "/srv/imports")
    assert message.failures_in_all == 10_000
    assert message.images_in_all == images
    assert len(json.dumps(to_plain(message))) < 20_000


def test_many_mistakes_are_cut_and_counted() -> None:
    failure = Failure("sidecar-invalid", "many", "", tuple(f"cells.yaml:{number}: mistake" for number in range(100)))
    message = compose.outcome(drop(0, failure=failure, inspection=None), "/b")
    assert message.failures[0].mistakes[-1] == "... and 90 more"
