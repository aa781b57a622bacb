"""Names and descriptions of images where the sidecar's depend on the series or add to what the file says."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from omero.rtypes import rstring

from dropbox_import.importer import queries
from dropbox_import.importer.annotate import Bearer
from dropbox_import.importer.errors import calling
from dropbox_import.model import ImageRule

_FIELD = re.compile(r"\{(?:series(?::(0?[1-9]?d))?|(series_name))\}")


@dataclass(frozen=True, slots=True)
class Pictured:
    """An image as the confirmation told it."""

    id: int
    series: int = 0
    series_name: str = ""
    name: str = ""

    @classmethod
    def from_args(cls, args: Mapping[str, Any]) -> Pictured:
        return cls(int(args["id"]), int(args.get("series") or 0), args.get("series_name") or "", args.get("name") or "")


def has_series(text: str | None) -> bool:
    """Whether the text can only be written once the images are known."""
    return text is not None and _FIELD.search(text) is not None


def rendered(text: str, image: Pictured) -> str:
    """`text` with {series}, {series:02d} and {series_name} filled in; every other brace is literal."""

    def value(match: re.Match[str]) -> str:
        if match[2]:
            return image.series_name or image.name
        return format(image.series, match[1] or "d")

    return _FIELD.sub(value, text)


def wanted_texts(rule: ImageRule, image: Pictured, description: str) -> tuple[str | None, str | None]:
    """The new name and description, each None where it stays. A name without a series and a whole description were set by `begin`."""
    name = rendered(rule.name, image) if rule.name is not None and has_series(rule.name) else None
    text = rule.description
    if text is None or not rule.append:
        return name, None
    if description == text or description.endswith("\n" + text):
        return name, None
    return name, f"{description}\n{text}" if description else text


def rename(bearer: Bearer, rule: ImageRule, images: Sequence[Pictured]) -> None:
    """Gives images their names and descriptions; one that has them already is left alone."""
    if not (has_series(rule.name) or rule.append):
        return
    with calling("reading the names of the images"):
        rows = {int(row[0]): (str(row[1]), str(row[2] or "")) for row in bearer.rows(queries.IMAGE_TEXTS)}
    for image in images:
        if image.id not in rows:
            continue
        old_name, old_description = rows[image.id]
        name, description = wanted_texts(rule, image, old_description)
        if name in (None, old_name) and description in (None, old_description):
            continue
        bearer.teller.in_call("save")
        with bearer.trying(f"name of image {image.id}"), calling(f"naming image {image.id}", changes=True):
            loaded = bearer.session.client.getSession().getQueryService().get("Image", image.id)
            if name is not None:
                loaded.name = rstring(name)
            if description is not None:
                loaded.description = rstring(description)
            bearer.session.update().saveAndReturnObject(loaded)
            bearer.made.append(f"Image:{image.id} <- name")
