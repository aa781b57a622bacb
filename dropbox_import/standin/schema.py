"""The part of OMERO's data model that the stand-in keeps: tables, columns, references, collections.

Names are those of OMERO's model and of its query language, so a query can be checked against this page.
"""

from __future__ import annotations

from dataclasses import dataclass, field

LINKED = ("Project", "Dataset", "Image", "Fileset", "Screen", "Plate", "OriginalFile", "Annotation")


@dataclass(frozen=True, slots=True)
class Column:
    """One property: `kind` is string, long, int, double, bool, time or ref (then `target` is the entity)."""

    name: str
    kind: str
    target: str = ""
    needed: bool = False


@dataclass(frozen=True, slots=True)
class Entity:
    """One table. `owned` rows have an owner and a group; `kinds` are subclasses that share the table."""

    name: str
    package: str
    columns: dict[str, Column]
    collections: dict[str, tuple[str, str]] = field(default_factory=dict)
    owned: bool = True
    kinds: tuple[str, ...] = ()
    order: str = "id"
    unique: tuple[str, ...] = ()

    def java(self, kind: str = "") -> str:
        """The class name that OMERO uses in its messages."""
        return f"ome.model.{self.package}.{kind or self.name}"


def _columns(text: str) -> dict[str, Column]:
    """`name:string! count:long parent:>Project` as columns; "!" marks one that may not be null."""
    found: dict[str, Column] = {}
    for word in text.split():
        name, kind = word.split(":")
        needed = kind.endswith("!")
        kind = kind.rstrip("!")
        target = kind[1:] if kind.startswith(">") else ""
        found[name] = Column(name, "ref" if target else kind, target, needed)
    return found


def _link(parent: str, child: str, name: str = "", package: str = "containers") -> Entity:
    return Entity(
        name or f"{parent}{child}Link",
        package,
        _columns(f"parent:>{parent}! child:>{child}!"),
        unique=("parent", "child", "owner"),
    )


def _entity(name: str, package: str, columns: str, collections: dict[str, tuple[str, str]] | None = None) -> Entity:
    wanted = dict(collections or {})
    if name in LINKED:
        wanted["annotationLinks"] = (f"{name}AnnotationLink", "parent")
    return Entity(name, package, _columns(columns), wanted)


def _pairs(name: str, parent: str) -> Entity:
    """A list of named values that belongs to its parent."""
    columns = _columns(f"parent:>{parent}! name:string value:string position:long")
    return Entity(name, "internal", columns, owned=False, order="position")


JOBS = ("UploadJob", "MetadataImportJob", "PixelDataJob", "ThumbnailGenerationJob", "IndexingJob")
ANNOTATIONS = (
    "CommentAnnotation",
    "TagAnnotation",
    "MapAnnotation",
    "FileAnnotation",
    "LongAnnotation",
    "BooleanAnnotation",
    "DoubleAnnotation",
    "XmlAnnotation",
    "TermAnnotation",
    "TimestampAnnotation",
)

