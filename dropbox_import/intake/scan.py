"""One pass over the drop folders of a box: which drops are ready, which wait, and why."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from dropbox_import.clock import Clock
from dropbox_import.disk.mounts import is_network
from dropbox_import.disk.names import problem_with, shown
from dropbox_import.disk.paths import for_system
from dropbox_import.intake.disputes import Disputes
from dropbox_import.intake.ignored import is_never_taken
from dropbox_import.intake.members import SIDECAR_SUFFIXES
from dropbox_import.intake.pairing import Pair, Paired, pair
from dropbox_import.intake.reading import Reader
from dropbox_import.intake.ready import Desk, Known
from dropbox_import.intake.tracker import Moment, Watch
from dropbox_import.intake.tree import Entry, Kind, Listing, entry_of, look
from dropbox_import.model import Candidate, Waiting
from dropbox_import.settings import Box

DROP = "drop"
READ_ME = "READ_ME.txt"


@dataclass(frozen=True, slots=True)
class Scan:
    """What one pass found. A candidate stays in `ready` at every scan until it leaves the folder.

    `notices` are sentences for people; the same trouble gives the same sentence at every scan. `again_in`: seconds after
    which one more scan may find a drop ready that is only not quiet for long enough yet; None = at the usual time.
    """

    ready: tuple[Candidate, ...] = ()
    waiting: tuple[Waiting, ...] = ()
    notices: tuple[str, ...] = ()
    again_in: float | None = None


@dataclass(slots=True)
class _Memory:
    """What is known of one user's folder from scan to scan: `listing` and `paired` are those of the last one.

    `place`: owner and volume of the folder then; `known`: what was ready then; `looks` counts. `changed`: for each sidecar, when
    it or its files were last seen to change.
    """

    reader: Reader
    watch: Watch
    place: tuple[int, int] = (-1, -1)
    disputes: Disputes = field(default_factory=Disputes)
    listing: Listing | None = None
    paired: Paired = field(default_factory=Paired)
    told: tuple[str, ...] = ()
    known: dict[str, Known] = field(default_factory=dict)
    changed: dict[str, Moment] = field(default_factory=dict)
    looks: int = 0


class Intake:
    """The drops of one box. Remembers what it saw from scan to scan, in memory only; for one thread."""

    def __init__(self, box: Box, clock: Clock) -> None:
        self.box = box
        self._clock = clock
        self._drop = Path(box.path) / DROP
        self._users: dict[str, _Memory] = {}

    @property
    def busy(self) -> bool:
        """Whether something goes on beside the scans that will make a drop ready."""
        return any(memory.reader.sums.busy for memory in self._users.values())

    def lost_sight(self) -> None:
        """The box could not be looked at now: until the next scan its files may stand still because their writers do."""
        for memory in self._users.values():
            memory.watch.lost()

    def scan(self) -> Scan:
        """One pass. The trouble of one file or user never stops the others; OSError when drop/ itself cannot be read."""
        network = is_network(self._drop)
        try:
            with os.scandir(for_system(self._drop)) as found:
                names = sorted(item.name for item in found)
        except OSError:
            self.lost_sight()
            raise
        notices: list[str] = []
        scans: list[Scan] = []
        users: dict[str, _Memory] = {}
        for name in names:
            folder = self._user_folder(name, network, notices)
            if folder is None:
                continue
            users[name] = self._users.get(name) or self._memory(name, network)
            scans.append(self._scan_user(name, folder, users[name], network))
        self._users = users
        return Scan(
            ready=tuple(one for scan in scans for one in scan.ready),
            waiting=tuple(one for scan in scans for one in scan.waiting),
            notices=tuple(dict.fromkeys([*notices, *(notice for scan in scans for notice in scan.notices)])),
            again_in=min((scan.again_in for scan in scans if scan.again_in is not None), default=None),
        )

    def _memory(self, user: str, network: bool) -> _Memory:
        return _Memory(Reader(self._drop / user, self.box.defaults, stable_ids=not network), Watch(self.box.scan_interval))

    def _user_folder(self, name: str, network: bool, notices: list[str]) -> Entry | None:
        """The entry of a user's folder; None for what else lies in drop/, which is told and left alone."""
        if is_never_taken(name) or name == READ_ME:
            return None
        try:
            entry = entry_of(name, os.lstat(for_system(self._drop / name)), stable_ids=not network)
        except FileNotFoundError:
            return None
        except OSError as error:
            notices.append(f'drop/"{shown(name)}" cannot be looked at: {error.strerror}.')
            return None
        if entry.kind is Kind.LINK:
            notices.append(f'drop/"{shown(name)}" is a link and is left alone; make it a folder, or move the box to where it leads.')
        elif entry.kind is not Kind.FOLDER:
            notices.append(f'"{shown(name)}" lies directly in drop/ and is left alone; move it into the folder of a user, drop/<user>/.')
        elif (problem := problem_with(name)) is not None:
            notices.append(f"A user folder in drop/ cannot be used: {problem}")
        else:
            return entry
        return None

    def _scan_user(self, user: str, folder: Entry, memory: _Memory, network: bool) -> Scan:
        moment = Moment(memory.looks + 1)
        try:
            listing = look(self._drop / user, stable_ids=not network, moment=moment, last=memory.listing)
        except OSError as error:
            memory.watch.lost()
            return Scan(notices=(f'The folder of "{shown(user)}" cannot be looked into: {error.strerror}.',))
        memory.watch.looked(moment, self._clock.monotonic(), self._clock.now())
        memory.looks += 1
        reader = memory.reader
        if reader.unsettled or not listing.is_like(memory.listing):
            reader.unsettled = False
            before, memory.paired = memory.paired, pair(listing, reader.ask, reader.recall, user)
            memory.changed = _changed(before.pairs, memory.paired.pairs, memory.changed, moment)
            memory.told = (*_told_of(user, listing), *memory.paired.told)
            reader.forget_all_but(listing.get)
        memory.listing = listing
        desk = Desk(
            box=self.box,
            user=user,
            base=self._drop / user,
            reader=reader,
            listing=listing,
            disputes=memory.disputes,
            moment=moment,
            resumed=memory.watch.resumed,
            network=network,
            owner_uid=folder.uid if self.box.check_file_owner and os.name == "posix" else None,
            device=folder.device,
            pairs={one.sidecar.path: one for one in memory.paired.pairs},
            changed=memory.changed,
            notices=list(memory.told),
            known=memory.known if memory.place == (folder.uid, folder.device) and memory.watch.resumed is not moment else {},
        )
        outcomes = [desk.decide(one) for one in memory.paired.pairs]
        memory.known, memory.place = {path: one for path, one in desk.known.items() if path in desk.pairs}, (folder.uid, folder.device)
        return Scan(
            ready=tuple(one for one in outcomes if isinstance(one, Candidate)),
            waiting=tuple(one for one in outcomes if isinstance(one, Waiting)),
            notices=tuple(desk.notices),
            again_in=desk.again_in,
        )


def _changed(before: Iterable[Pair], now: Iterable[Pair], changed: dict[str, Moment], moment: Moment) -> dict[str, Moment]:
    """For each sidecar, when it, its files or the names that are missing were last seen to change."""
    known = {one.sidecar.path: one for one in before}
    return {path: changed[path] if known.get(path) == one else moment for one in now if (path := one.sidecar.path)}


def _told_of(user: str, listing: Listing) -> list[str]:
    """What lies there and cannot be taken, whatever the sidecars say."""
    told = [f'{shown(user)}: "{shown(path)}" cannot be looked at: {error.strerror}.' for path, error in listing.troubles.items()]
    for entry in (entry for folder in listing.folders.values() for entry in folder.odd):
        if entry.kind is Kind.LINK and entry.name.lower().endswith(SIDECAR_SUFFIXES):
            told.append(f'{shown(user)}: "{shown(entry.path)}" is a link and is not read as a sidecar; put the file itself there.')
        elif entry.kind is Kind.TOO_DEEP:
            told.append(f'{shown(user)}: "{shown(entry.path)}" lies too deep and is not looked into; put the files into fewer folders.')
    return told
