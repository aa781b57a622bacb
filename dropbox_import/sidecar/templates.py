"""Placeholders in names: `{date}`, `{date:%Y-%m}`, `{folder}`, `{path1}` …, filled in by a formatter that knows only these words."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial

from dropbox_import.model import ImageRule
from dropbox_import.strict_yaml import shown

AT_CLAIM = ("date", "file", "stem", "folder", "path1")
PER_IMAGE = ("series", "series_name")
DEFAULT_DATE = "%Y-%m-%d"
_PIECE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_WORD = re.compile(r"([a-z_]+)([1-9]?)(?::(.*))?\Z", re.DOTALL)
_DATE_PARTS = frozenset("YymdjHMSbBaAVGu%")
_SERIES = re.compile(r"\{(?:series(?::0?[1-9]?d)?|series_name)\}")
_LONG_SUFFIXES = (".ome.tiff", ".ome.tif", ".ome.zarr", ".ome.xml", ".nii.gz", ".companion.ome")
_BRACES = "write {{ and }} for braces that are part of the name"


class BadTemplate(ValueError):
    """A template that cannot be filled in: the sentence, and what to write."""

    def __init__(self, sentence: str, hint: str) -> None:
        super().__init__(sentence)
        self.sentence, self.hint = sentence, hint


def stem_of(file: str) -> str:
    """The file name without its suffix; suffixes such as .ome.tif count as one."""
    name = file.rsplit("/", 1)[-1]
    for suffix in _LONG_SUFFIXES:
        if name.lower().endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)]
    stem, dot, _ = name.rpartition(".")
    return stem if dot and stem else name


def check(template: str, *, images: bool) -> None:
    """Raises BadTemplate. `images`: the name of an image, where the series is known too."""
    fill(template, partial(_accept, images=images))


def _accept(word: str, spec: str | None, *, images: bool) -> str:
    known = [*AT_CLAIM[:-1], "path1, path2, …", *(PER_IMAGE if images else ())]
    if word in PER_IMAGE and not images:
        raise BadTemplate(
            f"{{{word}}} cannot be used for a target, which is chosen before the images are opened", "known here: " + ", ".join(known)
        )
    if word not in (*AT_CLAIM, *PER_IMAGE) and not re.fullmatch(r"path[1-9]", word):
        raise BadTemplate(f"{{{shown(word, 30)}}}: unknown placeholder", f"known here: {', '.join(known)}; {_BRACES}")
    if spec is not None:
        if word == "date":
            _date_format(spec)
        elif word != "series":
            raise BadTemplate(f"{{{word}}} takes nothing after a colon", f"write {{{word}}}")
        elif not re.fullmatch(r"0?[1-9]?d", spec):
            raise BadTemplate(f"{{series:{shown(spec, 20)}}}: this is no number format", "write {series}, or {series:02d} for two digits")
    return ""


def _date_format(spec: str) -> str:
    for found in re.finditer(r"%(.?)", spec, re.DOTALL):
        if found.group(1) not in _DATE_PARTS or not found.group(1):
            raise BadTemplate(
                f"{{date:{shown(spec, 30)}}}: {shown(found.group())} is no part of a date",
                "write for example {date:%Y-%m-%d} or {date:%H:%M}",
            )
    return spec


def fill(template: str, value_of: Callable[[str, str | None], str | None], *, keep_braces: bool = False) -> str:
    """The text with each placeholder replaced by what `value_of(word, format)` gives; None leaves it as it is.
    `keep_braces`: the outcome is a template again, so braces of texts stay, or become, doubled."""

    def replace(found: re.Match[str]) -> str:
        piece = found.group()
        if piece in ("{{", "}}"):
            return piece if keep_braces else piece[0]
        if found.group(1) is None:
            raise BadTemplate(f"a single {piece} stands in the name", _BRACES)
        word = _WORD.match(found.group(1))
        if not word:
            raise BadTemplate(f"{{{shown(found.group(1), 30)}}} is no placeholder", _BRACES)
        text = value_of(word.group(1) + word.group(2), word.group(3))
        if text is None:
            return piece
        return text.replace("{", "{{").replace("}", "}}") if keep_braces else text

    return _PIECE.sub(replace, template)


def values_at_claim(*, sidecar_path: str, folder: str, file: str, date: datetime) -> Mapping[str, str | datetime]:
    """What is known when a drop is claimed. `path1` … are the folders of the sidecar's path, the outermost first."""
    folders = [part for part in sidecar_path.split("/")[:-1] if part]
    paths = {f"path{number}": name for number, name in enumerate(folders[:9], 1)}
    return {"date": date, "folder": folder.rstrip("/").rsplit("/", 1)[-1], "file": file.rsplit("/", 1)[-1], "stem": stem_of(file), **paths}


def render(template: str, values: Mapping[str, str | datetime], *, later: tuple[str, ...] = ()) -> str:
    """The template with `values` filled in; words in `later` are left for later, and then the outcome is a template still."""

    def value_of(word: str, spec: str | None) -> str | None:
        if word in later:
            return None
        value = values.get(word)
        if value is None:
            raise BadTemplate(
                f"{{{word}}} has no value for this drop", "the sidecar does not lie so deep; use {folder}, or put it into more folders"
            )
        if isinstance(value, datetime):
            return value.strftime(_date_format(spec) if spec else DEFAULT_DATE)
        return value

    return fill(template, value_of, keep_braces=bool(later))


def for_fileset(image: ImageRule, file: str) -> ImageRule:
    """The rule for the images of one fileset whose main file is `file`: {file} and {stem} are filled in, doubled braces become single.
    {series} and {series_name} stay for the importer, which takes every other brace as it is."""
    if image.name is None:
        return image
    known = {"file": file.rsplit("/", 1)[-1], "stem": stem_of(file)}
    return replace(image, name=fill(image.name, lambda word, _: known.get(word)))


def needs_series(name: str | None) -> bool:
    """Whether a name that `for_fileset` gave can only be written once the images are known."""
    return name is not None and _SERIES.search(name) is not None
