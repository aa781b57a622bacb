"""The state of a drop is a fold over its journal; nothing else remembers it.

Orders of an administrator, each the beginning of an epoch: reopened, adopted.
Intents (written and synced before the act): intent, seal, release, begin, commit, discard, making, split, failed, file.
Results (written after it): claimed, inspected, resolved, target, looked-up, begun, uploaded, committed, answered, imported,
annotated, discarded, fileset-failed, messages, split-done. Counted: death, refused, and errors that were answered.
`lost`: nobody holds the attempt any more.
`reinspect`, `unresolve`, `try-again`: an earlier result no longer counts. `attention` is told to people.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from dropbox_import.errors import TryLater, by_class_name
from dropbox_import.model import Candidate, FileFacts, FilesetPlan, Inspection
from dropbox_import.plain import from_plain
from dropbox_import.spool.filesets import Filesets
from dropbox_import.spool.journal import Record


class Phase(StrEnum):
    """Where one try to import a fileset stands. `begin` and `commit` are intents whose outcome is not known yet."""

    BEGIN = "begin"
    BEGUN = "begun"
    UPLOADED = "uploaded"
    COMMIT = "commit"
    COMMITTED = "committed"
    ANSWERED = "answered"


_FURTHER = {phase: place for place, phase in enumerate(Phase)}


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a fileset or a drop is not imported, as it is told."""

    code: str
    sentence: str
    hint: str = ""
    mistakes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to import a fileset. `alone`: seen after it was begun that OMERO had no other attempt at the same token."""

    number: int
    session: int
    phase: Phase
    fileset: int | None = None
    alone: bool = False
    files: tuple[dict[str, Any], ...] = ()
    answer: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FilesetState:
    """One fileset of a drop.

    `deaths` of workers since it last got further than `died_in`, the furthest phase of them.
    `attempts` counts through; those `before` the drop was begun anew by an administrator count no more.
    `looked` is the newest look-up, None when something happened since and it must be asked again.
    `fences` are sessions in which a call of ours may still land: they must be seen ended before a new
    attempt. `error` is the server's last refusal, until the next attempt; `errors` counts all but those that only ask
    for patience. `sent` is what was uploaded, by the server's number of the fileset: known even when the attempt is
    lost. `vanished`: its files are no longer so, and only what is left of it on the server is still to be removed.
    `making`: the session in which annotations of it may still land.
    """

    plan: FilesetPlan
    attempts: int = 0
    before: int = 0
    attempt: Attempt | None = None
    fences: tuple[int, ...] = ()
    error: dict[str, Any] | None = None
    errors: int = 0
    sent: dict[int, tuple[dict[str, Any], ...]] = field(default_factory=dict)
    looked: dict[str, Any] | None = None
    discarding: int | None = None
    deaths: int = 0
    died_in: str = Phase.BEGIN
    refused: int = 0
    imported: dict[str, Any] | None = None
    annotated: dict[str, Any] | None = None
    failure: Failure | None = None
    vanished: bool = False
    making: int = 0

    @property
    def settled(self) -> bool:
        if self.vanished and self.imported is None:
            return self.clean
        return self.failure is not None or (self.imported is not None and self.annotated is not None)

    @property
    def tries(self) -> int:
        """Attempts that were begun, also those that OMERO was too busy for, or that were lost."""
        return self.attempts - self.before

    @property
    def clean(self) -> bool:
        """Nothing of it is on the server, nor can anything still land there.

        So it is also with an attempt that OMERO has refused, when a look-up after that did not find its fileset any more.
        """
        refused = self.attempt is not None and self.attempt.phase is Phase.ANSWERED and self.attempt.answer.get("state") == "error"
        if (self.attempt is not None and not refused) or self.imported is not None or self.discarding is not None:
            return False
        if not self.tries:
            return True
        looked = self.looked
        return looked is not None and not looked["attempts"] and all(str(number) in looked["ended"] for number in self.fences)


@dataclass(frozen=True, slots=True)
class Drop:
    """Everything the journal says of one drop.

    `making`: the session in which its containers, or annotations of them, may still land.
    `again`: so often it was filed and taken back by an administrator; then its files are in the claim already.
    `part_of`: it is the failed part of that drop, and `failed_parts` are its failures with their files. `tried`: so often that drop
    had been taken back before this part was split off.
    """

    id: str
    instance: str = ""
    candidate: Candidate | None = None
    seen: str = ""
    part_of: str = ""
    again: int = 0
    tried: int = 0
    modes: tuple[dict[str, Any], ...] | None = None
    claimed: bool = False
    release: Failure | None = None
    inspection: Inspection | None = None
    inspections: int = 0
    resolved: dict[str, Any] | None = None
    target: dict[str, Any] | None = None
    filesets: Filesets[FilesetState] = field(default_factory=Filesets)
    containers: dict[str, Any] = field(default_factory=dict)
    deaths: int = 0
    failure: Failure | None = None
    failed_parts: tuple[tuple[tuple[str, ...], Failure], ...] = ()
    attention: tuple[str, ...] = ()
    making: int = 0
    messages: bool = False
    split: tuple[str, ...] | None = None
    split_done: bool = False
    destination: str = ""
    last: str = ""
    at: str = ""

    @property
    def taken_back(self) -> int:
        """So often, with all that it was a part of: each time it has another outcome."""
        return self.tried + self.again

    @property
    def owner(self) -> str:
        return self.candidate.owner if self.candidate else ""

    @property
    def group(self) -> str:
        """The group it is imported into; as long as that is not resolved the one that was asked for, "" for the owner's default."""
        request = self.candidate.request if self.candidate else None
        return (request.group if request else None) or "" if self.resolved is None else str(self.resolved["group"])

    @property
    def submission(self) -> str:
        """The id under which OMERO knows this drop's work."""
        request = self.candidate.request if self.candidate else None
        return (request.submission if request else None) or self.id.removesuffix(".failed")

    @property
    def settled(self) -> bool:
        """Every fileset has its outcome, and what goes on containers is done."""
        if self.failure is not None:
            return True
        if self.inspection is None or self.filesets.unsettled:
            return False
        return not self.good or not self.open_containers

    @property
    def open_containers(self) -> tuple[str, ...]:
        """The kinds of container on which annotations are asked for and not made yet; also while the drop has no target any more."""
        request = self.candidate.request if self.candidate else None
        if request is None:
            return ()
        asked = {one.on for one in request.key_values} | {one.on for one in request.attachments}
        kinds = ("dataset", "project")
        there = [kind for kind in kinds if (getattr(request.target, kind) if self.target is None else self.target.get(kind))]
        return tuple(kind for kind in there if kind in asked and kind not in self.containers)

    @property
    def good(self) -> tuple[FilesetState, ...]:
        return tuple(one for one in self.filesets.values() if one.imported is not None)

    @property
    def open(self) -> tuple[FilesetState, ...]:
        """Those of today's files that are not imported."""
        return tuple(one for one in self.filesets.values() if one.imported is None and not one.vanished)

    @property
    def bad(self) -> tuple[FilesetState, ...]:
        return tuple(one for one in self.open if one.failure is not None)

    @property
    def has_failures(self) -> bool:
        return self.failure is not None or bool(self.bad) or bool(self.inspection and self.inspection.bad)

    @property
    def two_outcomes(self) -> bool:
        return bool(self.good) and self.has_failures


