"""Zeros at the end of a file are either black pixels or bytes that never came. Black images are not refused."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pytest
import tifffile

from dropbox_import.inspector import zeros
from dropbox_import.inspector.faults import Code, ImageError
from dropbox_import.inspector.formats import format_of
from dropbox_import.inspector.ometiff import Documents
from dropbox_import.inspector.source import Buffer
from dropbox_import.inspector.whole import examine
from dropbox_import.inspector.zeros import only_zeros, start_of_zeros
from dropbox_import.model import FileFacts
from dropbox_import.standin.samples import cells


def fault_in(data: bytes) -> ImageError | None:
    return examine(FileFacts("a.tif", len(data), 0), format_of("a.tif"), Buffer(data), Documents()).fault


def written(*planes: np.ndarray, **options: object) -> bytes:
    file = io.BytesIO()
    with tifffile.TiffWriter(file, bigtiff=bool(options.pop("bigtiff", False))) as writer:
        for plane in planes:
            writer.write(plane, metadata=None, contiguous=False, **options)
    return file.getvalue()


def fault_of(*planes: np.ndarray, **options: object) -> ImageError | None:
    return fault_in(written(*planes, **options))


def mask(rows_with_objects: int) -> np.ndarray:
    image = np.zeros((200, 200), np.uint8)
    for row in range(10, rows_with_objects, 20):
        image[row : row + 8, 30:60] = 255
    return image


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("rows", [0, 60, 120, 200])
def test_a_mask_with_a_black_bottom_is_fine(rows: int, compression: str | None) -> None:
    assert fault_of(mask(rows), compression=compression) is None


def test_a_stack_with_black_planes_at_its_end_is_fine() -> None:
    black = np.zeros((64, 96), np.uint16)
    assert fault_of(cells(1), cells(2), black, black) is None
    assert fault_of(black) is None


def test_a_rotated_image_with_black_corners_is_fine() -> None:
    image = cells(3, 128, 128)
    rows, columns = np.mgrid[0:128, 0:128]
    image[abs(rows - 64) + abs(columns - 64) > 60] = 0
    assert fault_of(image) is None


@pytest.mark.parametrize("options", [{"imagej": True}, {"ome": True}, {"rowsperstrip": 5}, {"tile": (16, 32)}, {"bigtiff": True}], ids=str)
@pytest.mark.parametrize("rows", range(1, 40, 3))
def test_a_plane_that_was_shifted_up_is_fine(rows: int, options: dict[str, Any]) -> None:
    """A registered stack: what came in from below has no pixels."""
    stack = np.stack([cells(number) for number in range(3)])
    stack[-1] = np.roll(stack[-1], -rows, axis=0)
    stack[-1, -rows:] = 0
    file = io.BytesIO()
    tifffile.imwrite(file, stack, photometric="minisblack", **options)
    assert fault_in(file.getvalue()) is None


def test_a_plane_that_was_shifted_up_and_aside_is_fine() -> None:
    plane = cells(1, 2048, 128)
    plane[-12:] = 0
    plane[:, -5:] = 0
    assert fault_of(cells(2, 2048, 128), plane) is None


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_a_colour_picture_with_a_black_footer_is_fine(planar: str) -> None:
    shape = (100, 150, 3) if planar == "contig" else (3, 100, 150)
    picture = np.random.default_rng(1).integers(1, 255, shape).astype(np.uint8)
    picture[(slice(80, None),) if planar == "contig" else (slice(None), slice(80, None))] = 0
    assert fault_of(picture, photometric="rgb", planarconfig=planar) is None


@pytest.mark.parametrize("options", [{}, {"rowsperstrip": 5}, {"tile": (16, 32)}, {"bigtiff": True}], ids=str)
def test_a_camera_image_whose_end_was_never_filled_is_refused(options: dict[str, Any]) -> None:
    """A broken copy ends at a block of the file, and that is in the middle of a row."""
    data = written(cells(4), **dict(options))
    for kept in range(1024, len(data) - 512, 512):
        fault = fault_in(data[:kept] + bytes(len(data) - kept))
        assert fault is not None, kept
        assert fault.code is Code.ZEROS


def test_where_a_block_of_the_file_and_a_row_end_together_the_image_has_the_benefit_of_the_doubt() -> None:
    data = bytearray(written(cells(4, 256, 64)))
    with tifffile.TiffFile(io.BytesIO(bytes(data))) as opened:
        place = opened.pages[0].dataoffsets[0]
    moved = data + bytes(-len(data) % 512)
    struct.pack_into("<I", moved, moved.index(struct.pack("<HHII", 273, 4, 1, place)) + 8, len(moved))
    moved += data[place:]
    assert fault_in(bytes(moved)) is None
    assert fault_in(bytes(moved[: -16 * 512]) + bytes(16 * 512)) is None


def test_packed_data_never_end_in_zeros() -> None:
    file = io.BytesIO()
    tifffile.imwrite(file, cells(5), compression="zlib", metadata=None)
    with tifffile.TiffFile(io.BytesIO(file.getvalue())) as opened:
        page = opened.pages[0]
        place, length = page.dataoffsets[0], page.databytecounts[0]
    data = bytearray(file.getvalue())
    data[place + length // 2 : place + length] = bytes(length - length // 2)
    fault = examine(FileFacts("a.tif", len(data), 0), format_of("a.tif"), Buffer(bytes(data)), Documents()).fault
    assert fault is not None
    assert fault.code is Code.ZEROS


def test_a_little_padding_at_the_end_is_fine() -> None:
    file = io.BytesIO()
    tifffile.imwrite(file, cells(6), metadata=None)
    data = file.getvalue() + bytes(4096)
    assert examine(FileFacts("a.tif", len(data), 0), format_of("a.tif"), Buffer(data), Documents()).fault is None


class Counting:
    """A file of zeros after `filled` bytes that counts what is read of it, without being there."""

    def __init__(self, size: int, filled: int) -> None:
        self.size, self.filled, self.bytes = size, filled, 0

    def read(self, offset: int, length: int) -> bytes:
        length = max(0, min(length, self.size - offset))
        self.bytes += length
        full = max(0, min(length, self.filled - offset))
        return b"\x55" * full + bytes(length - full)


@pytest.mark.parametrize("filled", [0, 1, 5_000, 10**9, 10**12 - 1, 10**12 // 3, 10**12 - zeros.LINEAR, 10**12 - zeros.BLOCK])
def test_a_long_run_of_zeros_is_found_with_little_reading(filled: int) -> None:
    source = Counting(10**12, filled)
    assert start_of_zeros(source, 0, source.size) == filled
    assert source.bytes < 64 << 20


def test_a_file_that_was_only_reserved_is_seen_at_once() -> None:
    source = Counting(10**12, 0)
    assert only_zeros(source)
    assert not only_zeros(Buffer(struct.pack("<I", 1) + bytes(100_000)))
    assert not only_zeros(Buffer(bytes(2000) + b"x" + bytes(2000)))
    assert not only_zeros(Buffer(b""))
