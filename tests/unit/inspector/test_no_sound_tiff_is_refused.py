"""What tifffile writes, in every shape that it can write it, passes; the number of pages is the one that tifffile sees."""

from __future__ import annotations

import io
import itertools
import struct
import warnings
from typing import Any

import numpy as np
import pytest
import tifffile

from dropbox_import.inspector.faults import Code
from dropbox_import.inspector.formats import format_of
from dropbox_import.inspector.ometiff import Documents
from dropbox_import.inspector.source import Buffer
from dropbox_import.inspector.whole import Examined, examine
from dropbox_import.model import FileFacts

TYPES = (np.uint8, np.uint16, np.float32, np.complex64, np.bool_)
SHAPES = ((17, 33), (3, 17, 33), (5, 64, 64))
COLOUR: tuple[dict[str, Any], ...] = (
    {"photometric": "rgb"},
    {"photometric": "rgb", "planarconfig": "separate"},
    {"photometric": "rgb", "tile": (16, 16)},
)
LAYOUTS: tuple[dict[str, Any], ...] = (
    {},
    {"tile": (16, 16)},
    {"tile": (16, 32), "compression": "zlib"},
    {"rowsperstrip": 5},
    {"rowsperstrip": 5, "compression": "zlib", "predictor": True},
)


def check(file: io.BytesIO) -> None:
    data = file.getvalue()
    facts = FileFacts("a.tif", len(data), 0)
    found = examine(facts, format_of("a.tif"), Buffer(data), Documents())
    assert found.fault is None
    with tifffile.TiffFile(io.BytesIO(data)) as opened:
        assert found.pages == len(opened.pages)


def pixels(shape: tuple[int, ...], kind: type) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 200, shape).astype(kind)


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize(("big", "order"), [(False, "<"), (False, ">"), (True, "<"), (True, ">")])
def test_grey_images(layout: dict[str, Any], big: bool, order: Any) -> None:
    for kind, shape in itertools.product(TYPES, SHAPES):
        if "predictor" in layout and kind in (np.bool_, np.complex64, np.float32):
            continue
        file = io.BytesIO()
        with tifffile.TiffWriter(file, bigtiff=big, byteorder=order) as writer:
            writer.write(pixels(shape, kind), photometric="minisblack", **layout)
            writer.write(pixels(shape, kind), photometric="minisblack", **layout)
        check(file)


@pytest.mark.parametrize("layout", COLOUR, ids=str)
def test_colour_images(layout: dict[str, Any]) -> None:
    shape = (3, 40, 50) if layout.get("planarconfig") else (40, 50, 3)
    file = io.BytesIO()
    tifffile.imwrite(file, pixels(shape, np.uint8), **layout)
    check(file)


@pytest.mark.parametrize("options", [{"ome": True}, {"imagej": True}, {"shaped": True}], ids=str)
def test_stacks_of_programs(options: dict[str, Any]) -> None:
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tifffile.imwrite(file, pixels((4, 3, 2, 20, 30), np.uint16), photometric="minisblack", **options)
    check(file)


def test_pyramids() -> None:
    file = io.BytesIO()
    image = pixels((256, 256), np.uint8)
    with tifffile.TiffWriter(file, ome=True) as writer:
        writer.write(image, subifds=2, tile=(64, 64))
        writer.write(image[::2, ::2], subfiletype=1, tile=(64, 64))
        writer.write(image[::4, ::4], subfiletype=1, tile=(64, 64))
    check(file)
    assert examine(FileFacts("a.tif", 1, 0), format_of("a.tif"), Buffer(file.getvalue()[:-1]), Documents()).fault is not None


def test_a_last_strip_that_announces_more_than_its_rows_is_fine() -> None:
    """Some programs write the same byte count for the last, shorter strip; all its rows are there."""
    file = io.BytesIO()
    tifffile.imwrite(file, pixels((10, 16), np.uint8), rowsperstrip=4, metadata=None)
    data = bytearray(file.getvalue())
    with tifffile.TiffFile(io.BytesIO(bytes(data))) as opened:
        tag = opened.pages[0].tags[279]
        kind, place = tag.dtype.value, tag.valueoffset
    size = 2 if kind == 3 else 4
    data[place + 2 * size : place + 3 * size] = (64).to_bytes(size, "little")
    check(io.BytesIO(bytes(data)))


def lsm(strips: int = 4) -> bytes:
    """Packed as a Zeiss LSM: StripByteCounts hold the sizes that the strips have unpacked."""
    file = io.BytesIO()
    image = np.add.outer(np.arange(32, dtype=np.uint8), np.arange(64, dtype=np.uint8))
    tifffile.imwrite(file, image, rowsperstrip=32 // strips, compression="zlib", metadata=None)
    data = bytearray(file.getvalue())
    with tifffile.TiffFile(io.BytesIO(bytes(data))) as opened:
        tag = opened.pages[0].tags[279]
        assert opened.pages[0].dataoffsets[-1] + 64 * 32 // strips > len(data)
    data[tag.valueoffset : tag.valueoffset + tag.valuebytecount] = struct.pack(
        f"<{strips}{'H' if tag.dtype == 3 else 'I'}", *[64 * 32 // strips] * strips
    )
    return bytes(data)


def examined_as(name: str, data: bytes) -> Examined:
    return examine(FileFacts(name, len(data), 0), format_of(name), Buffer(data), Documents())


@pytest.mark.parametrize("strips", [1, 4])
def test_a_packed_lsm_that_gives_sizes_of_unpacked_strips_is_fine(strips: int) -> None:
    data = lsm(strips)
    assert examined_as("a.lsm", data).fault is None
    assert examined_as("a.tif", data).fault is not None


def test_a_packed_lsm_is_cut_where_a_strip_does_not_begin_in_the_file() -> None:
    data = lsm()
    with tifffile.TiffFile(io.BytesIO(data)) as opened:
        last = opened.pages[0].dataoffsets[-1]
    assert examined_as("a.lsm", data[: last + 1]).fault is None
    fault = examined_as("a.lsm", data[:last]).fault
    assert fault is not None
    assert fault.code is Code.CUT


def test_one_page_that_inherited_the_description_of_a_stack_is_fine() -> None:
    """A plane that was taken out of a stack and saved by itself keeps the words "images=100"."""
    file = io.BytesIO()
    tifffile.imwrite(file, pixels((16, 24), np.uint8), description="ImageJ=1.53t\nimages=100\nslices=100\n", metadata=None)
    check(file)
