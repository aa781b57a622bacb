"""What the sidecars of one user say, read once for each state of the file."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dropbox_import import sidecar
from dropbox_import.disk.facts import read_below, stat_below
from dropbox_import.disk.names import shown
from dropbox_import.disk.trouble import as_ours
from dropbox_import.errors import Mistake, Rejected, SidecarInvalid
from dropbox_import.intake.filed import LONGEST, Earlier, earlier_of
from dropbox_import.intake.pairing import Asked
from dropbox_import.intake.sums import Sums
from dropbox_import.intake.tree import Entry, entry_of
from dropbox_import.model import ImportRequest
from dropbox_import.strict_yaml import Limits

_log = logging.getLogger(__name__)
UNEXPECTED = "an unexpected error, which is a fault of this program; the log has more, and the administrator should see it"
LONGEST_SIDECAR = Limits().size
# One byte more than a sidecar may have, so that the parser sees that it is too large.
_LONGEST = LONGEST_SIDECAR + 1


@dataclass(frozen=True, slots=True)
class Reading:
    """One file with a sidecar's ending. `request` and `error` None: not a sidecar, or (with `trouble`) not read.

    `kind`: the code of the disk's trouble, if it is that. `sha256` is "" for one that is too large to be a sidecar: it is not
    read to its end.
    """

    print: Hashable
    sha256: str = ""
    request: ImportRequest | None = None
    error: SidecarInvalid | None = None
    trouble: str = ""
    kind: str = ""


class Reader:
    """Reads sidecars below `base` and the checksums of expected files. What did not change is not read again."""

    def __init__(self, base: Path, defaults: Mapping[str, Any], *, stable_ids: bool) -> None:
        self.base = base
        self._defaults = defaults
        self._stable = stable_ids
        self._readings: dict[str, Reading] = {}
        self._earlier: dict[str, tuple[Hashable, Earlier | None]] = {}
        self.sums = Sums(base)
        self._faults: dict[str, Hashable] = {}
        self._texts: dict[tuple[str, bool], ImportRequest] = {}  # of one scan
        self.unsettled = False  # something could not be read, and is to be asked for again though it has not changed

    def ask(self, entry: Entry) -> Asked | None:
        """Is it a sidecar, and what does it ask for? One that cannot be read now counts as one, so that nobody takes it as data."""
        reading = self._read(entry)
        if reading.request is None and reading.error is None and not reading.trouble:
            return None
        return Asked(reading.request)

    def recall(self, entry: Entry) -> Earlier | None:
        """What a result.yaml says of a filed drop; None if it is none of ours or cannot be read now."""
        known = self._earlier.get(entry.path)
        if known is None or known[0] != entry.print:
            try:
                known = (entry.print, earlier_of(read_below(self.base, entry.path, LONGEST), self.base.name))
            except (OSError, Rejected) as error:
                _log.debug("Reading %s: %s", shown(entry.path), error)
                self.unsettled = True
                return None
            except Exception:  # noqa: BLE001 - one file must not stop the others
                if self.first_time(entry):
                    _log.exception("Reading %s failed", shown(entry.path))
                known = (entry.print, None)
            self._earlier[entry.path] = known
        return known[1]

    def get(self, path: str) -> Reading:
        """What `ask` found in this scan."""
        return self._readings[path]

    def forget_all_but(self, is_there: Callable[[str], object]) -> None:
        """The end of a scan that asked: keep only what still exists."""
        self._texts.clear()
        for known in (self._readings, self._faults, self._earlier):
            for path in [path for path in known if is_there(path) is None]:
                del known[path]
        self.sums.keep(is_there)

    def first_time(self, entry: Entry) -> bool:
        """True once for each state of the file, so that a fault of ours is not logged at every scan."""
        mark = entry.print
        if self._faults.get(entry.path) == mark:
            return False
        self._faults[entry.path] = mark
        return True

    def still_says(self, entry: Entry) -> bool:
        """Read again, for shares, where a change may leave size and time as they were."""
        said = self._readings[entry.path].sha256
        if not said or hashlib.sha256(read_below(self.base, entry.path, _LONGEST)).hexdigest() == said:
            return True
        del self._readings[entry.path]
        self.unsettled = True
        return False

    def lines(self, path: str) -> list[str]:
        """Its text in lines, to show where a mistake is. Empty when it cannot be read."""
        try:
            data = read_below(self.base, path, _LONGEST)
        except (OSError, Rejected):
            return []
        return data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8", "replace").splitlines()

    def _read(self, entry: Entry) -> Reading:
        mark = entry.print
        known = self._readings.get(entry.path)
        if known is not None and known.print == mark and not known.trouble:
            return known
        try:
            reading = self._fresh(entry, mark)
        except OSError as error:
            reading = Reading(mark, trouble=f"it cannot be read: {error.strerror or error}", kind=as_ours(error, "").kind)
        except Rejected as error:
            reading = Reading(mark, trouble=f"{error.sentence} {error.hint}".strip())
        except Exception:  # noqa: BLE001 - one file must not stop the others
            reading = Reading(mark, trouble=UNEXPECTED)
            if self.first_time(entry):
                _log.exception("Reading %s failed", shown(entry.path))
        self._readings[entry.path] = reading
        self.unsettled = self.unsettled or bool(reading.trouble)
        return reading

    def _fresh(self, entry: Entry, mark: Hashable) -> Reading:
        head = read_below(self.base, entry.path, sidecar.HEAD)
        verdict = sidecar.is_sidecar(entry.name, head)
        if not verdict.is_sidecar and not verdict.near_miss:
            return Reading(mark)
        data = head if len(head) < sidecar.HEAD else read_below(self.base, entry.path, _LONGEST)
        digest = hashlib.sha256(data).hexdigest() if len(data) < _LONGEST else ""
        after = entry_of(entry.path, stat_below(self.base, entry.path), stable_ids=self._stable)
        if after.print != mark:
            return Reading(mark, trouble="it is still being written")
        try:
            return Reading(mark, digest, request=self._parsed(entry.name, data, digest if verdict.is_sidecar else ""))
        except SidecarInvalid as error:
            return Reading(mark, digest, error=error)

    def _parsed(self, name: str, data: bytes, digest: str) -> ImportRequest:
        """Programs write the same text for hundreds of drops, and it is parsed once in a scan. `digest` "": its name is a mistake."""
        text = (digest, name.lower().endswith(".json"))
        request = self._texts.get(text)
        if request is None:
            request = sidecar.parse_sidecar(data, name, defaults=self._defaults)
            if digest and not request.notices:  # they say the name of the file
                self._texts[text] = request
        return request


def place(lines: list[str], text: str) -> tuple[int, int]:
    """Line and column (from 1) of the first line that has `text`; 0, 0 if none or no text."""
    if text:
        for number, line in enumerate(lines, 1):
            if (column := line.find(text)) >= 0:
                return number, column + 1
    return 0, 0


def mistake_at(lines: list[str], file: str, sentence: str, hint: str, about: str = "") -> Mistake:
    """A mistake that points to the line which says `about`."""
    line, column = place(lines, about)
    return Mistake(file, line, column, sentence, hint)