def fold(drop_id: str, records: Iterable[Record]) -> Drop:
    drop = Drop(drop_id)
    for record in records:
        drop = step(drop, record)
    return drop


def step(drop: Drop, record: Record) -> Drop:
    """The drop after one more record. Unknown kinds change nothing but `last` (the journal's version guards meaning)."""
    drop = replace(drop, last=record.kind, at=record.at)
    if record.key and record.key in drop.filesets:
        state = _fileset_step(drop.filesets[record.key], record)
        return replace(drop, filesets=drop.filesets.put(record.key, state))
    if record.kind == "making":
        return replace(drop, making=record.data["session"])
    return _drop_step(drop, record)


def ask_again(drop: Drop) -> Drop:
    """The drop as a process takes it up that found it on the disk: what OMERO said before a new attempt is asked again.

    Since then more may have happened than is readable in the journal.
    """
    filesets = drop.filesets
    for key, state in drop.filesets.items():
        if state.looked is not None and not state.settled:
            filesets = filesets.put(key, replace(state, looked=None))
    return drop if filesets is drop.filesets else replace(drop, filesets=filesets)


def waiting_for(drop: Drop, session: int) -> Drop:
    """The drop when that session is still open: what was not complete in it may be so by now, and is looked up again."""
    filesets = drop.filesets
    for key, state in drop.filesets.items():
        if state.looked is None or state.settled:
            continue
        if any(one["session"] == session and not one["complete"] for one in state.looked["attempts"]):
            filesets = filesets.put(key, replace(state, looked=None))
    return drop if filesets is drop.filesets else replace(drop, filesets=filesets)


def seen_again(drop: Drop, key: str, looked: dict[str, Any]) -> Drop:
    """The drop after a look-up that brought nothing new."""
    return replace(drop, filesets=drop.filesets.put(key, replace(drop.filesets[key], looked=looked)))


def failure_of(data: dict[str, Any]) -> Failure:
    return Failure(data["code"], data["sentence"], data.get("hint", ""), tuple(data.get("mistakes", ())))


# Records that say all by their kind.
_PLAIN: dict[str, dict[str, Any]] = {
    "reinspect": {"inspection": None},
    "unresolve": {"resolved": None, "target": None},
    "messages": {"messages": True},
    "split-done": {"split_done": True},
}


