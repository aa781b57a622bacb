"""A TIFF that is not whole never passes as whole, and no damage makes the inspector fail or hang."""

from __future__ import annotations

import io
import struct
import time
import warnings
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dropbox_import.inspector.faults import Code, ImageError
from dropbox_import.inspector.formats import format_of
from dropbox_import.inspector.ometiff import Documents
from dropbox_import.inspector.source import Buffer
from dropbox_import.inspector.tiff import Limits, walk
from dropbox_import.inspector.whole import Examined, examine
from dropbox_import.model import FileFacts
from dropbox_import.standin import samples


def tiny(**options: object) -> bytes:
    file = io.BytesIO()
    pixels = np.arange(1, 65, dtype=np.uint16).reshape(8, 8)
    with tifffile.TiffWriter(file, bigtiff=bool(options.pop("bigtiff", False)), byteorder=options.pop("byteorder", "<")) as writer:
        for page in range(2):
            writer.write(pixels + page, metadata=None, contiguous=False, **options)
    return file.getvalue()


@cache
def sample(kind: str) -> bytes:
    with TemporaryDirectory() as folder:
        place = Path(folder)
        if kind == "five-d":
            return samples.five_d_ome_tiff(place / "a.ome.tif").read_bytes()
        if kind == "set":
            return samples.ome_tiff_set(place)[0].read_bytes()
        if kind == "big":
            return samples.plain_tiff(place / "a.tif", pages=3, big=True).read_bytes()
        if kind == "packed":
            return samples.plain_tiff(place / "a.tif", pages=2, compression="zlib").read_bytes()
    return tiny()


FLIPS = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(1, 255)), min_size=1, max_size=8)
WRITES = st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=6)
KINDS = ("five-d", "set", "big", "packed", "tiny")


def examined(data: bytes, name: str = "a.tif") -> Examined:
    return examine(FileFacts(name, len(data), 0), format_of(name), Buffer(data), Documents())


def pages_of(data: bytes) -> list[bytes]:
    with warnings.catch_warnings(), tifffile.TiffFile(io.BytesIO(data)) as file:
        warnings.simplefilter("ignore")
        return [page.asarray().tobytes() for page in file.pages]


@pytest.mark.parametrize("kind", KINDS)
def test_a_whole_file_passes(kind: str) -> None:
    assert examined(sample(kind)).fault is None
    assert examined(sample(kind)).pages == len(pages_of(sample(kind)))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"bigtiff": True},
        {"byteorder": ">"},
        {"tile": (16, 16)},
        {"rowsperstrip": 3},
        {"compression": "zlib"},
        {"bigtiff": True, "byteorder": ">"},
    ],
    ids=str,
)
def test_a_file_cut_at_any_byte_is_refused_or_still_holds_every_pixel(options: dict[str, object]) -> None:
    data = tiny(**dict(options))
    whole = pages_of(data)
    assert examined(data).fault is None
    for length in range(len(data)):
        part = data[:length]
        if examined(part).fault is None:
            assert pages_of(part) == whole, length


@settings(max_examples=150, deadline=None)
@given(kind=st.sampled_from(KINDS), part=st.floats(0, 1, exclude_max=True))
def test_a_cut_sample_is_refused(kind: str, part: float) -> None:
    data = sample(kind)
    cut = data[: int(len(data) * part)]
    found = examined(cut)
    assert found.fault is not None or pages_of(cut) == pages_of(data)


@pytest.mark.parametrize("kind", ["five-d", "set", "big", "packed"])
def test_a_file_whose_end_was_never_filled_is_refused(kind: str) -> None:
    data = sample(kind)
    for kept in range(512, len(data) - 512, 512):
        assert examined(data[:kept] + bytes(len(data) - kept)).fault is not None, kept


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(kind=st.sampled_from(KINDS), flips=FLIPS)
def test_flipped_bits_never_crash_or_hang(kind: str, flips: list[tuple[float, int]]) -> None:
    data = bytearray(sample(kind))
    for place, bits in flips:
        data[int(place * len(data))] ^= bits
    fault = examined(bytes(data)).fault
    assert fault is None or fault.says


@settings(max_examples=400, deadline=None)
@given(flips=WRITES, big=st.booleans(), tail=st.binary(max_size=40))
def test_flipped_bits_in_the_structure_never_crash_or_hang(flips: list[tuple[int, int]], big: bool, tail: bytes) -> None:
    data = bytearray(tiny(bigtiff=big))
    for place, value in flips:
        data[place % len(data)] = value
    fault = examined(bytes(data) + tail).fault
    assert fault is None or fault.says


