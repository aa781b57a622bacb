"""What an administrator orders about drops that were taken: retry, discard, adopt. Carried out in the box's own thread.

Each order may be carried out again after a crash at any point in it: what is done already is seen on disk. It is
answered when its effect is on the disk; until then (a share that is away, an instance that may still live) it waits.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Protocol

from dropbox_import.clock import Clock
from dropbox_import.daemon.active import Active
from dropbox_import.disk import files
from dropbox_import.disk.trouble import as_ours
from dropbox_import.errors import DropboxImportError, JournalDamaged, Paused, ShareUnavailable
from dropbox_import.spool import claim as claims
from dropbox_import.spool import layout
from dropbox_import.spool.adopt import adopt, claims_of, make_ours
from dropbox_import.spool.aside import set_aside
from dropbox_import.spool.filing import SPLIT_SUFFIX
from dropbox_import.spool.identity import Instance
from dropbox_import.spool.layout import Layout, read_marker
from dropbox_import.spool.reopen import NotVouched, begin_anew, find_filed, give_back, id_of, left_in, reopen, reopened_by, was_reopened
from dropbox_import.spool.survey import omero_of

log = logging.getLogger(__name__)

VERSION = 1
FOLDER = "commands"
KINDS = ("retry", "discard", "adopt")
_AT_A_STRETCH = 0.5  # seconds; with hundreds of drops in one order the box's other work goes on between
_LET_FINISH = 30.0  # seconds that a step under way has before its drop is set aside all the same; that parts have to be filed in


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one thing that an order is about. `omero`: what OMERO has, or may have, of a drop that is set aside."""

    about: str
    ok: bool
    says: str
    hint: str = ""
    omero: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AdminOrder:
    """`about`: ids of drops, for adopt the name of an instance. `box`: the folder of the one box that it is for. `by`, `at`: for people.

    `begun`: what is to be answered about acts that leave no trace in the box, noted before them.
    """

    id: str
    do: str
    box: str
    about: tuple[str, ...]
    by: str = ""
    at: str = ""
    begun: tuple[Result, ...] = ()

    def encoded(self) -> bytes:
        return json.dumps({"v": VERSION, **asdict(self)}).encode() + b"\n"


@dataclass(frozen=True, slots=True)
class OrderAnswer:
    id: str
    do: str
    results: tuple[Result, ...]
    at: str = ""


@dataclass(slots=True)
class Errand:
    """An order on its way through the box's thread, with what came of it so far."""

    order: AdminOrder
    answer: Callable[[OrderAnswer], None]
    results: list[Result] = field(default_factory=list)
    since: float | None = None  # when what is next began to be waited for
    beat: bytes | None = None  # the last sign of life, then, of the instance that is to be adopted


class Runner(Protocol):
    """What carrying out an order may do with the box's thread. Called in that thread only."""

    layout: Layout

    @property
    def instance(self) -> Instance: ...

    @property
    def clock(self) -> Clock: ...

    def at_work(self, name: str) -> Active | None:
        """The claim of that name, if this daemon drives it."""
        ...

    def let_go(self, active: Active) -> None:
        """Drive it no more. What runs of it in OMERO is left to itself."""
        ...

    def look_again(self, name: str = "") -> None:
        """Scan soon, and read the claim of that name even if it could not be read before."""
        ...

    def ask_omero(self) -> None:
        """Ask OMERO now whether it can be used again, if it could not."""
        ...

    def alive(self, instance: str) -> bool | None:
        """Whether another instance gives signs of life in this box; None: not known yet."""
        ...


