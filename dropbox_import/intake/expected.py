"""What a sidecar expects, held against the files that are there. Pure."""

from __future__ import annotations

from collections.abc import Callable

from dropbox_import.disk.names import nfc, shown
from dropbox_import.intake.filed import MEMBERS, Filed, cure
from dropbox_import.intake.pairing import Pair
from dropbox_import.intake.tree import Entry, below
from dropbox_import.model import ImportRequest


def by_name(pair: Pair) -> Callable[[str], Entry | None]:
    """Looks a member up as the sidecar names it."""
    known = {nfc(below(pair.ground.members, entry.path)): entry for entry in pair.members}
    return lambda name: known.get(nfc(name))


def all_expected(pair: Pair) -> bool:
    """Every member has the size that the sidecar expects (or a checksum, which is looked at later): no need to wait long."""
    if pair.request is None or not pair.members or pair.missing:
        return False
    expect = pair.request.files.expect
    if not expect.size and not expect.sha256:
        return False
    find = by_name(pair)
    known = {entry.path for name in expect.sha256 if name not in expect.size and (entry := find(name)) is not None}
    known |= {entry.path for name, size in expect.size.items() if (entry := find(name)) is not None and entry.size == size}
    return all(entry.path in known for entry in pair.members)


def main_file(pair: Pair) -> Entry:
    """The file that {file} and {stem} mean: one of the sidecar's own folder first, else the first of all."""
    return min(pair.members, key=lambda entry: (entry.folder != pair.ground.members, entry.path))


def nothing_there(pair: Pair, request: ImportRequest) -> tuple[str, str, str]:
    """Reason, hint and the word in the sidecar, for one that has no member."""
    ground = pair.ground
    if ground.filed is not None:
        return _nothing_filed(ground.filed)
    if pair.references:
        names = ", ".join(f'"{shown(below(ground.references, entry.path))}"' for entry in pair.references[:3])
        return (f"there is no image besides the attachments {names}", "Name the images under files: include.", "attachments")
    if request.files.include is None:
        base = shown(ground.name)
        file = f'"{base}"' if "." in base else f'"{base}.tif" (or another ending of images)'
        return (
            f'there is no file or folder "{base}" beside it',
            f'Put {file} there, or name the files in the sidecar: files: {{include: ["*.tif"]}}.',
            "",
        )
    patterns = ", ".join(f'"{shown(name)}"' for name in request.files.include[:5])
    return (f"no file fits {patterns}", "Put the files there, or correct the names; what lies in a folder is written folder/**.", "include")


def _nothing_filed(filed: Filed) -> tuple[str, str, str]:
    if filed.earlier is None:
        return ("it lies in the folder of a drop that was filed before", cure(filed.folder), "")
    if filed.part(MEMBERS) != filed.folder:
        return ('none of its files is in the "d" beside it', 'Put the files that are to be imported into that "d".', "")
    first = filed.earlier.dropped.rpartition("/")[0]
    where = f'"{shown(first)}"' if first else "the drop folder"
    return (
        f"only the sidecar was filed, without its images; move it back to them, which were in {where} then",
        "Its folder has no images, and nothing else in it is needed.",
        "",
    )


def not_there(pair: Pair) -> tuple[str, str]:
    """The names that are missing, and what to do."""
    names = ", ".join(f'"{shown(name)}"' for name in pair.missing[:5]) + (" and more" if len(pair.missing) > 5 else "")
    case = f' ("{shown(pair.other_case[0])}" is there: upper and lower case count)' if pair.other_case else ""
    ground = pair.ground
    if ground.filed is not None and ground.members != pair.sidecar.folder:
        return f'not in the "d" beside it: {names}{case}', "Put the missing files there, or take their names out of the sidecar."
    reason = f"not there yet: {names}{case}"
    if pair.members:
        # Of a drop that failed in part only those files came back that are not in OMERO; the list names all.
        reason += "; if they are in OMERO already, from an earlier try, take their names out of the sidecar"
    return reason, "Put the missing files there, or correct their names."


def hours(seconds: float) -> str:
    """A duration in words."""
    if seconds >= 7200 and seconds % 3600 == 0:
        return f"{seconds / 3600:.0f} hours"
    return "an hour" if seconds == 3600 else f"{seconds:g} seconds"
