"""What a sidecar expects, held against the files that are there. Pure."""

from __future__ import annotations

from collections.abc import Callable

from dropbox_import.disk.names import nfc, shown
from dropbox_import.intake.filed import cure
from dropbox_import.intake.members import base_of
from dropbox_import.intake.pairing import Pair
from dropbox_import.intake.tree import Entry, below
from dropbox_import.model import ImportRequest


def by_name(pair: Pair) -> Callable[[str], Entry | None]:
    """Looks a member up as the sidecar names it."""
    known = {nfc(below(pair.sidecar.folder, entry.path)): entry for entry in pair.members}
    return lambda name: known.get(nfc(name))


def all_expected(pair: Pair) -> bool:
    """Every member has the size that the sidecar expects (or a checksum, which is looked at later): no need to wait long."""
    if pair.request is None or not pair.members or pair.missing:
        return False
    expect = pair.request.files.expect
    find = by_name(pair)
    known = {entry.path for name in expect.sha256 if name not in expect.size and (entry := find(name)) is not None}
    known |= {entry.path for name, size in expect.size.items() if (entry := find(name)) is not None and entry.size == size}
    return all(entry.path in known for entry in pair.members)


def main_file(pair: Pair) -> Entry:
    """The file that {file} and {stem} mean: one of the sidecar's own folder first, else the first of all."""
    return min(pair.members, key=lambda entry: (entry.folder != pair.sidecar.folder, entry.path))


def nothing_there(pair: Pair, request: ImportRequest) -> tuple[str, str, str]:
    """Reason, hint and the word in the sidecar, for one that has no member."""
    if pair.in_filed_folder:
        return ("it lies in the folder of a drop that was filed before", cure(pair.sidecar.folder), "")
    if pair.references:
        names = ", ".join(f'"{shown(below(pair.sidecar.folder, entry.path))}"' for entry in pair.references[:3])
        return (f"there is no image besides the attachments {names}", "Name the images under files: include.", "attachments")
    if request.files.include is None:
        base = shown(base_of(pair.sidecar.path))
        file = f'"{base}"' if "." in base else f'"{base}.tif" (or another ending of images)'
        return (
            f'there is no file or folder "{base}" beside it',
            f'Put {file} there, or name the files in the sidecar: files: {{include: ["*.tif"]}}.',
            "",
        )
    patterns = ", ".join(f'"{shown(name)}"' for name in request.files.include[:5])
    return (f"no file fits {patterns}", "Put the files there, or correct the names; what lies in a folder is written folder/**.", "include")


def hours(seconds: float) -> str:
    """A duration in words."""
    if seconds >= 7200 and seconds % 3600 == 0:
        return f"{seconds / 3600:.0f} hours"
    return "an hour" if seconds == 3600 else f"{seconds:g} seconds"
