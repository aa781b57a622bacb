"""What single keys of the config take, beyond the types that sidecar and config share."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator

from dropbox_import.settings.units import as_seconds
from dropbox_import.sidecar.checks import as_name, told
from dropbox_import.strict_yaml import shown


def as_absolute(value: object) -> Path:
    text = as_name(value)
    if "://" in text:
        raise told(f"{shown(text, 40)} is an address; a path is expected", "write an absolute path, like /srv/imports")
    path = Path(text)
    if not path.is_absolute():
        hint = (
            "write it out, like /home/jdoe/imports"
            if text.startswith("~")
            else "write it from the root, like /srv/imports; a service has no folder of its own"
        )
        raise told(f"{shown(text, 40)} is not an absolute path", hint)
    if ".." in path.parts:
        raise told(f"{shown(text, 40)} holds ..", "write the path without it")
    return path


def secret_file(sentence: str, hint: str) -> BeforeValidator:
    """A path of a file that holds a secret. Somebody may have written the secret itself there, so what is no path is not repeated."""

    def check(value: object) -> Path:
        if not Path(as_name(value)).is_absolute():
            raise told(sentence, hint)
        return as_absolute(value)

    return BeforeValidator(check, json_schema_input_type=str)


def host_name(like: str) -> BeforeValidator:
    """The name of a computer and nothing else; `like` is one, for the hint."""

    def check(value: object) -> str:
        text = as_name(value)
        if not re.fullmatch(r"[A-Za-z0-9._:-]+", text):
            raise told(f"{shown(text, 40)} is not a host name", f"write the name only, like {like}, without https:// and without a path")
        if re.fullmatch(r"[^:]+:[0-9]+", text):
            raise told(f"{shown(text, 40)} holds a port", f"write host: {text.split(':')[0]} and port: {text.split(':')[1]}")
        return text

    return BeforeValidator(check, json_schema_input_type=str)


def at_least(low: float, words: str) -> AfterValidator:
    def check(value: float) -> float:
        if value < low:
            raise told(f"this is too short; at least {words}", f"write {words} or more")
        return value

    return AfterValidator(check)


def at_most(high: float, words: str) -> AfterValidator:
    def check(value: float) -> float:
        if value > high:
            raise told(f"this is too long; at most {words}", f"write {words} or less")
        return value

    return AfterValidator(check)


Folder = Annotated[Path, BeforeValidator(as_absolute, json_schema_input_type=str)]
Seconds = Annotated[float, BeforeValidator(as_seconds, json_schema_input_type=str | float)]
