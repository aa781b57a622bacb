"""May this drop be taken now? One sidecar with its files: ready, refused, or waiting for a reason in words."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from dropbox_import import sidecar
from dropbox_import.disk.names import shown
from dropbox_import.disk.trouble import as_ours
from dropbox_import.disk.writers import Writing, being_written
from dropbox_import.errors import FileBusy, MembersMissing, Mistake, Rejected, SidecarInvalid
from dropbox_import.intake.disputes import Disputes
from dropbox_import.intake.expected import all_expected, by_name, hours, main_file, not_there, nothing_there
from dropbox_import.intake.filed import leftovers
from dropbox_import.intake.judge import OUR_UID, problems_of
from dropbox_import.intake.members import Problem
from dropbox_import.intake.pairing import Pair
from dropbox_import.intake.reading import UNEXPECTED, Reader, mistake_at
from dropbox_import.intake.tracker import Moment, next_look, unchanged
from dropbox_import.intake.tree import Entry, Kind, Listing, below, join
from dropbox_import.model import Candidate, ImportRequest, Waiting
from dropbox_import.settings import Box

_log = logging.getLogger(__name__)
SCANS = 3
SCANS_IF_EXPECTED = 2
SOONEST = 0.25
SOON_AGAIN = 1.0


def _placeholder(sentence: str) -> str:
    """The first placeholder of a name that a sentence is about: where it stands in the sidecar, the mistake is."""
    _, brace, rest = sentence.partition("{")
    return brace + rest.partition("}")[0]


class NotYet(Exception):
    """Not ready; says why. `again_in`: seconds after which it may be, if nothing changes. `kind`: the code of the disk's trouble.

    `since`: when this wait began; None = when the sidecar was saved.
    """

    def __init__(self, reason: str, *, again_in: float | None = None, kind: str = "", since: float | None = None) -> None:
        super().__init__(reason)
        self.reason, self.again_in, self.kind, self.since = reason, again_in, kind, since


class Refused(Exception):
    """The drop is wrong: its sidecar is filed by itself."""

    def __init__(self, code: str, mistakes: Iterable[Mistake]) -> None:
        super().__init__(code)
        self.code, self.mistakes = code, tuple(mistakes)


@dataclass(frozen=True, slots=True)
class Known:
    """A drop that was found ready, and what it was made of then."""

    pair: Pair
    candidate: Candidate


@dataclass(slots=True)
class Desk:
    """What the decision may look at. `again_in` and `notices` collect what the scan tells besides.

    `known` are those that were ready at the scan before, and those that this one finds ready. `resumed`: since when there is no time
    in which nobody looked. `changed`: for each sidecar, when it or its files were last seen to change.
    """

    box: Box
    user: str
    base: Path
    reader: Reader
    listing: Listing
    disputes: Disputes
    moment: Moment
    resumed: Moment
    network: bool
    owner_uid: int | None
    device: int | None
    pairs: dict[str, Pair] = field(default_factory=dict)
    changed: dict[str, Moment] = field(default_factory=dict)
    known: dict[str, Known] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    again_in: float | None = None

    @property
    def now(self) -> float:
        return self.moment.monotonic

    def decide(self, pair: Pair) -> Candidate | Waiting:
        """OSError of one drop's files is a wait of that drop."""
        known, kind, since = self.known.pop(pair.sidecar.path, None), "", self.now - self._waited(pair)
        try:
            if known is not None and known.pair == pair:
                candidate = self._still(known)
            else:
                candidate = self._ready(pair)
            if pair.ground.filed is None and not pair.transfers:
                self.known[pair.sidecar.path] = Known(pair, candidate)
            return candidate
        except Refused as refused:
            return self._refused(pair, refused)
        except NotYet as wait:
            reason, kind, since = wait.reason, wait.kind, since if wait.since is None else wait.since
            if wait.again_in is not None:
                self.again_in = wait.again_in if self.again_in is None else min(self.again_in, wait.again_in)
        except FileNotFoundError as error:
            reason = f'"{shown(Path(error.filename or "").name)}" has gone while we looked'
        except OSError as error:
            reason = f"{error.strerror or error}" + (f" ({shown(str(error.filename))})" if error.filename else "")
            kind = as_ours(error, "").kind
        except Rejected as error:
            reason = error.sentence
        except Exception:  # noqa: BLE001 - one drop must not stop the others
            reason = UNEXPECTED
            if self.reader.first_time(pair.sidecar):
                _log.exception("Judging %s of %s failed", shown(pair.sidecar.path), self.user)
        return Waiting(self.user, pair.sidecar.path, reason, since, kind)

    def _still(self, known: Known) -> Candidate:
        """Nothing has changed since it was found ready. What does not show in a listing is asked again."""
        pair = known.pair
        self._nobody_writes((pair.sidecar, *pair.members, *pair.references))
        if self.network and not self.reader.still_says(pair.sidecar):
            raise NotYet("the sidecar is still being written")
        return known.candidate

    def _ready(self, pair: Pair) -> Candidate:
        expected = all_expected(pair)
        self._sidecar_is_quiet(pair, expected)
        reading = self.reader.get(pair.sidecar.path)
        if reading.error is not None:
            raise Refused(reading.error.kind, reading.error.mistakes)
        request = pair.request
        if request is None:
            raise NotYet(f"the sidecar: {reading.trouble}")
        owner = self._known_from_the_sidecar(pair, request)
        self._all_there(pair, request)
        self._files_are_quiet(pair, expected)
        self._files_are_good(pair)
        self._checksums(pair, request)
        self._nobody_writes((*pair.members, *pair.references))
        if self.network and not self.reader.still_says(pair.sidecar):
            raise NotYet("the sidecar is still being written")
        return self._candidate(pair, owner, request)

    # --- the sidecar by itself -------------------------------------------------------

    def _sidecar_is_quiet(self, pair: Pair, expected: bool) -> None:
        entry, reading = pair.sidecar, self.reader.get(pair.sidecar.path)
        if entry.links > 1:
            raise NotYet(f"the sidecar has {entry.links} names (hard links); put a copy there that has no other name")
        if reading.trouble:
            raise NotYet(f"the sidecar: {reading.trouble}", kind=reading.kind)
        if not self._quiet(entry, expected):
            raise self._not_quiet("the sidecar", entry, self._quiet_in(entry, expected))
        if self._is_open(entry):
            raise NotYet("the sidecar is still open for writing in a program", kind=FileBusy.code)

    def _known_from_the_sidecar(self, pair: Pair, request: ImportRequest) -> str:
        if self.box.require_end and not request.end:
            self._patience(
                pair, "the line `end: true` is missing, which this box asks for", "Write `end: true` as the last line of the sidecar."
            )
        owner_problems = problems_of([pair.sidecar], pair.sidecar.folder, owner_uid=self.owner_uid, device=None)
        for rival in pair.rivals:
            if rival in self.pairs and not self._quiet(self.pairs[rival].sidecar, False):
                raise NotYet(f'another sidecar, "{shown(rival)}", claims the same files and was changed a moment ago')
        state = pair.sidecar.print
        if pair.rivals:
            self.disputes.remember(pair.sidecar.path, state, pair.problems, self.now)
        problems = [*owner_problems, *(pair.problems or self.disputes.recall(pair.sidecar.path, state, self.now))]
        if problems:
            raise Refused(SidecarInvalid.code, self._mistakes(pair, problems))
        try:
            return sidecar.allowed_owner(request, self.user, self.box.owners)
        except Rejected as error:
            about = request.owner or ""
            raise Refused(error.kind, error.mistakes or self._mistakes(pair, [Problem(error.sentence, error.hint, about)])) from error

    # --- its files -------------------------------------------------------------------

    def _all_there(self, pair: Pair, request: ImportRequest) -> None:
        if pair.unseen:
            error = self.listing.troubles[pair.unseen[0]]
            raise NotYet(f'"{shown(pair.unseen[0])}" cannot be looked at by the service account', kind=as_ours(error, "").kind)
        expect = request.files.expect
        if pair.missing:
            self._patience(pair, *not_there(pair), pair.missing[0])
        if not pair.members:
            self._patience(pair, *nothing_there(pair, request))
        count = len(pair.members) + (len(_elsewhere(pair)) if expect.count is not None else 0)
        if expect.count is not None and count < expect.count:
            hint = "Put the missing files there, or correct the count."
            self._patience(pair, f"{count} of {expect.count} files are there", hint, "count")
        if expect.count is not None and count > expect.count:
            sentence = f"{count} files are there, and {expect.count} are expected."
            raise Refused(SidecarInvalid.code, self._mistakes(pair, [Problem(sentence, "Correct the count, or name the files.", "count")]))
        sizes = by_name(pair)
        for name, size in expect.size.items():
            if (entry := sizes(name)) is not None and entry.size != size:
                self._patience(
                    pair,
                    f'"{shown(name)}" has {entry.size:,} bytes, and {size:,} are expected',
                    "Wait for the end of the copy, or correct the size.",
                    name,
                )

    def _files_are_good(self, pair: Pair) -> None:
        ground, members = pair.ground, list(pair.members)
        references = [entry for entry in pair.references if entry not in pair.members]
        if ground.filed is None:
            members, references = members + references, []
        # In a filed folder the attachments are copies, which the service account has made.
        ours = [entry for entry in references if entry.uid == OUR_UID]
        theirs = [entry for entry in references if entry not in ours]
        problems = [
            *problems_of(members, ground.members, owner_uid=self.owner_uid, device=self.device),
            *problems_of(theirs, ground.references, owner_uid=self.owner_uid, device=self.device),
            *problems_of(ours, ground.references, owner_uid=None, device=self.device),
        ]
        if problems:
            raise Refused(SidecarInvalid.code, self._mistakes(pair, problems))

    def _files_are_quiet(self, pair: Pair, expected: bool) -> None:
        entries = (*pair.members, *pair.references)
        changed = [entry for entry in entries if not self._quiet(entry, expected)]
        if changed:
            last = max(self._quiet_in(entry, expected) for entry in changed)
            raise self._not_quiet(f'"{shown(_seen_from(pair.sidecar, changed[0]))}"', changed[0], last)
        for entry in pair.transfers:
            if not self._quiet(entry, False):
                raise NotYet(f'"{shown(_seen_from(pair.sidecar, entry))}" is still being copied')
            self.notices.append(f'{self.user}: "{shown(entry.path)}" looks like a copy that was given up; it is left where it is.')

    def _checksums(self, pair: Pair, request: ImportRequest) -> None:
        find = by_name(pair)
        for name, wanted in request.files.expect.sha256.items():
            entry = find(name)
            found = self.reader.sums.of(entry.path, entry.size, entry.print) if entry is not None else wanted.lower()
            if found is None:
                raise NotYet(f'the SHA-256 of "{shown(name)}" is being computed', again_in=SOON_AGAIN)
            if found != wanted.lower():
                self._patience(
                    pair, f'the SHA-256 of "{shown(name)}" is not the expected one', "Copy the file again, or correct the checksum.", name
                )

    def _nobody_writes(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            if self._is_open(entry):
                raise NotYet(f'"{shown(entry.path)}" is still open for writing in a program', kind=FileBusy.code)

    # --- parts -----------------------------------------------------------------------

    def _quiet(self, entry: Entry, expected: bool) -> bool:
        period, scans = self._asked(expected)
        return unchanged(entry.since, self.moment, period, scans) and (self._seen_since(entry) or self._settled(expected))

    def _asked(self, expected: bool) -> tuple[float, int]:
        return (0.0, SCANS_IF_EXPECTED) if expected else (self.box.quiet_period, SCANS)

    def _seen_since(self, entry: Entry) -> bool:
        """It was as it is for no longer than there is no time in which nobody looked."""
        return entry.since.number >= self.resumed.number

    def _settled(self, expected: bool) -> bool:
        """After a time in which nobody looked, a writer may take a moment to go on: one look's at most, lest many such times starve it."""
        period, scans = self._asked(expected)
        return unchanged(self.resumed, self.moment, min(period, self.box.scan_interval), scans)

    def _quiet_in(self, entry: Entry, expected: bool) -> float:
        period, scans = self._asked(expected)
        left = next_look(entry.since, self.moment, period, scans)
        if not self._seen_since(entry):
            left = max(left, next_look(self.resumed, self.moment, min(period, self.box.scan_interval), scans))
        return max(SOONEST, left)

    def _not_quiet(self, what: str, entry: Entry, again_in: float) -> NotYet:
        if self._seen_since(entry):
            return NotYet(f"{what} was changed a moment ago", again_in=again_in)
        reason = f"{what} could not be looked at for a while, until a moment ago"
        return NotYet(reason, again_in=again_in, since=self.resumed.monotonic)

    def _is_open(self, entry: Entry) -> bool:
        path = self.base.joinpath(*entry.path.split("/"))
        return entry.kind is Kind.FILE and being_written(path, network=self.network) is Writing.OPEN

    def _waited(self, pair: Pair) -> float:
        return self.moment.watched - pair.sidecar.since.watched

    def _patience(self, pair: Pair, reason: str, hint: str, about: str = "") -> None:
        """Wait, after a while say so, and refuse when nothing has changed for long. Never returns."""
        waited, limits = self._waited(pair), self.box.wait_for_files
        if unchanged(self.changed[pair.sidecar.path], self.moment, limits.refuse_after, 1):
            sentence = f"{reason}; this has not changed for {hours(limits.refuse_after)}."
            raise Refused(MembersMissing.code, self._mistakes(pair, [Problem(sentence, hint, about)]))
        if waited >= limits.tell_after:
            self.notices.append(
                f'{self.user}: "{shown(pair.sidecar.path)}" waits for more than {hours(limits.tell_after)}: {reason}. {hint}'
            )
        raise NotYet(reason)

    def _mistakes(self, pair: Pair, problems: Iterable[Problem]) -> list[Mistake]:
        lines = self.reader.lines(pair.sidecar.path)
        return [mistake_at(lines, shown(pair.sidecar.name), problem.sentence, problem.hint, problem.about) for problem in problems]

    def _rendered(self, pair: Pair, request: ImportRequest) -> tuple[ImportRequest, datetime]:
        """With its names filled in, and the day for {date}. Of a drop that was filed before they are what they were."""
        main, ground = main_file(pair), pair.ground
        earlier = ground.filed.earlier if ground.filed is not None else None
        path, folder, date = pair.sidecar.path, main.folder, min(entry.first.today for entry in pair.members)
        if earlier is not None:
            request = replace(request, submission=request.submission or earlier.submission)
            date = earlier.dated or date
            if earlier.dropped:
                path = earlier.dropped
                folder = join(path.rpartition("/")[0], below(ground.members, main.folder)).rstrip("/")
        try:
            rendered = sidecar.render(request, sidecar_path=path, folder=folder or self.user, file=main.name, date=date.astimezone())
        except SidecarInvalid as error:
            lines = self.reader.lines(pair.sidecar.path)
            placed = [mistake_at(lines, one.file, one.sentence, one.hint, _placeholder(one.sentence)) for one in error.mistakes]
            raise Refused(error.kind, placed) from error
        return rendered, date

    def _refused(self, pair: Pair, refused: Refused) -> Candidate:
        """The sidecar alone, with what is wrong."""
        return replace(self._candidate(pair, self.user, None), mistakes=refused.mistakes, refusal_code=refused.code)

    def _candidate(self, pair: Pair, owner: str, request: ImportRequest | None) -> Candidate:
        folder, ground = pair.sidecar.folder, pair.ground
        candidate = Candidate(
            user=self.user,
            folder=join(self.user, folder).rstrip("/"),
            sidecar=pair.sidecar.facts(folder),
            sidecar_sha256=self.reader.get(pair.sidecar.path).sha256,
            owner=owner,
            request=None,
        )
        if request is None:
            return candidate
        rendered, date = self._rendered(pair, request)
        candidate = replace(
            candidate,
            request=rendered,
            members=tuple(entry.facts(ground.members) for entry in pair.members),
            references=tuple(entry.facts(ground.references) for entry in pair.references),
            whole_folders=tuple(below(ground.members, path) for path in pair.whole_folders),
            dated=date.isoformat(timespec="seconds"),
        )
        filed = ground.filed
        if filed is None or filed.earlier is None:
            return candidate
        return replace(
            candidate,
            base=below(folder, ground.members),
            refs_base=below(folder, ground.references),
            leftovers=leftovers(filed, self.listing),
            dropped=f"{self.user}/{filed.earlier.dropped}" if filed.earlier.dropped else "",
            elsewhere=_elsewhere(pair),
        )


def _elsewhere(pair: Pair) -> tuple[str, ...]:
    """Members of the drop that were filed in its other part, and are not here as well."""
    elsewhere = pair.ground.elsewhere
    return tuple(sorted(elsewhere - {below(pair.ground.members, entry.path) for entry in pair.members})) if elsewhere else ()


def _seen_from(sidecar: Entry, entry: Entry) -> str:
    """How the owner finds it."""
    return below(sidecar.folder, entry.path)
