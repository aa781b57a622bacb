"""Formats other than TIFF that say in a few bytes how long they are: is all of it there?

Each check reads some hundred bytes. A format without such a place is not checked here.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from dropbox_import.inspector.faults import AGAIN, SAVE_AS, Code, ImageError, cut, damaged
from dropbox_import.inspector.source import Source

Check = Callable[[Source], None]


def _czi(source: Source) -> None:
    """The header names the places of the directory and the metadata, each a segment with a name of its own."""
    head = source.read(0, 112)
    if len(head) < 112:
        raise cut(source.size, 112)
    part, directory, metadata, pending = struct.unpack_from("<iqqi", head, 80)
    if part:
        says = f"is part {part:,} of an image in several CZI files, which only Bio-Formats can put together"
        raise ImageError(Code.NEEDS_READER, says, SAVE_AS)
    if pending:
        raise ImageError(Code.CUT, "was not closed by the program that wrote it (its header says that an update is pending)", AGAIN)
    for place, name in ((directory, b"ZISRAWDIRECTORY"), (metadata, b"ZISRAWMETADATA")):
        if place <= 0:
            continue
        if place + 32 > source.size:
            raise cut(source.size, place + 32)
        segment = source.read(place, 32)
        if not segment.startswith(name):
            raise damaged("a part that its header names is not where it should be")
        _, used = struct.unpack_from("<qq", segment, 16)
        if used > 0 and place + 32 + used > source.size:
            raise cut(source.size, place + 32 + used)


def _nd2(source: Source) -> None:
    """A modern ND2 ends with the place of its chunk map."""
    if source.read(0, 4) != b"\xda\xce\xbe\x0a":
        return
    tail = source.read(max(0, source.size - 40), 40)
    if not tail.startswith(b"ND2 CHUNK MAP SIGNATURE 0000001"):
        raise ImageError(Code.CUT, "has no list of its parts at its end, so its end is missing", AGAIN)
    (place,) = struct.unpack_from("<Q", tail, 32)
    if place >= source.size:
        raise damaged("the list of its parts is not where it should be")


def _hdf5(source: Source) -> None:
    """The superblock holds the end of the file's data."""
    head = source.read(0, 96)
    if len(head) < 96:
        raise cut(source.size, 96)
    version = head[8]
    if version in (0, 1) and head[13] == 8:
        end = struct.unpack_from("<Q", head, 40 if version == 0 else 44)[0]
    elif version in (2, 3) and head[9] == 8:
        end = struct.unpack_from("<Q", head, 28)[0]
    else:
        return
    if end > source.size:
        raise cut(source.size, end)


_MRC_BYTES = {0: 1, 1: 2, 2: 4, 3: 4, 4: 8, 6: 2, 7: 4, 12: 2}


def _stack(source: Source) -> None:
    """MRC and DeltaVision: a header of 1024 bytes with the numbers of pixels, an extended header, the pixels."""
    head = source.read(0, 1024)
    if len(head) < 1024:
        raise cut(source.size, 1024)
    announced: list[int] = []
    for order in "<>":
        columns, rows, sections, mode = struct.unpack_from(order + "4i", head, 0)
        (extended,) = struct.unpack_from(order + "i", head, 92)
        if min(columns, rows, sections) > 0 and max(columns, rows) < 1 << 20 and mode in _MRC_BYTES and 0 <= extended < 1 << 30:
            announced.append(1024 + extended + columns * rows * sections * _MRC_BYTES[mode])
    # Small numbers make sense in both orders, and only one of them fits. Half bytes (mode 101) and rarer modes are left to Bio-Formats.
    if announced and min(announced) > source.size:
        raise cut(source.size, min(announced))


def _picture(source: Source) -> None:
    head = source.read(0, 8)
    if head.startswith(b"\x89PNG"):
        _png(source)
    elif head.startswith(b"\xff\xd8"):
        if b"\xff\xd9" not in source.read(max(0, source.size - (1 << 16)), 1 << 16):
            raise ImageError(Code.CUT, "has no end mark of a JPEG image, so its end is missing", AGAIN)
    elif head.startswith(b"BM"):
        if source.size < 14:
            raise cut(source.size, 14)
        (size,) = struct.unpack("<I", source.read(2, 4))
        if size > source.size:
            raise cut(source.size, size)


def _png(source: Source) -> None:
    """Chunks of known length, the last one named IEND. A real file has few; a bomb of empty ones is ended by the limit."""
    at = 8
    for _ in range(200_000):
        head = source.read(at, 8)
        if len(head) < 8:
            raise cut(source.size, at + 12)
        (length,) = struct.unpack(">I", head[:4])
        at += 12 + int(length)
        if at > source.size:
            raise cut(source.size, at)
        if head[4:] == b"IEND":
            return
    raise damaged("it is cut into too many pieces")


def _lif(source: Source) -> None:
    """The XML header, then blocks that each give the length of their description and of their pixels."""
    at = 0
    for _ in range(200_000):
        head = source.read(at, 13)
        if not head:
            return
        if len(head) < 13:
            raise cut(source.size, at + 13)
        if not head.startswith(b"\x70\0\0\0") or head[8] != 0x2A:
            raise damaged(f"there is no block of a LIF file at byte {at:,}")
        if at == 0:
            at = 13 + 2 * int(struct.unpack_from("<I", head, 9)[0])
        else:
            at = _end_of_memory(source, at)
        if at > source.size:
            raise cut(source.size, at)
    raise damaged("it is cut into too many pieces")


def _end_of_memory(source: Source, at: int) -> int:
    # The length is of 4 bytes in old files and of 8 in new ones; the mark after it tells which.
    head = source.read(at + 9, 13).ljust(13, b"\0")
    size, after = (struct.unpack_from("<I", head)[0], 4) if head[4] == 0x2A else (struct.unpack_from("<Q", head)[0], 8)
    if head[after] != 0x2A:
        if at + 22 > source.size:
            raise cut(source.size, at + 22)
        raise damaged(f"the block at byte {at:,} does not give its length")
    name = struct.unpack_from("<I", head.ljust(24, b"\0"), after + 1)[0]
    return int(at + 9 + after + 5 + 2 * name + size)


def _ndpi(source: Source) -> None:
    """Hamamatsu writes the place of the first directory in eight bytes, also in files that are no BigTIFF."""
    if source.size < 12:
        raise cut(source.size, 12)
    (place,) = struct.unpack("<Q", source.read(4, 8))
    needed = min(place, place & 0xFFFFFFFF) + 2
    if source.read(0, 2) == b"II" and needed > source.size:
        raise cut(source.size, needed)


_CHECKS: dict[str, Check] = {
    "Zeiss CZI": _czi,
    "Nikon ND2": _nd2,
    "Leica LIF": _lif,
    "Hamamatsu NDPI": _ndpi,
    "Imaris": _hdf5,
    "MRC": _stack,
    "DeltaVision": _stack,
    "picture": _picture,
}


def check_container(format_name: str, source: Source) -> None:
    """Raises ImageError where a file of that format (its name in formats.py) is cut or damaged as far as its ends tell."""
    check = _CHECKS.get(format_name)
    if check is not None:
        check(source)
