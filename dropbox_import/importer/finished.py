"""Whether OMERO came to the end of what makes the images of a fileset usable.

What follows was read in OMERO's source (November 2026):

- An import is a sequence of steps, each after the end of the one before (ome/omero-blitz,
  src/main/java/ome/services/blitz/repo/ManagedImportRequestI.java, `step`).
- Step 1 commits all images, with links, the hash "Pending..." (omero-blitz, OMEROMetadataStoreClient.java:5730) and the series 0
  (`importMetadata`; recorded in tests/golden/01).
- Step 2 reads the pixels, and says where they are. At its end one save, `updatePixels`, brings all images their series and their hash
  (`pixelData`). There is no hash, ever, of a plane above omero.pixeldata.max_plane_width times _height (`parseData`), nor of any if
  the reader knows minimum and maximum beforehand (`isMinMaxSet`). So a hash proves much, and its absence nothing.
- Step 3 makes a row of rendering settings where the pixels can be read already, and a thumbnail's row for all, also for those whose pyramid
  is made later (`generateThumbnails`; ome/omero-server, src/main/java/ome/services/ThumbnailCtx.java, `createMissingThumbnailMetadata`).
  It does so in the session of the import. A person who looks at a half-done image makes such a row too, but in another session.

Hence one image with a hash, or with a series other than 0, or one row of step 3 from the session that made the image, tells that step 2
is over for all images of the fileset.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from dropbox_import.importer import queries
from dropbox_import.importer.attempts import Teller
from dropbox_import.importer.errors import calling
from dropbox_import.importer.sessions import OwnerSession

PENDING = "Pending..."
CHUNK = 500
"""Filesets in one question: each is answered well within the limit of a call, however many there are in all."""

SURELY_HASHED = 1_000_000
"""Pixels of a plane that OMERO hashes even where an administrator has set the limit (3192 times 3192) much lower."""


@dataclass(frozen=True, slots=True)
class Work:
    """The images of a fileset. `doubtful`: not finished as far as can be seen, but it is of the kind of which little can be seen."""

    images: tuple[int, ...] = ()
    finished: bool = False
    doubtful: bool = False


def is_pending(sha1: str | None) -> bool:
    """Whether these pixels have no hash: not yet, or for ever."""
    return not sha1 or sha1 == PENDING


def chunks(numbers: Sequence[int]) -> Iterator[list[int]]:
    for start in range(0, len(numbers), CHUNK):
        yield list(numbers[start : start + CHUNK])


def work_on(session: OwnerSession, filesets: Sequence[int], teller: Teller) -> dict[int, Work]:
    """What there is of each of these filesets that has images."""
    found: dict[int, Work] = {}
    for some in chunks(filesets):
        teller.in_call("look_up")
        with calling("looking up the images of this drop"):
            rows = session.ask(queries.STATE_OF_IMAGES, f=some)
        of_fileset = defaultdict(list)
        for row in rows:
            of_fileset[int(row[0])].append(row)
        unproven = [fileset for fileset, mine in of_fileset.items() if not _pixels_are_over(mine)]
        proven = set(of_fileset) - set(unproven)
        for text in queries.THIRD_STEP.values():
            if unproven:
                teller.in_call("look_up")
                with calling("looking up how far an import came"):
                    proven |= {int(row[0]) for row in session.ask(text, f=unproven)}
        for fileset, mine in of_fileset.items():
            images = tuple(dict.fromkeys(int(row[1]) for row in mine))
            unseen = fileset not in proven and any(_may_have_no_hash(row) for row in mine)
            found[fileset] = Work(images, fileset in proven, unseen)
    return found


def _pixels_are_over(rows: Sequence[Sequence[Any]]) -> bool:
    return any(row[2] or not is_pending(row[3]) for row in rows)


def _may_have_no_hash(row: Sequence[Any]) -> bool:
    return int(row[4] or 0) * int(row[5] or 0) > SURELY_HASHED