def carry_out(runner: Runner, errand: Errand) -> bool:
    """Do what can be done of it now. True when it is answered; False: it waits, or goes on at the next turn."""
    until = runner.clock.monotonic() + _AT_A_STRETCH
    do = {"retry": _retry, "discard": _discard, "adopt": _adopt}[errand.order.do]
    while len(errand.results) < len(errand.order.about):
        about = errand.order.about[len(errand.results)]
        try:
            read_marker(runner.layout.box)
            result = do(runner, errand, about)
        except ShareUnavailable:
            return False
        except OSError as error:
            trouble = as_ours(error, f"{errand.order.do} {about}")
            if isinstance(trouble, ShareUnavailable):
                return False
            result = Result(about, False, trouble.sentence, trouble.hint)
        except Exception:  # a bug must not keep the box from its work
            log.exception("a bug in carrying out the order %s", errand.order.do, extra={"drop": about, "step": "order"})
            result = Result(about, False, "an internal error stopped the order; the log of the service has its story", "Report it.")
        if result is None:
            return False
        errand.results.append(result)
        errand.since = None
        log.info("%s: %s", errand.order.do, result.says, extra={"drop": about, "step": "order"})
        if runner.clock.monotonic() >= until:
            break
    if len(errand.results) < len(errand.order.about):
        runner.look_again()
        return False
    at = runner.clock.now().isoformat(timespec="seconds")
    errand.answer(OrderAnswer(errand.order.id, errand.order.do, tuple(errand.results), at))
    return True


# --- retry -----------------------------------------------------------------------------


def _retry(runner: Runner, errand: Errand, drop_id: str) -> Result | None:
    mine, now = _mine(runner, drop_id), runner.clock.monotonic()
    if mine and errand.since is not None and now - errand.since < _LET_FINISH:
        return None
    told: list[Result] = []
    for path in mine:
        active = runner.at_work(path.name)
        told.append(_try_now(runner, active, drop_id) if active is not None else _read_again(runner, errand, path, drop_id))
    if mine and errand.since is not None:
        told.append(_unfiled(drop_id))
    elif _unfiled(drop_id) in told and all(one.ok or one == _unfiled(drop_id) for one in told):
        errand.since = now
        return None
    filed = find_filed(runner.layout, drop_id)
    again = [path for path in filed if runner.layout.done not in path.parents]
    told += [_reopen(runner, errand, path, drop_id) for path in again]
    known = _together(drop_id, told) or _given_back(runner, errand, drop_id) or _done_since(runner, errand, drop_id, filed)
    return known or _not_here(runner, drop_id, filed)


def _try_now(runner: Runner, active: Active, drop_id: str) -> Result:
    """A claim that is driven: one that is held is read again, one that waits is tried at once."""
    if active.held is None:
        active.waits.clear()
        runner.ask_omero()
        return Result(drop_id, True, "it is at work; what it waits for is tried now")
    try:
        found = claims.load(runner.layout, active.claim.path, runner.clock)
        make_ours(found, runner.instance)
    except JournalDamaged as error:
        return _still_damaged(drop_id, error)
    active.claim = found
    active.held, active.unread = None, False
    active.waits.clear()
    runner.ask_omero()
    runner.look_again()
    return Result(drop_id, True, "it was held; it was read again and goes on")


def _read_again(runner: Runner, errand: Errand, path: Path, drop_id: str) -> Result:
    """A claim that nobody drives: its journal could not be read, or the daemon has just started."""
    try:
        claim = claims.load(runner.layout, path, runner.clock)
    except JournalDamaged as error:
        return _still_damaged(drop_id, error)
    runner.look_again(path.name)
    by_this = claim.journal is not None and reopened_by(claim.journal.records, errand.order.id)
    if claim.drop.destination and not by_this:
        if path.name.endswith(SPLIT_SUFFIX) or claim.drop.split is not None:
            return _unfiled(drop_id)  # what the parts are to each other is known until both are filed; then the failed one is tried again
        # It was about to be filed, or an earlier try of this order ended in the middle. What goes to done/ has nothing to be tried again.
        if runner.layout.failed in (runner.layout.box / claim.drop.destination).parents:
            claims.restore_modes(claim)  # or those of the closed claim would be taken for its user's
            begin_anew(claim, runner.instance, runner.clock, errand.order.id)
    return Result(drop_id, True, "it was read again and goes on")


def _unfiled(drop_id: str) -> Result:
    return Result(drop_id, False, "a part of it is about to be filed", "Give the order again when that is filed.")


def _still_damaged(drop_id: str, error: JournalDamaged) -> Result:
    hint = f"{error.hint}; or set it aside: dropbox-import discard {drop_id}"
    return Result(drop_id, False, f"it stays held: {error.sentence}", hint)


