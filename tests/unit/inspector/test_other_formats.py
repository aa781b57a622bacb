"""Formats other than TIFF: an empty, cut, zero-filled or misnamed file is refused with its own reason."""

from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dropbox_import.inspector.faults import Code, shown, some
from dropbox_import.inspector.formats import format_of
from dropbox_import.inspector.ometiff import Documents
from dropbox_import.inspector.source import Buffer
from dropbox_import.inspector.whole import Examined, examine
from dropbox_import.model import FileFacts


def examined(name: str, data: bytes) -> Examined:
    return examine(FileFacts(name, len(data), 0), format_of(name), Buffer(data), Documents())


def code_of(name: str, data: bytes) -> Code | None:
    fault = examined(name, data).fault
    return None if fault is None else fault.code


def segment(name: bytes, data: bytes) -> bytes:
    return struct.pack("<16sqq", name, len(data), len(data)) + data


def czi(part: int = 0, pending: int = 0) -> bytes:
    metadata, pixels = segment(b"ZISRAWMETADATA", bytes(64)), segment(b"ZISRAWSUBBLOCK", b"\x07" * 500)
    place = 32 + 512
    header = struct.pack("<iiii16s16siqqi", 1, 0, 0, 0, b"g" * 16, b"g" * 16, part, place + len(metadata) + len(pixels), place, pending)
    return segment(b"ZISRAWFILE", header.ljust(512, b"\0")) + metadata + pixels + segment(b"ZISRAWDIRECTORY", b"\x01" * 128)


def nd2() -> bytes:
    body = b"\xda\xce\xbe\x0a" + b"\x11" * 400
    return body + b"ND2 CHUNK MAP SIGNATURE 0000001!" + struct.pack("<Q", 300)


def hdf5(version: int) -> bytes:
    head = b"\x89HDF\r\n\x1a\n" + bytes([version])
    if version == 0:
        head += bytes([0, 0, 0, 0, 8, 8, 0]) + bytes(8) + struct.pack("<QQQ", 0, 2**64 - 1, 600)
    else:
        head += bytes([8, 8, 0]) + struct.pack("<QQQ", 0, 2**64 - 1, 600)
    return head.ljust(600, b"\x22")


def stack(order: str, mode: int = 1) -> bytes:
    head = struct.pack(order + "4i", 8, 4, 3, mode).ljust(92, b"\0") + struct.pack(order + "i", 256)
    return head.ljust(1024 + 256, b"\0") + b"\x33" * (8 * 4 * 3 * 2)


def png() -> bytes:
    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0abcd" * 4)) + chunk(b"IEND", b"")


def bmp() -> bytes:
    return b"BM" + struct.pack("<IHHI", 200, 0, 0, 54) + b"\x44" * 186


def lif(wide: bool) -> bytes:
    def memory(pixels: bytes) -> bytes:
        name = "MemBlock_1".encode("utf-16-le")
        length = struct.pack("<Q" if wide else "<I", len(pixels))
        inner = b"\x2a" + length + b"\x2a" + struct.pack("<I", len(name) // 2) + name
        return struct.pack("<II", 0x70, len(inner)) + inner + pixels

    xml = "<LMSDataContainerHeader/>".encode("utf-16-le")
    inner = b"\x2a" + struct.pack("<I", len(xml) // 2) + xml
    return struct.pack("<II", 0x70, len(inner)) + inner + memory(b"\x66" * 300) + memory(b"") + memory(b"\x67" * 50)


WHOLE = {
    "a.czi": czi(),
    "a.nd2": nd2(),
    "a.ims": hdf5(0),
    "b.ims": hdf5(2),
    "a.mrc": stack("<"),
    "b.dv": stack(">", 6),
    "a.png": png(),
    "a.jpg": b"\xff\xd8\xff\xe0" + b"\x55" * 300 + b"\xff\xd9",
    "a.bmp": bmp(),
    "a.lif": lif(wide=True),
    "b.lif": lif(wide=False),
    "a.ndpi": b"II*\0" + struct.pack("<Q", 300) + b"\x55" * 290,
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_file_passes(name: str) -> None:
    assert examined(name, WHOLE[name]).fault is None


@pytest.mark.parametrize("name", WHOLE)
def test_a_file_cut_anywhere_is_refused(name: str) -> None:
    data = WHOLE[name]
    if name.endswith(".lif"):
        # Between two blocks a cut cannot be seen here.
        ends = {length for length in range(len(data)) if examined(name, data[:length]).fault is None}
        assert len(ends) == 3
        return
    for length in range(len(data)):
        assert code_of(name, data[:length]) in (Code.EMPTY, Code.ZEROS, Code.CUT, Code.DAMAGED, Code.CONTENT), length


@pytest.mark.parametrize("name", [*WHOLE, "a.tif", "a.ome.tif", "a.lsm", "a.companion.ome", "a.sld", "a.dcm"])
def test_an_empty_file_and_one_of_zeros_are_refused(name: str) -> None:
    assert code_of(name, b"") is Code.EMPTY
    assert code_of(name, bytes(5000)) is Code.ZEROS


@pytest.mark.parametrize("name", ["a.czi", "a.lif", "a.nd2", "a.ims", "a.tif", "a.png", "a.oib", "a.companion.ome", "a.jp2"])
def test_another_format_under_this_suffix_is_refused(name: str) -> None:
    fault = examined(name, b"<html>not an image, password=hunter2</html>" * 5).fault
    assert fault is not None
    assert fault.code is Code.CONTENT
    assert "hunter2" not in fault.says


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("name", ["a.mrc", "a.dv"])
def test_numbers_that_make_sense_in_both_orders_of_bytes_are_read_in_the_one_that_fits(name: str, order: str) -> None:
    head = struct.pack(order + "4i", 512, 512, 1, 0).ljust(1024, b"\0")
    data = head + b"\x33" * (512 * 512)
    assert code_of(name, data) is None
    fault = examined(name, data[:-1]).fault
    assert fault is not None
    assert fault.says == f"ends after {len(data) - 1:,} of the {len(data):,} bytes that it announces"


def test_a_picture_may_be_any_picture() -> None:
    assert examined("really_a_png.jpg", png()).fault is None


def test_a_czi_that_is_still_written_or_a_part_of_several_is_refused() -> None:
    assert code_of("a.czi", czi(pending=1)) is Code.CUT
    assert code_of("a.czi", czi(part=2)) is Code.NEEDS_READER


@settings(deadline=None)
@given(st.sampled_from(sorted(WHOLE)), st.binary(max_size=40), st.integers(0, 700))
def test_any_damage_gets_an_answer(name: str, noise: bytes, place: int) -> None:
    data = WHOLE[name]
    fault = examined(name, data[:place] + noise + data[place + len(noise) :]).fault
    assert fault is None or fault.says


def test_names_in_messages_are_printable_and_short() -> None:
    assert shown("a\udcff\n\x1b[31m.tif") == "a\\xff\\x0a\\x1b[31m.tif"
    assert len(shown("x" * 5000)) <= 201
    assert some(["a", "b", "c"], 2) == "a, b and 1 more"
