"""Folders of filed drops that somebody put back into drop/: what lies where in them, and what their result.yaml says. Pure.

Such a folder is known by its result.yaml. It gives the drop its old submission and its old names; who owns the drop and
what may be done is decided by the folder it lies in and by the sidecar, as for every other drop.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from dropbox_import import strict_yaml
from dropbox_import.disk.names import problem_with, same_key, shown
from dropbox_import.intake.tree import Entry, Folder, Kind, Listing, below, join
from dropbox_import.model import DROP_ID
from dropbox_import.strict_yaml import Limits, Unreadable

RESULT = "result.yaml"
JOURNAL = "journal.jsonl"
RECORDS = frozenset((JOURNAL, "request.json", RESULT, "REASON.txt", "ATTENTION.txt"))
MEMBERS, REFERENCES, EARLIER = "d", "refs", "earlier"
LONGEST = 4 << 20  # bytes of a result.yaml that are looked at; what is needed stands before what can be long
_KEYS = frozenset(map(same_key, RECORDS))
_SEGMENT = re.compile(r"journal-[0-9]{4,}\.jsonl")
_SUBMISSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_WANTED = ("drop", "submission", "dropped", "dated", "other_files")
_LIMITS = Limits(size=LONGEST, depth=3, aliases=0, nodes=200_000)


@dataclass(frozen=True, slots=True)
class Earlier:
    """What a result.yaml says of the first time. `dropped` is the sidecar's path below the user's folder then, "" if not known.

    `elsewhere` are members that lie in the other part of a drop that was filed in two.
    """

    drop: str
    submission: str
    dropped: str = ""
    dated: datetime | None = None
    elsewhere: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Filed:
    """One such folder. `records` are the paths of our files in it. `earlier` None: it is not known what drop it was.

    `inner` are its d, refs and earlier, as far as they are there: nothing in them is a sidecar.
    """

    folder: str
    records: frozenset[str]
    earlier: Earlier | None = None
    inner: tuple[str, ...] = ()

    def part(self, name: str) -> str:
        """The folder of that name in it if there is one, else the folder itself."""
        path = join(self.folder, name)
        return path if path in self.inner else self.folder

    def own(self, sidecars: Iterable[str]) -> str | None:
        """Which of the sidecars in it was filed with it: the one of that name, or the only one."""
        first = self.earlier.dropped.rpartition("/")[2] if self.earlier is not None else ""
        paths = list(sidecars)
        # The claim keeps the name, unless one of our files is called so.
        named = [path for path in paths if path.rpartition("/")[2] in (first, f"sidecar-{first}")]
        return named[0] if named else paths[0] if len(paths) == 1 else None


def earlier_of(data: bytes, user: str) -> Earlier | None:
    """What a file called result.yaml says, if one of ours says it; None for any other file. Whatever its bytes are, nothing is raised."""
    texts = _blocks(data)
    drop = _value(texts, "drop")
    if not isinstance(drop, str) or not DROP_ID.fullmatch(drop):
        return None
    submission, dropped = _value(texts, "submission"), _value(texts, "dropped")
    dated, elsewhere = _value(texts, "dated"), _value(texts, "other_files")
    return Earlier(
        drop=drop,
        submission=submission if isinstance(submission, str) and _SUBMISSION.fullmatch(submission) else drop,
        dropped=_below_user(dropped, user) if isinstance(dropped, str) else "",
        dated=_date(dated) if isinstance(dated, str) else None,
        elsewhere=frozenset(one for one in elsewhere if isinstance(one, str)) if isinstance(elsewhere, list) else frozenset(),
    )


def _blocks(data: bytes) -> dict[str, str]:
    """The lines of each key that is wanted. A whole result of ten thousand files would take long to read, and is not needed."""
    found: dict[str, list[str]] = {}
    block: list[str] = []
    for line in data[:LONGEST].decode("utf-8", "replace").split("\n"):
        if line[:1] not in (" ", "", "-", "#", "\t"):
            key = line.partition(":")[0]
            block = found.setdefault(key, []) if key in _WANTED else []
        block.append(line)
    return {key: "\n".join(lines) + "\n" for key, lines in found.items()}


def _value(texts: dict[str, str], key: str) -> object:
    if key not in texts:
        return None
    try:
        value = strict_yaml.to_value(strict_yaml.load(texts[key].encode("utf-8", "replace"), RESULT, limits=_LIMITS).root)
    except Unreadable:
        return None
    return value.get(key) if isinstance(value, dict) else None


def _below_user(path: str, user: str) -> str:
    """The path below the user's folder; "" if it leads anywhere else. It is used for names only, never to open a file."""
    mine = path.removeprefix(f"{user}/")
    return mine if mine != path and len(mine) <= 4096 and problem_with(mine) is None else ""


