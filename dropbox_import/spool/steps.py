"""`next_steps`: the one pure function that drives every drop, in normal work and after a crash alike.

It looks at what the journal says (`Drop`) and at what is so right now (`World`) and names
what may be done. Whoever performs a step journals its intent before and its result after,
and asks again. There is no second code for recovery.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from dropbox_import.errors import Rejected, TargetUnusable, TryLater, by_class_name
from dropbox_import.spool.fold import Attempt, Drop, FilesetState, Phase

SETTLE_SECONDS = 60.0  # how long after the end of its session an import that was started may still commit images
MOST_TRIES = 3


class Do(StrEnum):
    """What can be done. The letters are those of the step table in docs/architecture.md."""

    REMOVE_CLAIM = "remove-claim"  # C1, C2
    GATHER = "gather"  # C3-C6
    RELEASE = "release"  # R1
    INSPECT = "inspect"  # V1
    OPEN_SESSION = "open-session"
    JOIN_SESSION = "join-session"
    ASK_SESSION = "ask-session"
    END_SESSION = "end-session"
    RESOLVE = "resolve"  # W1
    TARGET = "target"  # T1
    LOOK_UP = "look-up"  # I1
    DISCARD = "discard"  # D1
    BEGIN = "begin"  # I2
    CHECK_ALONE = "check-alone"  # I2: has nobody else begun the same?
    SEND = "send"  # I3
    COMMIT = "commit"  # I4
    POLL = "poll"  # I5
    LOSE = "lose"  # note that nobody holds the attempt any more
    CONFIRM = "confirm"  # I6
    ANNOTATE = "annotate"  # A1
    UNRESOLVE = "unresolve"  # back to W1
    FAIL = "fail"  # X1 of one fileset
    MESSAGES = "messages"  # N1
    SPLIT = "split"  # F0
    FILE = "file"  # F1


_ONE_AT_A_TIME = frozenset({Do.LOOK_UP, Do.BEGIN, Do.DISCARD, Do.END_SESSION, Do.ASK_SESSION})

# What is not done with a fileset while its drop has no target.
_NEEDS_TARGET = frozenset({Do.BEGIN, Do.CONFIRM, Do.ANNOTATE, Do.UNRESOLVE, Do.FAIL})


@dataclass(frozen=True, slots=True)
class Step:
    """`number` is a session's for the session steps, a fileset's id for CONFIRM and DISCARD.

    `group` names the session to open ("" = the owner's default), or the kind of container to annotate.
    """

    do: Do
    key: str = ""
    number: int = 0
    group: str = ""


@dataclass(frozen=True, slots=True)
class World:
    """What is so now, as far as one drop is concerned.

    `held`: (key, attempt) that a living importer holds. `open`: the owner's usable sessions by group name, the
    default group's also under "". `sessions`: every session number asked about: "held", "joinable", "ended",
    "ending" or "unknown". `ended_for`: seconds since a session was seen ended. `submission_busy`: another drop of this owner
    works under the same submission. `draining`: nothing new is begun.
    """

    held: frozenset[tuple[str, int]] = frozenset()
    open: Mapping[str, int] = field(default_factory=dict)
    sessions: Mapping[int, str] = field(default_factory=dict)
    ended_for: Mapping[int, float] = field(default_factory=dict)
    submission_busy: bool = False
    draining: bool = False


def next_steps(drop: Drop, world: World, among: Iterable[str] | None = None) -> set[Step]:
    """What may be done for `drop` now. Empty = it waits (or it is finished and gone).

    `among`: only steps of these filesets and of the drop as a whole are wanted, where a look at ten thousand would cost too much.
    """
    if drop.candidate is None:
        return {Step(Do.REMOVE_CLAIM)}
    if drop.destination:
        return {Step(Do.FILE)}
    if drop.part_of and not drop.claimed:
        return set()  # the second part of a drop of two outcomes: the first one is still filling it
    if drop.failure is None and drop.release is not None:
        return {Step(Do.RELEASE)}
    if not drop.claimed and drop.release is None:
        return {Step(Do.GATHER)}
    if drop.settled:
        return _ending(drop)
    if drop.inspection is None:
        # What changed under its upload is looked at anew; what OMERO has of it goes first, or a refusal could not end the drop.
        steps = _left_over(drop, drop.filesets.values(), world, drop.group) or (set() if world.draining else {Step(Do.INSPECT)})
    else:
        steps = _importing(drop, world, among)
    # What runs goes on; what another drop of the submission may be about to change waits until that one is filed.
    return {step for step in steps if step.do not in _ONE_AT_A_TIME} if world.submission_busy else steps


def _ending(drop: Drop) -> set[Step]:
    if not drop.messages:
        return {Step(Do.MESSAGES)}
    if drop.two_outcomes and not drop.split_done:
        return {Step(Do.SPLIT)}
    return {Step(Do.FILE)}


def _importing(drop: Drop, world: World, among: Iterable[str] | None) -> set[Step]:
    group = drop.group
    states = drop.filesets.values() if among is None else [drop.filesets[key] for key in among]
    if drop.resolved is None or drop.target is None:
        if group not in world.open:
            return set() if world.draining else {Step(Do.OPEN_SESSION, group=group)}
        left = _left_over(drop, states, world, group)
        if any(step.do is Do.LOOK_UP for step in left):
            return left  # first: a refused target ends the drop, unless OMERO may have something of it
        if drop.resolved is None:
            return left | {Step(Do.RESOLVE, number=world.open[group])}
        return left | _once(Step(Do.TARGET, number=world.open[group]), drop.making, world, group)
    steps: set[Step] = set()
    for state in states:
        if not state.settled:
            steps |= _fileset(drop, state, world, group)
    if any(step.do is Do.UNRESOLVE for step in steps):
        return {step for step in steps if step.do is not Do.BEGIN}  # or it would be begun for the target that is given up
    if not drop.filesets.unsettled:
        steps = _once(Step(Do.ANNOTATE, group=drop.open_containers[0]), drop.making, world, group)
    return steps


def _left_over(drop: Drop, states: Iterable[FilesetState], world: World, group: str) -> set[Step]:
    """While there is no inspection or no target: what it takes to know that OMERO has nothing of what was begun before, or to remove it.

    A target is looked for anew only when that was known; but who has read the journal since knows it no more.
    """
    steps: set[Step] = set()
    for state in states:
        if not state.settled and not state.clean:
            steps |= _fileset(drop, state, world, group)
    return {step for step in steps if step.do not in _NEEDS_TARGET}


def _once(step: Step, making: int, world: World, group: str) -> set[Step]:
    """`step`, when no earlier try of it can still land: a thing is looked for before it is made, which helps only if nothing comes late."""
    if not making or making in world.open.values() or world.sessions.get(making) == "ended":
        return _in_session(step, world, group)
    return _fence(step.key, making, 0.0, world, group)


def _in_session(step: Step, world: World, group: str) -> set[Step]:
    """`step` if a session of the group is open, else the opening of one (finishing work goes on while draining)."""
    return {step} if group in world.open else {Step(Do.OPEN_SESSION, group=group)}


def _fileset(drop: Drop, state: FilesetState, world: World, group: str) -> set[Step]:
    key = state.plan.key
    if state.imported is not None:
        return _once(Step(Do.ANNOTATE, key), state.making, world, group)
    if state.discarding is not None:
        return _in_session(Step(Do.DISCARD, key, state.discarding), world, group)
    attempt = state.attempt
    if attempt is not None and attempt.phase is not Phase.ANSWERED:
        return _running(state, attempt, world)
    if attempt is not None and attempt.answer.get("state") == "done" and attempt.fileset is not None:
        return _in_session(Step(Do.CONFIRM, key, attempt.fileset), world, group)
    if state.looked is None:
        return _in_session(Step(Do.LOOK_UP, key), world, group)
    return _judge(drop, state, state.looked, world, group)


def _running(state: FilesetState, attempt: Attempt, world: World) -> set[Step]:
    """An attempt without an answer: go on where it is held, join its session, or note that it is lost."""
    key = state.plan.key
    if state.refused >= MOST_TRIES and attempt.phase is Phase.BEGUN:
        return {Step(Do.LOSE, key)}
    if state.deaths >= MOST_TRIES:
        return {Step(Do.LOSE, key)}  # whoever goes on with it dies: what became of it is looked up
    if (key, attempt.number) in world.held:
        match attempt.phase:
            case Phase.BEGUN:
                return {Step(Do.SEND if attempt.alone else Do.CHECK_ALONE, key)}
            case Phase.UPLOADED:
                return set() if world.draining else {Step(Do.COMMIT, key)}
            case Phase.COMMIT | Phase.COMMITTED:
                return {Step(Do.POLL, key)}
    if world.sessions.get(attempt.session) == "joinable":
        return {Step(Do.JOIN_SESSION, number=attempt.session)}
    return {Step(Do.LOSE, key)}


def _judge(drop: Drop, state: FilesetState, looked: dict[str, Any], world: World, group: str) -> set[Step]:
    """After a look-up: keep what is complete, end what may still land, discard what is dead, else begin or give up.

    Of a fileset with images that another drop began, and that only may be dead, the images are kept: people may have worked with them.
    """
    key = state.plan.key
    found = looked["attempts"]
    ended = {int(number): seconds for number, seconds in looked["ended"].items()}
    answered = state.attempt is not None and state.attempt.phase is Phase.ANSWERED
    complete = [one["fileset"] for one in found if one["complete"]]
    # Beside a complete one only our own leftovers are removed; without one nothing may be left that could still land.
    left = [one for one in found if not one["complete"] and (not complete or one["drop"] == drop.id)]
    steps: set[Step] = set()
    kept: list[int] = []
    for one in left:
        refused = answered and state.attempt is not None and one["fileset"] == state.attempt.fileset
        settle = SETTLE_SECONDS if one["committed"] else 0.0
        over = refused or ended.get(one["session"], -1.0) >= settle
        if over and one["images"] and one.get("doubtful") and one["drop"] != drop.id:
            kept.append(one["fileset"])
        elif over:
            return _in_session(Step(Do.DISCARD, key, one["fileset"]), world, group)
        else:
            steps |= _fence(key, one["session"], settle, world, group)
    left = [one for one in left if one["fileset"] not in kept]
    if complete or kept:
        return steps if left else _in_session(Step(Do.CONFIRM, key, min(complete or kept)), world, group)
    for number in state.fences:
        if number not in ended:
            steps |= _fence(key, number, 0.0, world, group)
    unseen = [number for number in state.fences if number not in ended]
    if left or unseen or state.vanished:
        return steps
    return _again(drop, state, world, group)


def _fence(key: str, number: int, settle: float, world: World, group: str) -> set[Step]:
    """A look-up does not fence a call that is still inside the server; the end of its session does."""
    match world.sessions.get(number, "unknown"):
        case "held" | "joinable":
            return {Step(Do.END_SESSION, number=number)}
        case "unknown":
            return {Step(Do.ASK_SESSION, number=number)}
        case "ended" if world.ended_for.get(number, 0.0) >= settle:
            return _in_session(Step(Do.LOOK_UP, key), world, group)
    return set()


def _again(drop: Drop, state: FilesetState, world: World, group: str) -> set[Step]:
    """Nothing of ours is left on the server: begin, look for the target anew, or accept that it cannot be imported."""
    key = state.plan.key
    if state.error is not None:
        kind = by_class_name(state.error.get("class", ""))
        worn_out = state.errors >= MOST_TRIES
        if issubclass(kind, TargetUnusable) and not worn_out:
            return {Step(Do.UNRESOLVE, key)} if _others_rest(drop, key) else set()
        if issubclass(kind, Rejected) or (worn_out and not issubclass(kind, TryLater)):
            return {Step(Do.FAIL, key)}
    if state.deaths >= MOST_TRIES or state.refused >= MOST_TRIES:
        return {Step(Do.FAIL, key)}
    if world.draining:
        return set()
    return _in_session(Step(Do.BEGIN, key), world, group)


def _others_rest(drop: Drop, key: str) -> bool:
    """Whether no other fileset has work in OMERO, so that the target may be looked for anew."""
    others = [one for name, one in drop.filesets.items() if name != key]
    return all(one.settled or one.clean for one in others)
