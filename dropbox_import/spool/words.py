"""Each journal record as a plain sentence, for the log, `show` and whoever reads along. Pure."""

from __future__ import annotations

from dropbox_import.spool.journal import Record

SAYS = {
    "intent": "seen; what it asks for was written down",
    "seal": "closed to users",
    "claimed": "taken out of the drop folder",
    "release": "is put back into the drop folder",
    "inspected": "the files were looked at",
    "reinspect": "the files changed and are looked at again",
    "resolved": "owner, group and target were found in OMERO",
    "unresolve": "the target is looked for again",
    "try-again": "OMERO's last refusal counts no more",
    "making": "what is missing in OMERO is made there",
    "target": "project and dataset are there",
    "looked-up": "OMERO was asked what it has of this already",
    "begin": "an import is begun",
    "begun": "OMERO made the fileset",
    "uploaded": "the files are on the server, checksums equal",
    "commit": "OMERO is asked to import them",
    "committed": "OMERO has taken the import",
    "answered": "OMERO answered",
    "imported": "the images are in OMERO",
    "annotated": "annotations are made",
    "lost": "the worker that had it is gone",
    "refused": "the server's checksum differed; it is sent again",
    "discard": "a dead fileset of ours is removed",
    "discarded": "it is removed",
    "death": "a worker died with it",
    "fileset-failed": "this fileset cannot be imported",
    "failed": "the drop cannot be imported",
    "attention": "somebody should look",
    "messages": "messages are written",
    "split": "it is filed in two parts",
    "split-done": "the failed part has its own folder",
    "file": "it is filed",
    "reopened": "an administrator had it tried again",
    "adopted": "it was taken over from another instance",
}

DETAILS = frozenset({"seal", "looked-up", "lost", "messages", "split-done", "commit", "committed", "answered", "begin", "death", "file"})
"""Kinds that only somebody who looks for a fault wants to read."""


def sentence(record: Record) -> str:
    """What the record says, with the detail that people ask for first."""
    says, data = SAYS.get(record.kind, record.kind), record.data
    detail = data.get("sentence") or data.get("message") or data.get("to") or data.get("text")
    if record.kind in ("begun", "imported") and data.get("fileset") is not None:
        images = ", ".join(str(image["id"]) for image in data.get("images", []))
        detail = f"Fileset:{data['fileset']}" + (f", Image:{images}" if images else "")
    if record.kind == "intent":
        detail = data["candidate"]["sidecar"]["path"]
    return f"{says}: {detail}" if detail else says
