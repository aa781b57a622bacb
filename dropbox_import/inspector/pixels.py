"""One page of a TIFF: do its strips or tiles fit its dimensions, and where do they end?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import add

from dropbox_import.inspector.faults import damaged, too_large

PageTags = dict[int, Sequence[int]]
_YCBCR = 6
_MOST_PIXELS = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Page:
    """`start` and `end` bound its pixel data in the file, `last` is the strip or tile (offset, length) that ends it, `decoded` counts its
    bytes unpacked. `row` and `pixel` are bytes of a row in a strip or tile, and of a pixel in a row."""

    start: int
    end: int
    last: tuple[int, int]
    offsets: Sequence[int]
    row: int
    pixel: int
    decoded: int
    compressed: bool


@dataclass(frozen=True, slots=True)
class _Grid:
    """How a page is divided: `full` bytes in each segment unpacked, `last` in the last one of each column of strips."""

    segments: int
    rows: int
    full: int
    last: int
    decoded: int
    row: int
    pixel: int
    tiled: bool

    def of(self, index: int) -> int:
        return self.last if (index + 1) % self.rows == 0 else self.full


def page_of(tags: PageTags, size: int, loose: bool, tightness: Callable[[int], None]) -> Page | None:
    """The page, or None when the directory holds no image (metadata only). Raises ImageError. `end` may lie behind `size`: cut."""
    if 256 not in tags or 257 not in tags:
        return None
    width, height, samples = _one(tags, 256, 0), _one(tags, 257, 0), _one(tags, 277, 1)
    if not width or not height or not samples:
        raise damaged("it has a page without pixels")
    if width > _MOST_PIXELS or height > _MOST_PIXELS:
        raise too_large(f"announces a page of {width:,} x {height:,} pixels, which no program can open")
    compression = _one(tags, 259, 1)
    grid = _grid(tags, width, height, samples)
    tightness(grid.decoded)
    offsets, counts = tags.get(324) or tags.get(273), tags.get(325) or tags.get(279)
    if not offsets:
        return _old_jpeg(tags, grid)
    plain = compression == 1
    exact = plain and not loose and _one(tags, 262, 1) != _YCBCR
    if loose and not plain:
        # A packed LSM gives the sizes that its strips have unpacked: only where they begin can be relied on.
        counts = None
    if not counts:
        counts = [grid.of(index) for index in range(len(offsets))] if exact else [1] * len(offsets)
    if len(offsets) == 1 and exact and counts[0] < grid.full:
        counts = [grid.of(0)]
    if not loose:
        _plausible(offsets, counts, grid, exact)
    start, end, last = _span(offsets, counts, grid, size if exact else 0)
    return Page(start, end, last, offsets, grid.row, grid.pixel, grid.decoded, not plain)


def _one(tags: PageTags, code: int, default: int) -> int:
    values = tags.get(code)
    return values[0] if values else default


def _grid(tags: PageTags, width: int, height: int, samples: int) -> _Grid:
    bits = tags.get(258) or [1]
    if min(bits) < 1 or max(bits) > 1024:
        raise damaged(f"it has a page of {max(bits):,} bits for each sample")
    planar = _one(tags, 284, 1) == 2 and samples > 1
    depth = max(bits) if planar else (sum(bits) if len(bits) == samples else bits[0] * samples)
    pixel = -(-depth // 8)
    planes = samples if planar else 1
    if 322 in tags or 324 in tags:
        across, down = _one(tags, 322, 0), _one(tags, 323, 0)
        if not across or not down:
            raise damaged("it has tiles without a size")
        rows = -(-height // down)
        row = -(-across * depth // 8)
        each = -(-width // across) * rows
        return _Grid(each * planes, rows, row * down, row * down, -(-width * depth // 8) * height * planes, row, pixel, True)
    strip = min(_one(tags, 278, height) or height, height)
    rows = -(-height // strip)
    row = -(-width * depth // 8)
    return _Grid(rows * planes, rows, row * strip, row * (height - strip * (rows - 1)), row * height * planes, row, pixel, False)


def _plausible(offsets: Sequence[int], counts: Sequence[int], grid: _Grid, exact: bool) -> None:
    if len(offsets) != len(counts):
        raise damaged(f"a page has {len(offsets):,} places of pixel data, but {len(counts):,} sizes")
    if len(offsets) < grid.segments:
        raise damaged(f"a page has {len(offsets):,} of the {grid.segments:,} strips or tiles that its size needs")
    empty = counts.count(0) if hasattr(counts, "count") else 0
    if empty and (not grid.tiled or empty == len(counts)):
        raise damaged("a page has strips or tiles without data, as if its writing was not finished")
    if exact and not empty and sum(counts) < grid.decoded:
        raise damaged(f"a page announces {sum(counts):,} bytes of pixels, and its size needs {grid.decoded:,}")


def _span(offsets: Sequence[int], counts: Sequence[int], grid: _Grid, size: int) -> tuple[int, int, tuple[int, int]]:
    """First and last byte of the data, and the segment (offset, length) that ends last.

    With `size`, the last strips may announce more bytes than their rows need, as some programs do not shorten them.
    """
    if 0 in counts:
        pairs = [(offset, count) for offset, count in zip(offsets, counts, strict=False) if count]
        if not pairs:
            raise damaged("a page has no pixel data")
        offsets, counts = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    start = min(offsets)
    if start < 8:
        raise damaged("its pixel data are said to lie inside the header")
    end = max(map(add, offsets, counts))
    if size and end > size:
        end = max(offset + min(count, grid.of(index)) for index, (offset, count) in enumerate(zip(offsets, counts, strict=False)))
    place, length = max(zip(offsets, counts, strict=False), key=sum)
    return start, end, (place, min(length, end - place))


def _old_jpeg(tags: PageTags, grid: _Grid) -> Page:
    place, length = _one(tags, 513, 0), _one(tags, 514, 0)
    if not place or not length:
        raise damaged("it has a page without pixel data")
    return Page(place, place + length, (place, length), (place,), grid.row, grid.pixel, grid.decoded, True)
