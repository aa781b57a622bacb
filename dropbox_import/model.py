"""The words of the product as frozen data: no behaviour, no effects.

Paths inside these objects are relative and '/'-separated on every system. Bytes of
a name that are not UTF-8 travel as surrogate escapes. Sizes are bytes, times UTC.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

from dropbox_import.errors import Mistake

On = Literal["image", "dataset", "project"]
OnAmbiguous = Literal["fail", "newest", "oldest"]
CLIENT_NAMESPACE = "openmicroscopy.org/omero/client/mapAnnotation"
DROP_ID = re.compile(r"[0-9]{8}-[0-9]{6}-[a-z2-7]{10}")


# --- files ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FileFacts:
    """One regular file as a fresh stat saw it. `file_id` is "device:inode", or "" where unstable (shares)."""

    path: str
    size: int
    mtime_ns: int
    file_id: str = ""


# --- what a sidecar asks for ---------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ContainerRef:
    """A project or dataset by id (`id` set) or by name (`name` set), never both."""

    id: int | None = None
    name: str | None = None
    description: str | None = None
    create: bool = False


@dataclass(frozen=True, slots=True)
class Target:
    """Where images go. Both None = `target: none` (orphaned images). A dataset by name with a project is looked up inside it."""

    project: ContainerRef | None = None
    dataset: ContainerRef | None = None
    on_ambiguous: OnAmbiguous = "fail"


@dataclass(frozen=True, slots=True)
class Expect:
    """What must be there before the drop is taken; `size` in bytes and `sha256` in hex, by path below the sidecar's folder."""

    count: int | None = None
    size: dict[str, int] = field(default_factory=dict)
    sha256: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FilesRule:
    """Which files are members. `include` None = those of the sidecar's stem."""

    include: tuple[str, ...] | None = None
    exclude: tuple[str, ...] = ()
    expect: Expect = field(default_factory=Expect)


@dataclass(frozen=True, slots=True)
class ImageRule:
    """Name and description of the images.

    `name` may hold {series}, {series_name}, {file}, {stem}; `append` adds to the file's own description.
    """

    name: str | None = None
    description: str | None = None
    append: bool = False


@dataclass(frozen=True, slots=True)
class Tag:
    name: str
    set: str | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class KeyValues:
    """One MapAnnotation: order and repeated keys are kept."""

    pairs: tuple[tuple[str, str], ...]
    namespace: str = CLIENT_NAMESPACE
    on: On = "image"


@dataclass(frozen=True, slots=True)
class Attachment:
    """`file` is a path below the sidecar's folder: a reference, copied and left in place."""

    file: str
    on: On = "image"
    namespace: str | None = None
    mime: str | None = None


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """A sidecar, parsed, with the box's defaults merged and path and date templates rendered."""

    target: Target
    owner: str | None = None
    group: str | None = None
    notify: tuple[str, ...] = ()
    submission: str | None = None
    files: FilesRule = field(default_factory=FilesRule)
    image: ImageRule = field(default_factory=ImageRule)
    tags: tuple[Tag, ...] = ()
    key_values: tuple[KeyValues, ...] = ()
    comments: tuple[str, ...] = ()
    rating: int | None = None
    attachments: tuple[Attachment, ...] = ()
    end: bool = False
    extra: dict[str, Any] = field(default_factory=dict)
    notices: tuple[str, ...] = ()


# --- a drop before and in the claim --------------------------------------------------


@dataclass(frozen=True, slots=True)
class Candidate:
    """A drop as intake sees it, ready to be claimed, or (with `mistakes`) to be refused by its sidecar alone.

    `folder` is the sidecar's folder relative to the box's drop/; every other path is relative to `folder`.
    `whole_folders` are folders that are members from top to bottom, so that one rename takes each.
    Of a filed folder that was moved back whole, members lie below `base` ("d") and references below `refs_base`; their
    paths are relative to these. `leftovers` are our own files in it, which the claim takes along.
    `dropped` is where the sidecar was when the drop was first seen (below drop/), if that is another place, and `dated` the day
    that {date} stands for: a drop that is tried again keeps its names. `elsewhere` are members of its that are filed already.
    """

    user: str
    folder: str
    sidecar: FileFacts
    sidecar_sha256: str
    owner: str
    request: ImportRequest | None
    members: tuple[FileFacts, ...] = ()
    references: tuple[FileFacts, ...] = ()
    whole_folders: tuple[str, ...] = ()
    mistakes: tuple[Mistake, ...] = ()
    refusal_code: str = ""
    base: str = ""
    refs_base: str = ""
    leftovers: tuple[str, ...] = ()
    dropped: str = ""
    dated: str = ""
    elsewhere: tuple[str, ...] = ()

    @property
    def home(self) -> str:
        """The folder, below drop/, in which the drop was first seen."""
        return self.dropped.rpartition("/")[0] or self.folder


@dataclass(frozen=True, slots=True)
class Waiting:
    """A sidecar that is seen but not taken yet, and the reason in words ("still being written", "2 of 3 files are there").

    `kind`: the code of the error where it is trouble of the disk ("access-denied", "file-busy", ...), else "".
    """

    user: str
    sidecar: str
    reason: str
    since: float
    kind: str = ""


# --- filesets ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FilesetPlan:
    """Files that are imported as one. `files[0]` is what Bio-Formats opens. `key` = hash of the sorted paths and sizes."""

    key: str
    files: tuple[FileFacts, ...]
    reader: str | None = None
    series: int | None = None


@dataclass(frozen=True, slots=True)
class BadFiles:
    """Members that no fileset can be made of, and why; as error parts so that they can be told and journaled."""

    files: tuple[str, ...]
    code: str
    sentence: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Inspection:
    """V1's answer: what to import, what is wrong, and which members nobody wants."""

    filesets: tuple[FilesetPlan, ...]
    bad: tuple[BadFiles, ...] = ()
    extras: tuple[str, ...] = ()


# --- reports -------------------------------------------------------------------------


class DropState(StrEnum):
    WAITING = "waiting"  # seen in drop/, or claimed and nothing can be done now
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    HELD = "held"  # damaged or newer journal: an administrator looks
    DISCARDED = "discarded"  # set aside by an administrator


@dataclass(frozen=True, slots=True)
class DropSummary:
    """One line of `status`. `why` is the reason of a wait or a failure in words, `step` the last journal record."""

    id: str
    state: DropState
    box: str
    user: str
    sidecar: str
    owner: str = ""
    step: str = ""
    why: str = ""
    since: str = ""
    filesets: int = 0
    images: int = 0
    path: str = ""