def _reopen(runner: Runner, errand: Errand, path: Path, drop_id: str) -> Result:
    aside = path.parent == runner.layout.discarded
    try:
        claim = reopen(runner.layout, runner.instance, path, runner.clock, errand.order.id)
    except NotVouched as error:
        return _give_back(runner, errand, path, drop_id, error, aside)
    except FileExistsError:
        return Result(drop_id, False, "a part of it is at work", "Give the order again when that is filed.")
    runner.look_again(claim.path.name)
    if aside and not claim.drop.again:
        return Result(drop_id, True, "it is back in inprogress/ and goes on where it was")
    return Result(drop_id, True, "it is tried again; only what is missing in OMERO is imported")


def _give_back(runner: Runner, errand: Errand, path: Path, drop_id: str, why: NotVouched, aside: bool) -> Result:
    if aside:
        hint = f"Move {path} into the drop folder of the user whose files are in it; what OMERO has of it is not imported again."
        return Result(drop_id, False, f"it cannot be gone on with: {why.sentence}", hint)
    sidecar, members = left_in(path)
    tried = any(one.about == drop_id for one in errand.order.begun)  # then it may be this order that has emptied it
    if not (sidecar or members or tried):
        gone = "its user has taken its files and its sidecar out of it; nothing is left to try"
        return Result(drop_id, False, gone, f"Move {path} out of failed/ when you have seen to it.")
    taken = "is taken from there" + ("" if sidecar or tried else " when its sidecar lies in it again")
    result = Result(drop_id, True, f"{why.sentence}; so it was put back into drop/, as if moved there by hand, and {taken}")
    if not (path / layout.MEMBERS).is_dir() and result not in errand.order.begun:  # nothing will be left of its folder
        errand.order = replace(errand.order, begun=(*errand.order.begun, result))
        files.replace(runner.instance.state_dir / FOLDER / f"{errand.order.id}.json", errand.order.encoded(), 0o600)
    try:
        place = give_back(runner.layout, path, runner.instance.journal_key)
    except FileExistsError as error:
        return Result(drop_id, False, f"it cannot be put back: {error.filename2 or error.filename} is there already", "Move that away.")
    except (NotVouched, JournalDamaged) as error:
        return Result(drop_id, False, error.sentence, f"It lies in {path}.")
    runner.look_again()
    return replace(result, says=result.says.replace("into drop/,", f"as {place.relative_to(runner.layout.box).as_posix()},"))


def _given_back(runner: Runner, errand: Errand, drop_id: str) -> Result | None:
    """What an earlier try of this order did, which ended before it could answer."""
    for begun in errand.order.begun:
        if begun.about == drop_id:
            return begun
    for path in sorted(runner.layout.drop.glob("*/*")):
        if id_of(path) == drop_id and path.is_dir():
            runner.look_again()
            where = path.relative_to(runner.layout.box).as_posix()
            return Result(drop_id, True, f"it lies in {where} again, as if moved there by hand, and is taken from there")
    return None


def _done_since(runner: Runner, errand: Errand, drop_id: str, filed: Iterable[Path]) -> Result | None:
    """An earlier try of this order ended before it could answer, and what it began has come to a good end."""
    for path in filed:
        if runner.layout.done in path.parents and was_reopened(path, errand.order.id):
            where = path.relative_to(runner.layout.box).as_posix()
            return Result(drop_id, True, f"it was tried again, and is done: its images are in OMERO, its files in {where}")
    return None


# --- discard ---------------------------------------------------------------------------


def _discard(runner: Runner, errand: Errand, drop_id: str) -> Result | None:
    told: list[Result] = []
    mine = _mine(runner, drop_id)
    driven = [active for path in mine if (active := runner.at_work(path.name)) is not None]
    for active in driven:
        active.held = active.held or Paused("an administrator has it set aside")
    now = runner.clock.monotonic()
    errand.since = now if errand.since is None else errand.since
    if any(active.flying for active in driven) and now - errand.since < _LET_FINISH:
        return None
    for active in driven:
        runner.let_go(active)
    filed = find_filed(runner.layout, drop_id)
    for path in (*mine, *(one for one in filed if runner.layout.failed in one.parents)):
        omero = _omero_of(runner, path)
        out_of = "" if path in mine else f" out of {path.parent.relative_to(runner.layout.box).as_posix()}"
        place = set_aside(runner.layout, path, runner.instance.journal_key).relative_to(runner.layout.box).as_posix()
        told.append(Result(drop_id, True, f"it was set aside as {place}{out_of}; nothing was deleted", "", omero))
    if told:
        return _together(drop_id, told)
    for path in filed:
        if path.parent == runner.layout.discarded:
            place = path.relative_to(runner.layout.box).as_posix()
            return Result(drop_id, True, f"it is set aside as {place}", "", _omero_of(runner, path))
    hint = "done/ is yours: move or delete the folder as you like."
    return _not_here(runner, drop_id, filed, hint)


