"""Names that are never taken, wherever they lie. Pure."""

from __future__ import annotations

import re
from fnmatch import translate
from functools import lru_cache

# Marks of a copy under way: while one of these changes, the drop around it is not complete. The last is rsync's.
_TRANSFERS = (
    "*.part",
    "*.partial",
    "*.filepart",
    "*.tmp",
    "*.temp",
    "*.crdownload",
    "*.download",
    "*.downloading",
    ".syncthing.*",
    "~syncthing~*",
    ".*.??????",
)
# What desktops and storage boxes leave in every folder. It goes along when its folder is taken whole.
_LITTER = (".ds_store", "._*", "thumbs.db", "ehthumbs.db", "desktop.ini", "@eadir", ".directory", ".stfolder")
_NEVER = (*_TRANSFERS, *_LITTER, ".*", "~*", "*~", "*.lock", "*.swp")
_ZARR_OWN = frozenset({".zarray", ".zattrs", ".zgroup", ".zmetadata"})


def _one_of(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(translate(pattern) for pattern in patterns), re.IGNORECASE)


_IS_TRANSFER, _IS_LITTER, _IS_NEVER = _one_of(_TRANSFERS), _one_of(_LITTER), _one_of(_NEVER)


_BEGINNINGS = ("", ".", "~", "@")
# Most names show at once that they are none of these.
_ENDINGS = frozenset(
    pattern.rpartition(".")[2] for pattern in (*_TRANSFERS, *_LITTER, *_NEVER) if pattern[0] not in ".~@" and pattern != "*~"
)


def _may_be(name: str) -> bool:
    return name[:1] in _BEGINNINGS or name[-1:] == "~" or name.rpartition(".")[2].lower() in _ENDINGS or not name.isascii()


# The same for many names at once, see `tree.Folder`: where in "/a.tif/b.tif/", in lower case, one of these may stand. Each of the three
# begins with one fixed letter, so that a search leaps from one such letter to the next; as one expression they take much longer.
UNUSUAL = (
    re.compile(f"/[{re.escape(''.join(_BEGINNINGS))}]"),
    re.compile("~/"),
    re.compile(rf"\.(?:{'|'.join(map(re.escape, sorted(_ENDINGS)))})/"),
)


def is_litter(name: str) -> bool:
    """Left by a desktop or storage system, of no worth to anybody."""
    return _may_be(name) and _IS_LITTER.match(name) is not None


def is_transfer(name: str) -> bool:
    """An unfinished copy or download."""
    return _may_be(name) and _IS_TRANSFER.match(name) is not None


def is_never_taken(path: str) -> bool:
    """True if a part of the '/'-separated path has a name that is never taken. The hidden files of a *.zarr are its data."""
    folder, slash, name = path.rpartition("/")
    if slash and folder_is_never_taken(folder):
        return True
    return _may_be(name) and _IS_NEVER.match(name) is not None and not (name in _ZARR_OWN and in_zarr(path))


def in_zarr(path: str) -> bool:
    """True for what lies inside a *.zarr folder, where everything is data."""
    return ".zarr/" in path.lower()


@lru_cache(maxsize=4096)
def folder_is_never_taken(folder: str) -> bool:
    """True if nothing in it is ever taken."""
    return any(_IS_NEVER.match(part) for part in folder.split("/"))
