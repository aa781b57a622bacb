"""`next_steps` as a table: from what the journal says and what is so now, to what may be done."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dropbox_import.model import Candidate, ContainerRef, FileFacts, FilesetPlan, ImportRequest, Inspection, KeyValues, Target
from dropbox_import.plain import to_plain
from dropbox_import.spool.fold import Drop, ask_again, fold
from dropbox_import.spool.journal import Record
from dropbox_import.spool.steps import SETTLE_SECONDS, Do, Step, World, next_steps

A = FileFacts("a.tif", 7, 1)
REQUEST = ImportRequest(target=Target(dataset=ContainerRef(name="HeLa")))
CANDIDATE = Candidate("jdoe", "jdoe", FileFacts("a.yaml", 3, 1), "00", "jdoe", REQUEST, (A,))
INTENT = Record("intent", {"instance": "lab", "candidate": to_plain(CANDIDATE)})
CLAIMED = [INTENT, Record("seal", {"modes": []}), Record("claimed")]
INSPECTED = Record("inspected", to_plain(Inspection((FilesetPlan("k", (A,)),))))
RESOLVED = Record("resolved", {"group": "lab", "dataset": None})
TARGET = Record("target", {"dataset": 50, "project": None})
READY = [*CLAIMED, INSPECTED, RESOLVED, TARGET]
OPEN = World(open={"lab": 9, "": 9}, sessions={9: "held"})
BEGIN = Record("begin", {"session": 9}, "k", 1)
BEGUN = Record("begun", {"fileset": 77, "alone": True}, "k", 1)
UPLOADED = Record("uploaded", {"files": []}, "k", 1)
COMMIT = Record("commit", {}, "k", 1)
COMMITTED = Record("committed", {}, "k", 1)
IMPORTED = Record("imported", {"fileset": 77, "images": []}, "k")
DROP = "20261122-093912-k7f3q2mzt4"
SLIDE = {"fileset": 77, "committed": True, "doubtful": True, "images": [770], "drop": "other"}
HELD = World(held=frozenset({("k", 1)}), open=OPEN.open, sessions=OPEN.sessions)


def looked(*found: dict[str, Any], ended: dict[str, float] | None = None) -> Record:
    base = {"drop": "d", "instance": "lab", "session": 9, "attempt": 1, "committed": False, "complete": False, "images": []}
    return Record("looked-up", {"attempts": [base | one for one in found], "ended": ended or {}}, "k")


def answered(kind: str) -> Record:
    return Record("answered", {"state": "error", "class": kind, "code": "x", "sentence": "no"}, "k", 1)


def wrong(kind: str, number: int, *before: Record) -> list[Record]:
    """An attempt of that number that OMERO refused, and of which nothing is left."""
    return [*before, Record("begin", {"session": 9}, "k", number), BEGUN, answered(kind), Record("discarded", {}, "k"), looked()]


def do(records: list[Record], world: World = OPEN) -> set[Step]:
    return next_steps(fold(DROP, records), world)


GONE = [*READY, BEGIN, BEGUN, answered("TargetUnusable"), Record("discarded", {}, "k")]
UNRESOLVED = [Record("unresolve"), Record("try-again", {}, "k")]
BUSY = [BEGIN, Record("lost", {"fence": False}, "k")]
NEVER_JUDGED = [*BUSY, *BUSY, Record("begin", {"session": 8}, "k", 3), BEGUN, Record("lost", {}, "k"), *BUSY]
DEATH = Record("death", {}, "k")

TABLE: list[tuple[str, list[Record], World, set[Step]]] = [
    ("an empty claim is removed", [], OPEN, {Step(Do.REMOVE_CLAIM)}),
    ("after the intent the drop is gathered", [INTENT], OPEN, {Step(Do.GATHER)}),
    ("what cannot be completed goes back", [INTENT, Record("release", {"code": "x", "sentence": "s"})], OPEN, {Step(Do.RELEASE)}),
    ("claimed files are looked at", CLAIMED, OPEN, {Step(Do.INSPECT)}),
    ("nothing new while draining", CLAIMED, World(draining=True), set()),
    ("no session: one is opened", [*CLAIMED, INSPECTED], World(), {Step(Do.OPEN_SESSION)}),
    ("with a session the target is looked for", [*CLAIMED, INSPECTED], OPEN, {Step(Do.RESOLVE, number=9)}),
    ("another drop with this submission goes first", READY, World(open=OPEN.open, submission_busy=True), set()),
    (
        "but what runs already goes on",
        [*READY, BEGIN, BEGUN, UPLOADED, COMMIT, COMMITTED],
        World(held=HELD.held, open=OPEN.open, sessions=OPEN.sessions, submission_busy=True),
        {Step(Do.POLL, "k")},
    ),
    (
        "beside a complete one our own dead one is removed first",
        [
            *READY,
            looked({"fileset": 77, "complete": True, "drop": "other"}, {"fileset": 78, "drop": DROP}, ended={"9": 1.0}),
        ],
        OPEN,
        {Step(Do.DISCARD, "k", 78)},
    ),
    (
        "the target may need another group's session",
        [*CLAIMED, INSPECTED, RESOLVED],
        World(open={"": 9}),
        {Step(Do.OPEN_SESSION, group="lab")},
    ),
    ("the target is made before any upload", [*CLAIMED, INSPECTED, RESOLVED], OPEN, {Step(Do.TARGET, number=9)}),
    ("no attempt without a look-up", READY, OPEN, {Step(Do.LOOK_UP, "k")}),
    ("nothing there: begin", [*READY, looked()], OPEN, {Step(Do.BEGIN, "k")}),
    ("a begin without its answer, session with us: it is lost", [*READY, BEGIN], OPEN, {Step(Do.LOSE, "k")}),
    ("its session is joined if its worker died", [*READY, BEGIN], World(sessions={9: "joinable"}), {Step(Do.JOIN_SESSION, number=9)}),
    ("begun and held: send", [*READY, BEGIN, BEGUN], HELD, {Step(Do.SEND, "k")}),
    ("uploaded and held: commit", [*READY, BEGIN, BEGUN, UPLOADED], HELD, {Step(Do.COMMIT, "k")}),
    ("a commit of unknown outcome is never repeated", [*READY, BEGIN, BEGUN, UPLOADED, COMMIT], HELD, {Step(Do.POLL, "k")}),
    ("committed: poll, also while draining", [*READY, BEGIN, BEGUN, UPLOADED, COMMIT, COMMITTED], HELD, {Step(Do.POLL, "k")}),
    (
        "a lost begin is fenced by the end of its session",
        [*READY, BEGIN, Record("lost", {}, "k"), looked()],
        World(open={"lab": 10}, sessions={9: "joinable", 10: "held"}),
        {Step(Do.END_SESSION, number=9)},
    ),
    (
        "after the end it is looked up again",
        [*READY, BEGIN, Record("lost", {}, "k"), looked()],
        World(open={"lab": 10}, sessions={9: "ended"}),
        {Step(Do.LOOK_UP, "k")},
    ),
    (
        "then nothing can land any more: begin",
        [*READY, BEGIN, Record("lost", {}, "k"), looked(ended={"9": 0.0})],
        World(open={"lab": 10}, sessions={9: "ended"}),
        {Step(Do.BEGIN, "k")},
    ),
    (
        "a dead upload is discarded once its session has ended",
        [*READY, BEGIN, Record("lost", {}, "k"), looked({"fileset": 77}, ended={"9": 1.0})],
        World(open={"lab": 10}, sessions={9: "ended"}),
        {Step(Do.DISCARD, "k", 77)},
    ),
    (
        "a session of another host is only asked about",
        [*READY, looked({"fileset": 77, "session": 5})],
        OPEN,
        {Step(Do.ASK_SESSION, number=5)},
    ),
    (
        "a committed one has a minute more",
        [*READY, looked({"fileset": 77, "committed": True}, ended={"9": 5.0})],
        World(open={"lab": 10}, sessions={9: "ended"}, ended_for={9: 5.0}),
        set(),
    ),
    (
        "after that minute it is looked up again",
        [*READY, looked({"fileset": 77, "committed": True}, ended={"9": 5.0})],
        World(open={"lab": 10}, sessions={9: "ended"}, ended_for={9: SETTLE_SECONDS}),
        {Step(Do.LOOK_UP, "k")},
    ),
    (
        "another drop's images that may be finished are not asked about while its session may still work on them",
        [*READY, looked(SLIDE)],
        OPEN,
        {Step(Do.END_SESSION, number=9)},
    ),
    ("and are never removed", [*READY, looked(SLIDE, ended={"9": 60.0})], OPEN, {Step(Do.CONFIRM, "k", 77)}),
    (
        "nor ours beside them, but if they are dead",
        [*READY, looked(SLIDE, {**SLIDE, "fileset": 78, "drop": DROP}, ended={"9": 60.0})],
        OPEN,
        {Step(Do.DISCARD, "k", 78)},
    ),
    (
        "our own, of which OMERO shows no end, are dead",
        [*READY, looked({**SLIDE, "drop": DROP}, ended={"9": 60.0})],
        OPEN,
        {Step(Do.DISCARD, "k", 77)},
    ),
    (
        "so are another drop's of the usual kind",
        [*READY, looked({**SLIDE, "doubtful": False}, ended={"9": 60.0})],
        OPEN,
        {Step(Do.DISCARD, "k", 77)},
    ),
    (
        "and those of which there is no image",
        [*READY, looked({**SLIDE, "images": []}, ended={"9": 60.0})],
        OPEN,
        {Step(Do.DISCARD, "k", 77)},
    ),
    ("what is complete is kept", [*READY, looked({"fileset": 77, "complete": True})], OPEN, {Step(Do.CONFIRM, "k", 77)}),
    (
        "of two complete ones the older",
        [*READY, looked(*({"fileset": n, "complete": True} for n in (78, 77)))],
        OPEN,
        {Step(Do.CONFIRM, "k", 77)},
    ),
    (
        "a refusal is looked up before it is believed",
        [*READY, BEGIN, BEGUN, UPLOADED, answered("UnreadableImage")],
        HELD,
        {Step(Do.LOOK_UP, "k")},
    ),
    (
        "then its fileset is discarded, with its session alive",
        [*READY, BEGIN, BEGUN, answered("UnreadableImage"), looked({"fileset": 77, "committed": True})],
        OPEN,
        {Step(Do.DISCARD, "k", 77)},
    ),
    (
        "and only then it has failed",
        [*READY, BEGIN, BEGUN, answered("UnreadableImage"), Record("discarded", {}, "k"), looked()],
        OPEN,
        {Step(Do.FAIL, "k")},
    ),
    (
        "a target that went away is looked for again",
        [*READY, BEGIN, BEGUN, answered("TargetUnusable"), Record("discarded", {}, "k"), looked()],
        OPEN,
        {Step(Do.UNRESOLVE, "k")},
    ),
    (
        "also when its fileset was deleted with the target",
        [*READY, BEGIN, BEGUN, answered("TargetUnusable"), looked()],
        OPEN,
        {Step(Do.UNRESOLVE, "k")},
    ),
    ("then it is looked for, as nothing of it is in OMERO", [*GONE, looked(), *UNRESOLVED], OPEN, {Step(Do.RESOLVE, number=9)}),
    ("if that is not known it is asked for first", [*GONE, *UNRESOLVED], OPEN, {Step(Do.LOOK_UP, "k")}),
    ("also before the target is made", [*GONE, *UNRESOLVED, RESOLVED], OPEN, {Step(Do.LOOK_UP, "k")}),
    (
        "what is there then is removed",
        [*GONE, *UNRESOLVED, looked({"fileset": 78, "session": 5}, ended={"5": 1.0})],
        OPEN,
        {Step(Do.DISCARD, "k", 78), Step(Do.RESOLVE, number=9)},
    ),
    (
        "or its session is ended",
        [*GONE, *UNRESOLVED, RESOLVED, looked({"fileset": 78, "session": 5})],
        World(open={"lab": 9, "": 9}, sessions={5: "joinable", 9: "held"}),
        {Step(Do.END_SESSION, number=5), Step(Do.TARGET, number=9)},
    ),
    ("nothing is begun without a target", [*GONE, looked(), Record("unresolve"), RESOLVED], OPEN, {Step(Do.TARGET, number=9)}),
    (
        "trouble of the server is tried again",
        [*READY, BEGIN, BEGUN, answered("ServerUnavailable"), Record("discarded", {}, "k"), looked()],
        OPEN,
        {Step(Do.BEGIN, "k")},
    ),
    (
        "what OMERO refuses for no known reason is tried again",
        [*READY, BEGIN, BEGUN, answered("OutcomeUnknown"), Record("discarded", {}, "k"), looked()],
        OPEN,
        {Step(Do.BEGIN, "k")},
    ),
    (
        "three times, and then it has failed",
        [*READY, *wrong("OutcomeUnknown", 1), *wrong("OutcomeUnknown", 2), *wrong("OutcomeUnknown", 3)],
        OPEN,
        {Step(Do.FAIL, "k")},
    ),
    (
        "so has one whose target went away each time",
        [*READY, *wrong("TargetUnusable", 1), *UNRESOLVED, RESOLVED, TARGET, *wrong("TargetUnusable", 2), *wrong("TargetUnusable", 3)],
        OPEN,
        {Step(Do.FAIL, "k")},
    ),
    ("not twice", [*READY, *wrong("OutcomeUnknown", 1), *wrong("OutcomeUnknown", 2)], OPEN, {Step(Do.BEGIN, "k")}),
    ("attempts that OMERO never judged are no errors", [*READY, *NEVER_JUDGED, *wrong("OutcomeUnknown", 5)], OPEN, {Step(Do.BEGIN, "k")}),
    ("nor of the target", [*READY, *NEVER_JUDGED, *wrong("TargetUnusable", 5)], OPEN, {Step(Do.UNRESOLVE, "k")}),
    (
        "nor are those that OMERO had no time for",
        [*READY, *wrong("ServerUnavailable", 1), *wrong("TryLater", 2), *wrong("ServerUnavailable", 3), *wrong("OutcomeUnknown", 4)],
        OPEN,
        {Step(Do.BEGIN, "k")},
    ),
    (
        "one that kills its worker or goes wrong in turns has failed all the same",
        [*READY, *wrong("OutcomeUnknown", 2, DEATH), *wrong("OutcomeUnknown", 4, DEATH), *wrong("OutcomeUnknown", 6, DEATH)],
        OPEN,
        {Step(Do.FAIL, "k")},
    ),
    ("three deaths are enough", [*READY, *[Record("death", {}, "k")] * 3, looked()], OPEN, {Step(Do.FAIL, "k")}),
    ("imported: annotate", [*READY, IMPORTED], OPEN, {Step(Do.ANNOTATE, "k")}),
    ("all settled: messages", [*READY, IMPORTED, Record("annotated", {}, "k")], World(), {Step(Do.MESSAGES)}),
    ("then it is filed", [*READY, IMPORTED, Record("annotated", {}, "k"), Record("messages")], World(), {Step(Do.FILE)}),
    ("filing is repeated until the claim is gone", [*READY, Record("file", {"to": "done/x"})], World(), {Step(Do.FILE)}),
    ("a failed drop needs no server", [*CLAIMED, Record("failed", {"code": "x", "sentence": "s"})], World(), {Step(Do.MESSAGES)}),
]


@pytest.mark.parametrize(("records", "world", "steps"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_next_steps(records: list[Record], world: World, steps: set[Step]) -> None:
    assert do(records, world) == steps


def test_annotations_of_containers_come_after_all_images_and_before_filing() -> None:
    request = ImportRequest(target=Target(dataset=ContainerRef(name="HeLa")), key_values=(KeyValues((("a", "b"),), on="dataset"),))
    intent = Record(
        "intent", {"instance": "lab", "candidate": to_plain(Candidate("j", "j", FileFacts("a.yaml", 3, 1), "", "j", request, (A,)))}
    )
    records = [intent, *READY[1:], IMPORTED, Record("annotated", {}, "k")]
    assert do(records) == {Step(Do.ANNOTATE, group="dataset")}
    assert do([*records, Record("annotated", {"on": "dataset"})]) == {Step(Do.MESSAGES)}
    lost = [*records, Record("unresolve")]
    assert do(lost) == {Step(Do.RESOLVE, number=9)}, "left out in silence while there is no target"
    assert do([*lost, Record("annotated", {"on": "dataset"})]) == {Step(Do.MESSAGES)}


def test_a_drop_of_two_outcomes_is_split_before_it_is_filed() -> None:
    two = Record("inspected", to_plain(Inspection((FilesetPlan("k", (A,)), FilesetPlan("m", (FileFacts("b.tif", 2, 1),))))))
    failed = Record("fileset-failed", {"code": "x", "sentence": "no"}, "m")
    records = [*CLAIMED, two, RESOLVED, TARGET, IMPORTED, Record("annotated", {}, "k"), failed, Record("messages")]
    assert do(records) == {Step(Do.SPLIT)}
    assert do([*records, Record("split", {"members": ["b.tif"]}), Record("split-done")]) == {Step(Do.FILE)}


def test_the_second_part_is_left_to_the_first_until_it_is_complete() -> None:
    part = Record("intent", {**INTENT.data, "part_of": "x"})
    assert do([part]) == set()


def test_a_failed_part_counts_on_from_how_often_its_drop_was_tried_again() -> None:
    reopened = Record("reopened", {"instance": "lab", "seen": "now"})
    part = Record("intent", {**INTENT.data, "part_of": "x", "tried": 2})
    drop = fold("x", [part, reopened, reopened])
    assert (drop.again, drop.tried, drop.taken_back) == (2, 2, 4)
    earlier = Record("intent", {**INTENT.data, "part_of": "x"})  # of a release that did not count on
    assert fold("x.failed", [earlier]).taken_back == 0
    assert fold("x", [earlier, reopened]).taken_back == 1


def test_what_is_left_on_the_server_of_vanished_files_is_removed_before_the_drop_is_settled() -> None:
    again = Record("inspected", to_plain(Inspection((FilesetPlan("new", (A,)),))))
    records = [*READY, BEGIN, BEGUN, Record("lost", {}, "k"), Record("reinspect"), again]
    done = [Record("imported", {"fileset": 80, "images": []}, "new"), Record("annotated", {}, "new")]
    assert not fold("x", [*records, *done]).settled
    assert do([*records, *done]) == {Step(Do.LOOK_UP, "k")}
    assert fold("x", [*records, *done, looked(ended={"9": 0.0})]).settled


def test_who_is_tried_again_by_an_administrator_may_go_wrong_three_times_more() -> None:
    again = [
        Record("reopened", {"instance": "lab", "seen": ""}),
        Record("claimed", {"members": [to_plain(A)]}),
        INSPECTED,
        RESOLVED,
        TARGET,
    ]
    records = [*READY, *wrong("OutcomeUnknown", 1), *wrong("OutcomeUnknown", 2), *wrong("OutcomeUnknown", 3), *again]
    assert do([*records, *wrong("OutcomeUnknown", 4), *wrong("OutcomeUnknown", 5)]) == {Step(Do.BEGIN, "k")}


def test_nothing_is_begun_for_a_target_that_is_given_up_at_the_same_moment() -> None:
    """The one was begun, and then waited for a target that was looked for because of the other."""
    two = Record("inspected", to_plain(Inspection((FilesetPlan("k", (A,)), FilesetPlan("m", (FileFacts("b.tif", 2, 1),))))))
    never_begun = Record("looked-up", {"attempts": [], "ended": {}}, "m")
    records = [*CLAIMED, two, RESOLVED, TARGET, *GONE[len(READY) :], looked(), never_begun]
    assert do(records) == {Step(Do.UNRESOLVE, "k")}
    assert do([*records, *UNRESOLVED, RESOLVED, TARGET]) == {Step(Do.BEGIN, "k"), Step(Do.BEGIN, "m")}


@pytest.mark.parametrize("records", [GONE, GONE[:-1]], ids=["discarded", "deleted with its target"])
def test_what_a_look_up_said_is_not_believed_by_who_only_read_of_it(records: list[Record]) -> None:
    drop = fold(DROP, [*records, looked(), *UNRESOLVED])
    assert drop.filesets["k"].clean
    assert not ask_again(drop).filesets["k"].clean
    assert next_steps(ask_again(drop), OPEN) == {Step(Do.LOOK_UP, "k")}


def test_a_target_is_looked_for_in_the_group_that_was_asked_for() -> None:
    assert fold(DROP, [INTENT]).group == ""
    assert fold(DROP, [INTENT, RESOLVED]).group == "lab"
    request = ImportRequest(target=REQUEST.target, group="other")
    asked = Record("intent", {**INTENT.data, "candidate": to_plain(replace(CANDIDATE, request=request))})
    assert fold(DROP, [asked]).group == "other"
    assert do([asked, *GONE[1:], *UNRESOLVED], World(open={"other": 9})) == {Step(Do.LOOK_UP, "k")}


def test_the_fold_forgets_an_old_grouping_but_not_what_is_imported() -> None:
    again = Record("inspected", to_plain(Inspection((FilesetPlan("new", (A,)),))))
    drop: Drop = fold("x", [*READY, IMPORTED, Record("reinspect"), again])
    assert set(drop.filesets) == {"k", "new"}
    assert set(fold("x", [*READY, Record("reinspect"), again]).filesets) == {"new"}
    assert drop.inspections == 2
