"""Which files are sidecars, told from their name and the beginning of what they say."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import PurePath

from dropbox_import.strict_yaml import top_level_keys

SUFFIXES = (".yaml", ".yml", ".json")
FOLDER_DEFAULTS = ("omero.yml", "omero.yaml")
HEAD = 65536
_DISGUISED = re.compile(r"\.(yaml|yml|json)\.txt\Z", re.IGNORECASE)
_INTEGER = re.compile(r"[\"']?[0-9]{1,9}[\"']?,?\Z")


@dataclass(frozen=True, slots=True)
class Verdict:
    """`near_miss`: it is no sidecar but was meant as one; it is a mistake, told at once."""

    is_sidecar: bool
    near_miss: bool = False


ORDINARY = Verdict(False)


def is_sidecar(path: PurePath | str, head: bytes) -> Verdict:
    """The verdict on a file by its name and its first bytes (`HEAD` of them are enough; they may be cut anywhere).

    A sidecar has `target` or an integer `schema` at its top level. A file too large or broken to be read that has such a line near its
    top is one as well: parsing it then says what is wrong. Other YAML and JSON files are ordinary data.
    """
    name = re.split(r"[/\\]", str(path))[-1]
    disguised = _DISGUISED.search(name) is not None
    if name.startswith(".") or not (disguised or name.lower().endswith(SUFFIXES)):
        return ORDINARY
    keys = top_level_keys(head[:HEAD], name)
    if name.lower() in FOLDER_DEFAULTS:
        return Verdict(False, near_miss=bool(keys))
    if "target" in keys or _INTEGER.match(keys.get("schema", "")):
        return Verdict(False, near_miss=True) if disguised else Verdict(True)
    return Verdict(False, near_miss=any(_near(key, value) for key, value in keys.items()))


def _near(key: str, value: str) -> bool:
    word = key.strip().casefold().strip("“”\"'")
    if re.match(r"[$@#/]", word):
        return False
    if word == "schema" or difflib.get_close_matches(word, ["schema"], 1, 0.8):
        return bool(_INTEGER.match(value))
    return word == "target" or bool(difflib.get_close_matches(word, ["target"], 1, 0.83))


def wrong_name(name: str) -> tuple[str, str] | None:
    """Why a file of this name is not read as a sidecar, and what to do; None if the name is good."""
    last = re.split(r"[/\\]", name)[-1]
    if _DISGUISED.search(last):
        return (
            "the name ends in .txt, so this is not read as a sidecar",
            f"rename it to {last[:-4]}; Windows may hide the .txt (in Explorer: View, File name extensions)",
        )
    if last.lower() in FOLDER_DEFAULTS:
        return (f"{last}: defaults for a folder are not supported yet", "write a sidecar of its own for each drop")
    return None
