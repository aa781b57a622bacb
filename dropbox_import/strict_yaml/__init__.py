"""Strict YAML and JSON in, with line and column; plain YAML out. The only home of the yaml library.

Owns: decoding the bytes, the limits against hostile files, the tree of nodes in which each text still is what the
user typed, and one plain sentence for each thing that people and editors do to such files.
Promises: `load` returns a tree or raises `Unreadable` with every mistake that could be found; nothing else, on any bytes.
Never: guesses types, runs tags, merges keys, or quotes more of a file than one short word.
"""

from __future__ import annotations

from dropbox_import.strict_yaml.nodes import (
    MOST_MISTAKES,
    Document,
    Limits,
    Mapping,
    Mark,
    Node,
    Scalar,
    Sequence,
    Unreadable,
    find,
    from_value,
    to_value,
)
from dropbox_import.strict_yaml.read import load, top_level_keys
from dropbox_import.strict_yaml.text import decode, shown
from dropbox_import.strict_yaml.write import dump

__all__ = [
    "MOST_MISTAKES",
    "Document",
    "Limits",
    "Mapping",
    "Mark",
    "Node",
    "Scalar",
    "Sequence",
    "Unreadable",
    "decode",
    "dump",
    "find",
    "from_value",
    "load",
    "shown",
    "to_value",
    "top_level_keys",
]
