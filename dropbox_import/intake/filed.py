"""The records that lie in the folder of a filed drop. When somebody moves such a folder back, they are neither sidecars nor data. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from dropbox_import.disk.names import shown
from dropbox_import.intake.tree import Kind, Listing

JOURNAL = "journal.jsonl"
RECORDS = frozenset((JOURNAL, "request.json", "result.yaml", "REASON.txt", "ATTENTION.txt"))


def records_among(names: Iterable[str]) -> frozenset[str]:
    """Which of the names in one folder are ours. A journal alone proves nothing: other programs write one too."""
    found = RECORDS.intersection(names)
    return found if JOURNAL in found and len(found) > 1 else frozenset()


def filed_folders(listing: Listing) -> dict[str, frozenset[str]]:
    """Each folder that was filed by us, with the paths of our records in it."""
    filed: dict[str, frozenset[str]] = {}
    for folder, paths in listing.children.items():
        if (f"{folder}/{JOURNAL}" if folder else JOURNAL) not in listing.entries:
            continue
        files = {listing.entries[path].name: path for path in paths if listing.entries[path].kind is Kind.FILE}
        if records := records_among(files):
            filed[folder] = frozenset(files[name] for name in records)
    return filed


def notice(user: str, folder: str, records: Iterable[str]) -> str:
    """What the owner of the folder should know and do."""
    names = ", ".join(sorted(path.rpartition("/")[2] for path in records))
    where = f'"{shown(folder)}" is the folder of a drop that was filed before' if folder else "the drop folder has records of a filed drop"
    return f"{shown(user)}: {where}; {names} in it are left alone. {cure(folder)}"


def cure(folder: str) -> str:
    """What to do with a filed folder that was moved back whole."""
    if not folder:
        return 'To drop it again, move what is in its "d" here and save the sidecar once more; the records can go.'
    return 'To drop it again, move what is in its "d" out of it, beside it, and then the sidecar; leave the rest of it in failed/.'
