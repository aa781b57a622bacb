"""The users' file: from the bytes of a sidecar to an ImportRequest.

Owns: which files are sidecars, what each key takes, the rules for ids, names, paths and templates, the box's defaults under it, the
JSON Schema, and the text that `submit` writes.
Promises: every mistake at once, each with file, line, column, sentence and cure; the same bytes give the same request.
Never: looks at the disk or asks OMERO; quotes more of the file than a key or a short word.
"""

from __future__ import annotations

from dropbox_import.sidecar.build import build
from dropbox_import.sidecar.parse import allowed_owner, check_defaults, parse_sidecar, render
from dropbox_import.sidecar.recognise import HEAD, SUFFIXES, Verdict, is_sidecar
from dropbox_import.sidecar.schema import schema, schema_text
from dropbox_import.sidecar.templates import for_fileset, needs_series

__all__ = [
    "HEAD",
    "SUFFIXES",
    "Verdict",
    "allowed_owner",
    "build",
    "check_defaults",
    "for_fileset",
    "is_sidecar",
    "needs_series",
    "parse_sidecar",
    "render",
    "schema",
    "schema_text",
]