def _omero_of(runner: Runner, path: Path) -> tuple[str, ...]:
    filed = runner.layout.failed in path.parents or not layout.is_id(path.name)
    return omero_of(path, runner.instance.journal_key if filed else None)


# --- adopt -----------------------------------------------------------------------------


def _adopt(runner: Runner, errand: Errand, old: str) -> Result | None:
    box = runner.layout
    if old == runner.instance.name:
        return Result(old, False, "that is this very daemon; its drops are its own", "dropbox-import status shows them.")
    if not box.instance(old).is_dir():
        return Result(old, True, f"there is nothing of {old} in {box.box}")
    beat = _beat(box, old)
    if errand.since is None:
        errand.since, errand.beat = runner.clock.monotonic(), beat
    if beat != errand.beat:
        hint = "Stop that daemon first, or let it finish; two that work on one drop could import it twice."
        return Result(old, False, f"{old} is alive: its heartbeat in {box.box} changes", hint)
    if runner.alive(old) is not False:
        return None
    there = len(claims_of(box, old))
    adopted = adopt(box, old, runner.instance)
    runner.look_again()
    if adopted.left:
        return Result(
            old, False, f"not all could be taken over: {'; '.join(adopted.left)}", "Move these by hand, then give the order again."
        )
    messages = f" and {_count(len(adopted.messages), 'message')}" if adopted.messages else ""
    says = f"{_count(len(adopted.claims), 'drop')}{messages} of {old} taken over"
    waits = "Where an import was under way, the drop goes on when OMERO has ended the old session: within 10 minutes."
    return Result(old, True, says if there or messages else f"there is nothing of {old} in {box.box}", waits if there else "")


def _beat(box: Layout, instance: str) -> bytes | None:
    try:
        return box.heartbeat(instance).read_bytes()
    except FileNotFoundError:
        return None


# --- parts -----------------------------------------------------------------------------


def _mine(runner: Runner, drop_id: str) -> list[Path]:
    folder = runner.layout.instance(runner.instance.name)
    names = (drop_id, drop_id + SPLIT_SUFFIX)
    return [folder / name for name in names if (folder / name).is_dir()]


def _together(drop_id: str, told: Iterable[Result]) -> Result | None:
    """One result for all parts of a drop; None when there is none."""
    parts = list(told)
    if not parts:
        return None
    says = "; ".join(dict.fromkeys(one.says for one in parts))
    hint = " ".join(dict.fromkeys(one.hint for one in parts if one.hint))
    omero = tuple(dict.fromkeys(line for one in parts for line in one.omero))
    return Result(drop_id, all(one.ok for one in parts), says, hint, omero)


def _not_here(runner: Runner, drop_id: str, filed: Iterable[Path], hint: str = "") -> Result:
    box = runner.layout
    for instance in sorted(box.inprogress.iterdir()):
        if (instance / drop_id).is_dir() or (instance / (drop_id + SPLIT_SUFFIX)).is_dir():
            take_over = f"If that is gone for good: dropbox-import adopt {instance.name}"
            return Result(drop_id, False, f"it belongs to the instance {instance.name}", take_over)
    for path in filed:
        where = path.relative_to(box.box).as_posix()
        again = "To import the files once more, drop them again with a sidecar of their own."
        return Result(drop_id, False, f"it is done: its images are in OMERO, its files in {where}", hint or again)
    return Result(drop_id, False, f"there is no such drop in {box.box}", "`dropbox-import status --all` lists the drops.")


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def refusal(order_id: str, do: str, trouble: DropboxImportError, at: str) -> OrderAnswer:
    """The answer to an order that cannot be understood."""
    return OrderAnswer(order_id, do, (Result("", False, trouble.sentence, trouble.hint),), at)
