"""The structure of a TIFF or BigTIFF, walked without decoding a pixel.

Written for hostile files: each read is bounded, each count is checked before it is believed, and the work is limited
by counting (directories, tags, segments), so that the same file always gets the same answer on any machine.
Everything that the file announces must lie inside the file: directories, values of tags, strips and tiles.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

from dropbox_import.inspector.faults import Code, ImageError, cut, damaged, too_large
from dropbox_import.inspector.pixels import Page, PageTags, page_of
from dropbox_import.inspector.source import Source

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_ARRAYS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
_PIXEL_TAGS = frozenset({256, 257, 258, 259, 262, 273, 277, 278, 279, 284, 322, 323, 324, 325, 513, 514})
_SUB_DIRECTORIES = 330
_OTHER_DIRECTORIES = frozenset({34665, 34853, 40965})
_DESCRIPTION = 270
_STK_PLANES = 33629
INLINE = -1


@dataclass(frozen=True, slots=True)
class Limits:
    directories: int = 200_000
    tags: int = 4_096
    all_tags: int = 8_000_000
    segments: int = 20_000_000


@dataclass(frozen=True, slots=True)
class Layout:
    """What was found. `pages` are those of the main chain; `needed` is the end of all that the file announces."""

    pages: tuple[Page, ...]
    all_pages: tuple[Page, ...]
    description: tuple[int, int]
    needed: int


def is_tiff(head: bytes) -> bool:
    return head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def walk(source: Source, limits: Limits = Limits(), *, loose: bool = False) -> Layout:
    """The layout of a whole file. Raises ImageError when it is cut, damaged or made to exhaust its reader.

    `loose` is for formats that bend the rules of TIFF (LSM, STK): byte counts are not compared with dimensions.
    """
    return _Walk(source, limits, loose).run()


class _Walk:
    def __init__(self, source: Source, limits: Limits, loose: bool) -> None:
        self.source, self.limits, self.loose = source, limits, loose
        self.size = source.size
        self.needed = 0
        self.tags = 0
        self.segments = 0
        self.seen: set[int] = set()
        self.description = (0, 0)
        self.stk_planes = 0
        self.below: list[tuple[int, bool]] = []
        self._header()

    def _header(self) -> None:
        head = self.source.read(0, 16)
        if not is_tiff(head):
            raise ImageError(Code.CONTENT, "does not begin like a TIFF file")
        order = "<" if head[:2] == b"II" else ">"
        self.swap = (order == "<") != (sys.byteorder == "little")
        if b"+" in head[2:4]:
            if len(head) < 16:
                raise cut(self.size, 16)
            width, zero, self.first = struct.unpack_from(order + "HHQ", head, 4)
            if width != 8 or zero != 0:
                raise damaged("its header is not that of a BigTIFF file")
            self.count, self.entry, self.pointer = struct.Struct(order + "Q"), struct.Struct(order + "HHQ8s"), struct.Struct(order + "Q")
        else:
            if len(head) < 8:
                raise cut(self.size, 8)
            (self.first,) = struct.unpack_from(order + "I", head, 4)
            self.count, self.entry, self.pointer = struct.Struct(order + "H"), struct.Struct(order + "HHI4s"), struct.Struct(order + "I")

    def run(self) -> Layout:
        if not self.first:
            raise damaged("it has no list of pages, as if its writing was not finished")
        main: list[Page] = []
        self._chain(self.first, main)
        all_pages = list(main)
        while self.below and self.needed <= self.size:
            offset, image = self.below.pop()
            if offset and offset not in self.seen:
                self._chain(offset, all_pages, image=image, main=False)
        self._contiguous(main)
        if self.needed > self.size:
            raise cut(self.size, self.needed)
        if not main:
            raise damaged("none of its pages holds an image")
        self._tightness(sum(page.decoded for page in all_pages))
        return Layout(tuple(main), tuple(all_pages), self.description, self.needed)

    def _chain(self, offset: int, pages: list[Page], *, image: bool = True, main: bool = True) -> None:
        while offset:
            if offset in self.seen:
                if main:
                    raise damaged("its list of pages runs in a circle")
                return
            if len(self.seen) >= self.limits.directories:
                raise too_large(f"has more than {self.limits.directories:,} pages, which is more than can be inspected")
            self.seen.add(offset)
            # The link to a next one is not to be trusted in directories of camera settings (EXIF, GPS).
            following = self._directory(offset, pages, image)
            offset = following if image else 0

    def _directory(self, offset: int, pages: list[Page], image: bool) -> int:
        """Reads one directory and gives the offset of the next one; 0 for none, or when this one is not wholly in the file."""
        if not self._inside(offset, self.count.size):
            return 0
        (tags,) = self.count.unpack(self.source.read(offset, self.count.size))
        if not tags:
            raise damaged(f"its list of pages is empty at byte {offset:,}")
        if tags > self.limits.tags:
            raise damaged(f"it has a page with {tags:,} tags")
        # In total too: pages may lie on each other, so that a small file has any number of them.
        self.tags += tags
        if self.tags > self.limits.all_tags:
            raise too_large(f"has more than {self.limits.all_tags:,} tags, which is more than can be inspected")
        length = tags * self.entry.size
        if not self._inside(offset + self.count.size, length + self.pointer.size):
            return 0
        block = self.source.read(offset + self.count.size, length + self.pointer.size)
        found: PageTags = {}
        for code, kind, count, field in self.entry.iter_unpack(block[:length]):
            if code == 0 and kind == 0:
                raise damaged(f"its list of pages was not written to the end (byte {offset:,})")
            size = _SIZES.get(kind, 0) * count
            where = INLINE
            if size > self.pointer.size:
                (where,) = self.pointer.unpack(field)
                if not self._inside(where, size):
                    continue
                if where < 8:
                    raise damaged("the value of a tag is said to lie inside the header")
            self._tag(code, kind, count, field, where, found)
        if image:
            self._page(found, pages)
        (following,) = self.pointer.unpack_from(block, length)
        return int(following)

    def _tag(self, code: int, kind: int, count: int, field: bytes, where: int, found: PageTags) -> None:
        if code in _PIXEL_TAGS:
            found[code] = self._numbers(kind, count, field, where)
        elif code == _SUB_DIRECTORIES:
            self.below.extend((offset, True) for offset in self._numbers(kind, count, field, where))
        elif code in _OTHER_DIRECTORIES:
            self.below.extend((offset, False) for offset in self._numbers(kind, count, field, where))
        elif len(self.seen) == 1 and code == _DESCRIPTION and where != INLINE:
            self.description = (where, count)
        elif len(self.seen) == 1 and code == _STK_PLANES:
            self.stk_planes = count

    def _page(self, found: PageTags, pages: list[Page]) -> None:
        try:
            page = page_of(found, self.size, self.loose, self._tightness)
        except ImageError:
            # Tags behind the end of a cut file are missing here; that it is cut is the better thing to say.
            if self.needed > self.size:
                return
            raise
        if page is not None:
            self.needed = max(self.needed, page.end)
            pages.append(page)

    def _numbers(self, kind: int, count: int, field: bytes, where: int) -> Sequence[int]:
        letter = _ARRAYS.get(kind)
        if letter is None:
            raise damaged(f"a tag that should hold whole numbers is of type {kind}")
        self.segments += count
        if self.segments > self.limits.segments:
            raise too_large(f"has more than {self.limits.segments:,} strips and tiles, which is more than can be inspected")
        values = array(letter)
        size = values.itemsize * count
        values.frombytes(field[:size] if where == INLINE else self.source.read(where, size))
        if self.swap:
            values.byteswap()
        return values

    def _contiguous(self, main: list[Page]) -> None:
        """Files with one directory for a whole stack: the planes follow the first one."""
        if len(main) != 1 or main[0].compressed:
            return
        page, planes = main[0], self.stk_planes
        offset, length = self.description
        if length and (text := self.source.read(offset, min(length, 2000))).startswith(b"ImageJ="):
            for line in text.split(b"\n"):
                # A plane that was saved by itself may have inherited the description of its stack: then nothing comes after it.
                if line.startswith(b"images=") and line[7:].strip().isdigit() and len(line) < 20 and self.size > self.needed:
                    planes = int(line[7:])
        if planes > 1:
            self.needed = max(self.needed, page.start + planes * max(page.decoded, page.end - page.start if self.loose else 0))

    def _inside(self, offset: int, length: int) -> bool:
        end: int = offset + length
        if end > self.needed:
            self.needed = end
        return end <= self.size

    def _tightness(self, decoded: int) -> None:
        """No lossless or lossy packing of real images comes near this, but a bomb does."""
        if decoded > 1 << 30 and decoded > 2000 * self.size:
            raise too_large(f"announces {decoded:,} bytes of pixels in a file of {self.size:,} bytes; no real image is packed so tightly")
