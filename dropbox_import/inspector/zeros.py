"""Was the end of a file never filled? A copy that reserves its space first leaves zeros where bytes are missing.

Black pixels are zeros too, so the decision is careful: packed data (LZW, Deflate, JPEG …) never end in a run of zeros;
plain pixels must be hardly ever zero before the run. A broken copy ends at a block of the file, black that belongs to the image
begins at a row of it (a plane that was shifted, a footer): what is no block, or a row as well, has the benefit of the doubt.
Only what is needed is read: blocks backwards from the end, or samples where the run of zeros is long.
"""

from __future__ import annotations

from dropbox_import.inspector.faults import AGAIN, Code, ImageError
from dropbox_import.inspector.source import Source
from dropbox_import.inspector.tiff import Layout

BLOCK = 1 << 16
LINEAR = 1 << 25
SHORTEST = 512
SECTOR = 512  # the least that a disk or a copy writes at once
PADDING = 4096
SAMPLES = 64
_SLACK = 16


def unfilled(source: Source, layout: Layout) -> ImageError | None:
    """The fault of a TIFF whose last data are zeros that no program wrote; None when they are as good as others."""
    spare = source.size - layout.needed
    if spare > max(PADDING, layout.needed // 10) and start_of_zeros(source, layout.needed, source.size) == layout.needed:
        # The list of pages ends where the zeros begin: the pages that followed are lost.
        return _fault(spare, source.size)
    blank = _blank_text(source, layout)
    if blank:
        return _fault(blank, source.size)
    page = max(layout.all_pages, key=lambda page: page.end)
    place, length = page.last
    end = min(place + length, source.size)
    begin = min(page.start for page in layout.all_pages)
    zeros_from = start_of_zeros(source, begin, end)
    run = end - zeros_from
    if page.compressed:
        inside = min(run, end - place)
        return _fault(run, source.size) if inside >= SHORTEST or (inside == end - place and inside > _SLACK) else None
    if run < SHORTEST or run == end - begin:
        return None
    if spare < SHORTEST and any(0 <= other.start - zeros_from <= _SLACK for other in layout.all_pages):
        return None
    if not _broken_off(layout, zeros_from) or _often_black(source, begin, zeros_from):
        return None
    return _fault(run, source.size)


def only_zeros(source: Source) -> bool:
    """Whether the whole file is zeros: its space was reserved, and nothing was written."""
    if source.size == 0 or source.read(0, 1024).strip(b"\0"):
        return False
    return start_of_zeros(source, 0, source.size) == 0


def start_of_zeros(source: Source, begin: int, end: int) -> int:
    """Where the run of zeros begins that reaches `end`; exact in the last 32 MiB, found by samples before that."""
    stop = max(begin, end - LINEAR)
    at = end
    while at > stop:
        lower = max(stop, at - BLOCK)
        kept = source.read(lower, at - lower).rstrip(b"\0")
        if kept:
            return lower + len(kept)
        at = lower
    if at <= begin:
        return begin
    return _sampled(source, begin, at)


def _sampled(source: Source, begin: int, end: int) -> int:
    step, low = LINEAR, end
    while low > begin:
        low = max(begin, end - step)
        if _filled(source, low):
            break
        step *= 2
    else:
        return begin
    high = end
    while high - low > BLOCK:
        middle = (low + high) // 2
        if _filled(source, middle):
            low = middle
        else:
            high = middle
    while high > begin and (kept := source.read(max(begin, high - BLOCK), min(BLOCK, high - begin)).rstrip(b"\0")) == b"":
        high -= BLOCK
    found = max(begin, high - BLOCK) + len(kept) if high > begin else begin
    stride = max(1, (end - found) // SAMPLES)
    filled = [place for place in range(found, end - BLOCK, stride) if place > found and _filled(source, place)]
    # Black parts inside an image: what is after the last filled sample is all that can be called a run.
    return max(filled) + BLOCK if filled else found


def _filled(source: Source, offset: int) -> bool:
    return bool(source.read(offset, BLOCK).strip(b"\0"))


def _blank_text(source: Source, layout: Layout) -> int:
    """How many zeros from a block of the file on take in the whole description: the list of pages may end there too early. 0 for none."""
    offset, length = layout.description
    zeros_from = start_of_zeros(source, 0, offset + length)
    run = offset + length - zeros_from
    return run if run >= SHORTEST and zeros_from <= offset and -zeros_from % SECTOR < _SLACK else 0


def _broken_off(layout: Layout, zeros_from: int) -> bool:
    """Whether the file ends where a block of it does, and not where a row of the image does. The last pixel may end in zeros itself."""
    page = next((page for page in layout.all_pages if page.start <= zeros_from < page.end), None)
    if page is None or -zeros_from % SECTOR >= page.pixel:
        return False
    strip = max(offset for offset in page.offsets if offset <= zeros_from)
    return -(zeros_from - strip) % page.row >= page.pixel


def _often_black(source: Source, begin: int, zeros_from: int) -> bool:
    """Whether the pixels before the run hold runs of zeros themselves, so that black is a natural colour of this image."""
    window = source.read(max(begin, zeros_from - 16 * BLOCK), min(16 * BLOCK, zeros_from - begin))
    if not window:
        return True
    return window.count(b"\0" * 8) * 8 > len(window) // 100


def _fault(run: int, size: int) -> ImageError:
    percent = max(1, round(100 * run / size))
    says = f"is only partly filled: its last {run:,} bytes ({percent} %) are zeros, as when a copy was broken off"
    return ImageError(Code.ZEROS, says, AGAIN)
