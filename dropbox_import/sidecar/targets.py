"""The ways to write a target: a mapping, a name, a bare id, or the target strings of `omero import`."""

from __future__ import annotations

import re
from typing import Any

from dropbox_import.sidecar.checks import Typed, is_empty, no_value, told
from dropbox_import.strict_yaml import shown

_BARE_ID = re.compile(r"[1-9][0-9]{0,17}\Z")
_DIGITS = re.compile(r"[0-9]+\Z")
_DATE = re.compile(r"(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])\Z")
_STEP = re.compile(r"(Project|Dataset|Screen|Plate):(?:([-+%@]?)(name|id):)?(.*)\Z", re.DOTALL)
_SPLIT = re.compile(r"/(?=(?:Project|Dataset|Screen|Plate):)")
_LINK = re.compile(r"https?://.*[?&]show=(project|dataset|image|screen|plate)-([1-9][0-9]{0,17})(?:[|&#]|\Z)")
_AMBIGUOUS = {"": "newest", "+": "newest", "-": "oldest", "%": "fail"}
NOWHERE = "none"


def as_container(value: object) -> object:
    """What `project:` or `dataset:` holds, as a mapping with `id` or `name`."""
    if isinstance(value, dict) or not isinstance(value, str):
        return value
    if is_empty(value):
        raise no_value()
    if isinstance(value, Typed) and _DIGITS.match(value):
        return {"id": _bare_number(value)}
    _no_link(value)
    found = _STEP.match(value)
    if found and (found.group(3) or _BARE_ID.match(found.group(4))):
        kind, sign, word, rest = found.groups()
        word = word or "id"
        short = f"{{id: {shown(rest, 30)}}}" if word == "id" and not sign else f'{{name: "{shown(rest, 60)}"}}'
        raise told(
            f"{shown(value, 40)}: this way of writing a target stands directly after target:",
            f'write target: "{shown(value, 60)}", or {kind.lower()}: {short}',
        )
    return {"name": value}


def _no_link(value: str) -> None:
    """The address of OMERO.web that people copy from their browser."""
    found = _LINK.match(value)
    if found and found.group(1) == "dataset":
        raise told("this is the address of a dataset in OMERO.web", f"write its id: target: {{dataset: {{id: {found.group(2)}}}}}")
    if found:
        raise told(
            f"this is the address of a {found.group(1)} in OMERO.web, and a dataset is expected", "write target: {dataset: {id: 151}}"
        )


def _bare_number(value: str) -> Typed:
    if value.startswith("0") or _DATE.match(value):
        reason = "begins with 0" if value.startswith("0") else "reads as a date"
        number = value.lstrip("0") or "0"
        raise told(
            f"{value} may be an id or a name: it {reason}", f'write {{id: {number}}} for the id, or {{name: "{value}"}} for the name'
        )
    if not _BARE_ID.match(value):
        raise told(f"{shown(value, 30)} is too long for an id", f'write {{name: "{shown(value)}"}} if it is a name')
    return Typed(value)


def as_target(value: object) -> object:
    """What `target:` holds, as a mapping; `none` gives an empty one with the mark `NOWHERE`."""
    if isinstance(value, list):
        raise told("a mapping is expected, not a list", "write target: {dataset: HeLa}")
    if not isinstance(value, str):
        return value
    if is_empty(value) and value != NOWHERE:
        raise told("has no value", "write target: {dataset: HeLa}, or target: none for images in no dataset")
    if value == NOWHERE:
        return NOWHERE
    _no_link(value)
    if not _STEP.match(value):
        raise told(
            f"{shown(value, 40)}: it is not said whether this is a dataset or a project",
            f'write target: {{dataset: "{shown(value, 60)}"}}',
        )
    return _of_string(value)


def _of_string(value: str) -> dict[str, Any]:
    steps = [_STEP.match(step) for step in _SPLIT.split(value)]
    made: dict[str, Any] = {}
    ambiguous = ""
    kinds = [step.group(1) for step in steps if step]
    for kind in kinds:
        if kind in ("Screen", "Plate"):
            raise told(
                f"{kind}: as a target is not supported yet", "write target: {dataset: HeLa}; this release imports into datasets only"
            )
    if kinds not in (["Dataset"], ["Project", "Dataset"]):
        raise told(
            f"{shown(value, 60)}: a dataset is expected, alone or after its project",
            'write "Dataset:id:151" or "Project:name:P/Dataset:name:D"',
        )
    for step in steps:
        if step is None:
            continue
        kind, sign, word, rest = step.groups()
        if not rest:
            raise told(f"{kind}: nothing stands after the colon", f'write "{kind}:id:151" or "{kind}:name:HeLa"')
        if word == "id" or (word is None and _BARE_ID.match(rest)):
            if sign or not _BARE_ID.match(rest):
                raise told(f"{shown(rest, 30)} is no id", f'write "{kind}:id:151", or "{kind}:name:…" for a name')
            made[kind.lower()] = {"id": Typed(rest)}
        elif sign == "@":
            raise told("@name, which makes a new one each time, is not supported", f'write "{kind}:name:{shown(rest, 40)}"')
        else:
            sign = sign or ""
            made[kind.lower()] = {"name": rest, "create": Typed("true")}
            if ambiguous and ambiguous != _AMBIGUOUS[sign]:
                raise told("project and dataset ask for different choices among several of one name", "use the same sign before both names")
            ambiguous = _AMBIGUOUS[sign]
    if ambiguous:
        made["on_ambiguous"] = ambiguous
    return made
