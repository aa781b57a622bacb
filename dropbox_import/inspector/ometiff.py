"""OME-XML: which files an OME-TIFF or a companion file names, and how many planes it wants of each.

The XML comes from strangers: a DTD or an entity is refused, sizes are limited, and nothing of it is quoted.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from xml.parsers import expat

from dropbox_import.inspector.faults import damaged, too_large

MOST_XML = 256 << 20
MOST_FILES = 200_000
MOST_TEXT = 2_000
_ROOT_UUID = re.compile(rb"<(?:[A-Za-z_][\w.-]{0,40}:)?OME\b[^>]{0,4000}?\bUUID\s*=\s*[\"']([^\"']{1,200})[\"']")


@dataclass(frozen=True, slots=True)
class FileReference:
    """A file as TiffData names it: by UUID, by name, by both, or by neither (the file itself). `pages`: at least so many it must have."""

    uuid: str | None
    name: str | None
    pages: int


@dataclass(frozen=True, slots=True)
class OmeDocument:
    """`metadata_file` is set where the real XML is in a companion; `pixels` counts images; `inline`: pixels are in the XML itself."""

    uuid: str | None = None
    metadata_file: str | None = None
    references: tuple[FileReference, ...] = ()
    pixels: int = 0
    inline: bool = False


def looks_like_ome(head: bytes) -> bool:
    """Whether an image description is OME-XML (and not ImageJ's, or a person's)."""
    start = head[:2000].lstrip(b"\xef\xbb\xbf \t\r\n")
    if not start.startswith(b"<"):
        return False
    return re.search(rb"<(?:[A-Za-z_][\w.-]*:)?OME[\s>]", head[:20_000]) is not None


class Documents:
    """Parses OME-XML, each text once: the files of a set repeat the same text, which differs in the UUID of the root only."""

    def __init__(self) -> None:
        self._known: dict[bytes, OmeDocument] = {}

    def parse(self, xml: bytes) -> OmeDocument:
        """The document. Raises ImageError where the XML is broken or hostile."""
        xml = xml.strip(b"\0 \t\r\n")
        own = _ROOT_UUID.search(xml[:20_000])
        digest = hashlib.sha256()
        if own is None:
            digest.update(xml)
        else:
            digest.update(xml[: own.start(1)])
            digest.update(xml[own.end(1) :])
        known = self._known.get(digest.digest())
        if known is None:
            known = self._known[digest.digest()] = _Reader().read(xml)
            return known
        if own is None:
            return known
        uuid = own.group(1).decode("utf-8", "replace")
        return OmeDocument(uuid, known.metadata_file, known.references, known.pixels, known.inline)


@dataclass(slots=True)
class _Pixels:
    planes: int = 1
    channels: int = 0
    sizes: tuple[int, int, int] = (1, 1, 1)
    open_ended: list[tuple[str | None, str | None, int]] = field(default_factory=list)


class _Reader:
    def __init__(self) -> None:
        self.uuid: str | None = None
        self.metadata_file: str | None = None
        self.pages: dict[tuple[str | None, str | None], int] = {}
        self.pixels = 0
        self.inline = False
        self._now: _Pixels | None = None
        self._data: tuple[int, int] | None = None
        self._data_uuid: str | None = None
        self._data_name: str | None = None
        self._text: list[str] | None = None

    def read(self, xml: bytes) -> OmeDocument:
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._refuse
        parser.EntityDeclHandler = self._refuse
        parser.ExternalEntityRefHandler = self._refuse
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        try:
            parser.Parse(xml, True)
        except (expat.ExpatError, ValueError, LookupError):
            raise damaged("its OME-XML is broken") from None
        references = tuple(FileReference(uuid, name, pages) for (uuid, name), pages in self.pages.items())
        return OmeDocument(self.uuid, self.metadata_file, references, self.pixels, self.inline)

    def _refuse(self, *_: object) -> int:
        raise damaged("its OME-XML holds a DTD or an entity, which is not allowed")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        name = tag.rpartition(":")[2]
        if name == "OME":
            self.uuid = attributes.get("UUID")
        elif name == "BinaryOnly":
            self.metadata_file = attributes.get("MetadataFile")
        elif name == "Pixels":
            self.pixels += 1
            self._now = _Pixels(sizes=(_count(attributes, "SizeZ", 1), _count(attributes, "SizeC", 1), _count(attributes, "SizeT", 1)))
        elif name == "Channel" and self._now is not None:
            self._now.channels += 1
        elif name == "BinData" and self._now is not None:
            self.inline = True
        elif name == "TiffData":
            whole = "IFD" not in attributes and "PlaneCount" not in attributes
            self._data = (_count(attributes, "IFD", 0), -1 if whole else _count(attributes, "PlaneCount", 1))
            self._data_uuid = self._data_name = None
        elif name == "UUID" and self._data is not None:
            self._data_name = attributes.get("FileName")
            self._text = []

    def _characters(self, text: str) -> None:
        if self._text is not None and len(self._text) < MOST_TEXT:
            self._text.append(text[:MOST_TEXT])

    def _end(self, tag: str) -> None:
        name = tag.rpartition(":")[2]
        if name == "UUID" and self._text is not None:
            self._data_uuid = "".join(self._text).strip()[:MOST_TEXT] or None
            self._text = None
        elif name == "TiffData" and self._data is not None:
            self._tiff_data(*self._data)
            self._data = None
        elif name == "Pixels" and self._now is not None:
            self._end_of_pixels(self._now)
            self._now = None

    def _tiff_data(self, first: int, planes: int) -> None:
        if planes < 0 and self._now is not None:
            self._now.open_ended.append((self._data_uuid, self._data_name, first))
        self._want(self._data_uuid, self._data_name, first + abs(planes) if planes else 0)

    def _end_of_pixels(self, pixels: _Pixels) -> None:
        # An open-ended TiffData stands for all planes, but only where it is the only one of the image.
        if len(pixels.open_ended) == 1 and self.pixels == 1:
            depth, channels, times = pixels.sizes
            uuid, name, first = pixels.open_ended[0]
            self._want(uuid, name, first + depth * times * (pixels.channels or min(channels, 1)))

    def _want(self, uuid: str | None, name: str | None, pages: int) -> None:
        key = (uuid, name)
        self.pages[key] = max(self.pages.get(key, 0), pages)
        if len(self.pages) > MOST_FILES:
            raise too_large(f"names more than {MOST_FILES:,} files in its OME-XML")


def _count(attributes: dict[str, str], name: str, default: int) -> int:
    text = attributes.get(name, "").strip()
    if not text:
        return default
    if len(text) > 10 or not text.isascii() or not text.isdigit():
        raise damaged(f"its OME-XML has no usable number for {name}")
    return int(text)
