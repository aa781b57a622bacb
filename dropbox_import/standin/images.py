"""What the stand-in finds in a fileset's files: the series of TIFF, OME-TIFF and `.fake`; anything else it cannot read."""

from __future__ import annotations

import logging
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import tifffile

from dropbox_import.standin.sources import behaviour

_PAIR = re.compile(r"(\w+)=([\w.-]+)")
_NUMPY = {
    "u1": "uint8",
    "u2": "uint16",
    "u4": "uint32",
    "i1": "int8",
    "i2": "int16",
    "i4": "int32",
    "f4": "float",
    "f8": "double",
    "b1": "bit",
}
TIFF_ENDINGS = (".tif", ".tiff", ".tf2", ".tf8", ".btf")
DAMAGED = (tifffile.TiffFileError, struct.error, ValueError, IndexError, KeyError, EOFError, OSError, TypeError, ElementTree.ParseError)
logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # damaged files are expected here


class Unreadable(Exception):
    """Bio-Formats would refuse this; `java` is the exception's class, the words hold "{}" for the path."""

    def __init__(self, words: str, java: str = "loci.formats.FormatException") -> None:
        super().__init__(words)
        self.words = words
        self.java = java


@dataclass(frozen=True, slots=True)
class Series:
    """One image to be."""

    name: str
    x: int
    y: int
    z: int
    c: int
    t: int
    pixels: str
    format: str
    description: str | None = None


def read(paths: list[Path]) -> tuple[Series, ...]:
    """The series of a fileset; the first file is the one that is opened (SUMMARY 9: independent others are not looked at)."""
    first = paths[0]
    name = first.name.lower()
    if name.endswith(".fake"):
        return _fake(first.name)
    if name.endswith(TIFF_ENDINGS):
        return _tiff(first, {path.name: path for path in paths})
    if name.endswith((".ome.xml", ".ome")):
        return _ome_xml(first, {path.name: path for path in paths})
    raise Unreadable("Unknown file format: {}", "loci.formats.UnknownFormatException")


@behaviour("recorded 01_native_import_stages.json (fake files); plates are left out")
def _fake(file_name: str) -> tuple[Series, ...]:
    stem = file_name[: -len(".fake")].split("&")
    given = {found[1]: found[2] for part in stem[1:] if (found := _PAIR.fullmatch(part))}
    title = stem[0]

    def number(key: str, default: int) -> int:
        return int(given[key]) if given.get(key, "").isdigit() else default

    count = max(1, number("series", 1))
    return tuple(
        Series(
            title if not index else f"{title} {index + 1}",
            number("sizeX", 512),
            number("sizeY", 512),
            number("sizeZ", 1),
            number("sizeC", 1),
            number("sizeT", 1),
            given.get("pixelType", "uint8"),
            "Fake",
        )
        for index in range(count)
    )


@behaviour("recorded 02 unreadable_files: a truncated TIFF is read, an empty or damaged one is not")
def _tiff(path: Path, together: dict[str, Path]) -> tuple[Series, ...]:
    try:
        with tifffile.TiffFile(path) as tiff:
            page = tiff.pages.first
            if not isinstance(page, tifffile.TiffPage) or not page.imagewidth or not page.imagelength:
                raise Unreadable("Invalid TIFF file: {}")
            text = page.description or ""
            if "<OME" in text[:2000]:
                return _ome(text, path, together)
            return (_plain(tiff, page, path, text),)
    except Unreadable:
        raise
    except DAMAGED as error:
        raise Unreadable("Invalid TIFF file: {}") from error


@behaviour("assumed: pages of a plain TIFF are times, samples are channels, ImageJ's own words count; recorded 01 for one page")
def _plain(tiff: tifffile.TiffFile, page: tifffile.TiffPage, path: Path, text: str) -> Series:
    z, c, t = 1, page.samplesperpixel, 1
    try:
        pages = len(tiff.pages)
    except DAMAGED:
        pages = 1
    found = tiff.imagej_metadata if tiff.is_imagej else None
    if found:
        z, c, t = int(found.get("slices", 1)), int(found.get("channels", 1)) * page.samplesperpixel, int(found.get("frames", 1))
    else:
        t = pages
    kind = _NUMPY.get(page.dtype.str[1:], "uint8") if page.dtype is not None else "uint8"
    return Series(path.name, page.imagewidth, page.imagelength, z, c, t, kind, "TiffDelegate", text or None)


@behaviour("recorded 02 unreadable_files broken.ome.xml; that a companion file speaks for its images is assumed after the OME schema")
def _ome_xml(path: Path, together: dict[str, Path]) -> tuple[Series, ...]:
    try:
        return _ome(path.read_text(encoding="utf-8"), path, together)
    except (ElementTree.ParseError, ValueError) as error:
        raise Unreadable("Malformed OME-XML", "java.io.IOException") from error


@behaviour("assumed after the OME schema: one series for each Image, files named by UUID belong together; recorded 01 small.ome.tif")
def _ome(text: str, path: Path, together: dict[str, Path]) -> tuple[Series, ...]:
    if text.lstrip().startswith("<?xml"):
        text = text[text.index("?>") + 2 :]
    root = ElementTree.fromstring(text)
    space = root.tag.partition("}")[0] + "}" if root.tag.startswith("{") else ""
    binary_only = root.find(f"{space}BinaryOnly")
    if binary_only is not None:
        main = together.get(binary_only.get("MetadataFile", ""))
        if main is None or main == path:
            raise Unreadable("Missing metadata file for: {}")
        return _tiff(main, together) if main.name.lower().endswith(TIFF_ENDINGS) else _ome_xml(main, together)
    found = []
    for image in root.iter(f"{space}Image"):
        pixels = image.find(f"{space}Pixels")
        if pixels is None:
            continue
        x, y, z, c, t = (int(pixels.get(f"Size{axis}", "1")) for axis in "XYZCT")
        words = image.find(f"{space}Description")
        description = words.text if words is not None else None
        found.append(Series(image.get("Name") or path.name, x, y, z, c, t, pixels.get("Type", "uint8"), "OMETiff", description))
    if not found:
        raise Unreadable("Invalid TIFF file: {}")
    return tuple(found)


@behaviour("recorded 01 image names, 04 name_500_chars")
def image_name(file_name: str, series: Series, count: int, wanted: str | None) -> str:
    """One image is called like its file (or as the import wishes); of several, each carries its own name in brackets."""
    name = wanted or file_name
    if count > 1:
        name = f"{name} [{series.name}]"
    return name if len(name) <= 255 else "…" + name[-254:]