def _drop_step(drop: Drop, record: Record) -> Drop:
    data = record.data
    if record.kind in _PLAIN:
        return replace(drop, **_PLAIN[record.kind])
    match record.kind:
        case "intent":
            return replace(
                drop,
                candidate=from_plain(Candidate, data["candidate"]),
                instance=data["instance"],
                seen=data.get("seen", ""),
                part_of=data.get("part_of", ""),
                tried=data.get("tried", 0),
            )
        case "reopened":
            kept = {
                key: FilesetState(one.plan, one.attempts, one.attempts, imported=one.imported, annotated=one.annotated)
                for key, one in drop.filesets.items()
            }
            again = drop.again + 1
            return Drop(drop.id, data["instance"], drop.candidate, data["seen"], again=again, tried=drop.tried, filesets=Filesets(kept))
        case "adopted":
            return replace(drop, instance=data["by"])
        case "claimed":
            return _claimed(drop, data)
        case "seal":
            return replace(drop, modes=tuple(data["modes"]))
        case "release":
            # What was wrong with a sidecar is not so any more if that one has changed; what goes wrong with the release comes later.
            return replace(drop, release=failure_of(data), failure=None)
        case "inspected":
            inspection = from_plain(Inspection, data)
            imported = {key: one for key, one in drop.filesets.items() if one.imported is not None}
            known = {plan.key: drop.filesets.get(plan.key, FilesetState(plan)) for plan in inspection.filesets}
            found = {plan.key: replace(known[plan.key], plan=plan) for plan in inspection.filesets}
            left = {key: replace(one, vanished=True) for key, one in drop.filesets.items() if key not in found and not one.clean}
            filesets = Filesets({**found, **left, **imported})
            return replace(drop, inspection=inspection, inspections=drop.inspections + 1, deaths=0, filesets=filesets)
        case "resolved":
            return replace(drop, resolved=data)
        case "target":
            return replace(drop, target=data, making=0)
        case "annotated":
            return replace(drop, containers={**drop.containers, data["on"]: data}, making=0)
        case "death":
            return replace(drop, deaths=drop.deaths + 1)
        case "failed":
            parts = tuple((tuple(one["files"]), failure_of(one)) for one in data.get("parts", ()))
            return replace(drop, failure=failure_of(data), failed_parts=parts)
        case "attention":
            return replace(drop, attention=(*drop.attention, data["text"]))
        case "split":
            return replace(drop, split=tuple(data["members"]))
        case "file":
            return replace(drop, destination=data["to"])
    return drop


def _claimed(drop: Drop, data: dict[str, Any]) -> Drop:
    """The files are in the claim. Of a drop that is tried again those count that are in it now, whatever it had once."""
    candidate = drop.candidate
    if drop.again and candidate is not None:
        found = tuple(from_plain(FileFacts, one) for one in data["members"])
        candidate = replace(candidate, members=found, whole_folders=(), base="", refs_base="", leftovers=())
    return replace(drop, claimed=True, candidate=candidate)


def _fileset_step(state: FilesetState, record: Record) -> FilesetState:
    data, attempt = record.data, state.attempt
    match record.kind:
        case "looked-up":
            return replace(state, looked=data)
        case "begin":
            fresh = Attempt(record.attempt, data["session"], Phase.BEGIN)
            return replace(state, attempt=fresh, attempts=max(state.attempts, record.attempt), fences=(), error=None, looked=None)
        case "begun" | "uploaded" | "commit" | "committed" | "answered" if attempt is not None:
            changed = replace(attempt, phase=Phase(record.kind))
            if record.kind == "begun":
                changed = replace(changed, fileset=data["fileset"], alone=data.get("alone", False))
            elif record.kind == "uploaded":
                changed = replace(changed, files=tuple(data["files"]))
                if attempt.fileset is not None:
                    state = replace(state, sent={**state.sent, attempt.fileset: changed.files})
            elif record.kind == "answered":
                changed = replace(changed, answer=data)
                error = data if data["state"] == "error" else None
                counts = error is not None and not issubclass(by_class_name(error.get("class", "")), TryLater)
                return replace(state, attempt=changed, error=error, errors=state.errors + counts, deaths=0, looked=None)
            # Deaths count only while nothing gets past the place of the furthest one.
            past = state.deaths and _FURTHER[changed.phase] > _FURTHER[Phase(state.died_in)]
            return replace(state, attempt=changed, deaths=0 if past else state.deaths, looked=None)
        case "lost":
            fences = (*state.fences, attempt.session) if attempt is not None and data.get("fence", True) else state.fences
            return replace(state, attempt=None, fences=fences, looked=None)
        case "refused" if attempt is not None:
            return replace(state, refused=state.refused + 1, attempt=replace(attempt, phase=Phase.BEGUN, files=()), looked=None)
        case "try-again":
            return replace(state, error=None)
        case "discard":
            return replace(state, discarding=data["fileset"])
        case "discarded":
            return replace(state, discarding=None, attempt=None, looked=None)
        case "imported":
            return replace(state, imported=data, attempt=None, deaths=0, looked=None)
        case "making":
            return replace(state, making=data["session"])
        case "annotated":
            return replace(state, annotated=data, making=0)
        case "death":
            place = attempt.phase if attempt is not None else Phase.BEGIN
            furthest = max(place, Phase(state.died_in), key=_FURTHER.__getitem__) if state.deaths else place
            return replace(state, deaths=state.deaths + 1, died_in=furthest)
        case "fileset-failed":
            return replace(state, failure=failure_of(data), looked=None)
    return state
