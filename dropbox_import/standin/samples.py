"""Small real images for the demo, for rehearsals and for tests: the same bytes at every run.

`python -m dropbox_import.standin.samples DIR --kind five-d` writes them; without --kind one of each.
The broken ones are broken in the ways that the field knows: cut, half copied, a partner missing, a bomb.
"""

from __future__ import annotations

import argparse
import struct
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.sax.saxutils import quoteattr

import numpy as np
import tifffile

Plane = np.ndarray[Any, Any]
WIDTH, HEIGHT = 96, 64
CHANNELS = ("DAPI", "GFP")
_NAMES = uuid.UUID("6f6d6572-6f2d-4472-8f70-626f782d696d")
OME = "http://www.openmicroscopy.org/Schemas/OME/2016-06"


def cells(index: int, width: int = WIDTH, height: int = HEIGHT) -> Plane:
    """A 16-bit plane as a camera gives it: an offset, noise, and some bright round cells whose places follow from `index`."""
    chance = np.random.default_rng(index)
    image = chance.normal(110, 4, (height, width))
    rows, columns = np.mgrid[0:height, 0:width]
    for _ in range(6):
        row, column, radius = chance.uniform(0, height), chance.uniform(0, width), chance.uniform(3, 8)
        image += 900 * np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / (2 * radius**2))
    plane: Plane = np.clip(image, 1, 65535).astype(np.uint16)
    return plane


def plain_tiff(path: Path, index: int = 1, pages: int = 1, *, big: bool = False, compression: str | None = None) -> Path:
    """A TIFF (or BigTIFF) of some pages, each an image directory of its own."""
    with tifffile.TiffWriter(path, bigtiff=big) as writer:
        for page in range(pages):
            writer.write(cells(index * 1000 + page), metadata=None, contiguous=False, compression=compression)
    return path


def five_d_ome_tiff(path: Path, times: int = 3, depth: int = 4) -> Path:
    """X, Y, Z, two named channels and time in one OME-TIFF."""
    stack = np.stack([cells(number) for number in range(times * depth * len(CHANNELS))])
    metadata = {
        "axes": "TZCYX",
        "Name": "Five dimensions",
        "UUID": _urn(path.name),
        "Channel": {"Name": list(CHANNELS)},
        "PhysicalSizeX": 0.25,
        "PhysicalSizeXUnit": "µm",
        "PhysicalSizeY": 0.25,
        "PhysicalSizeYUnit": "µm",
        "PhysicalSizeZ": 1.5,
        "PhysicalSizeZUnit": "µm",
        "TimeIncrement": 30.0,
    }
    shaped = stack.reshape(times, depth, len(CHANNELS), HEIGHT, WIDTH)
    tifffile.imwrite(path, shaped, ome=True, photometric="minisblack", metadata=metadata)
    return path


def ome_tiff_set(folder: Path, stem: str = "timelapse", count: int = 3) -> list[Path]:
    """One image over several files, one time point each; every file names all of them by UUID, as microscopes write it."""
    names = [f"{stem}_T{time}.ome.tif" for time in range(count)]
    for time, name in enumerate(names):
        planes = np.stack([cells(time * 10 + channel) for channel in range(len(CHANNELS))])
        with tifffile.TiffWriter(folder / name, ome=False) as writer:
            for channel, plane in enumerate(planes):
                text = ome_xml(stem, names, own=name).encode() if channel == 0 else None
                writer.write(plane, description=text, metadata=None, contiguous=False, photometric="minisblack")
    return [folder / name for name in names]


def companion_set(folder: Path, stem: str = "plate", count: int = 2) -> list[Path]:
    """The same, with the metadata in a companion file and only a pointer to it in each TIFF. The companion comes first."""
    names = [f"{stem}_T{time}.ome.tif" for time in range(count)]
    companion = folder / f"{stem}.companion.ome"
    companion.write_text(ome_xml(stem, names, own=companion.name), encoding="utf-8")
    for time, name in enumerate(names):
        pointer = f'<BinaryOnly MetadataFile={quoteattr(companion.name)} UUID="{_urn(companion.name)}"/>'
        text = f'<?xml version="1.0" encoding="UTF-8"?><OME xmlns="{OME}" UUID="{_urn(name)}">{pointer}</OME>'
        with tifffile.TiffWriter(folder / name, ome=False) as writer:
            for channel in range(len(CHANNELS)):
                described = text.encode() if channel == 0 else None
                writer.write(cells(time * 10 + channel), description=described, metadata=None, contiguous=False)
    return [companion, *(folder / name for name in names)]