_ALL = (
    Entity(
        "Experimenter",
        "meta",
        _columns(
            "omeName:string! firstName:string! middleName:string lastName:string! email:string institution:string ldap:bool!"
            " secret:string privileges:string"
        ),
        {"groupExperimenterMap": ("GroupExperimenterMap", "child")},
        owned=False,
    ),
    Entity(
        "ExperimenterGroup",
        "meta",
        _columns("name:string! description:string ldap:bool! perms:string"),
        {"groupExperimenterMap": ("GroupExperimenterMap", "parent")},
        owned=False,
    ),
    Entity(
        "GroupExperimenterMap",
        "meta",
        _columns("parent:>ExperimenterGroup! child:>Experimenter! owner:bool! position:long"),
        owned=False,
        order="position",
    ),
    Entity(
        "Session",
        "meta",
        _columns(
            "uuid:string owner:>Experimenter sudoer:>Experimenter timeToIdle:long timeToLive:long started:time closed:time"
            " message:string defaultEventType:string userAgent:string userIP:string"
        ),
        owned=False,
    ),
    Entity(
        "Event", "meta", _columns("time:time session:>Session experimenter:>Experimenter experimenterGroup:>ExperimenterGroup"), owned=False
    ),
    Entity("ChecksumAlgorithm", "enums", _columns("value:string!"), owned=False),
    Entity("JobStatus", "jobs", _columns("value:string!"), owned=False),
    Entity("PixelsType", "enums", _columns("value:string!"), owned=False),
    Entity("Format", "enums", _columns("value:string!"), owned=False),
    _entity("Project", "containers", "name:string! description:string", {"datasetLinks": ("ProjectDatasetLink", "parent")}),
    _entity(
        "Dataset",
        "containers",
        "name:string! description:string",
        {"projectLinks": ("ProjectDatasetLink", "child"), "imageLinks": ("DatasetImageLink", "parent")},
    ),
    _entity("Screen", "screen", "name:string! description:string", {"plateLinks": ("ScreenPlateLink", "parent")}),
    _entity(
        "Plate",
        "screen",
        "name:string! description:string rows:int columns:int",
        {"screenLinks": ("ScreenPlateLink", "child"), "wells": ("Well", "plate")},
    ),
    _entity("Well", "screen", "plate:>Plate! row:int column:int", {"wellSamples": ("WellSample", "well")}),
    _entity("WellSample", "screen", "well:>Well! image:>Image!"),
    _link("Project", "Dataset"),
    _link("Dataset", "Image"),
    _link("Screen", "Plate", package="screen"),
    _entity(
        "Image",
        "core",
        "name:string! description:string series:int fileset:>Fileset acquisitionDate:time archived:bool partial:bool format:>Format",
        {"pixels": ("Pixels", "image"), "datasetLinks": ("DatasetImageLink", "child"), "wellSamples": ("WellSample", "image")},
    ),
    _entity(
        "Pixels",
        "core",
        "image:>Image! pixelsType:>PixelsType significantBits:int sizeX:int! sizeY:int! sizeZ:int! sizeC:int! sizeT:int! sha1:string",
    ),
    _entity("RenderingDef", "display", "pixels:>Pixels! name:string version:int defaultZ:int! defaultT:int!"),
    _entity("Thumbnail", "display", "pixels:>Pixels! mimeType:string! sizeX:int! sizeY:int! ref:string version:int"),
    _entity(
        "Fileset",
        "fs",
        "templatePrefix:string",
        {"usedFiles": ("FilesetEntry", "fileset"), "images": ("Image", "fileset"), "jobLinks": ("FilesetJobLink", "parent")},
    ),
    _entity("FilesetEntry", "fs", "fileset:>Fileset! originalFile:>OriginalFile! clientPath:string! position:long"),
    _entity("FilesetJobLink", "fs", "parent:>Fileset! child:>Job! position:long"),
    Entity(
        "Job",
        "jobs",
        _columns(
            "kind:string username:string groupname:string type:string message:string status:>JobStatus submitted:time"
            " scheduledFor:time started:time finished:time"
        ),
        {
            "versionInfo": ("JobVersionInfo", "parent"),
            "originalFileLinks": ("JobOriginalFileLink", "parent"),
            "filesetLinks": ("FilesetJobLink", "child"),
        },
        owned=False,
        kinds=JOBS,
    ),
    _pairs("JobVersionInfo", "Job"),
    _entity("JobOriginalFileLink", "jobs", "parent:>Job! child:>OriginalFile!"),
    _entity(
        "OriginalFile",
        "core",
        "path:string! name:string! size:long hash:string hasher:>ChecksumAlgorithm mimetype:string repo:string"
        " atime:time mtime:time ctime:time",
        {"filesetEntries": ("FilesetEntry", "originalFile")},
    ),
    Entity(
        "Annotation",
        "annotations",
        _columns(
            "kind:string ns:string name:string description:string textValue:string longValue:long boolValue:bool"
            " doubleValue:double timeValue:time termValue:string file:>OriginalFile"
        ),
        {"mapValue": ("AnnotationMapValue", "parent"), "annotationLinks": ("AnnotationAnnotationLink", "parent")},
        kinds=ANNOTATIONS,
    ),
    _pairs("AnnotationMapValue", "Annotation"),
    *(_link(name, "Annotation", f"{name}AnnotationLink", "annotations") for name in LINKED),
)

ENTITIES: dict[str, Entity] = {entity.name: entity for entity in _ALL}
HIDDEN = frozenset(("kind", "perms", "position", "privileges", "secret"))  # the store's own columns: no property of the model
BASE_OF: dict[str, str] = {kind: entity.name for entity in _ALL for kind in entity.kinds} | {name: name for name in ENTITIES}


def entity_of(name: str) -> Entity | None:
    """The table for a class name (`TagAnnotation` lives in `Annotation`), or None."""
    base = BASE_OF.get(name)
    return ENTITIES[base] if base else None


def is_link(entity: Entity) -> bool:
    return bool(entity.unique)
