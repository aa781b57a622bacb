"""`build`: the text of a sidecar, for `submit` and for programs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from dropbox_import import strict_yaml
from dropbox_import.sidecar.parse import check_defaults, invalid

_ID = re.compile(r"id:([1-9][0-9]{0,17})\Z")
_NAME = re.compile(r"name:(.+)\Z", re.DOTALL)


def build(fields: Mapping[str, Any], *, comment: str = "") -> bytes:
    """The sidecar with these keys, in their order, as `parse_sidecar` reads it.

    Texts are quoted where they could be taken for something else. A dataset or project that is a text is a name unless
    written "id:151"; an int is an id. Keys whose value is None, and empty lists and mappings, are left out. The target may
    be missing (the box's defaults may give it). Raises SidecarInvalid with what the fields have wrong.
    """
    tidy = {str(key): _tidy(value) for key, value in fields.items() if not _nothing(value)}
    target = tidy.get("target")
    if isinstance(target, dict):
        tidy["target"] = {key: container(value) if key in ("project", "dataset") else value for key, value in target.items()}
    mistakes = check_defaults(strict_yaml.from_value(tidy, "sidecar"))
    if mistakes:
        raise invalid("sidecar", mistakes)
    head = "".join(f"# {strict_yaml.shown(line, 200)}\n" for line in comment.splitlines())
    return (head + strict_yaml.dump(tidy)).encode("utf-8")


def container(value: object) -> object:
    """A dataset or project from the command line as a mapping with id or name, so that nobody can take a name for an id."""
    if isinstance(value, int) and not isinstance(value, bool):
        return {"id": value}
    if not isinstance(value, str):
        return value
    found = _ID.match(value)
    if found:
        return {"id": int(found.group(1))}
    named = _NAME.match(value)
    return {"name": named.group(1) if named else value}


def _nothing(value: object) -> bool:
    return value is None or (isinstance(value, (Mapping, Sequence)) and not isinstance(value, str) and len(value) == 0)


def _tidy(value: object) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _tidy(item) for key, item in value.items() if not _nothing(item)}
    if isinstance(value, (list, tuple)):
        return [_tidy(item) for item in value]
    return value