def _date(text: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(text)
        return found if found.tzinfo is not None and 1970 < found.year < 9000 else None
    except ValueError:
        return None


def called_as_a_record(name: str) -> bool:
    """Whether it cannot lie beside our files in every file system. What we wrote ourselves is known by its exact name."""
    return same_key(name) in _KEYS


def records_among(names: Iterable[str]) -> frozenset[str]:
    """Which of the names in one folder are ours. A journal alone proves nothing: other programs write one too."""
    found = RECORDS.intersection(names)
    return found if JOURNAL in found and len(found) > 1 else frozenset()


def filed_folders(listing: Listing, recall: Callable[[Entry], Earlier | None]) -> dict[str, Filed]:
    """Each folder that was filed by us. `recall` says what a result.yaml says. Nothing inside one is another one."""
    filed: dict[str, Filed] = {}
    suspects = [folder for folder in listing.folders.values() if RESULT in folder.entries or JOURNAL in folder.entries]
    for folder in sorted(suspects, key=lambda one: one.path.count("/") if one.path else -1):
        if any(f"{folder.path}/".startswith(f"{inner}/") for one in filed.values() for inner in one.inner):
            continue
        if (found := _filed(folder, recall)) is not None:
            filed[folder.path] = found
    return filed


def _filed(folder: Folder, recall: Callable[[Entry], Earlier | None]) -> Filed | None:
    files = [name for name, entry in folder.entries.items() if entry.kind is Kind.FILE]
    # In the user's own folder, with drops of all kinds beside it, it cannot be told what is its.
    earlier = recall(folder.entries[RESULT]) if folder.path and RESULT in files else None
    if earlier is None:
        ours = records_among(files)
        return Filed(folder.path, frozenset(join(folder.path, name) for name in ours)) if ours else None
    ours = frozenset(join(folder.path, name) for name in files if name in RECORDS or _SEGMENT.fullmatch(name))
    inner = (folder.entries.get(name) for name in (MEMBERS, REFERENCES, EARLIER))
    return Filed(folder.path, ours, earlier, tuple(one.path for one in inner if one is not None and one.kind is Kind.FOLDER))


def leftovers(filed: Filed, listing: Listing) -> tuple[str, ...]:
    """Our own files in it, paths from there: the claim takes them along, so that the place is free."""
    aside = [inner for inner in filed.inner if inner != join(filed.folder, MEMBERS)]
    kept = [entry.path for inner in aside for entry in listing.below(inner) if entry.kind is Kind.FILE]
    return tuple(below(filed.folder, path) for path in (*sorted(filed.records), *kept))


def told(user: str, filed: Filed, listing: Listing, sidecars: Iterable[str]) -> str | None:
    """What the owner of such a folder should know; None if it is taken as it is. `sidecars` are those in it."""
    where = f'{shown(user)}: "{shown(filed.folder)}" is the folder of a drop that was filed before'
    if filed.earlier is None:
        names = ", ".join(sorted(path.rpartition("/")[2] for path in filed.records))
        if not filed.folder:
            where = f"{shown(user)}: the drop folder has records of a filed drop"
        return f"{where}; {names} in it are left alone. {cure(filed.folder)}"
    known = {*sidecars}
    if not known:
        return f'{where}, and no sidecar lies in it. To drop it again, save its sidecar beside its "d".'
    if filed.part(MEMBERS) == filed.folder:
        return None
    others = [one.name for one in listing.children(filed.folder) if one.kind is Kind.FILE and one.path not in known | filed.records]
    if not others:
        return None
    names = ", ".join(f'"{shown(name)}"' for name in others[:3]) + (" and more" if len(others) > 3 else "")
    return f'{where}, and its images are looked for in its "d": {names} beside its sidecar will stay where they are.'


def cure(folder: str) -> str:
    """What to do with a filed folder whose result.yaml is gone or changed, or that was emptied into the user's own."""
    if not folder:
        return 'To drop it again, move what is in its "d" here and save the sidecar once more; the records can go.'
    return 'To drop it again, move what is in its "d" out of it, beside it, and then the sidecar; leave the rest of it in failed/.'
