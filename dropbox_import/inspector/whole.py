"""Is one file whole, and what does it say about others? The order of the checks is from cheap to dear."""

from __future__ import annotations

from dataclasses import dataclass

from dropbox_import.inspector.containers import check_container
from dropbox_import.inspector.faults import AGAIN, ASK, Code, ImageError, too_large
from dropbox_import.inspector.formats import Format, Kind
from dropbox_import.inspector.ometiff import MOST_XML, Documents, OmeDocument, looks_like_ome
from dropbox_import.inspector.source import Source
from dropbox_import.inspector.tiff import walk
from dropbox_import.inspector.zeros import only_zeros, unfilled
from dropbox_import.model import FileFacts

OPENED = frozenset({Kind.TIFF, Kind.TIFF_LIKE, Kind.COMPANION, Kind.ONE, Kind.ALONE})
_LOOSE = frozenset({"Zeiss LSM", "MetaMorph STK"})


@dataclass(frozen=True, slots=True)
class Examined:
    """One member after its check: `fault` says why it is not fit, `document` and `pages` matter for sets of OME-TIFF files."""

    facts: FileFacts
    format: Format
    fault: ImageError | None = None
    pages: int = 0
    document: OmeDocument | None = None


def examine(facts: FileFacts, kind: Format, source: Source, documents: Documents) -> Examined:
    """The file behind `source`, checked as its format asks. Never raises ImageError: it is in the answer."""
    try:
        _plain(kind, source)
        if kind.kind in (Kind.TIFF, Kind.TIFF_LIKE):
            return _tiff(facts, kind, source, documents)
        if kind.kind is Kind.COMPANION:
            return Examined(facts, kind, None, 0, _companion(source, documents))
        check_container(kind.name, source)
    except ImageError as fault:
        return Examined(facts, kind, fault)
    except MemoryError:
        return Examined(facts, kind, too_large("needs more memory for its inspection than is allowed"))
    return Examined(facts, kind)


def empty() -> ImageError:
    return ImageError(Code.EMPTY, "is empty (0 bytes)", AGAIN)


def _plain(kind: Format, source: Source) -> None:
    """Size, first bytes, and whether anything was ever written."""
    if source.size == 0:
        raise empty()
    if only_zeros(source):
        raise ImageError(Code.ZEROS, "holds nothing but zeros: its space was reserved, but it was never filled", AGAIN)
    if not kind.magics:
        return
    head = source.read(0, 16)
    if head.startswith(kind.magics):
        return
    if any(magic.startswith(head) for magic in kind.magics):
        raise ImageError(Code.CUT, f"ends after {source.size:,} bytes, before its first image", AGAIN)
    what = "any picture format" if kind.name == "picture" else f"a {kind.name} file"
    raise ImageError(Code.CONTENT, f"does not begin like {what}: it is damaged, or it was given a wrong name", ASK)


def _tiff(facts: FileFacts, kind: Format, source: Source, documents: Documents) -> Examined:
    layout = walk(source, loose=kind.name in _LOOSE)
    fault = unfilled(source, layout)
    if fault is not None:
        raise fault
    document = None
    if kind.kind is Kind.TIFF:
        offset, length = layout.description
        if looks_like_ome(source.read(offset, min(length, 20_000))):
            document = documents.parse(_text(source, offset, length))
    return Examined(facts, kind, None, len(layout.pages), document)


def _companion(source: Source, documents: Documents) -> OmeDocument:
    if not looks_like_ome(source.read(0, 20_000)):
        raise ImageError(Code.CONTENT, "does not begin like OME-XML: it is damaged, or it was given a wrong name", ASK)
    document = documents.parse(_text(source, 0, source.size))
    if not document.inline and not any(reference.name for reference in document.references):
        raise ImageError(Code.CONTENT, "holds no pixels and names no files that hold them", ASK)
    return document


def _text(source: Source, offset: int, length: int) -> bytes:
    if length > MOST_XML:
        raise too_large(f"has {length:,} bytes of OME-XML, which is more than can be inspected")
    return source.read(offset, length)