def ome_xml(image: str, names: list[str], own: str) -> str:
    """OME-XML of one image: a file for each time point, a page for each channel."""
    blocks = "".join(
        f'<TiffData FirstT="{time}" FirstC="{channel}" FirstZ="0" IFD="{channel}" PlaneCount="1">'
        f"<UUID FileName={quoteattr(name)}>{_urn(name)}</UUID></TiffData>"
        for time, name in enumerate(names)
        for channel in range(len(CHANNELS))
    )
    channels = "".join(f'<Channel ID="Channel:0:{index}" Name="{name}" SamplesPerPixel="1"/>' for index, name in enumerate(CHANNELS))
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><OME xmlns="{OME}" UUID="{_urn(own)}" Creator="dropbox-import samples">'
        f'<Image ID="Image:0" Name={quoteattr(image)}><Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint16" BigEndian="false" '
        f'SizeX="{WIDTH}" SizeY="{HEIGHT}" SizeZ="1" SizeC="{len(CHANNELS)}" SizeT="{len(names)}">{channels}{blocks}</Pixels></Image></OME>'
    )


def folder_with_a_cut_one(folder: Path, count: int = 3) -> list[Path]:
    """Several plain TIFFs; the last one is cut in half."""
    paths = [plain_tiff(folder / f"field_{number}.tif", number) for number in range(1, count + 1)]
    cut_in_half(paths[-1])
    return paths


def cut_in_half(path: Path) -> Path:
    """Only the first half of the file is left, as after a full disk."""
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    return path


def half_zero_tiff(path: Path) -> Path:
    """A file of the right size whose second half was never filled, as after a broken copy that reserves its space first."""
    data = plain_tiff(path, 77).read_bytes()
    half = len(data) // 2 // 512 * 512  # a copy breaks off at a block
    path.write_bytes(data[:half] + bytes(len(data) - half))
    return path


def bomb_tiff(path: Path) -> Path:
    """A few bytes that announce a packed image of 300,000 x 300,000 pixels."""
    side = 300_000
    tags = [(256, 4, side), (257, 4, side), (258, 3, 16), (259, 3, 8), (262, 3, 1), (273, 4, 8), (277, 3, 1), (278, 4, side), (279, 4, 16)]
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", code, kind, 1, value) for code, kind, value in tags)
    path.write_bytes(struct.pack("<2sHI", b"II", 42, 24) + b"x\x9c" + bytes(range(1, 15)) + directory + struct.pack("<I", 0))
    return path


def big_tiff(path: Path, mebibytes: int = 64) -> Path:
    """A stack of 8-bit planes of 1 MiB each, written without holding them in memory; BigTIFF from 4 GiB."""
    noise = np.random.default_rng(7).integers(20, 235, (1024, 1024), dtype=np.uint8)

    def planes() -> Iterator[Plane]:
        for number in range(mebibytes):
            yield np.roll(noise, number * 37, axis=1)

    with tifffile.TiffWriter(path, bigtiff=mebibytes >= 4000) as writer:
        for plane in planes():
            writer.write(plane, metadata=None, contiguous=False, photometric="minisblack")
    return path


def _urn(name: str) -> str:
    return f"urn:uuid:{uuid.uuid5(_NAMES, name)}"


KINDS: dict[str, Callable[[Path, int], object]] = {
    "plain": lambda folder, _: plain_tiff(folder / "plain.tif"),
    "five-d": lambda folder, _: five_d_ome_tiff(folder / "five_d.ome.tif"),
    "set": lambda folder, _: ome_tiff_set(folder),
    "companion": lambda folder, _: companion_set(folder),
    "folder": lambda folder, _: folder_with_a_cut_one(folder),
    "half-zero": lambda folder, _: half_zero_tiff(folder / "half_zero.tif"),
    "bomb": lambda folder, _: bomb_tiff(folder / "bomb.tif"),
    "big": lambda folder, mebibytes: big_tiff(folder / "big.tif", mebibytes),
}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m dropbox_import.standin.samples", description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, metavar="DIR", help="where to write; made when missing")
    parser.add_argument("--kind", action="append", choices=sorted(KINDS), help="what to write; may be given several times; default: all")
    parser.add_argument("--mebibytes", type=int, default=64, help="size of the big one (default: 64)")
    options = parser.parse_args(arguments)
    options.folder.mkdir(parents=True, exist_ok=True)
    for kind in options.kind or KINDS:
        KINDS[kind](options.folder, options.mebibytes)


if __name__ == "__main__":
    main()
