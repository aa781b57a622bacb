"""What can be wrong with a file, in words for people. A fault never quotes what is inside the file."""

from __future__ import annotations

from enum import StrEnum

AGAIN = "Copy it again from where it was made, and drop it with its sidecar once more."
ASK = "Open it in the program that made it; if it opens there, save it again and drop the new file."
SAVE_AS = "Save it as OME-TIFF in the program that made it, or import it with OMERO.insight."
ORIGINAL = "If the original has the same fault, save it again in the program that made it."
SHOWN_NAME = 200


class Code(StrEnum):
    """The code of a BadFiles, stable for programs."""

    EMPTY = "empty-file"
    CUT = "cut-file"
    ZEROS = "zero-filled"
    DAMAGED = "damaged-image"
    CONTENT = "wrong-content"
    TOO_LARGE = "too-large"
    PARTNER = "partner-missing"
    NEEDS_READER = "needs-bio-formats"
    NOT_IMAGE = "not-an-image"
    NO_IMAGE = "no-image"
    MISSING = "file-missing"


class ImageError(Exception):
    """One file is not fit. `says` goes on after the file's name: "ends after 3 of the 9 bytes that it announces"."""

    def __init__(self, code: Code, says: str, hint: str = AGAIN) -> None:
        super().__init__(says)
        self.code = code
        self.says = says
        self.hint = hint


def cut(size: int, needed: int) -> ImageError:
    """The fault of a file of `size` bytes that speaks of data up to byte `needed`."""
    if needed > 1000 * size + (1 << 30):
        return ImageError(Code.DAMAGED, f"is damaged: it points to data at byte {needed:,}, and it has {size:,} bytes", ASK)
    return ImageError(Code.CUT, f"ends after {size:,} of the {needed:,} bytes that it announces")


def damaged(why: str) -> ImageError:
    return ImageError(Code.DAMAGED, f"is damaged: {why}", f"{AGAIN} {ORIGINAL}")


def too_large(why: str) -> ImageError:
    return ImageError(Code.TOO_LARGE, why, ASK)


def shown(path: str) -> str:
    """A path fit for a message: bytes that are not UTF-8 and control characters are escaped, a very long one is shortened."""
    text = path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    text = "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)
    return text if len(text) <= SHOWN_NAME else f"…{text[-SHOWN_NAME:]}"


def some(paths: list[str], most: int = 5) -> str:
    """The first few names, and how many more there are."""
    names = ", ".join(shown(path) for path in paths[:most])
    return names if len(paths) <= most else f"{names} and {len(paths) - most:,} more"
