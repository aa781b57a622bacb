"""Which names are images, which formats are one file each, and which only Bio-Formats can group.

The list follows the suffixes of Bio-Formats. A format stands under ONE only where one file is always a whole image;
when in doubt it is refused, because parts of an image imported as images of their own are worse than a clear reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    TIFF = "tiff"  # a TIFF that may be part of an OME-TIFF set
    TIFF_LIKE = "tiff-like"  # one file, built like a TIFF, with rules of its own
    COMPANION = "companion"  # OME-XML in a file of its own
    FAKE = "fake"  # OMERO's test format: the name is the image, any size is right
    ONE = "one"  # one file, one fileset
    ALONE = "alone"  # one file when it is the only one of its suffix in its folder, else a series
    MANY = "many"  # only Bio-Formats knows which files belong to it
    NEVER = "never"  # documents and logs beside images
    UNKNOWN = "unknown"


class Scope(Enum):
    """Which other members belong to a MANY file, so that none of them is imported as if it stood alone."""

    STEM = "stem"  # files whose name begins with its stem, and folders named after it
    FOLDER = "folder"  # every image in its folder and below


@dataclass(frozen=True, slots=True)
class Format:
    """`magics`: the file begins with one of them, where known. `name` for people."""

    name: str
    kind: Kind
    magics: tuple[bytes, ...] = ()
    scope: Scope = Scope.STEM


_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_OLE = (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",)
_HDF5 = (b"\x89HDF\r\n\x1a\n",)
_PICTURE = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8", b"BM")
_JPEG2000 = (b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51")

UNKNOWN = Format("unknown format", Kind.UNKNOWN)
_NEVER = Format("document", Kind.NEVER)

_FORMATS: dict[str, Format] = {}


def _add(suffixes: str, name: str, kind: Kind, magics: tuple[bytes, ...] = (), scope: Scope = Scope.STEM) -> None:
    for suffix in suffixes.split():
        _FORMATS[suffix] = Format(name, kind, magics, scope)


_add("tif tiff tf2 tf8 btf ome.tif ome.tiff ome.btf ome.tf2 ome.tf8", "TIFF", Kind.TIFF, _TIFF)
_add("companion.ome ome ome.xml", "OME-XML", Kind.COMPANION)
_add("fake", "OMERO test image", Kind.FAKE)

_add("lsm", "Zeiss LSM", Kind.TIFF_LIKE, _TIFF)
_add("stk", "MetaMorph STK", Kind.TIFF_LIKE, _TIFF)
_add("svs", "Aperio SVS", Kind.TIFF_LIKE, _TIFF)
_add("scn", "Leica SCN", Kind.TIFF_LIKE, _TIFF)
_add("qptiff", "PerkinElmer QPTIFF", Kind.TIFF_LIKE, _TIFF)
_add("bif", "Ventana BIF", Kind.TIFF_LIKE, _TIFF)
_add("ndpi", "Hamamatsu NDPI", Kind.ONE, _TIFF)

_add("czi", "Zeiss CZI", Kind.ONE, (b"ZISRAWFILE",))
_add("lif", "Leica LIF", Kind.ONE, (b"\x70\0\0\0",))
_add("nd2", "Nikon ND2", Kind.ONE, (b"\xda\xce\xbe\x0a", *_JPEG2000))
_add("oir", "Olympus OIR", Kind.ONE)
_add("oib", "Olympus OIB", Kind.ONE, _OLE)
_add("zvi", "Zeiss ZVI", Kind.ONE, _OLE)
_add("ipw", "Image-Pro IPW", Kind.ONE, _OLE)
_add("ims", "Imaris", Kind.ONE, _HDF5)
_add("sld", "SlideBook", Kind.ONE)
_add("dv r3d r3d_d3d", "DeltaVision", Kind.ONE)
_add("mrc mrcs rec st ali", "MRC", Kind.ONE)
_add("dm2 dm3 dm4", "Gatan DigitalMicrograph", Kind.ONE)
_add("obf msr", "Imspector", Kind.ONE)
_add("sdt", "Becker & Hickl SDT", Kind.ONE)
_add("nii nii.gz", "NIfTI", Kind.ONE)
_add("nrrd", "NRRD", Kind.ONE, (b"NRRD",))
_add("mnc", "MINC", Kind.ONE)
_add("fits fts", "FITS", Kind.ONE, (b"SIMPLE",))
_add("spe", "Princeton Instruments SPE", Kind.ONE)
_add("sif", "Andor SIF", Kind.ONE)
_add("cxd", "SimplePCI", Kind.ONE, _OLE)
_add("liff", "Openlab LIFF", Kind.ONE)
_add("png jpg jpeg gif bmp", "picture", Kind.ONE, _PICTURE)
_add("jp2 j2k jpx jpf", "JPEG 2000", Kind.ONE, _JPEG2000)
_add("psd", "Photoshop", Kind.ONE, (b"8BPS",))
_add("avi", "AVI movie", Kind.ONE, (b"RIFF",))
_add("pgm", "PGM", Kind.ONE, (b"P1", b"P2", b"P3", b"P4", b"P5", b"P6"))

_add("dcm dicom", "DICOM", Kind.ALONE)

_add("vsi ets", "CellSens VSI", Kind.MANY)
_add("nd", "MetaMorph dataset", Kind.MANY)
_add("ids ics", "ICS", Kind.MANY)
_add("oif", "Olympus OIF", Kind.MANY)
_add("ndpis", "Hamamatsu NDPIS", Kind.MANY)
_add("mrxs", "3DHISTECH MRXS", Kind.MANY)
_add("afi", "Aperio AFI", Kind.MANY)
_add("hed hdr img", "Analyze", Kind.MANY)
_add("nhdr", "NRRD with separate data", Kind.MANY)
_add("sldy", "SlideBook 7", Kind.MANY)
_add("spc set", "Becker & Hickl SPC", Kind.MANY)
_add("pic", "Bio-Rad PIC", Kind.MANY)
_add("vms vmu", "Hamamatsu VMS", Kind.MANY)
_add("pcoraw", "PCO raw", Kind.MANY)
_add("xdce xlog", "InCell plate", Kind.MANY, (), Scope.FOLDER)
_add("htd", "MetaXpress plate", Kind.MANY, (), Scope.FOLDER)
_add("xlef xlif xlcf lof", "Leica LAS X folder", Kind.MANY, (), Scope.FOLDER)
_add("lei", "Leica LEI", Kind.MANY, (), Scope.FOLDER)
_add("mvd2", "Volocity library", Kind.MANY, (), Scope.FOLDER)
_add("flex mea res", "Evotec Flex plate", Kind.MANY, (), Scope.FOLDER)
_add("c01 dib", "Cellomics plate", Kind.MANY, (), Scope.FOLDER)
_add("mlf mes wpi", "CellVoyager plate", Kind.MANY, (), Scope.FOLDER)
_add("vws", "TillVision", Kind.MANY, (), Scope.FOLDER)

_PLATE_NAMES = {
    "index.idx.xml": "Opera Phenix plate",
    "index.ref.xml": "Opera plate",
    "index.xml": "Operetta plate",
}
_FOLDER_FORMATS = {"zarr": "OME-Zarr", "n5": "N5"}

for _suffix in (
    "txt md log csv tsv xls xlsx ods doc docx odt rtf pdf ppt pptx htm html xml json yaml yml toml ini cfg conf xsd xsl "
    "py ijm m r ipynb sh bat cmd java groovy js bsh cppipe cpproj zip gz tar 7z rar bz2 xz mat npy npz pkl db sqlite sqlite3 mdb "
    "wav mp3 mp4 mov mkv lnk url eml msg bak tmp md5 sha1 sha256 roi lut cube exe dll thumb ds_store db3"
).split():
    _FORMATS[_suffix] = _NEVER

_LONGEST = max(suffix.count(".") for suffix in _FORMATS) + 1


def format_of(path: str) -> Format:
    """The format of a member by its path alone; the longest suffix that is known wins (`a.ome.tif` is ome.tif)."""
    *folders, name = path.lower().split("/")
    for folder in folders:
        if (kind := _FOLDER_FORMATS.get(folder.rpartition(".")[2])) is not None and "." in folder:
            return Format(kind, Kind.MANY, (), Scope.FOLDER)
    if name in _PLATE_NAMES:
        return Format(_PLATE_NAMES[name], Kind.MANY, (), Scope.FOLDER)
    if name.startswith(("._", ".")) or name in ("thumbs.db", "desktop.ini"):
        return _NEVER
    parts = name.split(".")
    for count in range(min(_LONGEST, len(parts) - 1), 0, -1):
        found = _FORMATS.get(".".join(parts[-count:]))
        if found is not None:
            return found
    return UNKNOWN


def zarr_root(path: str) -> str | None:
    """The outermost folder of a format that is a folder (`a/b.zarr` of `a/b.zarr/0/1`), None when there is none."""
    folders = path.split("/")[:-1]
    for index, folder in enumerate(folders):
        stem, dot, suffix = folder.rpartition(".")
        if stem and dot and suffix.lower() in _FOLDER_FORMATS:
            return "/".join(folders[: index + 1])
    return None


def stem_of(path: str) -> str:
    """The file's name without folder and without its known (or else last) suffix, in lower case."""
    name = path.rpartition("/")[2].lower()
    parts = name.split(".")
    for count in range(min(_LONGEST, len(parts) - 1), 0, -1):
        if ".".join(parts[-count:]) in _FORMATS:
            return ".".join(parts[:-count])
    return name.rpartition(".")[0] or name