@settings(deadline=None)
@given(st.binary(max_size=400), st.sampled_from([b"II*\0", b"MM\0*", b"II+\0\x08\0\0\0", b"MM\0+\0\x08\0\0", b""]))
def test_any_bytes_get_an_answer(data: bytes, head: bytes) -> None:
    assert examined(head + data).facts.size == len(head + data)


def test_the_sentence_says_how_much_is_there() -> None:
    data = sample("big")
    fault = examined(data[: len(data) // 2]).fault
    assert fault is not None
    assert fault.code is Code.CUT
    assert fault.says.startswith(f"ends after {len(data) // 2:,} of the ")
    assert "copy it again" in fault.hint.lower()


def test_a_circle_of_pages_is_refused() -> None:
    data = bytearray(tiny())
    with tifffile.TiffFile(io.BytesIO(bytes(data))) as file:
        first, second = (page.offset for page in file.pages)
    tags = struct.unpack_from("<H", data, second)[0]
    struct.pack_into("<I", data, second + 2 + 12 * tags, first)
    with pytest.raises(ImageError, match="circle"):
        walk(Buffer(bytes(data)))


def test_the_work_is_limited_by_counting() -> None:
    with pytest.raises(ImageError, match="more than 1 pages"):
        walk(Buffer(tiny()), Limits(directories=1))
    with pytest.raises(ImageError, match="strips and tiles"):
        walk(Buffer(tiny(rowsperstrip=1)), Limits(segments=10))
    with pytest.raises(ImageError, match="tags"):
        walk(Buffer(tiny()), Limits(tags=3))
    with pytest.raises(ImageError, match="more than 20 tags"):
        walk(Buffer(tiny()), Limits(all_tags=20))


def test_lists_of_tags_that_lie_on_each_other_are_no_way_around_the_limit() -> None:
    """Every twelve bytes begin a list of 4,096 tags, which is made of those of the next ones."""
    count, tags = 3_000, 4_096
    place = 8 + 2 + 12 * 2 + 4
    lists = place + 4 * count
    entry = struct.pack("<HHIHH", 8, 0, 0, 0, tags)
    head = struct.pack("<2sHIHHHIIHHIII", b"II", 42, 8, 2, 330, 4, count, place, 700, 1, 1, 0, 0)
    data = head + struct.pack(f"<{count}I", *(lists + 10 + 12 * number for number in range(count))) + entry * (count + tags + 2)
    began = time.process_time()
    fault = examined(data).fault
    assert fault is not None
    assert fault.code is Code.TOO_LARGE
    assert fault.says == "has more than 8,000,000 tags, which is more than can be inspected"
    assert time.process_time() - began < 20


def test_a_bomb_is_refused(tmp_path: Path) -> None:
    found = examined(samples.bomb_tiff(tmp_path / "bomb.tif").read_bytes())
    assert found.fault is not None
    assert found.fault.code is Code.TOO_LARGE


def test_strips_that_lie_on_each_other_are_no_way_around_the_limit() -> None:
    """Ten thousand strips that all point to the same bytes: every offset is inside the file, and the image is huge."""
    count, width = 40_000, 60_000
    entries = 9
    lists = 8 + 2 + 12 * entries + 4
    pixels = lists + 8 * count
    tags = [
        (256, 4, 1, width),
        (257, 4, 1, count),
        (258, 3, 1, 8),
        (259, 3, 1, 1),
        (262, 3, 1, 1),
        (273, 4, count, lists),
        (277, 3, 1, 1),
        (278, 4, 1, 1),
        (279, 4, count, lists + 4 * count),
    ]
    head = struct.pack("<2sHIH", b"II", 42, 8, entries) + b"".join(struct.pack("<HHII", *tag) for tag in tags) + struct.pack("<I", 0)
    data = head + struct.pack("<I", pixels) * count + struct.pack("<I", width) * count + b"\x55" * width
    found = examined(data)
    assert found.fault is not None
    assert found.fault.code is Code.TOO_LARGE


def test_a_stack_with_one_directory_must_hold_all_its_planes() -> None:
    """ImageJ writes one directory for stacks of more than 4 GiB; what it announces stands in the description."""
    file = io.BytesIO()
    pixels = np.full((8, 8), 7, np.uint8)
    tifffile.imwrite(file, pixels, description="ImageJ=1.53t\nimages=5\nslices=5\nloop=false\n", metadata=None)
    data = file.getvalue()
    start = len(data) - pixels.nbytes
    assert examined(data + pixels.tobytes() * 4).fault is None
    for extra in (1, 100, 255):
        fault = examined(data + (pixels.tobytes() * 4)[:extra]).fault
        assert fault is not None
        assert fault.says == f"ends after {len(data) + extra:,} of the {start + 5 * pixels.nbytes:,} bytes that it announces"
