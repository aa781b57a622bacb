"""What single keys of a sidecar take, beyond the types that sidecar and config share."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator

from dropbox_import.sidecar import templates
from dropbox_import.sidecar.checks import Typed, as_name, as_text, as_whole, is_empty, no_value, one_of, seen, told
from dropbox_import.sidecar.paths import as_glob, as_path
from dropbox_import.strict_yaml import shown

_MAIL = re.compile(r"[^\s@<>\"',;]+@[^\s@<>\"',;]+\Z")
MOST_ADDRESSES = 20
_SUBMISSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}\Z")
_MIME = re.compile(r"[A-Za-z0-9][\w.+-]*/[A-Za-z0-9][\w.+-]*\Z")


def _template(value: object, images: bool) -> str:
    text = as_name(value)
    try:
        templates.check(text, images=images)
    except templates.BadTemplate as bad:
        raise told(bad.sentence, bad.hint) from None
    return text


def as_mail(value: object) -> str:
    text = as_name(value)
    if not _MAIL.match(text) or len(text) > 254:
        raise told(f"{shown(text, 40)} does not look like an e-mail address", "write it like jdoe@uni.org")
    return text


def as_submission(value: object) -> str:
    text = as_text(value)
    if not _SUBMISSION.match(text):
        raise told(
            "takes up to 100 letters, digits and the signs . _ - and begins with a letter or digit", "write it like run-7-2025-06-01"
        )
    return text


def as_sha256(value: object) -> str:
    text = as_text(value)
    if not _SHA256.match(text):
        raise told("a SHA-256 checksum has 64 digits of 0-9 and a-f", "copy it from the output of sha256sum")
    return text.lower()


def as_mime(value: object) -> str:
    text = as_text(value)
    if not _MIME.match(text):
        raise told(f"{shown(text, 40)} is no media type", "write it like application/pdf")
    return text


def known_version(value: int) -> int:
    if value != 1:
        raise told(f"version {value} of the sidecar format is not known to this release", "write schema: 1, or update dropbox-import")
    return value


def _id(value: object) -> int:
    number = as_whole(value)
    if number < 1:
        raise told(f"{number} is no id", "ids in OMERO begin at 1")
    return number


def as_tag(value: object) -> object:
    if isinstance(value, str):
        if is_empty(value):
            raise told("this tag has no name", "write it after the dash, or remove the dash")
        return {"name": value}
    return value


def as_attachment(value: object) -> object:
    """The file alone is enough."""
    return {"file": value} if isinstance(value, str) and not is_empty(value) else value


def as_description(value: object) -> object:
    return value if isinstance(value, dict) else {"text": as_text(value)}


def as_pairs(value: object) -> list[object]:
    """A mapping, or a list of two-part lists, as a list in their order."""
    if is_empty(value):
        raise no_value()
    if isinstance(value, dict):
        value = [[key, item] for key, item in value.items()]
    if not isinstance(value, list):
        raise told("pairs of key and value are expected" + seen(value), "write {Organism: Homo sapiens} or [[Organism, Homo sapiens]]")
    if not value:
        raise told("no pair is given", "write [[Organism, Homo sapiens]], or remove this block")
    return value


def as_pair(item: object) -> tuple[str, str]:
    if not isinstance(item, list) or len(item) != 2:
        raise told(
            "each pair is a key and a value" + (f", not {len(item)} parts" if isinstance(item, list) else seen(item)),
            "write [Organism, Homo sapiens]; put texts that hold a comma into quotes",
        )
    key, value = item
    if is_empty(key):
        raise told("a key of a pair is empty", "write [Organism, Homo sapiens]")
    # A value may be empty, and `null` is a text like any other here.
    return as_text(key), str(value) if isinstance(value, Typed) else as_text(value)


def as_comment(value: object) -> str:
    text = as_text(value)
    if not text.strip():
        raise told("this comment is empty", "write a text, or remove it")
    return text


Comment = Annotated[str, BeforeValidator(as_comment, json_schema_input_type=str | int | float | bool)]
TargetName = Annotated[str, BeforeValidator(lambda value: _template(value, False), json_schema_input_type=str | int | float)]
ImageName = Annotated[str, BeforeValidator(lambda value: _template(value, True), json_schema_input_type=str | int | float)]
Id = Annotated[int, BeforeValidator(_id, json_schema_input_type=int)]
Path = Annotated[str, BeforeValidator(as_path, json_schema_input_type=str)]
Glob = Annotated[str, BeforeValidator(as_glob, json_schema_input_type=str)]


def few_addresses(value: list[str]) -> list[str]:
    """Nobody is to send mail to the whole world through a sidecar."""
    if len(value) > MOST_ADDRESSES:
        raise told(f"{len(value)} addresses are too many; {MOST_ADDRESSES} can be told", "name a mailing list")
    return value


Mail = Annotated[str, BeforeValidator(as_mail, json_schema_input_type=str)]
Submission = Annotated[str, BeforeValidator(as_submission, json_schema_input_type=str)]
Sha256 = Annotated[str, BeforeValidator(as_sha256, json_schema_input_type=str)]
Mime = Annotated[str, BeforeValidator(as_mime, json_schema_input_type=str)]
OnWhat = Annotated[
    Literal["image", "dataset", "project"],
    BeforeValidator(one_of("image", "dataset", "project", later=("well", "plate", "screen", "fileset", "run"))),
]
